from __future__ import annotations

import pytest

from releasekit import RunState
from releasekit.errors import E
from releasekit.report import words
from releasekit.state import graph


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


def broken(count: int, error: str = "it broke") -> RunState:
    state = RunState("0" * 40)
    for number in range(count):
        package = state.init_package(f"p{number:02}")
        package.start_building()
        package.fail(error)
    return state


@pytest.mark.parametrize("error", ["it broke", f"{E.INDEX_CONFLICT}: other bytes"])
def test_the_next_step_names_only_some_of_many_packages(error: str) -> None:
    told = words.next_step(broken(20, error), at_rest=True)

    assert "p00, p01, p02, p03, p04, p05, p06, p07 and 12 more" in told
    assert "p08" not in told


def test_while_a_run_is_at_work_nothing_is_to_be_done_before_it_is_over() -> None:
    failed, conflict, fresh = broken(1), broken(1, f"{E.INDEX_CONFLICT}: other bytes"), RunState("0" * 40)
    fresh.init_package("a")

    def told(state: RunState) -> str:
        return words.next_step(state, at_rest=False, at_work=True)

    assert told(failed).startswith("wait until the run is over, then mend the errors of p00, then run the same")
    assert told(conflict).startswith("wait until the run is over, then decide about p00")
    assert told(fresh).startswith("wait. ")
    assert words.next_step(failed, at_rest=True).startswith("mend the errors of p00, then")
    assert words.next_step(failed, at_rest=False).startswith("mend the errors of p00, then")


def test_the_order_is_that_of_publishing() -> None:
    state = RunState("0" * 40)
    for name, level in (("c", 0), ("a", 1), ("b", 0)):
        state.init_package(name, level=level)

    assert [package.name for package in words.in_order(state)] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("error", "built", "waits"),
    [
        (f"{E.BUILD_FAILED}: it broke", False, True),
        (f"{E.BUILD_TIMEOUT}: a file was lost, and then", True, True),
        (f"{E.FILE_FAILED}: no space", False, True),
        (f"{E.REQUIREMENT_MISSING}: nobody has it", True, True),
        (f"{E.PUBLISH_FAILED}: refused", True, False),
        (f"{E.INDEX_CONFLICT}: another content", False, False),
        (f"{E.REBUILT_DIFFERS}: other bytes", True, False),
        ("", True, False),
    ],
)
def test_what_is_built_and_waits_says_whether_that_is_for_the_gate(error: str, built: object, waits: object) -> None:
    state = RunState("0" * 40)
    for name, requires in (("a", []), ("b", []), ("c", ["b"]), ("d", ["a"]), ("e", [])):
        package = state.init_package(name, requires=requires)
        if name != "e":
            package.start_building()
        if name not in "ae" or (name == "a" and built):
            package.record_artifacts({f"{name}.whl": "0" * 64})
    if error:
        state["a"].fail(error)
    state.recover()
    held = graph.held(state.packages)

    shut = words.gate_is_shut(state)
    told = {each.name: words.note(each, state, held, gate_shut=shut) for each in state.packages.values()}

    assert told["b"] == "built" + "; waits for what failed, unless --no-gate" * bool(waits)
    assert told["c"] == "built; waits for b"
    assert told["d"] == ("built; blocked by a" if error else "built; waits for a")
    assert told["e"] == ""


def test_what_is_built_says_what_it_waits_for_and_what_it_is_blocked_by() -> None:
    state = RunState("0" * 40)
    for name, requires in (("net", []), ("http", ["net"]), ("api", ["http"]), ("text", [])):
        state.init_package(name, requires=requires).start_building()
        state[name].record_artifacts({f"{name}.whl": "0" * 64})

    def told() -> list[str]:
        held = graph.held(state.packages)
        return [words.note(state[name], state, held) for name in ("http", "api", "text")]

    assert told() == ["built; waits for net", "built; waits for http", "built"]
    state["net"].start_publishing()
    state["net"].fail(f"{E.PUBLISH_FAILED}: 403 Forbidden")
    assert told() == ["built; blocked by net", "built; blocked by net", "built"]


def test_a_note_names_only_some_of_many_packages() -> None:
    state = RunState("0" * 40)
    names = [state.init_package(f"p{number:02}").name for number in range(20)]
    top = state.init_package("top", requires=names)

    assert words.note(top, state, {}) == "waits for p00, p01, p02, p03, p04, p05, p06, p07 and 12 more"
    told = words.note(top, state, {"top": tuple(names)})
    assert told == "blocked by p00, p01, p02, p03, p04, p05, p06, p07 and 12 more"
