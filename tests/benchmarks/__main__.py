"""Measure everything, or what is named: `python -m tests.benchmarks [--directory DIR] [NAME]…`.

What writes is measured in a new directory on a disk, not in memory: in the system's directory for temporary files or
the current one, whichever is on a disk, or where `--directory` says.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import (
    diagrams,
    journal,
    lifecycle,
    loading,
    makespan,
    memory,
    overhead,
    planning,
    releases,
    report,
    startup,
)
from tests.benchmarks.measure import IN_MEMORY, file_system, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.measure import Result

NAMES = (
    *("diagrams", "journal", "lifecycle", "loading", "makespan", "memory", "overhead", "planning", "releases"),
    *("report", "startup"),
)


def main(arguments: list[str]) -> int:
    """Run benchmarks and print one table; the exit code says whether everything is as good as it must be."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Measure everything, or what is named."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--directory", type=Path, help="where to write, on a disk")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    candidates = [options.directory] if options.directory else [Path(tempfile.gettempdir()), Path.cwd()]
    on_disk = [directory for directory in candidates if file_system(directory) not in IN_MEMORY]
    if not on_disk:
        shown = " and ".join(f"{directory} ({file_system(directory)})" for directory in candidates)
        parser.error(f"{shown}: that is in memory; name a directory on a disk with --directory")
    with tempfile.TemporaryDirectory(prefix="releasekit-benchmarks-", dir=on_disk[0]) as name:
        scratch = Path(name)
        print(f"what writes is measured on {file_system(scratch)}, in {on_disk[0]}")
        benchmarks: dict[str, Callable[[], list[Result]]] = {
            "diagrams": diagrams.results,
            "journal": partial(journal.results, scratch),
            "lifecycle": lifecycle.results,
            "loading": partial(loading.results, scratch),
            "makespan": makespan.results,
            "memory": partial(memory.results, scratch),
            "overhead": partial(overhead.results, scratch),
            "planning": partial(planning.results, scratch),
            "releases": partial(releases.results, scratch),
            "report": partial(report.results, scratch),
            "startup": startup.results,
        }
        results = [result for name in options.names or NAMES for result in benchmarks[name]()]
    print_table(results)
    return int(any(result.verdict == "NOT MET" for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
