"""Who requires whom, as levels: a package's level is the length of its longest chain of requirements.

What is soft orders where it can: `drop_from_cycles` says which soft requirements must go, so that no cycle is left.

Pure, iterative and linear in packages plus requirements, so that a chain of any length is fine; only soft requirements
within cycles cost more.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from releasekit.errors import E, ReleaseKitError
from releasekit.requirements import bits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


class CycleError(ReleaseKitError):
    """Packages that require each other, so that none of them can be published first.

    Attributes:
        cycle: The packages, each requiring the next and the last requiring the first.
        why: For each, why it requires the next; empty where it simply does, at run time.
    """

    def __init__(self, cycle: tuple[str, ...], why: tuple[str, ...] = ()) -> None:
        reasons = (f" ({reason})" if reason else "" for reason in why or ("",) * len(cycle))
        following = "".join(f" → {name}{reason}" for name, reason in zip((*cycle[1:], cycle[0]), reasons, strict=True))
        super().__init__(
            E.WORKSPACE_CYCLE,
            f"the packages require each other: {cycle[0]}{following}",
            "take one of these out of `project.dependencies` or `build-system.requires`, or move it to an extra: one "
            "that closes a cycle is not waited for; or release some of these without the others, with --exclude",
        )
        self.args = (cycle, why)
        self.cycle = cycle
        self.why = why


def assign_levels(
    requires: Mapping[str, Iterable[str]], why: Callable[[str, str], str] = lambda _name, _required: ""
) -> dict[str, int]:
    """Give every package its level.

    Args:
        requires: Package → the packages that it requires, every one of which is a key as well.
        why: Says why a package requires another, for the error.

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
        cycle = _find_cycle({name: required for name, required in missing.items() if required})
        raise CycleError(cycle, tuple(map(why, cycle, (*cycle[1:], cycle[0]))))
    return levels


def drop_from_cycles(
    requires: Mapping[str, Iterable[str]], soft: Iterable[tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    """Choose the soft requirements that must go, so that there is no cycle: few, and the same ones every time.

    To find the fewest is as hard as problems get, so two orders are tried, in which each one stays that closes no cycle
    with those before it. One of them takes those first that many share an end with: where many cycles lead through one
    requirement, that one goes.

    Args:
        requires: Package → the packages that it requires in any case, every one of which is a key as well. No cycle.
        soft: Pairs of a package and one that it requires if that can be.

    Returns:
        Those of the soft ones to be dropped.
    """
    soft = sorted(set(soft))
    tangle = _tangle(requires, soft)
    inside = [(name, required) for name, required in soft if name in tangle and required in tangle]
    begins, ends = Counter(name for name, _ in inside), Counter(required for _, required in inside)
    crowded = sorted(inside, key=lambda pair: -max(begins[pair[0]], ends[pair[1]]))
    return min((_drop(requires, tangle, order) for order in (inside, crowded)), key=len)


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


def _tangle(requires: Mapping[str, Iterable[str]], soft: Iterable[tuple[str, str]]) -> set[str]:
    """Name the packages that are in cycles, or between two, if everything soft is taken in."""
    ahead: dict[str, set[str]] = {name: set(required) for name, required in requires.items()}
    for name, required in soft:
        ahead[name].add(required)
    behind: dict[str, set[str]] = {name: set() for name in requires}
    for name, some in ahead.items():
        for each in some:
            behind[each].add(name)
    left = set(ahead)
    for forwards, backwards in ((ahead, behind), (behind, ahead)):
        free = [name for name in left if not forwards[name]]
        for name in free:
            left.discard(name)
            for other in backwards[name]:
                forwards[other].discard(name)
                if not forwards[other] and other in left:
                    free.append(other)
    return left


def _drop(
    requires: Mapping[str, Iterable[str]], tangle: set[str], soft: Sequence[tuple[str, str]]
) -> frozenset[tuple[str, str]]:
    """Take soft requirements in, one by one, but for those that close a cycle."""
    reach = _Reach(sorted(tangle))
    for name in tangle:
        for required in tangle.intersection(requires[name]):
            reach.join(name, required)
    dropped = set()
    for name, required in soft:
        if name == required or reach.leads(required, name):
            dropped.add((name, required))
        else:
            reach.join(name, required)
    return frozenset(dropped)


class _Reach:
    """Who comes to whom along requirements, as they are taken in; packages are the bits of a number.

    A requirement that is taken in costs a step for each pair that it connects anew. As there are no more pairs than
    packages squared, neither do the steps of all of them come to more.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(names)}
        self._ahead = [0] * len(names)
        self._behind = [0] * len(names)

    def leads(self, name: str, other: str) -> bool:
        """Tell whether one comes to the other."""
        return bool(self._ahead[self._place[name]] >> self._place[other] & 1)

    def join(self, name: str, other: str) -> None:
        """Take in that one requires the other."""
        if self.leads(name, other):
            return
        one, two = self._place[name], self._place[other]
        before, after = self._behind[one] | 1 << one, self._ahead[two] | 1 << two
        new_before, new_after = before & ~self._behind[two], after & ~self._ahead[one]
        for place in bits_of(new_before):
            self._ahead[place] |= after
        for place in bits_of(new_after):
            self._behind[place] |= before
