"""Who is told of what happens to the packages of a run: its recorder first, then any listener."""

from __future__ import annotations

import os
from contextlib import suppress
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from releasekit.lifecycle import PackageStatus, Trigger
    from releasekit.state.package import PackageState

LOCK: Final = RLock()
"""Held while a package moves and while a run is copied out. Re-entrant, so that a signal handler or a
listener that looks at the run does not lock itself out."""

_FORK_PATIENCE: Final = 1.0  # seconds


def _before_fork() -> None:
    LOCK.acquire(timeout=_FORK_PATIENCE)


def _after_fork() -> None:
    with suppress(RuntimeError):  # it was not to be had
        LOCK.release()


# A forked process has only the thread that forked: if another held it just then, nobody would ever give it back. Not
# waited for longer: who has it may be a listener, which waits for what the forking thread holds.
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


class Transition(NamedTuple):
    """A trigger that was fired: what a listener is told, after the package has moved."""

    package: str
    trigger: Trigger
    source: PackageStatus
    target: PackageStatus
    carried: Mapping[str, Any]


class Recorder(Protocol):
    """Who writes a run down. It is told under `LOCK`, and must neither wait nor fail."""

    def declared(self, package: PackageState) -> None:
        """Take note of a package that joined the run."""

    def moved(self, package: PackageState, moved: Transition) -> None:
        """Take note of a trigger that has moved a package."""


class Audience:
    """Who is told of one run.

    Attributes:
        recorders: Told first.
        listeners: Told after them, in order.
        moving: Whether something is happening to the run. If nobody is at it (see `LOCK`), an interrupt such as
            Ctrl-C hit in the middle of it: what was recorded may no longer be what the run holds.
    """

    __slots__ = ("listeners", "moving", "recorders")

    def __init__(self) -> None:
        self.recorders: list[Recorder] = []
        self.listeners: list[Callable[[Transition], None]] = []
        self.moving = False

    def check(self) -> None:
        """Return if nothing was interrupted in the middle; call it under `LOCK`.

        Raises:
            ReleaseKitError: Something was (`E.STATE_NOT_DURABLE`).
        """
        if self.moving:
            raise ReleaseKitError(
                E.STATE_NOT_DURABLE,
                "an interrupt hit while a package was being moved, so nothing more of this run is recorded",
                "run the same command again: it goes on from what was written",
            )

    def tell(self, package: PackageState, moved: Transition) -> None:
        """Tell everyone of a trigger that has moved a package, and that it is over."""
        for recorder in self.recorders:
            recorder.moved(package, moved)
        self.moving = False
        for listener in self.listeners:
            listener(moved)

    def declare(self, package: PackageState) -> None:
        """Tell the recorders of a package that joined the run, and that it has."""
        for recorder in self.recorders:
            recorder.declared(package)
        self.moving = False
