"""What a run's picture shows as a node of its own, and what it shows together, so that it can be read at any size.

Nobody reads a picture of a thousand boxes. Who looks at one asks where the run stands, what failed, and what that
holds up. So above some number of nodes packages are drawn together: those that a failure holds up by who holds them
up, all others by level and status. What failed stays alone, then what is on its way, then what is held up, as far as
there is room; of more failures than that, those stay alone that hold up most.

Packages come in, nodes and edges come out; how they look is for others.
"""

from __future__ import annotations

from collections import Counter
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from releasekit import requirements
from releasekit.diagrams import markup
from releasekit.lifecycle import IN_FLIGHT, PackageStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

MAX_ALONE: Final = 60
"""Of no more packages than this each is a node of its own."""

LIMITS: Final = (40, 25, 12)
"""Numbers of nodes to try for more of them, until what they make can be read."""

MAX_BANDS: Final = 6
"""So many columns of levels fit on a screen; of more levels neighbours are drawn as one."""

MAX_EDGES: Final = 150
"""More arrows than that can't be followed, and take Graphviz long."""

_ON_ITS_WAY: Final = tuple(reversed(IN_FLIGHT))
"""What happens to few packages at a time comes first: before the build gate opens all may be building."""

_NEVER: Final = (len(IN_FLIGHT), 0)


class Package(requirements.Package, Protocol):
    """What is drawn of a package; a `PackageState` has it."""

    @property
    def version(self) -> str:
        """The version that is to be published."""

    @property
    def error(self) -> str:
        """Why it failed."""

    @property
    def reason(self) -> str:
        """Why it was skipped."""


class Node(NamedTuple):
    """Some packages of one status that are drawn as one.

    Attributes:
        members: The packages, at least one.
        levels: The lowest and the highest of their levels: how long the longest chain of requirements is.
        held: Whether they wait for what failed.
        roots: Who failed and holds all of them up, those first that hold up most.
        holds: How many packages wait for them, if they failed.
    """

    members: tuple[Package, ...]
    levels: tuple[int, int]
    held: bool = False
    roots: tuple[str, ...] = ()
    holds: int = 0

    @property
    def status(self) -> PackageStatus:
        """Where all of them stand."""
        return self.members[0].status


class View(NamedTuple):
    """What a picture shows: nodes, and edges between their places as (required, dependent)."""

    nodes: Sequence[Node]
    edges: Sequence[tuple[int, int]]


def views(packages: Iterable[Package]) -> Iterator[View]:
    """Show a run, each time by fewer nodes.

    Args:
        packages: The packages. Nodes stand in the order of the first of their members.

    Yields:
        Views that can be read; in the first each package is a node of its own, if that can be.
    """
    run = _Run(list(packages))
    if len(run.packages) <= MAX_ALONE and len((view := run.view([[p] for p in run.packages])).edges) <= MAX_EDGES:
        yield view
    for limit in LIMITS:
        view = run.view(run.groups(limit))
        if len(view.edges) <= MAX_EDGES or limit == LIMITS[-1]:  # so few nodes can't have many more
            yield view


