"""Measure everything, or what is named: `python -m tests.benchmarks [lifecycle] [memory] [startup]`."""

from __future__ import annotations

import sys

from tests.benchmarks import lifecycle, memory, startup
from tests.benchmarks.measure import print_table

BENCHMARKS = {"lifecycle": lifecycle, "memory": memory, "startup": startup}


def main(names: list[str]) -> int:
    """Run benchmarks and print one table; the exit code says whether everything is as good as it must be."""
    if unknown := set(names) - set(BENCHMARKS):
        print(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
        return 2
    results = [result for name in names or BENCHMARKS for result in BENCHMARKS[name].results()]
    print_table(results)
    return int(any(result.verdict == "NOT MET" for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
