"""A writer that is killed with SIGKILL after random delays, and goes on with the same run each time.

Usage: python -m tests.faults.killer DIRECTORY KILLS

The writer says over a pipe what it is about to do, and again what a commit has acknowledged; it commits alone and by
several tasks, in turn. After each kill the run must have all that was acknowledged, and nothing that was not announced.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from itertools import cycle
from pathlib import Path
from random import Random
from select import select
from typing import TYPE_CHECKING, Final

from tests.faults.forks import fork

from releasekit import STATE_FILENAME, PackageStatus, RunState, RunStore, Trigger

if TYPE_CHECKING:
    from releasekit import PackageState

KILLS_OF_A_RUN: Final = 50
LONGEST: Final = 0.03  # seconds until a kill
ONCE_OPEN: Final = 0.8  # of the kills
NAMES: Final = ("a", "b", "c", "d")
# What a package goes through again and again. How often it has begun, and how far it is, only grows.
WAY: Final = [PackageStatus(name) for name in ("building", "publishing", "verifying", "failed", "pending")]
STEPS: Final = [Trigger(n) for n in ("start_publishing", "start_verifying", "fail", "retry", "start_building")]

Progress = tuple[int, int]


def progress(package: PackageState) -> Progress:
    """Measure how far a package is."""
    return package.attempts, WAY.index(package.status)


class Writer:
    """Writes until it is killed.

    Args:
        path: The state file of the run.
        pipe: Where it says what it does.
    """

    def __init__(self, path: Path, pipe: int) -> None:
        self._store = RunStore.open(path)
        self._pipe = pipe

    async def write(self) -> None:
        """Go on with the run, and never end."""
        packages = self._store.state.packages.values()
        for package in packages:
            self._say("opened", package.name, progress(package))
            if package.may(Trigger.RECOVER):
                self._say("announced", package.name, (package.attempts, len(WAY) - 1))
                package.recover()
        for package in cycle(packages):
            self._advance(package)
            self._store.commit()
            self._say("acknowledged", package.name, progress(package))
            await asyncio.gather(*map(self._advance_with_others, packages))

    async def _advance_with_others(self, package: PackageState) -> None:
        self._advance(package)
        await self._store.acommit()
        self._say("acknowledged", package.name, progress(package))

    def _advance(self, package: PackageState) -> None:
        attempts, stage = progress(package)
        trigger = STEPS[stage]
        after = (attempts, stage + 1) if trigger is not Trigger.START_BUILDING else (attempts + 1, 0)
        self._say("announced", package.name, after)
        package.fire(trigger, **({"error": "x" * 100} if trigger is Trigger.FAIL else {}))

    def _say(self, what: str, name: str, progress: Progress) -> None:
        os.write(self._pipe, b"%b\n" % json.dumps([what, name, progress]).encode())


def write(path: Path, pipe: int) -> None:
    """Be the writer."""
    asyncio.run(Writer(path, pipe).write())


class Kills:
    """Kills the writer of one run again and again.

    Args:
        path: The state file; the run is made.
        counts: Gets the figures.
    """

    def __init__(self, path: Path, counts: Counter[str]) -> None:
        run = RunState("abc")
        for name in NAMES:
            run.init_package(name)
        RunStore.create(path, run).close()
        self._path = path
        self._counts = counts
        self._acknowledged = self._announced = self._found = {name: progress(run[name]) for name in NAMES}

    def kill_after(self, delay: float, *, once_open: bool) -> None:
        """Let the writer go on for some seconds, from its start or once it has opened the run; kill it, and look."""
        receiving, sending = os.pipe()
        pid = fork(write, self._path, sending)
        os.close(sending)
        if once_open:
            select([receiving], [], [])
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
        self._counts["kills" if os.waitpid(pid, 0)[1] == signal.SIGKILL else "failed"] += 1
        with os.fdopen(receiving, encoding="utf-8") as pipe:
            self._listen([json.loads(line) for line in pipe])
        run = RunState.load(self._path)
        self._found = {name: progress(run[name]) for name in NAMES}
        self._counts["lost"] += sum(self._found[name] < self._acknowledged[name] for name in NAMES)
        self._counts["invented"] += sum(self._found[name] > self._announced[name] for name in NAMES)

    def _listen(self, told: list[tuple[str, str, tuple[int, int]]]) -> None:
        self._counts["kills before the run was open"] += not told
        for what, name, (attempts, stage) in told:
            self._counts[what] += 1
            if what == "opened":
                self._counts["resumed elsewhere"] += self._found[name] != (attempts, stage)
            heard = {name: (attempts, stage)}
            if what == "announced":
                self._announced = self._announced | heard
            else:
                self._acknowledged = self._acknowledged | heard


def main(directory: Path, kills: int) -> dict[str, int]:
    """Kill so often; count."""
    chances = Random()  # noqa: S311  # no secret
    counts = Counter({"lost": 0, "invented": 0, "resumed elsewhere": 0, "failed": 0})
    while counts["kills"] < kills and not counts["failed"]:
        folder = directory / f"{counts['kills']}"
        folder.mkdir()
        run = Kills(folder / STATE_FILENAME, counts)
        for _ in range(KILLS_OF_A_RUN):
            run.kill_after(chances.uniform(0, LONGEST), once_open=chances.random() < ONCE_OPEN)
    return counts


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201  # for the test
