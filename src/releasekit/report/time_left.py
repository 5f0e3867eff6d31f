"""How long a run will still take, where earlier durations are known; nothing where they are not.

What a step of a package took in an earlier run is what it is expected to take now; for a package that was never seen,
the middle of what others took. Builds are expected to share the jobs that were seen at work at once, then uploads to do
so, and no package to be sent before what it requires has been verified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.lifecycle import IN_FLIGHT, TERMINAL
from releasekit.requirements import requirements_first, waits
from releasekit.state import graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.lifecycle import PackageStatus
    from releasekit.report.timeline import Steps, Timeline
    from releasekit.state import PackageState, RunState

_BUILD, _SEND, *_ = IN_FLIGHT


def time_left(state: RunState, timeline: Timeline, earlier: Steps, now: float) -> float | None:
    """Guess how many seconds a run that is at work has left.

    Args:
        state: The run.
        timeline: What its steps took so far.
        earlier: What they took in earlier runs.
        now: The time in seconds since the epoch.

    Returns:
        None if a step lies ahead of which nothing is known, or no step does.
    """
    cut_off = graph.cut_off(state.packages)
    ahead = [p for p in state.packages.values() if p.status not in TERMINAL and not (p.name in cut_off and waits(p))]
    typical = {status: _middle(status, timeline.steps) or _middle(status, earlier) for status in IN_FLIGHT}
    left: dict[str, dict[PackageStatus, float]] = {}
    for package in ahead:
        expected = typical | earlier.get(package.name, {})
        steps = _steps_of(package, expected, timeline.running(package.name, now))
        if steps is None:
            return None
        only_built = package.name in cut_off and package.status is _BUILD
        left[package.name] = {_BUILD: steps[_BUILD]} if only_built else steps
    if not left:
        return None
    builds = [steps.get(_BUILD, 0.0) for steps in left.values()]
    uploads = sum(steps.get(_SEND, 0.0) for steps in left.values())
    jobs = max(1, timeline.jobs)
    return max(*builds, sum(builds) / jobs) + max(_longest(state, left), uploads / jobs)


def _steps_of(
    package: PackageState, expected: Mapping[PackageStatus, float | None], running: float
) -> dict[PackageStatus, float] | None:
    """Tell what is left of each step of a package; None if that is not known of one."""
    at = IN_FLIGHT.index(package.status) if package.status in IN_FLIGHT else 0
    steps = {}
    for status in IN_FLIGHT[at:]:
        seconds = 0.0 if status is _BUILD and package.artifacts else expected.get(status)
        if seconds is None:
            return None
        steps[status] = max(0.0, seconds - running) if status is package.status else seconds
    return steps


def _longest(state: RunState, left: Mapping[str, Mapping[PackageStatus, float]]) -> float:
    """Tell how long the longest chain of packages takes to be sent and verified, one after the other."""
    until: dict[str, float] = {}
    for name in requirements_first({name: package.requires for name, package in state.packages.items()}):
        own = sum(seconds for status, seconds in left.get(name, {}).items() if status is not _BUILD)
        until[name] = own + max((until.get(required, 0.0) for required in state[name].requires), default=0.0)
    return max(until.values())


def _middle(status: PackageStatus, steps: Steps) -> float | None:
    taken = sorted(statuses[status] for statuses in steps.values() if status in statuses)
    return taken[len(taken) // 2] if taken else None
