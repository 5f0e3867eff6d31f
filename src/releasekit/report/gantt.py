"""When each package stood where, on a clock that only runs while something is at work.

A run may be killed on Friday and go on on Monday: on a common clock nothing could be seen of either. So time counts
only while a package is in flight, and not before a `recover`, in which nobody may have been at work, just as
`state.history` has it. What is left out is told as a break.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.lifecycle import FINAL, IN_FLIGHT, PackageStatus, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from releasekit.state.history import Event

SHORTEST_BREAK: Final = 1.0
"""Seconds; less is left out without a word."""

_MOST_TICKS: Final = 6
_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200)


class Span(NamedTuple):
    """A package stood in a status.

    Attributes:
        status: Which.
        begin: From when, in seconds of the run's clock.
        end: Until when.
        open: Whether it still did when the history ended.
        waits: Whether it was built already, and waited for others to be.
    """

    status: PackageStatus
    begin: float
    end: float
    open: bool
    waits: bool = False

    @property
    def in_work(self) -> bool:
        """Whether anything was done for the package."""
        return self.status in IN_FLIGHT and not self.waits


class Break(NamedTuple):
    """Nobody was at work, as far as is known.

    Attributes:
        at: When, in seconds of the run's clock, which stood still.
        seconds: For how long.
    """

    at: float
    seconds: float


class Timeline(NamedTuple):
    """Where the time of a run went.

    Attributes:
        seconds: How long something was at work.
        spans: Package → where it stood, in order. The end, published or skipped, takes no time; nor does having
            failed, unless the package was tried again.
        breaks: When nothing was.
    """

    seconds: float
    spans: Mapping[str, Sequence[Span]]
    breaks: Sequence[Break]

    def end_of(self, package: str) -> float:
        """Tell when a package had come to where it stands for good, or else when the history ends."""
        spans = self.spans.get(package)
        return spans[-1].end if spans else 0.0


def draw_timeline(events: Iterable[Event], now: datetime | None = None) -> Timeline:
    """Draw a timeline.

    Args:
        events: What happened, in order.
        now: The time, if the run is at work just now.
    """
    spans: dict[str, list[Span]] = {}
    stands: dict[str, tuple[PackageStatus, float, bool]] = {}
    breaks: list[Break] = []
    clock = 0.0
    in_flight = 0
    last: float | None = None
    trigger: Trigger | None = None
    for event in events:
        time = event.time.timestamp()
        passed = 0.0 if last is None else max(0.0, time - last)  # clocks can be set back
        recovered = event.trigger is Trigger.RECOVER and trigger is not Trigger.RECOVER
        if in_flight and not recovered:
            clock += passed
        elif passed >= SHORTEST_BREAK:
            breaks.append(Break(clock, passed))
        last, trigger = time, event.trigger
        if event.source:
            status, begin, waits = stands[event.package]
            spans[event.package].append(Span(status, begin, clock, open=False, waits=waits))
        in_flight += (event.target in IN_FLIGHT) - (event.source in IN_FLIGHT)
        spans.setdefault(event.package, [])
        stands[event.package] = event.target, clock, event.trigger is Trigger.RECORD_ARTIFACTS
    if now and last is not None and in_flight:
        clock += max(0.0, now.timestamp() - last)
    for package, (status, begin, waits) in stands.items():
        if status not in FINAL and status is not PackageStatus.FAILED:
            spans[package].append(Span(status, begin, clock, open=True, waits=waits))
    return Timeline(clock, spans, breaks)


def ticks(seconds: float) -> list[float]:
    """Choose the times that an axis of so many seconds is labelled at: a few, round ones, from 0."""
    days = 86_400.0
    while seconds / days > _MOST_TICKS:
        days *= 2
    step = next((step for step in _STEPS if seconds / step <= _MOST_TICKS), days)
    return [step * number for number in range(int(seconds / step) + 1)]
