"""Visit every state of a model, and find the shortest way to each promise that is broken."""

from __future__ import annotations

from array import array
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from tests.pipeline.model import alike
from tests.pipeline.package_model import Promise

if TYPE_CHECKING:
    from tests.pipeline.model import Model, World


class Explored(NamedTuple):
    """What was found.

    Attributes:
        states: How many.
        transitions: How many moves there are between them.
        ends: Those in which nothing is left to do but what a person must decide: see `Model.is_end`.
        broken: The promises that are not kept, each with a shortest way to where it is broken.
    """

    states: int
    transitions: int
    ends: list[World]
    broken: dict[Promise, list[str]]


def explore(model: Model) -> Explored:
    """Visit every state that can be reached, breadth first."""
    first = model.begin()
    places, states, came = {first: 0}, [first], [0]
    sources, targets = array("L"), array("L")  # of the moves that come by themselves
    others = 0
    broken: dict[Promise, list[str]] = {}
    for here, state in enumerate(states):  # which grows
        for outside, moves in ((False, model.moves(state)), (True, model.outside(state))):
            for _, world, wrong in moves:
                after = alike(world)
                there = places.setdefault(after, len(states))
                if there == len(states):
                    states.append(after)
                    came.append(here)
                for promise in wrong:
                    if promise not in broken:
                        broken[promise] = _tell(model, [*_way(came, here), there], states)
                if outside:
                    others += 1
                else:
                    sources.append(here)
                    targets.append(there)
    ends = [place for place, state in enumerate(states) if model.is_end(state)]
    lost = _not_leading_to(ends, sources, targets, len(states))
    if lost is not None:
        broken[Promise.GOES_ON] = _tell(model, _way(came, lost), states)
    return Explored(len(states), len(sources) + others, [states[end] for end in ends], broken)


def _way(came: list[int], here: int) -> list[int]:
    way = []
    while here:
        way.append(here)
        here = came[here]
    return way[::-1]


def _tell(model: Model, way: list[int], states: list[World]) -> list[str]:
    """Go a way once more, without changing names, so that a reader can follow."""
    world, labels = model.begin(), []
    for place in way:
        moves = chain(model.moves(world), model.outside(world))
        label, world = next((label, after) for label, after, _ in moves if alike(after) == states[place])
        labels.append(label)
    return labels


def _not_leading_to(ends: list[int], sources: array[int], targets: array[int], count: int) -> int | None:
    """Find the first state that leads to no end."""
    before: list[list[int]] = [[] for _ in range(count)]
    for source, target in zip(sources, targets, strict=True):
        before[target].append(source)
    leads, todo = bytearray(count), list(ends)
    for end in ends:
        leads[end] = True
    while todo:
        for source in before[todo.pop()]:
            if not leads[source]:
                leads[source] = True
                todo.append(source)
    lost = leads.find(0)
    return None if lost < 0 else lost
