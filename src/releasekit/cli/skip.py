"""`releasekit skip`: leave a waiting package out of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from releasekit.cli import output
from releasekit.escape import in_one_line
from releasekit.pipeline import open_for_change

if TYPE_CHECKING:
    from pathlib import Path


@click.command("skip")
@click.argument("package")
@click.option(
    "--reason", default="skipped by hand", show_default=True, help="Why; it is shown wherever the package is."
)
@output.workspace_option
@output.json_option
def command(*, package: str, reason: str, workspace: Path, as_json: bool) -> None:
    """Leave a waiting package out of the run.

    Only a pending package can be skipped (a failed one: `retry` it first), and for this run for good: what
    requires it goes on as if it were published.
    """
    with open_for_change(workspace) as store:
        found = output.find_package(store.state, package)
        found.skip(reason)
        store.commit()
        state = store.state
    if as_json:
        output.print_json({"skipped": [found.name]} | output.result(state))
        return
    click.echo(in_one_line(f"skipped: {found.name} ({reason})"))
    click.echo(output.next_step(state, at_rest=True))
