"""How long each package was at work, and what its steps took: from a run's journal, and from what is told since.

A package is at work while it is in flight, but for one that is built and waits for the others to be: `building` it
stays, and no time of it counts. Between the last record of a process and the `recover` of the next nobody was at work.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from releasekit.errors import ReleaseKitError
from releasekit.lifecycle import IN_FLIGHT, PackageStatus, Trigger
from releasekit.state.history import read_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from releasekit.state import Transition
    from releasekit.state.history import Event

Steps = dict[str, dict[PackageStatus, float]]
"""Package → status → how many seconds the work of that status took, the last time that it was done."""

STEP_ENDS: Final = (Trigger.RECORD_ARTIFACTS, Trigger.START_VERIFYING, Trigger.CONFIRM)
"""The triggers that say that the work of the status they start in is done."""

EARLIER_RUNS: Final = 3
LARGEST_JOURNAL: Final = 1 << 26
"""Bytes of an earlier run's journal that is still read: for a guess of the time left nobody waits long."""


class _Clock:
    """One package's time."""

    __slots__ = ("built", "entered", "status", "worked")

    def __init__(self, at: float) -> None:
        self.entered = at
        self.status: PackageStatus | None = None
        self.worked = 0.0
        self.built = False

    @property
    def runs(self) -> bool:
        return self.status in IN_FLIGHT and not (self.built and self.status is PackageStatus.BUILDING)

    @property
    def has_job(self) -> bool:
        """Whether it takes one of the jobs: waiting for the index takes none."""
        return self.runs and self.status is not PackageStatus.VERIFYING


class Timeline:
    """What the packages of a run took so far.

    Args:
        events: What happened before, in order.

    Attributes:
        steps: What the finished steps took.
        seconds: How long anybody was at work on the run, up to the last event.
        jobs: The most builds and uploads that were seen at work at once.
        ended: When the last event was, in seconds since the epoch; 0 if there was none.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.steps: Steps = {}
        self.seconds = 0.0
        self.jobs = 0
        self.ended = 0.0
        self._clocks: dict[str, _Clock] = {}
        self._in_flight = 0
        self._busy = 0
        self._worked_until = 0.0
        for event in events:
            self._count(event.package, event.trigger, event.source, event.target, event.time.timestamp())

    @classmethod
    def of(cls, path: Path) -> Timeline:
        """Read the timeline of the run in a state file; an empty one, if its journal tells nothing."""
        with contextlib.suppress(OSError, ReleaseKitError):
            return cls(read_history(path).events)
        return cls()

    def hear(self, moved: Transition) -> None:
        """Take note of a trigger that was fired just now: a listener of a run."""
        self._count(moved.package, moved.trigger, moved.source, moved.target, time.time())

    def worked(self, package: str, now: float | None = None) -> float:
        """Tell how many seconds a package was at work.

        Args:
            package: Its name.
            now: The time in seconds since the epoch, if somebody is at work on the run.
        """
        clock = self._clocks.get(package)
        if not clock:
            return 0.0
        return clock.worked + (max(0.0, now - clock.entered) if now and clock.runs else 0.0)

    def running(self, package: str, now: float) -> float:
        """Tell how many seconds a package has been in its status."""
        clock = self._clocks.get(package)
        return max(0.0, now - clock.entered) if clock else 0.0

    def total(self, now: float | None = None) -> float:
        """Tell how many seconds anybody was at work on the run; `now` as for `worked`."""
        return self.seconds + (max(0.0, now - self.ended) if now and self._in_flight else 0.0)

    def _count(
        self, package: str, trigger: Trigger | None, source: PackageStatus | None, target: PackageStatus, at: float
    ) -> None:
        clock = self._clocks.setdefault(package, _Clock(at))
        until = self._worked_until if trigger is Trigger.RECOVER else at
        if self._in_flight:
            self.seconds += max(0.0, until - self.ended)
        took = max(0.0, until - clock.entered)
        had_job = clock.has_job
        if clock.runs:
            clock.worked += took
            if source and trigger in STEP_ENDS:
                self.steps.setdefault(package, {})[source] = took
        if trigger is Trigger.RECORD_ARTIFACTS:
            clock.built = True
        if source is not target:
            clock.entered, clock.status = at, target
            self._in_flight += (target in IN_FLIGHT) - (source in IN_FLIGHT)
        self._busy += clock.has_job - had_job
        self.jobs = max(self.jobs, self._busy)
        self.ended = at
        if trigger is not Trigger.RECOVER:
            self._worked_until = at


def earlier_steps(path: Path) -> Steps:
    """Read what the steps of the last runs took that were put aside beside a state file; what can't be read is none."""
    path = Path(os.path.realpath(path))
    found: Steps = {}
    asides = sorted(path.parent.glob(f"{path.name}.*Z.journal"))[-EARLIER_RUNS:]
    for journal in asides:
        with contextlib.suppress(OSError, ReleaseKitError):
            if journal.stat().st_size <= LARGEST_JOURNAL:
                aside = journal.with_name(journal.name.removesuffix(".journal"))
                merge(found, Timeline(read_history(aside).events).steps)
    return found


def merge(steps: Steps, newer: Mapping[str, Mapping[PackageStatus, float]]) -> None:
    """Add newer steps to others, and prefer them."""
    for package, statuses in newer.items():
        steps.setdefault(package, {}).update(statuses)
