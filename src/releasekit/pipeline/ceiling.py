"""How many jobs a process has room for: each holds files open, and the system allows only so many."""

from __future__ import annotations

import sys
from typing import Final

from releasekit.logging import get_logger

BESIDES: Final = 40
"""Files besides those of jobs: the run's own, connections to the index, and what threads read."""

A_JOB: Final = 6
"""Files of a job, which may be a build and an upload at a time: what each prints, and what it takes to start it."""


def jobs_with_room(jobs: int) -> int:
    """Tell how many jobs may go on at a time, one at least, and warn if these are fewer than wanted.

    Args:
        jobs: How many are wanted.
    """
    files = _files_allowed()
    room = max(1, (files - BESIDES) // A_JOB)
    if jobs <= room:
        return jobs
    hint = f"allow for more open files: `ulimit -n {BESIDES + A_JOB * jobs}`"
    get_logger(__name__).warning("releasekit.jobs_reduced", wanted=jobs, jobs=room, files=files, hint=hint)
    return room


def _files_allowed() -> int:
    try:
        import resource  # noqa: PLC0415  # not on every system
    except ImportError:  # pragma: no cover  # where there is no such limit
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
