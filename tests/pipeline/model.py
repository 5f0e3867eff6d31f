"""A model of a whole release: three packages, an index that lags, and a process that may die at any moment.

What may happen to one package is in `package_model`. Here are the orchestrator and `resume`, the order and the gate,
and the world around them: a crash at any moment, which may take built files with it, somebody else who may publish
under our names, an upload that goes on without the process that began it, and a user who runs again what ended
unfinished, and may retry what ended with a conflict.

What can't add a state that matters to a promise is left out. Contents are only ever compared, and `left` and `right`
are alike: of the worlds that differ in such names alone one is visited. While no process is there, nothing happens at
the index: it may as well happen once the next one has started. That one begins with recovering everything, in one
move: if it dies half-way, the one after it does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, auto
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from tests.pipeline.package_model import CONTENTS, FOREIGN, Package, PackageModel, Promise, Step

from releasekit.lifecycle import FINAL, PackageStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAPH: Final = {"core": (), "left": ("core",), "right": ("core",)}
NAMES: Final = tuple(GRAPH)
REQUIRES: Final = tuple(tuple(map(NAMES.index, required)) for required in GRAPH.values())


class Stage(IntEnum):
    """What the process is at; DOWN is that there is none."""

    DOWN = auto()
    BUILD = auto()
    RELEASE = auto()


class World(NamedTuple):
    """All facts; `crashes` and `strangers` are how many there may still be."""

    stage: Stage
    crashes: int
    strangers: int
    packages: tuple[Package, ...]


WorldMove: TypeAlias = tuple[str, World, tuple[Promise, ...]]


@dataclass(frozen=True)
class Model:
    """What may happen. All but the figures is as it should be, unless told otherwise.

    Attributes:
        package: What may happen to one package.
        crashes: How many there may be.
        strangers: How often somebody else may publish under one of our names.
        loses: Whether a crash may take built files with it.
        catches_up: Whether the index shows in the end what it has.
        waits: Whether a package waits for what it requires.
        gate: Whether the first upload waits for the last build.
    """

    package: PackageModel = field(default_factory=PackageModel)
    crashes: int = 3
    strangers: int = 1
    loses: bool = True
    catches_up: bool = True
    waits: bool = True
    gate: bool = True

    def begin(self) -> World:
        """Give the world before the first process."""
        return World(Stage.DOWN, self.crashes, self.strangers, (Package(),) * len(NAMES))

    def moves(self, world: World) -> Iterator[WorldMove]:
        """Say all that may happen now by itself."""
        if world.stage is not Stage.DOWN:
            work = list(self._work(world))
            yield from work or [self._go_on(world)]
            yield from self._elsewhere(world)
        elif any(package.status not in FINAL for package in world.packages):
            yield self._everyone("a process starts", world, Stage.BUILD, retries=True)

    def outside(self, world: World) -> Iterator[WorldMove]:
        """Say what else may come: a crash, which may take built files with it, somebody else, or a person's retry."""
        packages = world.packages
        if world.crashes and world.stage is not Stage.DOWN:
            down = [package._replace(step=Step.IDLE, known=False) for package in packages]
            for after in product(*map(self._left_by_crash, down)):
                lost = [name for name, old, new in zip(NAMES, down, after, strict=True) if old != new]
                label = f"a crash that takes the built files of {', '.join(lost)}" if lost else "a crash"
                yield label, World(Stage.DOWN, world.crashes - 1, world.strangers, after), ()
        if world.strangers and world.stage is not Stage.DOWN:
            fewer = world._replace(strangers=world.strangers - 1)
            for place, package in enumerate(packages):
                if package.stored is None:
                    stored = package._replace(stored=FOREIGN, shown=not self.package.lags)
                    yield f"{NAMES[place]}: somebody else publishes it", _put(fewer, place, stored), ()
        for place, package in enumerate(packages if world.stage is Stage.DOWN else ()):
            if package.conflict:
                _, moved, broken = self.package.retry(package)
                yield f"{NAMES[place]}: a person retries", _put(world, place, moved), broken

    def is_end(self, world: World) -> bool:
        """Tell whether each package is published, has a conflict, or is pending and blocked by one that has."""
        packages = world.packages
        blocked = [any(packages[required].conflict for required in REQUIRES[place]) for place in range(len(packages))]
        return world.stage is Stage.DOWN and all(
            package.status in FINAL or package.conflict or (package.status is PackageStatus.PENDING and held)
            for package, held in zip(packages, blocked, strict=True)
        )

    def _work(self, world: World) -> Iterator[WorldMove]:
        packages = world.packages
        for place, package in enumerate(packages):
            free = not self.waits or all(packages[required].status in FINAL for required in REQUIRES[place])
            releases = free and (world.stage is Stage.RELEASE or not self.gate)
            for label, moved, broken in self.package.moves(package, releases=releases):
                early = _too_early(packages, place) if package.step is Step.SEND else ()
                yield f"{NAMES[place]}: {label}", _put(world, place, moved), (*broken, *early)

    def _elsewhere(self, world: World) -> Iterator[WorldMove]:
        for place, package in enumerate(world.packages):
            if package.stored is not None and not package.shown and self.catches_up:
                yield f"{NAMES[place]}: the index shows it", _put(world, place, package._replace(shown=True)), ()
            for content in package.sent if package.stored is None else ():
                stored = package._replace(stored=content, shown=not self.package.lags)
                yield f"{NAMES[place]}: what was lost arrives late", _put(world, place, stored), ()

    def _left_by_crash(self, package: Package) -> tuple[Package, ...]:
        lost = package._replace(disk=None)
        return (package, lost) if self.loses and lost != package else (package,)

    def _go_on(self, world: World) -> WorldMove:
        """Begin to publish once all is built; end, holding what is left, if that can't be or is over."""
        failed = any(package.step is Step.OUT for package in world.packages)
        if world.stage is Stage.BUILD and not failed:
            return "everything is built", world._replace(stage=Stage.RELEASE), ()
        return self._everyone("the process ends", world, Stage.DOWN, retries=False)

    def _everyone(self, label: str, world: World, stage: Stage, *, retries: bool) -> WorldMove:
        """Put every package back, and be at another stage; a process that may not do that is stuck."""
        moves = [self.package.put_back(package, retries=retries) for package in world.packages]
        if broken := tuple(promise for move in moves for promise in move.broken):
            return label, world, broken
        return label, world._replace(stage=stage, packages=tuple(move.package for move in moves)), ()


