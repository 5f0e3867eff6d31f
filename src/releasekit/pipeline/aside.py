"""Putting a run aside: its files get the names that `state.beside` knows, so that a new run loses nothing."""

from __future__ import annotations

import os
from pathlib import Path

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence.lock import RunLock
from releasekit.pipeline.scratch import remove_leftovers
from releasekit.state import RunState, journal_path, there_is_a_run
from releasekit.state.beside import (
    DIST_DIRECTORY,
    SUMMARY_FILENAME,
    earlier_runs,
    kept_directories,
    new_suffix,
    summary_path,
)

__all__ = ["SUMMARY_FILENAME", "earlier_runs", "kept_directories", "set_aside", "summary_path"]


def set_aside(path: Path, *, unfinished: bool) -> list[Path]:
    """Rename a run's files, so that a new run can begin and nothing is lost.

    Args:
        path: The state file; the journal, the directory of built files and the summary lie beside it.
        unfinished: Whether a run may be put aside that is not finished, or can't even be read.

    Returns:
        The new names.

    Raises:
        ReleaseKitError: The run is at work (`E.STATE_LOCKED`), or is not finished (`E.STATE_EXISTS`): another
            process began it since we looked.
    """
    path = Path(os.path.realpath(path))  # where the journal is, too
    lock = RunLock.of(path)
    try:
        if not unfinished and there_is_a_run(path) and not RunState.load(path).is_finished():
            message = f"another process began a run in {path} at this moment"
            raise ReleaseKitError(E.STATE_EXISTS, message, "run the same command again: it goes on with that run")
        remove_leftovers(path.parent)  # nobody would find them there
        suffix = new_suffix()
        aside = path.with_name(f"{path.name}{suffix}")
        dist, summary = path.parent / DIST_DIRECTORY, summary_path(path)
        # The journal last: until then a crash leaves the run in its place.
        names = {old: old.with_name(f"{old.name}{suffix}") for old in (summary, path, dist)}
        names[journal_path(path)] = journal_path(aside)
        return [old.rename(new) for old, new in names.items() if old.exists()]
    finally:
        lock.release()
