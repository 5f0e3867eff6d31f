"""The summary of a completed run, for the next job: what was published, with its files, and what was left out.

It lies beside the state file as ``.releasekit-summary.json``, and is there exactly when the last `publish` left nothing
to do: each takes it away before anything else, since it may be refused or killed, and writes it at its end. It is
always made: who needs it later has nothing to ask for now. Its schema is ``schemas/summary.json``.
"""

from __future__ import annotations

import contextlib
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from releasekit.escape import in_json
from releasekit.logging import get_logger
from releasekit.persistence import atomic
from releasekit.pipeline.aside import summary_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from releasekit.report.timeline import Timeline
    from releasekit.state import RunState

SCHEMA: Final = 1


def document(state: RunState, timeline: Timeline) -> dict[str, Any]:
    """Tell what a completed run came to."""
    ended = datetime.fromtimestamp(timeline.ended, UTC).isoformat(timespec="seconds") if timeline.ended else None
    return {
        "schema": SCHEMA,
        "run_id": state.run_id,
        "git_sha": state.git_sha,
        "index": state.index,
        "created_at": state.created_at,
        "ended_at": ended,
        "published": {
            name: {"version": state[name].version, "files": dict(state[name].artifacts)}
            for name in state.published_packages()
        },
        "skipped": {
            name: {"version": state[name].version, "reason": state[name].reason} for name in state.skipped_packages()
        },
    }


def remove(path: Path) -> None:
    """Take the summary of an earlier run away, durably; it need not be there.

    Args:
        path: The state file.
    """
    file = summary_path(path)
    with _warning(file):
        if os.path.lexists(file):  # also False where no run can be, which is for others to say
            file.unlink()
            atomic.flush_directory(file.parent)


def write(path: Path, state: RunState, timeline: Timeline) -> None:
    """Write the summary of a completed run, durably and atomically.

    Args:
        path: The state file.
        state: The run; nothing is left to do.
        timeline: When it ended.
    """
    file = summary_path(path)
    with _warning(file):
        text = json.dumps(document(state, timeline), ensure_ascii=False, indent=2)
        atomic.remove_leftovers(file)
        atomic.replace(file, f"{in_json(text)}\n".encode())


@contextlib.contextmanager
def _warning(file: Path) -> Iterator[None]:
    """Make a warning of what goes wrong: a release does not depend on it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # whatever it is
        get_logger(__name__).warning("releasekit.summary_failed", file=str(file), error=str(error))