def _too_early(packages: tuple[Package, ...], place: int) -> Iterator[Promise]:
    if any(packages[required].status is not PackageStatus.PUBLISHED for required in REQUIRES[place]):
        yield Promise.ORDER
    if any(package.recorded is None for package in packages):
        yield Promise.GATE


def _put(world: World, place: int, package: Package) -> World:
    packages = world.packages
    return world._replace(packages=(*packages[:place], package, *packages[place + 1 :]))


def alike(world: World) -> World:
    """Choose one of the worlds that are alike but for the numbers of contents, and for which package is called left."""
    core, left, right = map(renumbered, world.packages)
    if _key(right) < _key(left):
        left, right = right, left
    return World(world.stage, world.crashes, world.strangers, (core, left, right))


@cache
def _key(package: Package) -> tuple[object, ...]:
    return tuple(-1 if fact is None else fact for fact in package)


@cache
def renumbered(package: Package) -> Package:
    """Choose one of the packages that are alike but for the numbers of their contents."""
    first = next((c for c in (package.recorded, package.disk, package.stored, *package.sent) if c in CONTENTS), 0)
    if first == CONTENTS[0]:
        return package
    other: dict[int | None, int] = dict(zip(CONTENTS, reversed(CONTENTS), strict=True))
    return package._replace(
        recorded=other.get(package.recorded, package.recorded),
        disk=other.get(package.disk, package.disk),
        stored=other.get(package.stored, package.stored),
        sent=tuple(sorted(other.get(content, content) for content in package.sent)),
    )
