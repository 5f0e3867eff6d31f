"""`releasekit status`: how far the run is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from releasekit.cli import output

if TYPE_CHECKING:
    from pathlib import Path


@click.command("status")
@output.workspace_argument
@output.json_option
def command(*, workspace: Path, as_json: bool) -> None:
    """Show how far the run is.

    Reads the state file only: it can be called while a run is at work.
    """
    state = output.load_run(workspace)
    if as_json:
        output.print_json(output.result(state))
    else:
        output.print_heading(state)
        output.print_run(state)
        click.echo(output.next_step(state, at_rest=False))
