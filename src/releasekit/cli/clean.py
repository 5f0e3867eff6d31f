"""`releasekit clean`: remove the files of a finished run."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import click

from releasekit.cli import output
from releasekit.cli.output import REPORT_FILENAME
from releasekit.errors import E, ReleaseKitError
from releasekit.escape import in_one_line
from releasekit.persistence.lock import RunLock
from releasekit.state import STATE_FILENAME, RunState, journal_path, no_run, there_is_a_run
from releasekit.state.beside import DIST_DIRECTORY, SUMMARY_FILENAME

if TYPE_CHECKING:
    from pathlib import Path


@click.command("clean")
@output.workspace_argument
@click.option("--force", is_flag=True, help="Also of an unfinished run, which can't be resumed afterwards.")
@output.json_option
def command(*, workspace: Path, force: bool, as_json: bool) -> None:
    """Remove the files of a finished run.

    That is the state file, the journal, the summary, the built files, the workspace's report, and whatever was kept
    aside. With them goes the memory of what may have been sent, which a new run needs as long as the index does not
    show it. The lock file stays: deleting it would let two processes in. What was published is not touched.
    """
    if not workspace.is_dir():
        raise no_run(workspace)
    # Without this look the lock would leave its file in any directory.
    removed = _remove_runs(workspace, force=force) if _files_of_runs(workspace) else []
    if as_json:
        output.print_json({"removed": [str(path) for path in removed]})
        return
    for old in removed:
        click.echo(f"removed {in_one_line(str(old))}")
    click.echo("next: nothing." if removed else "next: nothing. There was nothing to remove.")


def _remove_runs(workspace: Path, *, force: bool) -> list[Path]:
    lock = RunLock.of(workspace / STATE_FILENAME)
    try:
        files = _files_of_runs(workspace)
        path = workspace / STATE_FILENAME
        if there_is_a_run(path) and not force and not RunState.load(path).is_finished():
            raise ReleaseKitError(
                E.STATE_UNFINISHED,
                f"the run in {workspace.resolve()} is not finished",
                "`releasekit publish` goes on with it, `releasekit clean --force` gives it up",
            )
        for old in files:
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink()
        return files
    finally:
        lock.release()


def _files_of_runs(workspace: Path) -> list[Path]:
    journal = journal_path(workspace / STATE_FILENAME)
    # The journal lies beside the state file itself, which may be elsewhere and linked to.
    places = [workspace] if os.path.realpath(workspace) == str(journal.parent) else [workspace, journal.parent]
    names = (STATE_FILENAME, journal.name, DIST_DIRECTORY, SUMMARY_FILENAME, REPORT_FILENAME)
    return [path for place in places for name in names for path in sorted(place.glob(f"{name}*"))]
