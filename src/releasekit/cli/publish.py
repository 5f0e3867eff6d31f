"""`releasekit publish`: begin a run, or go on with it."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import stamina

from releasekit import logging
from releasekit.cli import INTERRUPTED, options, output, report_place, unless_gone
from releasekit.cli.stop import Stop, resume_command
from releasekit.cli.watching import Watching
from releasekit.errors import E
from releasekit.escape import printable
from releasekit.pipeline import Request, forecast, release
from releasekit.pipeline.orchestrator import GRACE
from releasekit.pipeline.outcome import NotShownError
from releasekit.redaction import redact
from releasekit.report import summary, words
from releasekit.state import STATE_FILENAME
from releasekit.workspace.settings import attribute

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from stamina.instrumentation import RetryDetails

    from releasekit.pipeline import Orchestrator, Outcome
    from releasekit.report.write import Keeper
    from releasekit.state import Transition
    from releasekit.workspace import Selection
    from releasekit.workspace.settings import Values

DONE: Final = 0
NOTHING_PUBLISHED: Final = 1
PARTLY_PUBLISHED: Final = 3
CONFLICT: Final = 4


@click.command("publish")
@output.configured_workspace_argument
@click.option("--index", "index_name", required=True,
              help="A [[tool.uv.index]], or [[index]] of uv.toml; `pypi`; or a directory: ./out, or one that is there.",
              )  # fmt: skip
@options.selection_options
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default="processors",
              help="Builds, and uploads, at a time.")  # fmt: skip
@click.option(
    "--fresh",
    is_flag=True,
    help="Start over; the run that is there is kept aside, and what it may have sent stays bound.",
)
@click.option("--no-gate", is_flag=True, help="Upload a package before every other is built.")
@click.option("--fail-fast", is_flag=True, help="Begin nothing new once a package has failed.")
@options.package_options
@options.seconds("--grace", GRACE, "How long running uploads may go on after SIGINT or SIGTERM.", least=0)
@click.option("--wheels", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Publish the wheels and sdists in DIR, built elsewhere; what a package lacks is built.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done, from what the index has; touch nothing.")
@click.option("--report", type=output.OutputFile(), metavar="FILE",
              help="Keep a report of the run fresh, as HTML: see `releasekit report`.")  # fmt: skip
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info",
              show_default=True, help="What is logged on stderr.")  # fmt: skip
@click.option("--log-json", is_flag=True, help="Log one JSON object a line.")
@output.json_option
def command(  # noqa: PLR0913  # one argument an option
    *,
    workspace: Path,
    index_name: str,
    selection: Selection,
    jobs: int,
    fresh: bool,
    no_gate: bool,
    fail_fast: bool,
    said: Values,
    grace: float,
    wheels: Path | None,
    dry_run: bool,
    report: Path | None,
    log_level: str,
    log_json: bool,
    as_json: bool,
) -> int:
    """Publish every package that is not published yet, or go on with that.

    Everything is built first; then each package is uploaded and verified as soon as what it requires is
    published. The state of the run is in the workspace, in .releasekit-state.json: when the run stops, for
    whatever reason, the same command goes on. Credentials are taken as uv takes them: UV_PUBLISH_TOKEN, or
    UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD; for an index called name also UV_INDEX_NAME_USERNAME and
    UV_INDEX_NAME_PASSWORD; the addresses in pyproject.toml; or a netrc file.

    \b
    releasekit publish --index pypi            the packages of this directory, to uv's default index
    releasekit publish ws --index ./out        those of ws, as files in the directory out
    releasekit publish --index pypi --since v1 what has changed since the tag v1, and what requires it
    """  # noqa: D301  # click wants the character
    request = Request(
        workspace=workspace,
        index=index_name,
        jobs=jobs,
        fresh=fresh,
        gate=not no_gate,
        fail_fast=fail_fast,
        grace=grace,
        selection=selection,
        wheels=wheels,
        **{attribute(key): value for key, value in said.items()},
    )
    stamina.instrumentation.set_on_retry_hooks([_log_retry])
    stop = click.get_current_context().find_object(Stop) or Stop()
    watching = Watching(log_json=log_json, as_json=as_json)
    with stop.listening(), watching.telling_errors(dry_run=dry_run):
        shown = watching.live or watching.grouped  # what is logged of the moves would be there twice
        logging.configure(level="warning" if shown and log_level == "info" else log_level, json=log_json)
        if report:
            report_place.refuse_released(report, workspace)
        if dry_run:
            from releasekit.cli.dry_run import tell  # noqa: PLC0415  # it imports us

            return tell(asyncio.run(stop.over(forecast(request))), as_json=as_json)
        summary.remove(workspace / STATE_FILENAME)  # before anything can refuse or stop this
        with _kept(report) as keeper:
            outcome = asyncio.run(stop.over(release(request, partial(_watch, stop, watching, keeper))))
            stop.code = exit_code(outcome)
            if keeper:
                keeper.problem = outcome.error
        _tell_end(outcome, stop.code, watching, as_json=as_json)
        return stop.code


def _tell_end(outcome: Outcome, code: int, watching: Watching, *, as_json: bool) -> None:
    """Leave what others need of a release, then print what it came to and how to go on."""
    state, error = outcome.state, outcome.error
    watching.conclude(state, error, _next_step(outcome))  # first: nothing of it depends on who reads
    with unless_gone(sys.stdout):  # what a release came to does not depend on who reads it
        if as_json:
            output.print_json(output.result(state) | {"exit_code": code, "error": redact(str(error or ""))})
        else:
            output.print_run(watching.view(state))
            if code == INTERRUPTED:
                click.echo("interrupted: nothing is in flight any more")
            click.echo(_next_step(outcome))
    with unless_gone(sys.stderr):
        if error:
            click.echo(f"error: {printable(redact(str(error)))}", err=True)
        if code not in {DONE, CONFLICT}:
            click.echo(resume_command(), err=True)


def _next_step(outcome: Outcome) -> str:
    return f"next: {printable(outcome.error.hint)}" if outcome.error else output.next_step(outcome.state, at_rest=True)


def exit_code(outcome: Outcome) -> int:
    """Tell a release's exit code, as the group's help lists them."""
    state, error = outcome.state, outcome.error
    if state.is_finished() and not error:  # also if it was interrupted when nothing was left to do
        return DONE
    if outcome.interrupted:
        return INTERRUPTED
    if words.conflicts_of(state) or (error and error.code in {E.INDEX_CONFLICT, E.PUBLISHED_MISSING}):
        return CONFLICT
    return PARTLY_PUBLISHED if outcome.arrived else NOTHING_PUBLISHED


@contextmanager
def _watch(stop: Stop, watching: Watching, keeper: Keeper | None, orchestrator: Orchestrator) -> Iterator[None]:
    """Show and log a run while it works, and have it stopped gently."""
    stop.gently = orchestrator.stop
    orchestrator.state.listen(log_move)
    if keeper:
        orchestrator.state.listen(keeper.moved)
        keeper.begin(orchestrator.store.path, orchestrator.state)
    with watching.over(orchestrator.store):
        yield


def log_move(moved: Transition) -> None:
    """Log one move of a package: one event, one line."""
    logging.get_logger("releasekit.lifecycle").info(
        "releasekit.package_moved",
        package=moved.package,
        trigger=moved.trigger.value,
        source=moved.source.value,
        target=moved.target.value,
        **{key: value for key, value in moved.carried.items() if isinstance(value, str)},
    )


def _log_retry(details: RetryDetails) -> None:
    error = details.caused_by
    # An index that lags is no news; a network that fails is.
    log = logging.get_logger("releasekit.pipeline")
    (log.info if isinstance(error, NotShownError) else log.warning)(
        "releasekit.retry_scheduled",
        error=str(error),
        attempt=details.retry_num,
        wait=round(details.wait_for, 2),
    )


def _kept(file: Path | None) -> AbstractContextManager[Keeper | None]:
    if not file:
        return nullcontext()
    from releasekit.report.write import Keeper  # noqa: PLC0415  # a template engine, only for who wants a report

    return Keeper(file)
