from __future__ import annotations

import pickle
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasekit.errors import E
from releasekit.workspace.graph import CycleError, assign_levels, drop_from_cycles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from random import Random

NAMES = [f"p{number:02}" for number in range(12)]

SOME = st.sampled_from(NAMES[:5])  # so few that cycles are likely


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, set[str]]:
    """Any graph of packages."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    return {name: draw(st.sets(st.sampled_from(names))) - {name} for name in names}


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> dict[str, set[str]]:
    """Any graph in which a package requires only some that come before it."""
    names = draw(st.permutations(NAMES))
    earlier = {name: names[:position] for position, name in enumerate(names)}
    return {name: draw(st.sets(st.sampled_from(some))) if some else set() for name, some in earlier.items()}


@given(acyclic_graphs())
def test_a_level_is_one_more_than_the_highest_required_level(requires: dict[str, set[str]]) -> None:
    levels = assign_levels(requires)
    assert levels == {
        name: 1 + max((levels[each] for each in required), default=-1) for name, required in requires.items()
    }


@given(graphs())
def test_a_graph_has_levels_or_a_cycle_that_really_is_one(requires: dict[str, set[str]]) -> None:
    try:
        levels = assign_levels(requires)
    except CycleError as error:
        cycle = error.cycle
        assert len(set(cycle)) == len(cycle)
        assert all(required in requires[name] for name, required in pairwise((*cycle, cycle[0])))
    else:
        assert levels.keys() == requires.keys()
        assert all(levels[each] < levels[name] for name, required in requires.items() for each in required)


def test_no_packages_have_no_levels() -> None:
    assert assign_levels({}) == {}


def test_a_package_that_requires_nothing_is_at_level_0() -> None:
    assert assign_levels({"a": ()}) == {"a": 0}


def test_a_diamond_has_three_levels() -> None:
    assert assign_levels({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}) == {"d": 0, "b": 1, "c": 1, "a": 2}


def test_the_longest_chain_counts_not_the_shortest() -> None:
    assert assign_levels({"a": ["b", "c"], "b": ["c"], "c": []})["a"] == 2


def test_a_chain_of_50_000_packages_does_not_exhaust_the_stack() -> None:
    chain = {str(number): [str(number - 1)] if number else [] for number in range(50_000)}
    assert assign_levels(chain)["49999"] == 49_999


def test_a_cycle_of_50_000_packages_is_found() -> None:
    with pytest.raises(CycleError) as caught:
        assign_levels({str(number): [str((number + 1) % 50_000)] for number in range(50_000)})
    assert len(caught.value.cycle) == 50_000


def test_a_cycle_is_printed_from_its_first_name_back_to_it() -> None:
    with pytest.raises(CycleError) as caught:
        assign_levels({"x": ["c"], "c": ["a"], "b": ["c"], "a": ["b"], "free": []})
    assert caught.value.code is E.WORKSPACE_CYCLE
    assert caught.value.cycle == ("a", "b", "c")
    assert "a → b → c → a" in str(caught.value)
    assert "extra" in caught.value.hint


def test_the_error_of_a_cycle_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(CycleError(("a", "b"))))  # noqa: S301  # our own
    assert (error.cycle, str(error)) == (("a", "b"), str(CycleError(("a", "b"))))
    reasoned = CycleError(("a", "b"), ("to build a", ""))
    assert str(pickle.loads(pickle.dumps(reasoned))) == str(reasoned)  # noqa: S301  # our own
    assert "a → b (to build a) → a" in reasoned.message


def taken_in(hard: Mapping[str, Iterable[str]], soft: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Add soft requirements to a graph."""
    graph = {name: set(required) for name, required in hard.items()}
    for name, required in soft:
        graph[name].add(required)
    return graph


def has_cycle(graph: Mapping[str, Iterable[str]]) -> bool:
    try:
        assign_levels(graph)
    except CycleError:
        return True
    return False


@given(acyclic_graphs(), st.sets(st.tuples(SOME, SOME)))
def test_without_what_is_dropped_there_is_no_cycle_and_nothing_was_dropped_in_vain(
    hard: dict[str, set[str]], soft: set[tuple[str, str]]
) -> None:
    dropped = drop_from_cycles(hard, soft)
    kept = taken_in(hard, soft - dropped)
    assert dropped <= soft
    assert not has_cycle(kept)
    assert all(has_cycle(taken_in(kept, [pair])) for pair in dropped)


@given(acyclic_graphs(), st.lists(st.tuples(SOME, SOME), min_size=4), st.randoms())
def test_the_same_is_dropped_in_whatever_order_it_comes(
    hard: dict[str, set[str]], soft: list[tuple[str, str]], random: Random
) -> None:
    shuffled, names = soft[:], list(hard)
    random.shuffle(shuffled)
    random.shuffle(names)
    assert drop_from_cycles({name: hard[name] for name in names}, shuffled) == drop_from_cycles(hard, soft)


def test_where_many_cycles_lead_through_one_soft_requirement_that_one_is_dropped() -> None:
    plugins = [f"p{number}" for number in range(9)]
    hard = {name: ["a"] for name in plugins} | {"a": [], "z": []}
    assert drop_from_cycles(hard, [("a", "z"), *(("z", name) for name in plugins)]) == {("a", "z")}
    back: dict[str, list[str]] = {name: [] for name in plugins} | {"a": plugins, "z": []}
    assert drop_from_cycles(back, [("z", "a"), *((name, "z") for name in plugins)]) == {("z", "a")}


def test_a_soft_requirement_that_is_in_no_cycle_stays_beside_those_that_are() -> None:
    assert drop_from_cycles({"a": ["b"], "b": [], "c": []}, [("b", "a"), ("b", "c"), ("c", "c")]) == {
        ("b", "a"),
        ("c", "c"),
    }


def test_2000_packages_of_which_all_ask_softly_for_one_that_requires_them_are_no_obstacle() -> None:
    names = [str(number) for number in range(2_000)]
    hard: dict[str, list[str]] = {name: [] for name in names} | {"all": names}
    soft = [*((name, "all") for name in names), *pairwise(names)]
    begun = time.process_time()
    assert drop_from_cycles(hard, soft) == {(name, "all") for name in names}
    assert time.process_time() - begun < 20  # 1 s on a quiet machine
