"""What a report shows of a run, ready to be written down: the template reads it, `page` fills it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.lifecycle import PackageStatus
    from releasekit.palette import Look
    from releasekit.requirements import Count
    from releasekit.state import PackageState, RunState


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a package's line in the timeline, in hundredths of its width."""

    look: Look
    status: PackageStatus
    left: float
    width: float
    told: str
    open: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of a package's history.

    Attributes:
        time: When, in UTC.
        trigger: What happened.
        change: Where it led.
        took: How long the package had stood where it came from.
        note: What the trigger carried, in one line.
        error: An error that the package has got over since, if it has more than a line.
    """

    time: str
    trigger: str
    change: str
    took: str
    note: str
    error: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A package.

    Attributes:
        number: Its place in the order of publishing, from 1.
        package: Itself.
        look: How its status looks.
        standing: Where it stands: its status, or `built`.
        note: Why it is where it is, in one line.
        holds: The packages that it holds up.
        blocked: Whether a failed package holds it up.
        open: Whether all of it is shown at once.
        error: Its error, or the ends of a long one.
        reason: Why it was skipped.
        requires: What it requires: name → that package's number.
        took: How long it was in work.
        bars: Its line in the timeline.
        end: Where that ends, in hundredths.
        spoken: The same in words.
        moments: Its history.
    """

    number: int
    package: PackageState
    look: Look
    standing: str
    note: str
    holds: tuple[str, ...]
    blocked: bool
    open: bool
    error: str
    reason: str
    requires: Mapping[str, int]
    took: str
    bars: tuple[Bar, ...]
    end: float
    spoken: str
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A time on the timeline's axis, or a break in it: where, in hundredths, and what is said there."""

    left: float
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report, but for the graph.

    Attributes:
        name: What was released.
        index: Where to.
        run: The run.
        written: When the report was made, in UTC.
        at_work: Whether it is known that something is at work on the run.
        next: What to do next.
        counts: How many packages stand where, in the order of the lifecycle.
        rows: The packages, in the order of publishing.
        failed: Those that failed.
        blocked: How many are held up.
        problem: What stopped the whole of the run, if anything did.
        seconds: How long something was at work.
        begun: When it began.
        ended: When something happened last; empty if that is not known.
        ticks: The timeline's axis; empty if nothing is known of the run's history.
        breaks: When nothing was at work.
        drawn: The statuses that the timeline shows.
    """

    name: str
    index: str
    run: RunState
    written: str
    at_work: bool
    next: str
    counts: tuple[Count, ...]
    rows: tuple[Entry, ...]
    failed: tuple[Entry, ...]
    blocked: int
    problem: str
    seconds: str
    begun: str
    ended: str
    ticks: tuple[Mark, ...]
    breaks: tuple[Mark, ...]
    drawn: frozenset[PackageStatus]
