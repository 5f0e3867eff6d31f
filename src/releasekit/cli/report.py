"""`releasekit report`: the run as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from releasekit.cli import output
from releasekit.escape import in_one_line
from releasekit.state import STATE_FILENAME, no_run, there_is_a_run

if TYPE_CHECKING:
    from pathlib import Path


@click.command("report")
@output.workspace_argument
@click.option("-o", "--output", "file", type=output.OutputFile(),
              help=f"Default: {output.REPORT_FILENAME} in the workspace.")  # fmt: skip
def command(*, workspace: Path, file: Path | None) -> None:
    """Write a report of the run as one HTML file.

    It has the graph, a timeline, and of every package its history, its files and its error, with search and filters.
    It needs a browser and nothing else: no network, no other file. It can be written while a run is at work;
    `releasekit publish --report FILE` keeps it fresh.
    """
    path = workspace / STATE_FILENAME
    if not there_is_a_run(path):
        raise no_run(workspace)
    from releasekit.report.write import write_report  # noqa: PLC0415  # only once there is something to write

    file = file or workspace / output.REPORT_FILENAME
    write_report(path, file)
    click.echo(f"wrote {in_one_line(str(file))}")
