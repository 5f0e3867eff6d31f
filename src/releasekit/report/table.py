"""A run as a table of text: one implementation for the live table, `status`, the end of a release and its summary.

Packages stand in publishing order. Where the height does not do for all, what is at work and what failed stands first,
then what comes next, and the rest is counted. The bar has a glyph a package, or a share of them: no number is kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.escape import in_one_line
from releasekit.lifecycle import FINAL, IN_FLIGHT, PackageStatus
from releasekit.palette import PALETTE
from releasekit.report.columns import cells, fit, line, shrunk
from releasekit.report.time_left import time_left
from releasekit.report.timeline import Timeline
from releasekit.report.words import counts, gate_is_shut, in_order, note, spell
from releasekit.requirements import is_built
from releasekit.state import graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from releasekit.report.timeline import Steps
    from releasekit.state import PackageState, RunState
    from releasekit.state.history import Event

HEADINGS: Final = ("", "package", "version", "status", "time", "")
BAR: Final = 40  # cells


_FIRST: Final = (*IN_FLIGHT, PackageStatus.FAILED, PackageStatus.PENDING)
_NAME, _VERSION, _STATUS, _TIME, _NOTE = range(1, len(HEADINGS))
_LEAST: Final = ((_NOTE, 16), (_NAME, 24), (_NOTE, 0), (_VERSION, 8), (_TIME, 0), (_NAME, 8), (_VERSION, 0))
"""Which column gives when a terminal is narrow, and what it keeps."""


@dataclass(frozen=True)
class View:
    """A run as it is looked at.

    Attributes:
        state: The run.
        timeline: What its packages took.
        earlier: What they took in earlier runs.
        working: Whether somebody is at work on it: only then do clocks run.
        events: What happened to it, where that was read.
    """

    state: RunState
    timeline: Timeline = field(default_factory=Timeline)
    earlier: Steps = field(default_factory=dict)
    working: bool = False
    events: Sequence[Event] = ()

    @property
    def now(self) -> float | None:
        """The time in seconds since the epoch; None if no clock runs."""
        return time.time() if self.working else None


class Row(NamedTuple):
    """One package: where it stands, and its cells as `HEADINGS` has them, made harmless."""

    package: PackageState
    cells: tuple[str, ...]


class Line(NamedTuple):
    """One line of text, and its style as rich spells it."""

    text: str
    style: str = ""


def rows(view: View) -> list[Row]:
    """Tell the packages of a run, in publishing order."""
    return _rows(view, in_order(view.state))


def table(view: View, *, width: int | None = None, height: int | None = None) -> list[Line]:
    """Draw the packages of a run, and the headings.

    Args:
        view: The run.
        width: Cells that a line may have; None if any.
        height: Lines that there may be; None if any. At least one package is shown.
    """
    every = in_order(view.state)
    hidden: list[PackageState] = []
    head = height is None or height > len(_FIRST) or len(every) + 1 <= height
    if height is not None and len(every) + head > height:
        room = max(1, height - head - 1)
        ranked = sorted(every, key=_rank)
        every, hidden = ranked[:room], ranked[room:]
    shown = _rows(view, every)
    widths = [max(map(cells, column)) for column in zip(HEADINGS, *(row.cells for row in shown), strict=True)]
    if hidden:  # others will take their places, and the columns are to stay in theirs
        widths[_NAME] = max(widths[_NAME], *(cells(_harmless(package.name)) for package in hidden))
        widths[_VERSION] = max(widths[_VERSION], *(cells(_harmless(package.version)) for package in hidden))
        widths[_STATUS] = max(map(len, PackageStatus))
    if width is not None:
        widths = shrunk(widths, width, _LEAST, whole={_TIME})
    lines = [Line(line(HEADINGS, widths), "bold")] if head else []
    lines += [Line(line(row.cells, widths, middle={_NAME}), PALETTE[row.package.status].style) for row in shown]
    if hidden:
        statuses = [package.status for package in hidden]
        lines.append(Line(f"   and {len(hidden)} more: {_glyphs(statuses)}", "dim"))
    return lines if width is None else [Line(fit(text, width).rstrip(), style) for text, style in lines]


def foot(view: View, *, width: int | None = None) -> list[Line]:
    """Draw the whole of a run: a bar, how long it took and will take, and how many packages are in which status."""
    state, now = view.state, view.now
    statuses = [package.status for package in state.packages.values()]
    told = [f"{sum(status in FINAL for status in statuses)} of {len(statuses)}"]
    if total := view.timeline.total(now):
        told.append(spell(total))
    left = time_left(state, view.timeline, view.earlier, now) if now else None
    if left and left >= 1:
        told.append(f"about {spell(left)} left")
    text = ", ".join(told)
    room = BAR if width is None else min(BAR, width - len(text) - 2)
    drawn = f"{bar(statuses, room)}  {text}" if statuses and room > len(set(statuses)) else text
    counted = counts(state)
    if width is not None and len(counted) > width:
        counted = f"{len(state)}: {_glyphs(statuses)}"
    lines = [Line(drawn), Line(counted)]
    return lines if width is None else [Line(fit(text, width).rstrip(), style) for text, style in lines]


def bar(statuses: Sequence[PackageStatus], width: int) -> str:
    """Draw how many packages are in which status: each by its glyph, what is done first, none left out."""
    width = min(width, len(statuses))
    order = dict.fromkeys((*FINAL, *reversed(IN_FLIGHT), PackageStatus.FAILED, *PackageStatus))
    counted = {status: statuses.count(status) for status in order if status in statuses}
    share = {status: max(1, count * width // len(statuses)) for status, count in counted.items()}
    while (over := sum(share.values()) - width) and (over < 0 or over <= sum(share.values()) - len(share)):
        step = 1 if over > 0 else -1
        may_give = [status for status in share if share[status] > 1 or over < 0]
        status = max(may_give, key=lambda status: (share[status] - counted[status] * width / len(statuses)) * step)
        share[status] -= step
    return "".join(PALETTE[status].glyph * count for status, count in share.items())


def _rows(view: View, packages: Iterable[PackageState]) -> list[Row]:
    held, now, gate_shut = graph.held(view.state.packages), view.now, gate_is_shut(view.state)
    found = []
    for package in packages:
        worked = view.timeline.worked(package.name, now)
        shown = (
            PALETTE[package.status].glyph,
            _harmless(package.name),
            _harmless(package.version),
            package.status.value,
            spell(worked) if worked else "",
            in_one_line(note(package, view.state, held, gate_shut=gate_shut)),
        )
        found.append(Row(package, shown))
    return found


@lru_cache(maxsize=1 << 14)
def _harmless(text: str) -> str:
    """Do what `in_one_line` does, once for what is drawn again and again."""
    return in_one_line(text)


def _rank(package: PackageState) -> tuple[int, bool]:
    waits = is_built(package)
    status = PackageStatus.PENDING if waits else package.status
    return _FIRST.index(status) if status in _FIRST else len(_FIRST), not waits


def _glyphs(statuses: Iterable[PackageStatus]) -> str:
    counted = list(statuses)
    return "  ".join(
        f"{PALETTE[status].glyph} {counted.count(status)}" for status in PackageStatus if status in counted
    )
