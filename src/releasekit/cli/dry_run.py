"""`releasekit publish --dry-run`: what a run would do, told and not done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from releasekit.cli import output
from releasekit.cli.publish import CONFLICT, DONE
from releasekit.cli.stop import same_command
from releasekit.errors import listed
from releasekit.escape import in_one_line
from releasekit.pipeline import STOPS, Action
from releasekit.report.columns import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from releasekit.pipeline import Forecast


def tell(forecasts: Sequence[Forecast], *, as_json: bool) -> int:
    """Print what would be done, and return the exit code: whether a person would have to decide something first."""
    undecided = [each.package for each in forecasts if each.action in STOPS]
    code = CONFLICT if undecided else DONE
    if as_json:
        output.print_json({"packages": [each._asdict() for each in forecasts], "exit_code": code})
        return code
    rows = [(each.package, _version(each), each.action.value, each.why or ", ".join(each.files)) for each in forecasts]
    for line in columns([[*map(in_one_line, row)] for row in rows]):
        click.echo(line)
    idle = sum(each.action in {Action.NOTHING, Action.HELD, *STOPS} for each in forecasts)
    click.echo(f"\n{len(forecasts) - idle} of {len(forecasts)} packages to be worked on. Nothing was touched.")
    if undecided:
        again = f"decide about {listed(undecided)}"
    elif idle == len(forecasts):
        again = "nothing to do."
    else:
        again = same_command("--dry-run")
    click.echo(f"next: {in_one_line(again)}")
    return code


def _version(told: Forecast) -> str:
    return told.version or ("" if told.action is Action.NOTHING else output.DYNAMIC)
