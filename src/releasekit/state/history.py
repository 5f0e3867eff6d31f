"""What happened to a run, as its journal has it, and how long everything took."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import Trigger
from releasekit.state import files
from releasekit.state.beside import earlier_runs
from releasekit.state.run import RunState
from releasekit.state.snapshot import StateCorruptedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from releasekit.lifecycle import PackageStatus
    from releasekit.state.records import Record

LARGEST_EARLIER: Final = 1 << 26
"""Bytes of an earlier run's journal that is still read."""

_CARRIED: Final = ("artifacts", "version", "error", "reason")


class Event(NamedTuple):
    """One package's part of one record.

    Attributes:
        seq: The record's number in the journal, from 1; 0 if it was told before it had one.
        time: When it was recorded, in UTC.
        package: The package.
        trigger: What happened; None if the package joined the run.
        source: Where the package stood; None if it joined.
        target: Where it stands since.
        seconds: How long it had stood in `source`; 0 if it joined.
        carried: What the trigger stored: `artifacts`, perhaps with `version`; `error`; or `reason`.
        at: Seconds since the first event, without time in which nobody may have been at work.
    """

    seq: int
    time: datetime
    package: str
    trigger: Trigger | None
    source: PackageStatus | None
    target: PackageStatus
    seconds: float
    carried: Mapping[str, Any]
    at: float = 0.0


class History(NamedTuple):
    """A run, and everything that happened to it, in order."""

    run: RunState
    events: Sequence[Event]


def read_history(path: Path) -> History:
    """Read the history of a run, also while it is at work.

    Args:
        path: Its state file.

    Raises:
        OSError: It could not be read.
        ReleaseKitError: It can't be trusted (`E.STATE_CORRUPTED`), or has no journal (`E.STATE_NO_HISTORY`).
    """
    kept: list[Record] = []
    run = RunState.of(files.read(path, kept))
    journal = files.journal_path(path)
    if not kept and not journal.exists():
        raise ReleaseKitError(
            E.STATE_NO_HISTORY,
            f"{path} has no journal beside it, so nothing is known of its history",
            "a run has a journal from the moment that releasekit opens it; `releasekit status` shows where it is",
        )
    try:
        return History(run, [*_events(kept)])
    except (ValueError, OverflowError) as error:
        raise StateCorruptedError(journal, "a record", f"has a time that is none: {error}") from None


def earlier_histories(path: Path) -> Iterator[History]:
    """Read the histories of the runs that were put aside from a state file, the newest first.

    They are worth a guess, and no error nor a long wait: what can't be read is left out, and what is very large.
    """
    for aside in reversed(earlier_runs(path)):
        with contextlib.suppress(OSError, ReleaseKitError):
            if files.journal_path(aside).stat().st_size <= LARGEST_EARLIER:
                yield read_history(aside)


def durations(events: Iterable[Event]) -> dict[str, dict[PackageStatus, float]]:
    """Add up how long each package stood in each status.

    Args:
        events: What happened, in order.

    Returns:
        Package → status → seconds. The status that a package stands in now is not over, and not in it. A pause between
        two processes is, where the first came to an orderly end: nothing was in flight then, so no `recover` tells of
        it, and the packages did stand `failed` or `pending`. `spans` has only what was in flight.
    """
    taken: dict[str, dict[PackageStatus, float]] = {}
    for event in events:
        statuses = taken.setdefault(event.package, {})
        if event.source and event.source is not event.target:
            statuses[event.source] = statuses.get(event.source, 0.0) + event.seconds
    return taken


class Teller:
    """Makes events of what happens to a run, with its clock.

    Between the last record before a `recover` and that nobody may have been at work: for no package does this time
    count, also where a run that was stopped took packages back by itself. Nor does time go back where a clock did.

    Args:
        events: What happened before.

    Attributes:
        time: When something happened last; None if nothing did.
        at: The same on the run's clock: see `Event.at`.
    """

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.time = events[-1].time if events else None
        self.at = events[-1].at if events else 0.0
        self._trigger = events[-1].trigger if events else None
        self._entered = {event.package: event.at for event in events if event.source is not event.target}

    def pass_until(self, time: datetime, trigger: Trigger | None) -> None:
        """Have the clock go on until something happens."""
        resumed = trigger is Trigger.RECOVER and self._trigger is not Trigger.RECOVER
        if self.time and not resumed:
            self.at += max(0.0, (time - self.time).total_seconds())
        self.time, self._trigger = time, trigger

    def tell(  # noqa: PLR0913  # what an event has, by keyword
        self,
        package: str,
        target: PackageStatus,
        *,
        seq: int = 0,
        trigger: Trigger | None = None,
        source: PackageStatus | None = None,
        carried: Mapping[str, Any] = MappingProxyType({}),
    ) -> Event:
        """Make an event of what happens at the time that the clock has come to; a `seq` of 0 if no record has it."""
        assert self.time  # noqa: S101  # `pass_until` was called
        seconds = self.at - self._entered.get(package, self.at) if source else 0.0
        if source is not target:
            self._entered[package] = self.at
        return Event(seq, self.time, package, trigger, source, target, seconds, carried, self.at)


def _events(records: Iterable[Record]) -> Iterator[Event]:
    """Take records apart."""
    teller = Teller()
    for record in records:
        time = datetime.fromisoformat(record.time)
        if not time.tzinfo:
            raise ValueError(f"{record.time} says no time zone")
        teller.pass_until(time.astimezone(UTC), record.trigger)
        for declared in record.declared or ():
            yield teller.tell(declared.name, declared.status, seq=record.seq)
        source, target = record.source, record.target
        if source and target:
            carried = {name: value for name in _CARRIED if (value := getattr(record, name)) is not None}
            yield teller.tell(
                record.package, target, seq=record.seq, trigger=record.trigger, source=source, carried=carried
            )
