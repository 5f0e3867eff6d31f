"""How long packages were at work: the one mechanism, for a history that is read and for a run that is listened to.

Work is what a package itself takes: building until its files are recorded, uploading, waiting until the index shows
them. Standing built, until everything else is built or what it requires is published, is no work; nor is standing in
`building` with the files of an earlier attempt, since nothing tells when they were found. If they were lost and are
built again, that is work as soon as the new ones are recorded. Times are those of `Event.at`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from releasekit.lifecycle import IN_FLIGHT, PackageStatus, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from releasekit.state.history import Event, History


class Span(NamedTuple):
    """A stay of a package in a status in flight, in seconds as `Event.at` counts them.

    Attributes:
        package: The package.
        status: The status.
        begin: When it entered the status.
        work_end: When its work there was over.
        end: When it left the status, or the time that was asked for if it has not.
    """

    package: str
    status: PackageStatus
    begin: float
    work_end: float
    end: float

    @property
    def work(self) -> float:
        """How many seconds the package was at work."""
        return self.work_end - self.begin


class Spans:
    """Finds the spans of a run while it is told what happens to it.

    Args:
        has_files: The packages that have files from before the first event.

    Attributes:
        at: When the last event was.
        seconds: How long some package was in flight, up to then.
    """

    def __init__(self, has_files: Iterable[str] = ()) -> None:
        self.at = 0.0
        self.seconds = 0.0
        self._has_files = set(has_files)
        self._entered: dict[str, Event] = {}
        self._recorded: dict[str, float] = {}

    @classmethod
    def before(cls, history: History) -> Spans:
        """Stand before the first event of a history, and know what it does not tell."""
        recording = {event.package for event in history.events if event.trigger is Trigger.RECORD_ARTIFACTS}
        # What the journal does not know where it is from is from before there was one.
        return cls({name for name, package in history.run.packages.items() if package.artifacts} - recording)

    def hear(self, event: Event) -> Span | None:
        """Take note of the next event.

        Returns:
            The span that it ends, if any.
        """
        self.seconds = self.seconds_until(event.at)
        self.at = event.at
        ended = None
        if event.trigger is Trigger.RECORD_ARTIFACTS:
            self._recorded[event.package] = event.at
        elif event.source in IN_FLIGHT:
            ended = self._span(event.package, event.at, event.trigger)
            self._entered.pop(event.package, None)
            if self._recorded.pop(event.package, None) is not None:
                self._has_files.add(event.package)
        if event.target in IN_FLIGHT:
            self._entered.setdefault(event.package, event)
        return ended

    def open(self, package: str, at: float | None = None) -> Span | None:
        """Tell the span that a package is in, up to some time or else the last event; None if it is in none."""
        return self._span(package, self.at if at is None else at, None)

    def all_open(self) -> list[Span]:
        """Tell the spans that have not ended, up to the last event."""
        return [span for package in self._entered if (span := self.open(package))]

    def seconds_until(self, at: float) -> float:
        """Tell how long some package was in flight, if nothing happens any more until some time."""
        return self.seconds + (at - self.at if self._entered else 0.0)

    def is_at_work(self, package: str) -> bool:
        """Tell whether a package is at work, as far as is known."""
        entered = self._entered.get(package)
        if not entered or entered.target is not PackageStatus.BUILDING:
            return entered is not None
        return package not in self._recorded and package not in self._has_files

    def _span(self, package: str, end: float, trigger: Trigger | None) -> Span | None:
        entered = self._entered.get(package)
        if not entered:  # it was in flight already when the listening began
            return None
        work_end = end
        if entered.target is PackageStatus.BUILDING:
            if package in self._recorded:
                work_end = self._recorded[package]
            elif package in self._has_files and trigger is not Trigger.FAIL:
                work_end = entered.at
        return Span(package, entered.target, entered.at, work_end, end)
