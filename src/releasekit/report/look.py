"""A look at a run from outside: without its lock, while others may be at work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence.lock import is_held
from releasekit.report.table import View
from releasekit.report.timeline import Timeline, earlier_steps
from releasekit.state import RunState
from releasekit.state.history import read_history

if TYPE_CHECKING:
    from pathlib import Path


def look(path: Path) -> View:
    """Read the run in a state file, and how long everything took as far as that is known.

    Raises:
        OSError: It could not be read.
        ReleaseKitError: It can't be trusted (`E.STATE_CORRUPTED`).
    """
    try:
        history = read_history(path)
    except ReleaseKitError as error:
        if error.code is not E.STATE_NO_HISTORY:
            raise
        return View(RunState.load(path))
    run, events = history
    working = bool(is_held(path)) and not run.is_finished()
    return View(run, Timeline(history), earlier_steps(path) if working else {}, working, events)
