"""What members ask for, as edges between them: hard ones, soft ones, and those that a build needs.

A requirement on ``member[extra]`` is one on the member and on all that the extra asks for, and so on, since who
installs it gets them all. So a package that requires itself for an extra requires what that extra asks for, and never
itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from releasekit.workspace.graph import CycleError, assign_levels, drop_from_cycles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from releasekit.workspace.requirements import Requirements, Wanted


class Edges(NamedTuple):
    """Who waits for whom.

    Attributes:
        requires: Package → what is published before it; without cycles.
        building: Package → what is built before it.
        levels: Package → how deep its longest chain of `requires` is.
        dropped: Package → what it asks for, but does not wait for → which extra or group asks for that.
    """

    requires: Mapping[str, AbstractSet[str]]
    building: Mapping[str, AbstractSet[str]]
    levels: Mapping[str, int]
    dropped: Mapping[str, Mapping[str, str]]


def connect(
    wanted: Mapping[str, Requirements], to_build: Mapping[str, Iterable[Wanted]], released: Collection[str]
) -> Edges:
    """Find out who waits for whom.

    Args:
        wanted: Member → what it asks for.
        to_build: Member → what it asks for to be built.
        released: The members that are to be released: only between these are there soft edges, since nobody waits for
            the others. Where members require each other, those others wait for nobody either.

    Raises:
        CycleError: Packages that are to be released require each other, at run time or to be built.
    """
    extras = _Extras(wanted)
    runtime = {name: extras.resolve(name, asked.runtime) for name, asked in wanted.items()}
    build = {name: extras.resolve(name, to_build.get(name, ())) for name in wanted}
    requires = {name: {*runtime[name], *build[name]} for name in wanted}

    def why(name: str, required: str) -> str:
        reason = runtime[name].get(required)
        return f"to build {name}" if reason is None else reason

    try:
        levels = assign_levels(requires, why)
    except CycleError:
        for name in wanted.keys() - set(released):
            requires[name], runtime[name], build[name] = set(), {}, {}
        levels = assign_levels(requires, why)
    dropped: dict[str, dict[str, str]] = {}
    seen: set[tuple[str, str]] = set()
    for kind in ("extra", "group"):  # what is taken in first is the last to be dropped
        soft = _soft(kind, wanted, extras, released)
        for pair in [pair for pair in soft if pair in seen or pair[1] in requires[pair[0]]]:
            del soft[pair]
        gone = drop_from_cycles(requires, soft)
        for name, required in soft.keys() - gone:
            requires[name].add(required)
        for name, required in sorted(gone):
            dropped.setdefault(name, {})[required] = soft[name, required]
        seen |= gone
    if any(requires[name] > build[name].keys() | runtime[name].keys() for name in requires):
        levels = assign_levels(requires)
    building = {name: _reach(direct, runtime) for name, direct in build.items()}
    return Edges(requires, building, levels, dropped)


def hard_edges(
    wanted: Mapping[str, Requirements], to_build: Mapping[str, Iterable[Wanted]]
) -> dict[str, AbstractSet[str]]:
    """Tell of each member what it asks for at run time and to be built, in cycles too."""
    extras = _Extras(wanted)
    return {
        name: extras.resolve(name, (*asked.runtime, *to_build.get(name, ()))).keys() for name, asked in wanted.items()
    }


class _Extras:
    """What requirements come to when those of the extras that they name are taken in."""

    def __init__(self, wanted: Mapping[str, Requirements]) -> None:
        self._wanted = wanted
        self._known: dict[tuple[str, str], frozenset[str]] = {}

    def resolve(self, name: str, asked: Iterable[Wanted]) -> dict[str, str]:
        """Name the members that a member asks for, each with the reason; that is empty where it names it itself."""
        required: dict[str, str] = {}
        for each in asked:
            if each.name in self._wanted:
                required[each.name] = ""
                for extra in each.extras:
                    for other in self._of(each.name, extra):
                        required.setdefault(other, f"for {each.name}[{extra}]")
        required.pop(name, None)
        return required

    def _of(self, name: str, extra: str) -> frozenset[str]:
        if (name, extra) not in self._known:
            seen = {(name, extra): None}
            found: set[str] = set()
            stack = list(seen)
            while stack:
                of, asked = stack.pop()
                for each in self._wanted[of].extras.get(asked, ()):
                    if each.name in self._wanted:
                        found.add(each.name)
                        new = [(each.name, one) for one in each.extras if (each.name, one) not in seen]
                        seen |= dict.fromkeys(new)
                        stack += new
            self._known[name, extra] = frozenset(found)
        return self._known[name, extra]


def _soft(
    kind: str, wanted: Mapping[str, Requirements], extras: _Extras, released: Collection[str]
) -> dict[tuple[str, str], str]:
    """Pair packages with what their extras, or their groups, ask for; with the first of these."""
    soft: dict[tuple[str, str], str] = {}
    among = frozenset(released)
    for name in released:
        asked = wanted[name].extras if kind == "extra" else wanted[name].groups
        for label, some in asked.items():
            reason = f"{kind} {label}" if label else f"an {kind}"
            for required in among.intersection(extras.resolve(name, some)):
                soft.setdefault((name, required), reason)
    return soft


def _reach(direct: Iterable[str], runtime: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Name what must be there for something to be used: itself, and what it requires at run time, and so on."""
    found = dict.fromkeys(direct)
    for name in (queue := list(found)):
        new = [required for required in runtime[name] if required not in found]
        found |= dict.fromkeys(new)
        queue += new
    return frozenset(found)
