"""`releasekit diagram`: draw the run, one package's way through it, or the lifecycle."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from releasekit import diagrams
from releasekit.cli import output
from releasekit.errors import E, ReleaseKitError
from releasekit.escape import in_one_line
from releasekit.persistence import atomic
from releasekit.state import STATE_FILENAME, no_run
from releasekit.state.history import read_history

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from releasekit.state import PackageState
    from releasekit.state.history import Event


@click.command("diagram")
@output.workspace_argument
@click.option("--lifecycle", is_flag=True, help="Draw the lifecycle that every package goes through instead.")
@click.option(
    "--package", metavar="NAME", help="Draw this package's machine instead: where it stands and how it came there."
)
@click.option("--format", "format_name", type=click.Choice(["dot", "mermaid", "svg", "png"]),
              help="Default: what the file's suffix says, else dot.")  # fmt: skip
@click.option("-o", "--output", "file", type=output.OutputFile(), help="Default: stdout.")
def command(
    *, workspace: Path, lifecycle: bool, package: str | None, format_name: str | None, file: Path | None
) -> None:
    """Draw the run, one package's way through it, or the lifecycle.

    \b
    releasekit diagram -o run.svg              the run of this directory, with a colour a status
    releasekit diagram --package core -o a.png the way that one package came, and where it stands
    releasekit diagram --lifecycle -o law.png  the states and triggers of a package
    releasekit diagram | dot -Tpdf > run.pdf   Graphviz source, for any other use
    """  # noqa: D301  # click wants the character
    if lifecycle and package is not None:
        raise click.UsageError("--lifecycle is the same for every package: leave it or --package out")
    draw: Callable[[Path], None]
    if lifecycle:
        draw = diagrams.draw_lifecycle
    elif package is not None:
        draw = partial(diagrams.draw_package, *_way_of(workspace, package))
    else:
        draw = partial(diagrams.draw_run, output.load_run(workspace).packages.values())
    suffix = {"mermaid": ".mmd", None: file.suffix if file else ".dot"}.get(format_name, f".{format_name}")
    with tempfile.TemporaryDirectory() as scratch:
        # Drawn aside first: a format that can't be drawn must not empty the file that is there.
        drawn = Path(scratch, f"diagram{suffix}")
        draw(drawn)
        picture = drawn.read_bytes()
    if file:
        atomic.replace(file, picture, shown=True)
        click.echo(f"wrote {in_one_line(str(file))}", err=True)
    else:
        click.echo(picture, nl=False)


def _way_of(workspace: Path, name: str) -> tuple[PackageState, Sequence[Event] | None]:
    """Find a package and what happened to it; None if the run has no journal.

    Raises:
        ReleaseKitError: There is no run (`E.STATE_NOT_FOUND`), it can't be trusted (`E.STATE_CORRUPTED`), or has no
            such package (`E.STATE_UNKNOWN_PACKAGE`).
    """
    try:
        history = read_history(workspace / STATE_FILENAME)
    except FileNotFoundError as error:
        raise no_run(workspace) from error
    except ReleaseKitError as error:
        if error.code is not E.STATE_NO_HISTORY:
            raise
        return output.find_package(output.load_run(workspace), name), None
    package = output.find_package(history.run, name)
    return package, [event for event in history.events if event.package == package.name]
