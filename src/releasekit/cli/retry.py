"""`releasekit retry`: give failed packages another chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from packaging.utils import canonicalize_name

from releasekit.cli import output
from releasekit.escape import in_one_line
from releasekit.lifecycle import Trigger, rule_for
from releasekit.pipeline import open_for_change

if TYPE_CHECKING:
    from pathlib import Path


@click.command("retry")
@click.argument("packages", nargs=-1, metavar="[PACKAGE]...")
@output.workspace_option
@output.json_option
def command(*, packages: tuple[str, ...], workspace: Path, as_json: bool) -> None:
    """Give failed packages another chance.

    Without names, all that failed. Nothing is built or sent before the next `publish`, which retries what failed by
    itself, but for a conflict: this command is for that, and for making a failed package pending, so that it can be
    skipped.
    """
    with open_for_change(workspace) as store:
        chosen = list(dict.fromkeys(map(canonicalize_name, packages))) or store.state.failed_packages()
        for name in chosen:
            rule_for(store.state[name], Trigger.RETRY)  # all of them or none
        for name in chosen:
            store.state[name].retry()
        store.commit()
        state = store.state
    if as_json:
        output.print_json({"retried": chosen} | output.result(state))
        return
    click.echo(in_one_line(f"pending again: {', '.join(chosen)}" if chosen else "nothing had failed"))
    click.echo(output.next_step(state, at_rest=True))