class _Run:
    """Packages, and what follows from their requirements."""

    def __init__(self, packages: Sequence[Package]) -> None:
        self.packages = packages
        names = {package.name for package in packages}
        self.requires = {p.name: [r for r in dict.fromkeys(p.requires) if r in names] for p in packages}
        self.levels: dict[str, int] = {}
        try:
            for name in requirements.requirements_first(self.requires):
                self.levels[name] = 1 + max((self.levels[required] for required in self.requires[name]), default=-1)
        except KeyError:  # in a circle one comes before what it requires; then nothing has a level
            self.levels = dict.fromkeys(self.requires, 0)
        self._find_roots()

    def _find_roots(self) -> None:
        """Find out who waits for which failures, and how many wait for each."""
        stuck = requirements.stuck({package.name: package for package in self.packages})
        waiting = [p.name for p in self.packages if p.name in stuck.roots and requirements.waits(p)]
        held = {name: stuck.roots[name] for name in waiting}
        counts = Counter(held.values())
        self.holds = {package.name: 0 for package in self.packages if package.status is PackageStatus.FAILED}
        for bit, name in enumerate(stuck.failed):
            self.holds[name] = sum(count for roots, count in counts.items() if roots >> bit & 1)
        sets = {roots: tuple(sorted(stuck.names(roots), key=self._most_first)) for roots in counts}
        self.roots = {name: sets[roots] for name, roots in held.items()}

    def _most_first(self, failed: str) -> tuple[int, str]:
        return -self.holds[failed], failed

    def view(self, groups: Iterable[Sequence[Package]]) -> View:
        """Show it with a node for each group."""
        nodes = [self._node(members) for members in groups]
        place = {package.name: i for i, node in enumerate(nodes) for package in node.members}
        requires: dict[int, dict[int, None]] = {i: {} for i in range(len(nodes))}
        for name, required in self.requires.items():
            requires[place[name]] |= dict.fromkeys(place[r] for r in required if place[r] != place[name])
        if len(nodes) < len(self.packages):
            _part_circles(nodes, requires)
        return View(nodes, [*markup.reduce(requires)])

    def groups(self, limit: int) -> Sequence[Sequence[Package]]:
        """Part the packages into about `limit` groups, so that what matters most stays alone."""
        key = self._key(limit)
        groups = _grouped(self.packages, key)
        room = limit - len(groups)
        failed = sorted(self.holds, key=self._most_first)
        alone = set(failed[:room]) if room > 0 else set()
        room -= len(alone)
        for members in sorted(groups, key=self._importance):
            wanted = self._importance(members) < _NEVER and members[0].status is not PackageStatus.FAILED
            if wanted and len(members) - 1 <= room:
                alone.update(package.name for package in members)
                room -= len(members) - 1
        return _grouped(self.packages, lambda package: package.name if package.name in alone else key(package))

    def _key(self, limit: int) -> Callable[[Package], Hashable]:
        """Choose what packages must have in common to be drawn as one."""
        held = [(self.roots[package.name], package.status) for package in self.packages if package.name in self.roots]
        single = Counter(each for each in held if len(each[0]) == 1)
        largest = {each for each, _ in single.most_common(limit // 4)}
        free = {(self.levels[p.name], p.status) for p in self.packages if p.name not in self.roots}
        width = -(-(1 + max((level for level, _ in free), default=0)) // MAX_BANDS)
        while len({(level // width, status) for level, status in free}) > max(limit // 2, len(PackageStatus)):
            width += 1

        def key(package: Package) -> Hashable:
            if roots := self.roots.get(package.name):
                return (roots, package.status) if (roots, package.status) in largest else ((), package.status)
            return self.levels[package.name] // width, package.status

        return key

    def _importance(self, members: Sequence[Package]) -> tuple[int, int]:
        """Say how early packages of a group should be drawn alone: first comes what is smaller."""
        first = members[0]
        if first.name in self.roots:
            return len(_ON_ITS_WAY) - 1, len(members)
        return (_ON_ITS_WAY.index(first.status), len(members)) if first.status in _ON_ITS_WAY else _NEVER

    def _node(self, members: Sequence[Package]) -> Node:
        levels = [self.levels[package.name] for package in members]
        roots = {self.roots.get(package.name, ()) for package in members}
        return Node(
            tuple(members),
            (min(levels), max(levels)),
            held=() not in roots,
            roots=roots.pop() if len(roots) == 1 else (),
            holds=self._held_by(members) if members[0].status is PackageStatus.FAILED else 0,
        )

    def _held_by(self, members: Sequence[Package]) -> int:
        if len(members) == 1:
            return self.holds[members[0].name]
        names = {package.name for package in members}
        return sum(not names.isdisjoint(roots) for roots in self.roots.values())


def _grouped(packages: Iterable[Package], key: Callable[[Package], Hashable]) -> Sequence[Sequence[Package]]:
    groups: dict[Hashable, list[Package]] = {}
    for package in packages:
        groups.setdefault(key(package), []).append(package)
    return [*groups.values()]


def _part_circles(nodes: Sequence[Node], requires: Mapping[int, dict[int, None]]) -> None:
    """Forget requirements between groups that require each other: those that lead back most in levels."""
    while True:
        try:
            TopologicalSorter(requires).prepare()
        except CycleError as error:
            steps = pairwise(error.args[1])
            required, node = max(steps, key=lambda step: sum(nodes[step[0]].levels) - sum(nodes[step[1]].levels))
            del requires[node][required]
        else:
            return
