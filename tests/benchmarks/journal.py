"""A transition that is made durable, against other ways to do that: a bare append, SQLite, a whole JSON file.

All write into one directory and take turns of some ten milliseconds, since a disk is now fast, now slow; a ratio of
speeds is the median over the rounds. Ours are open runs with all that belongs to that, so snapshots are written
meanwhile. A large one takes a second or so and comes too seldom for a median to show it, so what it costs is measured
by itself and taken off the ratios of the large runs.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from itertools import cycle
from threading import Thread
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from tests.benchmarks.measure import Result, in_turns, large_run, middle, quotient
from tests.benchmarks.rivals import A_TURN, bare_append, sqlite, timed, whole_file

from releasekit import STATE_FILENAME, RunStore
from releasekit.persistence.refresher import SHARE
from releasekit.state.files import journal_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from releasekit import PackageState

FEW, MORE, MANY = 1_000, 10_000, 100_000
WRITERS = 64
ROUNDS = 200
WHOLE_ROUNDS = 20
SHARED = 5  # times that each concurrent writer goes forth and back in a turn
REFRESHES = 5

BARE = "bare append + fdatasync"
SQLITE = "SQLite, WAL, synchronous=FULL"
WHOLE, WHOLE_FLUSHED = "whole JSON file", "whole JSON file + fsync"
ONE, ONE_OF_MORE, ONE_OF_MANY = (f"a commit, {packages:,} packages" for packages in (FEW, MORE, MANY))
TOGETHER = f"a commit, {WRITERS} tasks at once"
TRIGGER = "a trigger and its record, no commit"


class Ours:
    """An open run, and what is done to it in its turns; each gives the seconds that a transition took."""

    def __init__(self, directory: Path, packages: int) -> None:
        directory.mkdir()
        self.store = RunStore.create(directory / STATE_FILENAME, large_run(packages))
        self.cpu: list[float] = []
        self._packages = list(self.store.state.packages.values())
        self._triggers = forth_and_back(self._packages)

    def commit_each(self) -> float:
        """Commit after each trigger."""
        busy = process_time()
        seconds = timed(self._commit, A_TURN)
        self.cpu.append((process_time() - busy) / A_TURN)
        return seconds

    def fire_only(self) -> float:
        """Fire the triggers, and commit when the time has been taken."""
        seconds = timed(self._fire, A_TURN)
        self.store.commit()
        return seconds

    def commit_together(self) -> float:
        """Have many tasks fire a trigger and wait until it is durable, again and again."""
        return asyncio.run(self._commit_together())

    def kept_while_refreshed(self) -> float:
        """Tell what share of its speed a run keeps while its snapshot is written."""
        usual, meanwhile = [], []
        for _ in range(REFRESHES):
            usual.append(timed(self._commit, A_TURN))
            thread = Thread(target=self.store._refresh)
            count, begun = 0, perf_counter()
            thread.start()
            while thread.is_alive():
                self._commit()
                count += 1
            meanwhile.append((perf_counter() - begun) / count)
        return quotient(usual, meanwhile)

    def length(self) -> int:
        """Tell how many bytes a record takes."""
        self.commit_each()
        lines = journal_path(self.store.path).read_bytes().split(b"\n")
        triggers = [line for line in lines if b'"trigger":' in line]
        return sum(map(len, triggers)) // len(triggers) + 1

    def records_a_flush(self) -> float:
        """Tell how many triggers became durable together: all records of a flush name the same one before it."""
        with journal_path(self.store.path).open("rb") as lines:
            flushed = [found[1] for line in lines if (found := re.search(rb'"trigger":.*"flushed":(\d+)', line))]
        return len(flushed) / len(set(flushed))

    def _fire(self) -> None:
        next(self._triggers)()

    def _commit(self) -> None:
        next(self._triggers)()
        self.store.commit()

    async def _commit_together(self) -> float:
        async def write(package: PackageState) -> None:
            for _ in range(SHARED):
                package.start_building()
                await self.store.acommit()
                package.recover()
                await self.store.acommit()

        begun = perf_counter()
        await asyncio.gather(*map(write, self._packages[:WRITERS]))
        return (perf_counter() - begun) / (WRITERS * SHARED * 2)


def forth_and_back(packages: list[PackageState]) -> Iterator[Callable[[], None]]:
    """Give triggers without end."""
    for package in cycle(packages):
        yield package.start_building
        yield package.recover


def results(directory: Path) -> list[Result]:
    """Measure."""
    with ExitStack() as stack:
        few, more, many, shared = runs = [
            Ours(directory / name, packages)
            for name, packages in (("few", FEW), ("more", MORE), ("many", MANY), ("shared", FEW))
        ]
        for run in runs:
            stack.callback(run.store.close)
        length = few.length()
        appending = {
            BARE: stack.enter_context(bare_append(directory, length)),
            ONE: few.commit_each,
            SQLITE: stack.enter_context(sqlite(directory, FEW)),
            ONE_OF_MORE: more.commit_each,
            TOGETHER: shared.commit_together,
            ONE_OF_MANY: many.commit_each,
            TRIGGER: few.fire_only,
        }
        # By themselves, since the next flush of any file has to write what they left unflushed.
        replacing = {
            ONE: few.commit_each,
            WHOLE_FLUSHED: whole_file(directory, FEW, flush=True),
            WHOLE: whole_file(directory, FEW, flush=False),
        }
        seconds, whole = in_turns(appending, ROUNDS), in_turns(replacing, WHOLE_ROUNDS)
        kept = {name: run.kept_while_refreshed() for name, run in ((ONE_OF_MORE, more), (ONE_OF_MANY, many))}
        together = shared.records_a_flush()
    return [*compared(seconds, whole, kept), *explained(seconds, kept, together, middle(few.cpu))]


def compared(seconds: dict[str, list[float]], whole: dict[str, list[float]], kept: dict[str, float]) -> list[Result]:
    """Give the ratios of speeds."""

    def row(
        ours: str,
        theirs: str,
        must: float | None = None,
        goal: float | None = None,
        turns: dict[str, list[float]] = seconds,
    ) -> Result:
        share = 1 - SHARE * (1 - kept.get(ours, 1))  # of its speed, in the long run
        ratio = quotient(turns[theirs], turns[ours]) * share
        than = f"{theirs}, {micro(middle(turns[theirs]))}"
        return Result(ours, micro(middle(turns[ours])), than, ratio, must, goal, larger_is_better=True)

    return [
        row(ONE, BARE, 0.8, 1.2),
        row(ONE, SQLITE, 0.9, 1.2),
        row(ONE, WHOLE_FLUSHED, 25, 30, turns=whole),
        row(ONE, WHOLE, turns=whole),
        row(ONE_OF_MORE, ONE, 0.9, 1),
        row(ONE_OF_MANY, ONE, 0.9, 1),
        row(TOGETHER, BARE, 10, 15),
    ]


def explained(seconds: dict[str, list[float]], kept: dict[str, float], together: float, cpu: float) -> list[Result]:
    """Give what the others are made of."""
    one, bare, trigger = (middle(seconds[name]) for name in (ONE, BARE, TRIGGER))
    flush = middle(seconds[TOGETHER]) * together
    than = f"{ONE}, {micro(one)}"
    while_refreshed = [
        Result(f"{name}: its speed while the snapshot is written", f"{share:.0%}", "otherwise", share)
        for name, share in kept.items()
    ]
    return [
        Result(TRIGGER, micro(trigger), than, trigger / one),
        Result("the CPU time of a commit", micro(cpu), than, cpu / one),
        Result(f"{TOGETHER}: the time of a flush", micro(flush), f"{BARE}, {micro(bare)}", flush / bare),
        Result(f"{TOGETHER}: records in a flush", f"{together:.1f}", f"{WRITERS} tasks", together / WRITERS),
        *while_refreshed,
    ]


def micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs"
