"""`releasekit history`: what happened to the run, and how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from releasekit.cli import history_summary, output
from releasekit.durations import exact
from releasekit.errors import headline
from releasekit.escape import in_one_line
from releasekit.lifecycle import PackageStatus
from releasekit.report import words
from releasekit.report.columns import columns
from releasekit.state import STATE_FILENAME, no_run
from releasekit.state.analysis import analyse
from releasekit.state.history import durations, read_history

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from releasekit.state import RunState
    from releasekit.state.history import Event, History


@click.command("history")
@output.workspace_argument
@click.option("--package", "packages", multiple=True, metavar="NAME", help="Only this package; may be given again.")
@click.option("--summary", is_flag=True, help="Show instead where the time went: slowest packages, critical path.")
@output.json_option
def command(*, workspace: Path, packages: tuple[str, ...], summary: bool, as_json: bool) -> None:
    """Show what happened to the run, and how long it took.

    Reads the journal only: it can be called while a run is at work. A time in a line is how long the package had
    been in the status that it left. Time before a `recover`, in which nobody may have been at work, counts for no
    package.

    With --summary: how long the run was at work (makespan), the longest chain of work that no number of jobs makes
    shorter (critical path), how far apart the two are, time by status, and the slowest packages.
    """
    if summary and packages:
        raise click.UsageError("--summary is about the whole run: leave --package out")
    try:
        history = read_history(workspace / STATE_FILENAME)
    except FileNotFoundError as error:
        raise no_run(workspace) from error
    run = history.run
    if summary:
        _summarise(history, as_json=as_json)
        return
    chosen = {output.find_package(run, name).name for name in packages} or set(run)
    events = [event for event in history.events if event.package in chosen]
    if as_json:
        output.print_json(_document(history, events))
        return
    output.print_heading(run)
    for line in columns([("time (UTC)", "package", "trigger", "status", "took", ""), *map(_row, events)]):
        click.echo(line)
    click.echo()
    for line in columns([*_durations(run, events)]):
        click.echo(line)


def _summarise(history: History, *, as_json: bool) -> None:
    analysis = analyse(history)
    if as_json:
        output.print_json(history_summary.document(history, analysis))
    else:
        history_summary.print_summary(history, analysis)


def _row(event: Event) -> tuple[str, ...]:
    moved = f"{event.source} → {event.target}" if event.source is not event.target else event.target.value
    return (
        event.time.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        in_one_line(event.package),
        event.trigger.value if event.trigger else "joined",
        moved if event.trigger else event.target.value,
        exact(event.seconds) if event.trigger else "",
        _note(event.carried),
    )


def _note(carried: Mapping[str, Any]) -> str:
    if "artifacts" in carried:
        return in_one_line(", ".join(carried["artifacts"]))
    return in_one_line(words.shortened(headline("".join(carried.values())))) if carried else ""


def _durations(run: RunState, events: Sequence[Event]) -> Iterator[tuple[str, ...]]:
    taken = durations(events)
    shown = [status for status in PackageStatus if any(status in statuses for statuses in taken.values())]
    yield ("package", *(status.value for status in shown), "attempts", "now")
    for name, statuses in taken.items():
        times = (exact(statuses[status]) if status in statuses else "" for status in shown)
        yield (in_one_line(name), *times, str(run[name].attempts), run[name].status.value)


def _document(history: History, events: Sequence[Event]) -> dict[str, Any]:
    run = history.run
    return {
        "run_id": run.run_id,
        "git_sha": run.git_sha,
        "index": run.index,
        "created_at": run.created_at,
        "events": [
            {
                "seq": event.seq,
                "time": event.time,
                "package": event.package,
                "trigger": event.trigger,
                "from": event.source,
                "to": event.target,
                "seconds": round(event.seconds, 6),
                **event.carried,
            }
            for event in events
        ],
        "durations": {
            name: {status: round(seconds, 6) for status, seconds in statuses.items()}
            for name, statuses in durations(events).items()
        },
    }
