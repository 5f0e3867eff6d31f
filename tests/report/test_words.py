from __future__ import annotations

import pytest

from releasekit import RunState
from releasekit.report import words


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.00003, "0 s"),
        (0.004, "0.004 s"),
        (0.123, "0.12 s"),
        (1, "1 s"),
        (3.94, "3.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (90_000, "1 d 1 h"),
        (34_560_005, "400 d"),
    ],
)
def test_a_duration_is_spelt_as_exactly_as_anybody_wants_to_know(seconds: float, told: str) -> None:
    assert words.spell(seconds) == told


def test_a_list_of_names_is_cut_and_says_how_many_are_left_out() -> None:
    assert words.listed(["a", "b", "c"]) == "a, b, c"
    assert words.listed(["a", "b", "c"], 3) == "a, b, c"
    assert words.listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert words.listed([]) == ""


def test_the_next_step_names_only_as_many_packages_as_it_is_asked_for() -> None:
    state = RunState("0" * 40)
    for number in range(20):
        package = state.init_package(f"p{number:02}")
        package.start_building()
        package.fail("it broke")

    assert "p00, p01 and 18 more, then" in words.next_step(state, at_rest=True, most=2)
    assert "p19" in words.next_step(state, at_rest=True)


def test_the_order_is_that_of_publishing() -> None:
    state = RunState("0" * 40)
    for name, level in (("c", 0), ("a", 1), ("b", 0)):
        state.init_package(name, level=level)

    assert [package.name for package in words.in_order(state)] == ["b", "c", "a"]
