"""When each package stood where, on a clock that only runs while something is at work.

A run may be killed on Friday and go on on Monday: on a common clock nothing could be seen of either. So time counts
only while a package is in flight, as `state.history` and `state.spans` have it. What is left out is told as a break.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.lifecycle import IN_FLIGHT, TERMINAL
from releasekit.state.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from releasekit.lifecycle import PackageStatus
    from releasekit.state.history import History
    from releasekit.state.spans import Span

SHORTEST_BREAK: Final = 1.0
"""Seconds; less is left out without a word."""

_MOST_TICKS: Final = 6
_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200)


class Stretch(NamedTuple):
    """A package stood in a status, or was at work in it, or waited in it.

    Attributes:
        status: Which.
        begin: From when, in seconds of the chart's clock.
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
        at: When, in seconds of the chart's clock, which stood still.
        seconds: For how long.
    """

    at: float
    seconds: float


class Chart(NamedTuple):
    """Where the time of a run went.

    Attributes:
        seconds: How long something was at work.
        stretches: Package → where it stood, in order. The end, published or skipped, takes no time; nor does having
            failed, unless the package was tried again.
        breaks: When nothing was.
    """

    seconds: float
    stretches: Mapping[str, Sequence[Stretch]]
    breaks: Sequence[Break]

    def end_of(self, package: str) -> float:
        """Tell when a package had come to where it stands for good, or else when the history ends."""
        stretches = self.stretches.get(package)
        return stretches[-1].end if stretches else 0.0

    def worked(self, package: str) -> float | None:
        """Tell how many seconds a package was at work; None if it never was."""
        work = [each.end - each.begin for each in self.stretches.get(package, ()) if each.in_work]
        return sum(work) if work else None


def draw_chart(history: History, now: datetime | None = None) -> Chart:
    """Work out a chart.

    Args:
        history: The run, and what happened to it.
        now: The time, if the run is at work just now.
    """
    spans = Spans.before(history)
    clock: dict[float, float] = {}  # the run's clock, as `Event.at` has it → the chart's
    stretches: dict[str, list[Stretch]] = {}
    stands: dict[str, tuple[PackageStatus, float]] = {}
    breaks: list[Break] = []
    last: datetime | None = None
    for event in history.events:
        before = spans.seconds
        ended = spans.hear(event)
        at = clock[event.at] = spans.seconds
        left_out = (event.time - last).total_seconds() - (at - before) if last else 0.0
        if left_out >= SHORTEST_BREAK:
            breaks.append(Break(at, left_out))
        last = event.time
        own = stretches.setdefault(event.package, [])
        if event.source is event.target:
            continue
        if ended:
            own += _stretches(ended, clock, still=False)
        elif event.source:
            own.append(Stretch(event.source, stands[event.package][1], at, open=False))
        stands[event.package] = event.target, at
    end = spans.at + max(0.0, (now - last).total_seconds() if now and last else 0.0)
    seconds = clock[end] = spans.seconds_until(end)
    for package, (status, begin) in stands.items():
        if span := spans.open(package, end):
            stretches[package] += _stretches(span, clock, still=True)
        elif status not in TERMINAL:
            stretches[package].append(Stretch(status, begin, seconds, open=True))
    return Chart(seconds, stretches, breaks)


def _stretches(span: Span, clock: Mapping[float, float], *, still: bool) -> Iterator[Stretch]:
    """Tell a span's work and its waiting apart; work that took no time is shown where nothing else is."""
    begin, work_end, end = clock[span.begin], clock[span.work_end], clock[span.end]
    waits = span.work_end < span.end
    if work_end > begin or not waits:
        yield Stretch(span.status, begin, work_end, open=still and not waits)
    if waits:
        yield Stretch(span.status, work_end, end, open=still, waits=True)


def ticks(seconds: float) -> list[float]:
    """Choose the times that an axis of so many seconds is labelled at: a few, round ones, from 0."""
    days = 86_400.0
    while seconds / days > _MOST_TICKS:
        days *= 2
    step = next((step for step in _STEPS if seconds / step <= _MOST_TICKS), days)
    return [step * number for number in range(int(seconds / step) + 1)]
