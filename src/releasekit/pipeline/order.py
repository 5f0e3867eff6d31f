"""Which package goes first when several may: the one that the longest work waits for.

How long a package takes is known from the last run that was put aside; where there is none, every package counts alike,
and the longest path is the one of most packages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from releasekit.lifecycle import FINAL, IN_FLIGHT, PackageStatus
from releasekit.requirements import requirements_first
from releasekit.state.analysis import analyse
from releasekit.state.history import earlier_histories

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from releasekit.state import RunState

    Work = Mapping[str, Mapping[PackageStatus, float]]

BUILDING: Final = (PackageStatus.BUILDING,)
SENDING: Final = tuple(status for status in IN_FLIGHT if status is not PackageStatus.BUILDING)


def last_work(path: Path) -> Work:
    """Read how long the packages of the last run that was put aside were at work.

    Args:
        path: The state file of this run.

    Returns:
        Package → status → seconds; nothing if there was no run, or it can't be read.
    """
    return next((analyse(history).work for history in earlier_histories(path)), {})


def is_ahead(state: RunState, package: str, other: str) -> bool:
    """Tell whether a package can't be sent before another one is there: it waits for it, or that has ended already.

    Nobody waits for what a package requires that has ended itself, say since it is skipped.
    """
    if state[other].status in FINAL or other in state[package].requires:
        return True
    seen, stack = {package}, [package]
    while stack:
        for required in state[stack.pop()].requires:
            if required not in seen and state[required].status not in FINAL:
                seen.add(required)
                stack.append(required)
    return other in seen


def longest_path_first(
    state: RunState,
    work: Work | None = None,
    statuses: Iterable[PackageStatus] = IN_FLIGHT,
    requires: Mapping[str, Iterable[str]] | None = None,
) -> list[str]:
    """Name the unfinished packages, those first that the longest path of work begins with.

    Args:
        state: The run.
        work: Package → status → how many seconds it is expected to take; a package of which nothing is known is
            expected to take as long as those in the middle do.
        statuses: Whose work counts.
        requires: Package → what it waits for; by default what it requires, which also decides between paths that are
            as long as each other.
    """
    published = {name: package.requires for name, package in state.packages.items()}
    known = {name: sum(each.get(status, 0.0) for status in statuses) for name, each in (work or {}).items()}
    middle = sorted(known.values())[len(known) // 2] if known else 0.0
    seconds = {name: known.get(name, middle) for name in state}
    path = _paths(published if requires is None else requires, seconds)
    most = _paths(published, dict.fromkeys(state, 1.0))
    return sorted(state.unfinished_packages(), key=lambda name: (-path[name], -most[name], name))


def _paths(requires: Mapping[str, Iterable[str]], seconds: Mapping[str, float]) -> dict[str, float]:
    """Tell the longest path from each package on, through what waits for it."""
    length = dict(seconds)
    for name in reversed([*requirements_first(requires)]):
        for required in requires[name]:
            if required in length:
                length[required] = max(length[required], seconds[required] + length[name])
    return length
