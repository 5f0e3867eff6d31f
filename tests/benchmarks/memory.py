"""Bytes a package of a large run that is open, everything counted: its names, its fields and its place in the run.

Each run is the only one of a fresh process: once as it has grown, once as it was read from its journal.
"""

from __future__ import annotations

import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.benchmarks.measure import Result, large_run, python, two_artifacts

from releasekit import STATE_FILENAME, RunStore

PACKAGES = 100_000
MOST = 700  # bytes
GOAL = 300  # bytes
GROWN, LOADED = "grown", "loaded"
CONTENTS = ("2 requirements, 2 artifacts and an error", "2 requirements and 2 artifacts", "2 requirements")
PROCESSES = 2  # at once: it is no time that is measured


def grow(path: Path, contents: str) -> RunStore:
    """Create a run and fill some fields of every package, the large ones or not."""
    store = RunStore.create(path, large_run(PACKAGES))
    for n, package in enumerate(store.state.packages.values()):
        package.start_building()
        if "artifacts" in contents:
            package.record_artifacts(two_artifacts(n))
        if "error" in contents:
            package.fail(f"upload of package-{n:06d} was refused: 400 Bad Request")
    store.commit()
    return store


def bytes_a_package(directory: Path, contents: str) -> dict[str, float]:
    """Measure a run both ways."""
    path = directory / contents / STATE_FILENAME
    path.parent.mkdir()
    return {how: float(python("-m", __name__, how, str(path), contents)) for how in (GROWN, LOADED)}


def results(directory: Path) -> list[Result]:
    """Measure."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        measured = dict(zip(CONTENTS, pool.map(partial(bytes_a_package, directory), CONTENTS), strict=True))
    than = f"the most, {MOST} bytes"
    return [
        Result(f"a package with {contents}, {how}", f"{used:.0f} bytes", than, used / MOST, 1, GOAL / MOST)
        for how in (GROWN, LOADED)
        for contents in CONTENTS
        for used in [measured[contents][how]]
    ]


def main(how: str, path: Path, contents: str) -> None:
    tracemalloc.start()
    with RunStore.open(path) if how == LOADED else grow(path, contents):
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    print(used / PACKAGES)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
