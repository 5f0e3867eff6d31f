"""Writes the pictures that the repository keeps, or checks that they are fresh.

``python -m releasekit.diagrams diagrams`` writes them; with ``--check`` it writes nothing, names the stale
ones and exits with 1 if there are any.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from releasekit.diagrams.kept import stale, write


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 and name the stale pictures.")
def main(directory: Path, *, check: bool) -> None:
    """Write the pictures of the lifecycle, a sample run and the rooms into DIRECTORY."""
    names = stale(directory) if check else write(directory)
    for name in names:
        click.echo(f"{directory / name} is stale" if check else directory / name)
    if check and names:
        click.echo(f"write them again: python -m releasekit.diagrams {directory}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="python -m releasekit.diagrams")
