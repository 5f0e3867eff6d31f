"""What the report shows of a run: everything worked out, nothing written yet. Pure.

Texts are as they are, but without secrets: to make them harmless is the template's job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from releasekit import requirements
from releasekit.errors import ReleaseKitError, headline, listed
from releasekit.lifecycle import PackageStatus
from releasekit.palette import PALETTE
from releasekit.redaction import redact
from releasekit.report import words
from releasekit.report.gantt import draw_chart, ticks
from releasekit.report.model import Bar, Entry, Mark, Moment, Page
from releasekit.state import graph
from releasekit.state.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from releasekit.report.gantt import Chart
    from releasekit.state import PackageState, RunState
    from releasekit.state.history import Event

ERRORS: Final = 2_000_000
"""Characters that all errors together may take, about; `releasekit status --json` has all of them."""

_LONGEST_ERROR: Final = 8_000
_SHORTEST_ERROR: Final = 1_000
_OPENED: Final = 5  # failed packages whose errors are shown at once


def make_page(  # noqa: PLR0913  # what is known, by keyword
    run: RunState,
    events: Sequence[Event],
    *,
    name: str,
    written: datetime,
    at_rest: bool = False,
    at_work: bool = False,
    problem: ReleaseKitError | OSError | None = None,
) -> Page:
    """Work out what the report of a run shows.

    Args:
        run: The run.
        events: What happened to it, in order; empty if nothing is known of that.
        name: What is released.
        written: The time.
        at_rest: Whether it is known that nothing is at work on the run.
        at_work: Whether it is known that something is.
        problem: What stopped the whole of the run, if anything did.
    """
    chart = draw_chart(History(run, events), written if at_work else None)
    rows = tuple(_rows(run, events, chart))
    return Page(
        name=name,
        index=_clean(run.index),
        run=run,
        written=_to_the_second(written),
        at_work=at_work,
        next=_clean(_hint(problem)) or words.next_step(run, at_rest=at_rest, at_work=at_work),
        counts=tuple(requirements.tally(run.packages.values())),
        rows=rows,
        failed=tuple(row for row in rows if row.package.status is PackageStatus.FAILED),
        blocked=sum(row.blocked for row in rows),
        problem=_clean(str(problem or "")),
        seconds=words.spell(chart.seconds),
        begun=_to_the_second(events[0].time) if events else run.created_at,
        ended=_to_the_second(events[-1].time) if events else "",
        ticks=tuple(Mark(_part(at, chart), words.spell(at) if at else "0") for at in ticks(chart.seconds))
        if events
        else (),
        breaks=tuple(Mark(_part(at, chart), words.spell(seconds)) for at, seconds in chart.breaks),
        drawn=frozenset(stretch.status for stretches in chart.stretches.values() for stretch in stretches),
    )


def _rows(run: RunState, events: Sequence[Event], chart: Chart) -> Iterator[Entry]:
    ordered = words.in_order(run)
    numbers = {package.name: number for number, package in enumerate(ordered, 1)}
    held, gate_shut = graph.held(run.packages), words.gate_is_shut(run)
    holds: dict[str, list[str]] = {}
    for name, roots in held.items():
        for root in roots:
            holds.setdefault(root, []).append(name)
    happened: dict[str, list[Event]] = {}
    for event in events:
        happened.setdefault(event.package, []).append(event)
    errors = sum(bool(event.carried.get("error")) for event in events) + len(run.failed_packages())
    longest = min(_LONGEST_ERROR, max(_SHORTEST_ERROR, ERRORS // max(errors, 1)))
    few = len(run.failed_packages()) <= _OPENED
    for package in ordered:
        bars = tuple(_bars(package.name, chart))
        error, reason = _clean(package.error), _clean(package.reason)
        told = error or reason
        worked = chart.worked(package.name)
        yield Entry(
            number=numbers[package.name],
            package=package,
            look=PALETTE[package.status],
            standing=requirements.standing(package),
            note=words.shortened(headline(told)) if told else words.note(package, run, held, gate_shut=gate_shut),
            holds=tuple(holds.get(package.name, ())),
            blocked=package.name in held,
            open=few and package.status is PackageStatus.FAILED,
            error=_ends(error, longest),
            reason=reason,
            requires={name: numbers[name] for name in package.requires if name in numbers},
            took="" if worked is None else words.spell(worked),
            bars=bars,
            end=_part(chart.end_of(package.name), chart),
            spoken=", ".join([*(bar.told for bar in bars), f"now {package.status}"]),
            moments=tuple(_moment(event, package, longest) for event in happened.get(package.name, ())),
        )


def _bars(package: str, chart: Chart) -> Iterator[Bar]:
    for stretch in chart.stretches.get(package, ()):
        left, width = _part(stretch.begin, chart), _part(stretch.end - stretch.begin, chart)
        told = f"{'built and waiting' if stretch.waits else stretch.status} {words.spell(stretch.end - stretch.begin)}"
        if width or stretch.in_work:  # work that took no time is shown all the same, waiting is not
            yield Bar(PALETTE[stretch.status], stretch.status, left, width, told, stretch.open, stretch.waits)


def _moment(event: Event, package: PackageState, longest: int) -> Moment:
    moved = f"{event.source} → {event.target}" if event.source not in {None, event.target} else event.target.value
    text = _clean(_text(event.carried))
    more = _ends(text, longest) if "\n" in text and text != _clean(package.error) else ""
    return Moment(
        time=_shown(event.time),
        trigger=event.trigger.value if event.trigger else "joined",
        change=moved,
        took=words.spell(event.seconds) if event.source not in {None, event.target} else "",
        note=words.shortened(headline(text)) if text else listed([*event.carried.get("artifacts", ())]),
        error=more,
    )


def _hint(problem: ReleaseKitError | OSError | None) -> str:
    return problem.hint if isinstance(problem, ReleaseKitError) else ""


def _clean(text: str) -> str:
    return redact(text) if text else ""  # it looks at the whole environment each time


def _text(carried: Mapping[str, Any]) -> str:
    return str(carried.get("error") or carried.get("reason") or "")


def _shown(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _to_the_second(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def _part(seconds: float, chart: Chart) -> float:
    """Tell how much of a timeline's width some seconds are, in hundredths."""
    return round(100 * seconds / chart.seconds, 3) if chart.seconds else 0.0


def _ends(text: str, longest: int) -> str:
    """Leave out the middle of a text that is too long: it begins with what failed, and ends with why."""
    if len(text) <= longest:
        return text
    head, tail = text[: longest // 4], text[-(longest - longest // 4) :]
    left_out = len(text) - len(head) - len(tail)
    return f"{head}\n… {left_out} characters are left out here; `releasekit status --json` has them …\n{tail}"
