"""A look at a run from outside: without its lock, while others may be at work on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.errors import ReleaseKitError
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
        run, events = read_history(path)
    except ReleaseKitError:  # no journal, or times in it that are none: `load` says it if there is more to it
        return View(RunState.load(path))
    working = bool(is_held(path)) and not run.is_finished()
    return View(run, Timeline(events), earlier_steps(path) if working else {}, working, events)
