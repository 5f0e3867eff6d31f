"""Loading a large run from its journal, against taking the same fields out of its snapshot, which is not checked.

Each load is the one load of a fresh process, and they take turns. What counts is the time of the processor: the files
are in the kernel's memory, and other programs on the machine must not decide.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

from tests.benchmarks.measure import Result, in_turns, large_run, middle, python, quotient, two_artifacts

from releasekit import STATE_FILENAME, PackageStatus, RunState, RunStore

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = 100_000
ROUNDS = 11


@dataclass
class Fields:
    """What a snapshot has of a package."""

    name: str
    status: PackageStatus
    version: str
    error: str
    level: int
    requires: tuple[str, ...]
    artifacts: dict[str, str]
    attempts: int
    reason: str


def load_json(path: Path) -> dict[str, Fields]:
    document = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Fields(**fields | {"status": PackageStatus(fields["status"]), "requires": tuple(fields["requires"])})
        for name, fields in document["packages"].items()
    }


OURS = "RunState.load"
JSON = "json.loads of the snapshot, into dataclasses"
LOADERS: dict[str, Callable[[Path], object]] = {OURS: RunState.load, JSON: load_json}


def write_run(path: Path) -> None:
    """Write a run whose packages have four records each."""
    with RunStore.create(path, large_run(PACKAGES)) as store:
        for n, package in enumerate(store.state.packages.values()):
            package.start_building()
            package.record_artifacts(two_artifacts(n))
            package.start_publishing()
            package.start_verifying()


def seconds_in_a_process(name: str, path: Path) -> float:
    return float(python("-m", __name__, name, str(path)))


def results(directory: Path) -> list[Result]:
    """Measure."""
    path = directory / "loaded" / STATE_FILENAME
    path.parent.mkdir()
    write_run(path)
    seconds = in_turns({name: partial(seconds_in_a_process, name, path) for name in LOADERS}, ROUNDS)
    ours, theirs = seconds[OURS], seconds[JSON]
    name, than = f"{OURS}, {PACKAGES:,} packages with 4 records each", f"{JSON}, {middle(theirs):.2f} s"
    return [Result(name, f"{middle(ours):.2f} s", than, quotient(ours, theirs), 1.5, 1)]


def main(name: str, path: Path) -> None:
    begun = process_time()
    loaded = LOADERS[name](path)  # which must live until the time is taken
    print(process_time() - begun)
    del loaded


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
