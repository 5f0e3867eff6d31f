"""How long each package was at work, and what its steps took: from a run's journal, and from what is told since.

What counts as work, `state.spans` says, and what as time, `state.history`: here it is only added up.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from releasekit.errors import ReleaseKitError
from releasekit.lifecycle import PackageStatus, Trigger
from releasekit.state.history import Teller, earlier_histories, read_history
from releasekit.state.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.state import Transition
    from releasekit.state.history import Event, History

Steps = dict[str, dict[PackageStatus, float]]
"""Package → status → how many seconds the work of that status took, the last time that it was done."""

STEP_ENDS: Final = (Trigger.RECORD_ARTIFACTS, Trigger.START_VERIFYING, Trigger.CONFIRM)
"""The triggers that say that the work of the status they start in is done."""

EARLIER_RUNS: Final = 3


class Timeline:
    """What the packages of a run took so far.

    Args:
        history: The run, and what happened before; None if nothing is known of that.

    Attributes:
        steps: What the finished steps took.
        jobs: The most builds and uploads that were seen at work at once.
    """

    def __init__(self, history: History | None = None) -> None:
        self.steps: Steps = {}
        self.jobs = 0
        self._spans = Spans.before(history) if history else Spans()
        self._worked: dict[str, float] = {}
        self._entered: dict[str, float] = {}
        self._busy: set[str] = set()
        for event in history.events if history else ():
            self._count(event)
        self._teller = Teller(history.events if history else ())

    @classmethod
    def of(cls, path: Path) -> Timeline:
        """Read the timeline of the run in a state file; an empty one, if its journal tells nothing."""
        with contextlib.suppress(OSError, ReleaseKitError):
            return cls(read_history(path))
        return cls()

    @property
    def ended(self) -> float:
        """When the last event was, in seconds since the epoch; 0 if there was none."""
        return self._teller.time.timestamp() if self._teller.time else 0.0

    def hear(self, moved: Transition) -> None:
        """Take note of a trigger that was fired just now: a listener of a run."""
        package, trigger, source, target, carried = moved
        self._teller.pass_until(datetime.fromtimestamp(time.time(), UTC), trigger)
        self._count(self._teller.tell(package, target, trigger=trigger, source=source, carried=carried))

    def worked(self, package: str, now: float | None = None) -> float:
        """Tell how many seconds a package was at work.

        Args:
            package: Its name.
            now: The time in seconds since the epoch, if somebody is at work on the run; else the last event is.
        """
        span = self._spans.open(package, self._at(now))
        return self._worked.get(package, 0.0) + (span.work if span else 0.0)

    def running(self, package: str, now: float) -> float:
        """Tell how many seconds a package has been in its status."""
        at = self._at(now)
        return at - self._entered.get(package, at)

    def total(self, now: float | None = None) -> float:
        """Tell how many seconds anybody was at work on the run; `now` as for `worked`."""
        return self._spans.seconds_until(self._at(now))

    def _at(self, now: float | None) -> float:
        """Tell a time on the run's clock."""
        return self._teller.at + (max(0.0, now - self.ended) if now else 0.0)

    def _count(self, event: Event) -> None:
        package = event.package
        if span := self._spans.hear(event):
            self._worked[package] = self._worked.get(package, 0.0) + span.work
        elif event.trigger is Trigger.RECORD_ARTIFACTS:
            span = self._spans.open(package)
        if span and event.trigger in STEP_ENDS:
            self.steps.setdefault(package, {})[span.status] = span.work
        if event.source is not event.target:
            self._entered[package] = event.at
        # Waiting for the index takes none of the jobs.
        if event.target is not PackageStatus.VERIFYING and self._spans.is_at_work(package):
            self._busy.add(package)
        else:
            self._busy.discard(package)
        self.jobs = max(self.jobs, len(self._busy))


def earlier_steps(path: Path) -> Steps:
    """Read what the steps of the last runs took that were put aside beside a state file; what can't be read is none."""
    found: Steps = {}
    for history in islice(earlier_histories(path), EARLIER_RUNS):
        older = Timeline(history).steps
        merge(older, found)
        found = older
    return found


def merge(steps: Steps, newer: Mapping[str, Mapping[PackageStatus, float]]) -> None:
    """Add newer steps to others, and prefer them."""
    for package, statuses in newer.items():
        steps.setdefault(package, {}).update(statuses)
