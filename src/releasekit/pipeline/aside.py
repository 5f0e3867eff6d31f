"""Earlier runs: their files are kept aside under names that end in a time, so that a new run loses nothing."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence.lock import RunLock
from releasekit.pipeline.build import DIST_DIRECTORY
from releasekit.state import RunState, journal_path, there_is_a_run

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_ASIDE: Final = re.compile(r"\.\d{8}T\d{6}\.\d{6}Z")


def set_aside(path: Path, *, unfinished: bool) -> list[Path]:
    """Rename a run's files, so that a new run can begin and nothing is lost.

    Args:
        path: The state file; the journal and the directory of built files lie beside it.
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
        suffix = datetime.now(UTC).strftime(_TIME)
        aside = path.with_name(f"{path.name}.{suffix}")
        dist = path.parent / DIST_DIRECTORY
        # The journal last: until then a crash leaves the run in its place.
        names = {path: aside, dist: dist.with_name(f"{dist.name}.{suffix}"), journal_path(path): journal_path(aside)}
        return [old.rename(new) for old, new in names.items() if old.exists()]
    finally:
        lock.release()


def earlier_runs(path: Path) -> list[Path]:
    """Name the state files of the runs that were put aside from a state file, the oldest first.

    A run of which only the journal is left is among them, by the name that its state file had.
    """
    path = Path(os.path.realpath(path))
    # `x.json.TIME`, and its journal `x.json.TIME.journal`
    found = (_ASIDE.match(other.name[len(path.name) :]) for other in path.parent.glob(f"{path.name}.*"))
    return [path.with_name(path.name + suffix) for suffix in sorted({match[0] for match in found if match})]


def kept_directories(path: Path, package: str) -> Iterator[Path]:
    """Name the directories that may have a package's built files, of this run and of earlier ones, the newest first."""
    dist = Path(os.path.realpath(path)).parent / DIST_DIRECTORY
    aside = (other for other in dist.parent.glob(f"{dist.name}.*") if _ASIDE.fullmatch(other.name[len(dist.name) :]))
    for directory in (dist, *sorted(aside, reverse=True)):
        yield directory / package
