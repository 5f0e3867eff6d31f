"""Who comes first, who waits, and how that is counted; who is held up is tested by the run's questions."""

from __future__ import annotations

from releasekit import RunState
from releasekit.lifecycle import PackageStatus
from releasekit.requirements import BUILT, Count, requirements_first, standing, tally, waits

BUILDING, FAILED, PENDING = PackageStatus.BUILDING, PackageStatus.FAILED, PackageStatus.PENDING


def a_run() -> RunState:
    """`new` waits, `at-work` is being built, `built` is built, `too` as well, and `broken` failed."""
    state = RunState("0" * 40)
    for name in ("broken", "too", "built", "at-work", "new"):
        state.init_package(name)
        if name != "new":
            state[name].start_building()
        if name in {"built", "too"}:
            state[name].record_artifacts({f"{name}.tar.gz": "a" * 64})
    state["broken"].fail("it is")
    return state


def test_what_is_built_and_waits_is_called_so_and_everything_else_by_its_status() -> None:
    found = {name: (standing(package), waits(package)) for name, package in a_run().packages.items()}
    assert found == {
        "new": ("pending", True),
        "at-work": ("building", False),
        "built": (BUILT, True),
        "too": (BUILT, True),
        "broken": ("failed", False),
    }


def test_packages_are_counted_in_the_order_of_the_lifecycle_what_is_built_after_what_is_being_built() -> None:
    assert tally(a_run().packages.values()) == [
        Count("pending", PENDING, 1),
        Count("building", BUILDING, 1),
        Count(BUILT, BUILDING, 2),
        Count("failed", FAILED, 1),
    ]
    assert tally([]) == []


def test_requirements_come_first_also_along_a_long_chain_and_in_a_circle() -> None:
    assert [*requirements_first({"a": ["b", "c"], "b": ["c"], "c": ["nobody"]})] == ["c", "b", "a"]
    chain = {number: [number + 1] for number in range(10_000)}
    assert [*requirements_first(chain)] == [*reversed(range(10_000))]
    assert sorted(requirements_first({"a": ["b"], "b": ["a"], "c": ["a"]})) == ["a", "b", "c"]
