"""The summary of a completed run, for the next job: what was published, with its files, and what was left out.

It lies beside the state file as ``.releasekit-summary.json``, is there exactly when the last `publish` left nothing to
do, and is always made: who needs it later has nothing to ask for now. Its schema is ``schemas/summary.json``.
"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from releasekit.escape import in_json
from releasekit.logging import get_logger
from releasekit.persistence import atomic
from releasekit.pipeline.aside import summary_path

if TYPE_CHECKING:
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


def write(path: Path, state: RunState, timeline: Timeline, *, complete: bool) -> None:
    """Write the summary of a completed run, durably and atomically, or take an older one away.

    What goes wrong is a warning: the run has ended as it has.

    Args:
        path: The state file.
        state: The run.
        timeline: When it ended.
        complete: Whether nothing is left to do.
    """
    file = summary_path(path)
    try:
        if complete:
            text = json.dumps(document(state, timeline), ensure_ascii=False, indent=2)
            atomic.remove_leftovers(file)
            atomic.replace(file, f"{in_json(text)}\n".encode())
        else:
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
    except Exception as error:  # noqa: BLE001  # whatever it is
        get_logger(__name__).warning("releasekit.summary_failed", file=str(file), error=str(error))
