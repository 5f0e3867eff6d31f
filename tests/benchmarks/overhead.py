"""What a release costs besides its steps: many packages, steps that do nothing, and the real journal on a disk.

A child process is measured, so that its memory is its own, and it may have no more than 64 files open. What it prints
is how long the run took, how much memory it took over what the imports take, how many files, tasks and threads there
were at most at a time, and how large its journal is.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.benchmarks.measure import Result, python

from releasekit.pipeline import Orchestrator
from releasekit.pipeline.built import Built
from releasekit.pipeline.carrier import COMPANY
from releasekit.state import STATE_FILENAME, RunState, journal_path
from releasekit.store import RunStore
from releasekit.workspace import Package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.pipeline.carrier import Sending

ROUNDS = 7
PACKAGES = 1_000
MUST, GOAL = 2.0, 0.3  # milliseconds a package
MANY = 2_000
FILES = 64
"""Files that may be open: a process must have room for far fewer than it has packages."""

MOST_MEMORY, MOST_SECONDS = 64.0, 20.0  # MiB, and seconds, for the many


class EmptySteps:
    """Steps that do nothing but look what is in use."""

    def __init__(self) -> None:
        self.files = self.tasks = self.threads = 0

    async def build(self, package: Package, artifacts: Mapping[str, str]) -> Built:
        """See `Steps.build`."""
        self.look()
        names = (f"{package.name}-1.0.tar.gz", f"{package.name}-1.0-py3-none-any.whl")
        return Built(artifacts or dict.fromkeys(names, "a" * 64))

    async def check(self, *_: object) -> None:
        """See `Steps.check`."""

    async def publish(self, package: Package, artifacts: Mapping[str, str], sending: Sending) -> None:
        """See `Steps.publish`."""
        del package, artifacts
        with sending():
            self.look()

    async def verify(self, *_: object) -> None:
        """See `Steps.verify`."""

    def look(self) -> None:
        """See what is in use; a subclass that measures time does not."""


class Looking(EmptySteps):
    """Those that look."""

    def look(self) -> None:
        self.files = max(self.files, sum(1 for _ in Path("/proc/self/fd").iterdir()))
        self.tasks = max(self.tasks, len(asyncio.all_tasks()))
        self.threads = max(self.threads, threading.active_count())


def declared(packages: int) -> tuple[RunState, dict[str, Package]]:
    """Declare a run, of packages that require up to three of those before them."""
    random = Random(packages)  # noqa: S311  # the same each time
    state, members = RunState("0" * 40, index="nowhere"), dict[str, Package]()
    for number in range(packages):
        near = [*members][-packages // 4 :]
        requires = tuple(random.sample(near, min(len(near), random.choice([0, 0, 1, 1, 2, 3]))))
        name = f"package-{number:04d}"
        state.init_package(name, version="1.0", requires=requires)
        members[name] = Package(name, "1.0", Path(), requires, 0)
    return state, members


def release(directory: Path, packages: int, steps: EmptySteps) -> dict[str, Any]:
    """Release packages by steps that do nothing, and tell what it took."""
    state, members = declared(packages)
    path = directory / STATE_FILENAME
    memory = _memory("VmRSS")
    jobs = os.cpu_count() or 1
    with RunStore.create(path, state) as store:
        begun = perf_counter()
        asyncio.run(Orchestrator(store, members, steps, jobs=jobs, uploads=jobs * COMPANY).run())
        seconds = perf_counter() - begun
    if not state.is_finished():
        raise AssertionError(state.unfinished_packages())
    return {
        "seconds": seconds,
        "MiB": _memory("VmHWM") - memory,
        "files": steps.files,
        "tasks": steps.tasks,
        "threads": steps.threads,
        "journal": journal_path(path).stat().st_size,
    }


def _memory(kind: str) -> float:
    """Read how much memory this process has now (VmRSS) or had at most (VmHWM), in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{kind}:"))


def in_a_process(directory: Path, packages: int, way: str) -> dict[str, Any]:
    directory.mkdir(exist_ok=True)
    for file in directory.glob(".releasekit-*"):
        file.unlink()
    told: dict[str, Any] = json.loads(python("-m", __name__, way, str(directory), str(packages)))
    return told


def results(directory: Path) -> list[Result]:
    """Measure."""
    place = directory / "overhead"
    took = [in_a_process(place, PACKAGES, "timed")["seconds"] / PACKAGES * 1000 for _ in range(ROUNDS)]
    shown = f"{median(took):.2f} ms a package ({min(took):.2f} to {max(took):.2f})"
    name = f"{PACKAGES} packages whose steps do nothing"
    many = in_a_process(place, MANY, "watched")
    many["seconds"] = in_a_process(place, MANY, "timed")["seconds"]  # to watch takes longer than all else
    print(
        f"{MANY} packages whose steps do nothing, with {FILES} open files allowed: {many['seconds']:.1f} s, "
        f"{many['MiB']:.0f} MiB, {many['files']} files, {many['tasks']} tasks, {many['threads']} threads, "
        f"a journal of {many['journal'] / 1e6:.1f} MB"
    )
    title = f"{MANY} packages whose steps do nothing"
    return [
        Result(name, shown, f"{MUST:g} ms", median(took) / MUST, 1, GOAL / MUST),
        Result(title, f"{many['seconds']:.1f} s", f"{MOST_SECONDS:g} s", many["seconds"] / MOST_SECONDS, 1),
        Result(title, f"{many['MiB']:.0f} MiB", f"{MOST_MEMORY:g} MiB", many["MiB"] / MOST_MEMORY, 1),
        Result(title, f"{many['files']} open files", f"{FILES}", many["files"] / FILES, 1),
    ]


def main(way: str, directory: Path, packages: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    print(json.dumps(release(directory, packages, Looking() if way == "watched" else EmptySteps())))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
