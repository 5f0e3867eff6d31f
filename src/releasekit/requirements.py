"""Who requires whom: what comes first, who waits, and who waits for what failed.

The one rule of a run's questions, of what is said of the run, and of its pictures. Pure, iterative, and linear in
packages plus requirements, so that a chain of any length is fine.
"""

from __future__ import annotations

from collections import Counter
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from releasekit.lifecycle import TERMINAL, PackageStatus

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

N = TypeVar("N", bound="Hashable")

BUILT: Final = "built"
"""How it is called that a package is `building`, but has its files and waits for others."""


class Package(Protocol):
    """What is asked of a package; a `PackageState` has it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def status(self) -> PackageStatus:
        """Where it stands."""

    @property
    def requires(self) -> Sequence[str]:
        """The names of what must be published before it."""

    @property
    def artifacts(self) -> Mapping[str, str]:
        """What was built of it: file name → sha256."""


class Stuck(NamedTuple):
    """Who can't be published because of what failed.

    Attributes:
        failed: What failed and is required, sorted.
        roots: Package → the failures at the root of it: a set of those is one whole number, with a bit for each.
    """

    failed: Sequence[str]
    roots: Mapping[str, int]

    def names(self, roots: int) -> tuple[str, ...]:
        """Name the failures of a set, sorted."""
        return tuple(self.failed[bit] for bit in bits_of(roots))


def requirements_first(requires: Mapping[N, Iterable[N]]) -> Iterator[N]:
    """Yield every node after what it requires; in a circle, from anywhere.

    Args:
        requires: Node → the nodes it requires; those that are no keys are ignored.
    """
    visited: set[N] = set()
    for start in requires:
        if start in visited:
            continue
        visited.add(start)
        stack = [(start, iter(requires[start]))]
        while stack:
            node, rest = stack[-1]
            required = next((r for r in rest if r not in visited and r in requires), None)
            if required is None:
                stack.pop()
                yield node
            else:
                visited.add(required)
                stack.append((required, iter(requires[required])))


def stuck(packages: Mapping[str, Package]) -> Stuck:
    """Find out who can't be published because of what failed: a failure goes through all that is not terminal.

    Args:
        packages: Name → package. Requirements in a circle can never go on, and may show only some of their roots.
    """
    requires = {package.name: package.requires for package in list(packages.values())}
    unfinished = [name for name in requirements_first(requires) if packages[name].status not in TERMINAL]
    required = {required for name in unfinished for required in requires[name] if required in requires}
    failed = sorted(name for name in required if packages[name].status is PackageStatus.FAILED)
    roots = {name: 1 << bit for bit, name in enumerate(failed)}
    for name in unfinished:
        roots[name] = reduce(or_, (roots.get(required, 0) for required in requires[name]), 0)
    return Stuck(failed, {name: roots[name] for name in unfinished if roots[name]})


def is_built(package: Package) -> bool:
    """Tell whether a package is still `building`, but has its files and waits for others."""
    return package.status is PackageStatus.BUILDING and bool(package.artifacts)


def waits(package: Package) -> bool:
    """Tell whether a package has not begun, or is built: what it is to do next it can't do before others."""
    return package.status is PackageStatus.PENDING or is_built(package)


class Count(NamedTuple):
    """How many packages stand alike.

    Attributes:
        standing: How that is called: a status, or `built`.
        status: Their status.
        number: How many they are.
    """

    standing: str
    status: PackageStatus
    number: int


def standing(package: Package) -> str:
    """Tell where a package stands: its status, but for what is built and waits for others."""
    return BUILT if is_built(package) else package.status.value


def tally(packages: Iterable[Package]) -> list[Count]:
    """Count the packages by where they stand, in the order of the lifecycle."""
    counted = Counter((standing(package), package.status) for package in packages)
    order = [*PackageStatus]
    found = sorted(counted, key=lambda each: (order.index(each[1]), each[0] == BUILT))
    return [Count(*each, counted[each]) for each in found]


def bits_of(number: int) -> Iterator[int]:
    """Yield the positions of the bits that are set, from the lowest."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
