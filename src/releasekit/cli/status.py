"""`releasekit status`: how far the run is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from releasekit.cli import output
from releasekit.persistence.lock import is_held
from releasekit.report.look import look
from releasekit.state import STATE_FILENAME

if TYPE_CHECKING:
    from pathlib import Path


@click.command("status")
@output.workspace_argument
@click.option("--watch", is_flag=True, help="Follow the run until nobody is at work on it any more, or until Ctrl-C.")
@output.json_option
def command(*, workspace: Path, watch: bool, as_json: bool) -> int:
    """Show how far the run is.

    Reads without the lock: it can be called while a run is at work. --watch redraws the table on a terminal, and
    prints a line per transition elsewhere; with --json it prints the document when the run is over.
    """
    if watch:
        from releasekit.cli.watch import follow  # noqa: PLC0415  # only then

        code = follow(workspace, quiet=as_json)
        if code:
            return code
    if as_json:
        output.print_json(output.result(output.load_run(workspace)))
        return 0
    with output.needing_a_run(workspace):
        view = look(workspace / STATE_FILENAME)
    output.print_heading(view.state)
    output.print_run(view)
    held = is_held(workspace / STATE_FILENAME)
    click.echo(output.next_step(view.state, at_rest=held is False, at_work=held is True))
    return 0
