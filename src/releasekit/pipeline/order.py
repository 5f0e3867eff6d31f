"""Which package goes first when several may."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from releasekit.state import RunState


def longest_path_first(state: RunState) -> list[str]:
    """Name the unfinished packages, those first that the longest chain of others waits for."""
    waiting: dict[str, list[str]] = {name: [] for name in state}
    for name, package in state.packages.items():
        for required in package.requires:
            waiting[state[required].name].append(name)
    length: dict[str, int] = {}
    for name in sorted(state, key=lambda name: state[name].level, reverse=True):
        length[name] = 1 + max((length[other] for other in waiting[name]), default=0)
    return sorted(state.unfinished_packages(), key=lambda name: (-length[name], name))
