"""Write a run on a disk that may lose its power, and mark in the disk's log what has been acknowledged.

Usage: python power_writer.py begin|resume STATE_FILE MARKS [fsync] [fdatasync]
Prints every state that the run had, in order; a mark is the number, from 0, of one that was said to be durable. The
functions of `os` that are named do nothing: such a writer acknowledges what the disk may not have.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import sys
import time
from functools import partial
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from releasekit import ReleaseKitError, RunState, RunStore, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from releasekit import PackageState

TOGETHER = [f"package-{number}" for number in range(24)]
PAUSE = 0.04  # seconds between commits while the snapshot, which follows within a second, is waited for


class Writer:
    """Commits to an open run, and marks what was acknowledged."""

    def __init__(self, store: RunStore, states: list[str], marks: int) -> None:
        self.store = store
        self.state = store.state
        self._states = states
        self._marks = marks
        self.note()
        self.mark()  # making or opening it acknowledges too
        self.state.listen(lambda _: self.note())

    def note(self) -> None:
        self._states.append(self.state.to_bytes().decode())

    def latest(self) -> int:
        return len(self._states) - 1

    def mark(self, number: int | None = None) -> None:
        os.write(self._marks, b"%d" % (self.latest() if number is None else number))

    def commit(self) -> None:
        self.store.commit()
        self.mark()

    async def publish(self, name: str, how_far: int | None) -> None:
        for step in islice(steps(self.state[name]), how_far):
            step()
            fired = self.latest()  # the others may go on while this one waits
            await self.store.acommit()
            self.mark(fired)

    async def publish_together(self, names: Iterable[str], how_far: int | None = None) -> None:
        await asyncio.gather(*(self.publish(name, how_far) for name in names))


def steps(package: PackageState) -> Iterator[Callable[[], None]]:
    """Yield what leads a pending package to its end."""
    files = [f"{package.name}-1.0.tar.gz", f"{package.name}-1.0-py3-none-any.whl"]
    yield package.start_building
    yield partial(package.record_artifacts, {name: sha256(name.encode()).hexdigest() for name in files})
    yield package.start_publishing
    yield package.start_verifying
    yield package.confirm


def begin(writer: Writer) -> None:
    for step in steps(writer.state["core"]):
        step()
        writer.commit()
    unsteady = writer.state["unsteady"]
    snapshot = writer.store.path.stat().st_ino
    failing: list[Callable[[], None]] = [unsteady.start_building, partial(unsteady.fail, "no net"), unsteady.retry]
    for step in cycle(failing):
        step()
        writer.commit()
        if writer.store.path.stat().st_ino != snapshot:
            break
        time.sleep(PAUSE)


def fail(writer: Writer) -> None:
    """Leave packages in flight, and a record that the kernel has and the disk has not, as a killed writer does."""
    asyncio.run(writer.publish_together(TOGETHER, how_far=3))
    writer.state[TOGETHER[0]].start_verifying()
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    with patch("os.fdatasync", side_effect=error), contextlib.suppress(ReleaseKitError):
        writer.store.commit()


def resume(writer: Writer) -> None:
    state = writer.state
    for name in [name for name in TOGETHER if state[name].may(Trigger.RECOVER)][:4]:
        state[name].recover()
        writer.commit()  # of less than what a torn write may have left behind
    state.recover()
    writer.commit()
    if "late" not in state:
        state.init_package("late", requires=TOGETHER)
        writer.note()
        writer.commit()
    for name in state.failed_packages():
        state[name].retry()
    asyncio.run(writer.publish_together(name for name in state.pending_packages() if name != "unsteady"))
    if "unsteady" in state.pending_packages():
        state["unsteady"].skip("it never holds")  # which closing commits


def main() -> None:
    part, path, marks = sys.argv[1], Path(sys.argv[2]), os.open(sys.argv[3], os.O_WRONLY)
    for name in sys.argv[4:]:
        setattr(os, name, lambda _: None)
    states: list[str] = []
    if part == "begin":
        state = RunState("0" * 40)
        for name in ["core", "unsteady", *TOGETHER]:
            state.init_package(name, version="1.0", requires=() if name == "core" else ["core"])
        with RunStore.create(path, state) as store:
            begin(Writer(store, states, marks))
        with RunStore.open(path) as store:
            fail(Writer(store, states, marks))
    with RunStore.open(path) as store:
        writer = Writer(store, states, marks)
        resume(writer)
    writer.mark()
    sys.stdout.write(json.dumps(states))


main()
