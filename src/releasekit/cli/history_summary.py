"""What `releasekit history --summary` tells: where a run's time went, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from releasekit.cli import output
from releasekit.durations import exact
from releasekit.errors import listed
from releasekit.escape import in_one_line
from releasekit.lifecycle import IN_FLIGHT, PackageStatus
from releasekit.palette import PALETTE
from releasekit.report.columns import columns
from releasekit.state import graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from releasekit.state.analysis import Analysis
    from releasekit.state.history import History

SLOWEST: Final = 10  # packages in the text; `--json` has all of them
_PATHS: Final = {
    True: "critical path: the slowest build, then the longest chain of uploads, since all was built before that",
    False: "critical path: the longest chain of uploads, and the build that it began with",
}


def print_summary(history: History, analysis: Analysis) -> None:
    """Print where a run's time went."""
    run = history.run
    output.print_heading(run)
    if not analysis.makespan:
        click.echo("Nothing has been at work yet.")
        return
    for title, part in (
        ("", _totals(history, analysis)),
        (_PATHS[analysis.gated], _path(analysis)),
        ("", _statuses(analysis)),
        ("", _slowest(history, analysis)),
    ):
        if title:
            click.echo(title)
        for line in columns([*part]):
            click.echo(line)
        click.echo()
    click.echo(
        "Time before a `recover`, in which nobody may have been at work, is in none of these; the makespan has only"
    )
    click.echo("time in which some package was in flight.")
    if working := graph.with_status(run.packages, *IN_FLIGHT):
        click.echo(f"In flight, as far as the last event tells: {in_one_line(listed(working))}")


def document(history: History, analysis: Analysis) -> dict[str, Any]:
    """Tell where a run's time went as JSON: see `schemas/history-summary.json`."""
    run, events = history.run, history.events
    return {
        "run_id": run.run_id,
        "git_sha": run.git_sha,
        "index": run.index,
        "created_at": run.created_at,
        "finished": run.is_finished(),
        "in_flight": graph.with_status(run.packages, *IN_FLIGHT),
        "first_event": events[0].time if events else None,
        "last_event": events[-1].time if events else None,
        "makespan": _rounded(analysis.makespan),
        "distance": None if analysis.distance is None else _rounded(analysis.distance),
        "critical_path": {
            "seconds": _rounded(analysis.critical),
            "gated": analysis.gated,
            "steps": [step._asdict() | {"seconds": _rounded(step.seconds)} for step in analysis.critical_path],
        },
        "statuses": {
            status: {"stood": _rounded(stood), "work": _rounded(work)} for status, stood, work in _added_up(analysis)
        },
        "packages": {
            name: {
                "status": package.status,
                "attempts": package.attempts,
                "stood": _all_rounded(analysis.stood.get(name, {})),
                "work": _all_rounded(analysis.work[name]),
            }
            for name, package in run.packages.items()
        },
        "slowest": analysis.slowest(),
    }


def _totals(history: History, analysis: Analysis) -> Iterator[tuple[str, ...]]:
    first, last = (f"{history.events[i].time:%Y-%m-%d %H:%M:%S}" for i in (0, -1))
    yield ("makespan", exact(analysis.makespan), f"at work, between {first} and {last} UTC")
    yield ("critical path", exact(analysis.critical), "what it takes at least, however many jobs there are")
    told = "" if analysis.distance is None else f"{analysis.distance:.2f}"
    yield ("distance", told, "makespan ÷ critical path" if told else "none: no work is known of")


def _path(analysis: Analysis) -> Iterator[tuple[str, ...]]:
    for name, status, seconds in analysis.critical_path:
        yield (f"{PALETTE[status].glyph} {status}", exact(seconds), in_one_line(name))


def _statuses(analysis: Analysis) -> Iterator[tuple[str, ...]]:
    yield ("all packages", "stood", "at work")
    for status, stood, work in _added_up(analysis):
        at_work = exact(work) if status in IN_FLIGHT else ""
        yield (f"{PALETTE[status].glyph} {status}", exact(stood), at_work)


def _slowest(history: History, analysis: Analysis) -> Iterator[tuple[str, ...]]:
    names = analysis.slowest()
    yield ("slowest packages", "at work", *IN_FLIGHT, "attempts", "now")
    for name in names[:SLOWEST]:
        work, package = analysis.work[name], history.run[name]
        times = (exact(work[status]) if status in work else "" for status in IN_FLIGHT)
        yield (
            in_one_line(name),
            exact(sum(work.values())),
            *times,
            str(package.attempts),
            package.status.value,
        )
    if len(names) > SLOWEST:
        yield (f"and {len(names) - SLOWEST} more", *[""] * (len(IN_FLIGHT) + 3))


def _added_up(analysis: Analysis) -> Iterable[tuple[PackageStatus, float, float]]:
    """Add up all packages: status, how long they stood in it, how long they were at work in it."""
    for status in PackageStatus:
        stood, work = (
            [statuses[status] for statuses in each.values() if status in statuses]
            for each in (analysis.stood, analysis.work)
        )
        if stood or work:
            yield status, sum(stood), sum(work)


def _all_rounded(statuses: Mapping[PackageStatus, float]) -> dict[PackageStatus, float]:
    return {status: _rounded(seconds) for status, seconds in statuses.items()}


def _rounded(seconds: float) -> float:
    return round(seconds, 6)
