"""Who requires whom, as levels: a package's level is the length of its longest chain of requirements.

Pure, iterative and linear in packages plus requirements, so that a chain of any length is fine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class CycleError(ReleaseKitError):
    """Packages that require each other, so that none of them can be published first.

    Attributes:
        cycle: The packages, each requiring the next and the last requiring the first.
    """

    def __init__(self, cycle: tuple[str, ...]) -> None:
        super().__init__(
            E.WORKSPACE_CYCLE,
            f"the packages require each other: {' → '.join((*cycle, cycle[0]))}",
            "take one of these out of `project.dependencies`, or move it to an extra: extras don't count",
        )
        self.args = (cycle,)
        self.cycle = cycle


def assign_levels(requires: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Give every package its level.

    Args:
        requires: Package → the packages that it requires, every one of which is a key as well.

    Returns:
        Package → 0 if it requires nothing, else one more than the highest level among what it requires.

    Raises:
        CycleError: There is a cycle.
    """
    missing = {name: set(required) for name, required in requires.items()}
    dependents: dict[str, list[str]] = {name: [] for name in requires}
    for name, required in missing.items():
        for each in required:
            dependents[each].append(name)
    levels = dict.fromkeys((name for name, required in missing.items() if not required), 0)
    ready = list(levels)
    for name in ready:
        for dependent in dependents[name]:
            missing[dependent].discard(name)
            levels[dependent] = levels[name] + 1  # breadth first: the last to come is the highest
            if not missing[dependent]:
                ready.append(dependent)
    if len(ready) < len(missing):
        raise CycleError(_find_cycle({name: required for name, required in missing.items() if required}))
    return levels


def _find_cycle(missing: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Walk along what is still missing, which never ends, until a package comes a second time."""
    walked: dict[str, int] = {}
    name = min(missing)
    while name not in walked:
        walked[name] = len(walked)
        name = min(missing[name])
    cycle = list(walked)[walked[name] :]
    first = cycle.index(min(cycle))
    return (*cycle[first:], *cycle[:first])
