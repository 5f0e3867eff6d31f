"""`releasekit diagram`: draw the run, or the lifecycle."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from releasekit import diagrams
from releasekit.cli import output
from releasekit.escape import in_one_line


@click.command("diagram")
@output.workspace_argument
@click.option("--lifecycle", is_flag=True, help="Draw the lifecycle that every package goes through instead.")
@click.option("--format", "format_name", type=click.Choice(["dot", "mermaid", "svg", "png"]),
              help="Default: what the file's suffix says, else dot.")  # fmt: skip
@click.option("-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), help="Default: stdout.")
def command(*, workspace: Path, lifecycle: bool, format_name: str | None, file: Path | None) -> None:
    """Draw the run, or the lifecycle of a package.

    \b
    releasekit diagram -o run.svg              the run of this directory, with a colour a status
    releasekit diagram --lifecycle -o law.png  the states and triggers of a package
    releasekit diagram | dot -Tpdf > run.pdf   Graphviz source, for any other use
    """  # noqa: D301  # click wants the character
    packages = None if lifecycle else output.load_run(workspace).packages.values()
    suffix = {"mermaid": ".mmd", None: file.suffix if file else ".dot"}.get(format_name, f".{format_name}")
    with tempfile.TemporaryDirectory() as scratch:
        # Drawn aside first: a format that can't be drawn must not empty the file that is there.
        drawn = Path(scratch, f"diagram{suffix}")
        if packages is None:
            diagrams.draw_lifecycle(drawn)
        else:
            diagrams.draw_run(packages, drawn)
        picture = drawn.read_bytes()
    if file:
        file.write_bytes(picture)
        click.echo(f"wrote {in_one_line(str(file))}", err=True)
    else:
        click.echo(picture, nl=False)
