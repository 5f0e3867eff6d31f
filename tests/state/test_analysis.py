"""Where a run's time went: makespan, critical path, work, over runs whose every second a test decides."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from releasekit.lifecycle import IN_FLIGHT, PackageStatus, Trigger
from releasekit.state import STATE_FILENAME, RunState, records
from releasekit.state.analysis import Step, analyse
from releasekit.state.history import read_history
from releasekit.state.package import PackageState
from releasekit.store import RunStore

if TYPE_CHECKING:
    from releasekit.state.analysis import Analysis

BUILDING, PUBLISHING, VERIFYING = IN_FLIGHT
BEGIN = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
FILES = {"a-1.0.tar.gz": "ab" * 32}
CARRIED: dict[str, dict[str, Any]] = {
    "record_artifacts": {"artifacts": FILES},
    "fail": {"error": "no"},
    "skip": {"reason": "so"},
}


class Story:
    """A run that is told as `seconds package trigger …`: so much time passes, then that happens."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.time = BEGIN
        monkeypatch.setattr(records, "datetime", self)

    def now(self, _zone: object) -> datetime:
        return self.time

    def analysed(self, state: RunState, story: str) -> Analysis:
        with RunStore.create(self.path, state) as store:
            for line in story.strip().splitlines():
                seconds, name, *triggers = line.split()
                self.time += timedelta(seconds=float(seconds))
                for trigger in triggers:
                    carried = CARRIED.get(trigger, {})
                    store.state[name].fire(Trigger(trigger), **carried)
            store.commit()
            return analyse(read_history(store.path))


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    return Story(tmp_path / STATE_FILENAME, monkeypatch)


def run(**requires: str) -> RunState:
    state = RunState("abc", index="./out")
    for name, required in requires.items():
        state.init_package(name, requires=required.split())
    return state


def path_of(analysis: Analysis) -> list[tuple[str, str, float]]:
    return [(step.package, step.status.value, step.seconds) for step in analysis.critical_path]


def test_behind_the_gate_the_path_is_the_slowest_build_and_the_longest_chain_of_uploads(story: Story) -> None:
    analysis = story.analysed(
        run(core="", side="", top="core"),
        """
        1 core start_building
        0 side start_building
        0 top start_building
        2 core record_artifacts
        4 top record_artifacts
        5 side record_artifacts
        0 core start_publishing
        0 side start_publishing
        1 side start_verifying confirm
        2 core start_verifying
        1 core confirm
        0 top start_publishing
        4 top start_verifying
        1 top confirm
        """,
    )
    assert analysis.gated
    assert path_of(analysis) == [
        ("side", "building", 11),
        ("core", "publishing", 3),
        ("core", "verifying", 1),
        ("top", "publishing", 4),
        ("top", "verifying", 1),
    ]
    assert (analysis.makespan, analysis.critical, analysis.distance) == (20, 20, 1)
    assert analysis.work == {
        "core": {BUILDING: 2, PUBLISHING: 3, VERIFYING: 1},
        "side": {BUILDING: 11, PUBLISHING: 1, VERIFYING: 0},
        "top": {BUILDING: 6, PUBLISHING: 4, VERIFYING: 1},
    }
    assert analysis.stood["top"] == {PackageStatus.PENDING: 1, BUILDING: 15, PUBLISHING: 4, VERIFYING: 1}
    assert analysis.slowest() == ["side", "top", "core"]


def test_without_the_gate_a_chain_begins_with_the_build_that_it_waited_for(story: Story) -> None:
    analysis = story.analysed(
        run(core="", top="core", slow=""),
        """
        0 core start_building
        0 top start_building
        0 slow start_building
        2 core record_artifacts start_publishing
        3 core start_verifying confirm
        1 top record_artifacts start_publishing
        1 top start_verifying confirm
        2 slow record_artifacts
        0 slow start_publishing
        1 slow start_verifying confirm
        """,
    )
    assert not analysis.gated
    assert path_of(analysis) == [("slow", "building", 9), ("slow", "publishing", 1)]
    assert (analysis.makespan, analysis.distance) == (10, 1)


def test_without_the_gate_a_slow_requirement_counts_and_a_slow_build_of_the_dependent_too(story: Story) -> None:
    analysis = story.analysed(
        run(core="", late="core", top="core"),
        """
        0 core start_building
        0 late start_building
        0 top start_building
        1 core record_artifacts start_publishing
        6 core start_verifying confirm
        1 late record_artifacts start_publishing
        0 top record_artifacts start_publishing
        1 late start_verifying confirm
        3 top start_verifying confirm
        """,
    )
    assert not analysis.gated
    assert path_of(analysis) == [("top", "building", 8), ("top", "publishing", 4)]
    assert analysis.makespan == 12


def test_of_several_requirements_the_one_that_took_longest_is_on_the_path(story: Story) -> None:
    analysis = story.analysed(
        run(a="", z="", top="a z"),
        """
        0 a start_building
        0 z start_building
        0 top start_building
        1 a record_artifacts
        0 z record_artifacts
        0 top record_artifacts
        0 a start_publishing
        0 z start_publishing
        0.25 z start_verifying confirm
        0.25 a start_verifying confirm
        0 top start_publishing
        0.25 top start_verifying confirm
        """,
    )

    assert path_of(analysis)[1:] == [("a", "publishing", 0.5), ("top", "publishing", 0.25)]


def test_waiting_with_built_files_is_no_work(story: Story) -> None:
    analysis = story.analysed(run(core=""), "0 core start_building\n2 core record_artifacts\n100 core start_publishing")
    assert analysis.work["core"] == {BUILDING: 2, PUBLISHING: 0}
    assert (analysis.makespan, analysis.critical, analysis.distance) == (102, 2, 51)


def test_time_in_which_nothing_is_in_flight_is_not_in_the_makespan(story: Story) -> None:
    analysis = story.analysed(
        run(core="", other=""),
        """
        5 core start_building
        2 core fail
        86400 core retry
        1 core start_building
        3 core record_artifacts
        0 other start_building
        1 core start_publishing
        1 other fail
        """,
    )
    assert analysis.makespan == 2 + 3 + 1 + 1


def test_time_between_a_crash_and_the_resume_is_nobodys(story: Story) -> None:
    analysis = story.analysed(
        run(core="", other=""),
        """
        0 core start_building
        2 other start_building
        1000 core recover
        0 other recover
        1 core start_building
        3 core record_artifacts
        """,
    )
    assert analysis.makespan == 2 + 3
    assert analysis.work == {"core": {BUILDING: 5}, "other": {BUILDING: 0}}


def test_attempts_of_a_package_add_up(story: Story) -> None:
    analysis = story.analysed(
        run(core=""),
        """
        0 core start_building
        1 core record_artifacts start_publishing
        2 core start_verifying
        3 core fail
        9 core retry start_building start_publishing
        2 core start_verifying
        4 core confirm
        """,
    )
    assert analysis.gated
    assert path_of(analysis) == [("core", "building", 1), ("core", "publishing", 4), ("core", "verifying", 7)]
    assert analysis.makespan == analysis.critical == 12


def test_files_of_an_earlier_attempt_take_no_building(story: Story) -> None:
    analysis = story.analysed(
        run(core=""),
        """
        0 core start_building
        2 core record_artifacts
        0 core recover start_building
        50 core start_publishing
        """,
    )
    assert analysis.work["core"] == {BUILDING: 2, PUBLISHING: 0}


def test_files_that_are_built_again_and_differ_take_as_long_as_it_took_to_find_out(story: Story) -> None:
    analysis = story.analysed(
        run(core=""), "0 core start_building\n2 core record_artifacts\n0 core recover start_building\n7 core fail"
    )
    assert analysis.work["core"] == {BUILDING: 9}


def test_files_from_before_the_journal_take_no_building(story: Story) -> None:
    state = RunState("abc", {"core": PackageState("core", artifacts=FILES), "new": PackageState("new")})
    analysis = story.analysed(
        state, "0 core start_building\n0 new start_building\n5 core start_publishing\n1 new start_publishing"
    )
    assert analysis.work == {"core": {BUILDING: 0, PUBLISHING: 1}, "new": {BUILDING: 6, PUBLISHING: 0}}


def test_a_package_that_joined_in_flight_is_at_work_from_then_on(story: Story) -> None:
    state = RunState("abc", {"core": PackageState("core", status=PUBLISHING)})
    assert story.analysed(state, "3 core start_verifying").work == {"core": {PUBLISHING: 3, VERIFYING: 0}}


def test_a_run_that_is_at_work_counts_up_to_its_last_event(story: Story) -> None:
    analysis = story.analysed(
        run(a="", b="", c=""),
        """
        1 a start_building
        1 b start_building
        1 b record_artifacts
        2 c start_building
        """,
    )
    assert analysis.work == {"a": {BUILDING: 4}, "b": {BUILDING: 1}, "c": {BUILDING: 0}}
    assert (analysis.makespan, path_of(analysis)) == (4, [("a", "building", 4)])
    assert analysis.slowest() == ["a", "b"]


def test_a_clock_that_is_set_back_takes_nothing_away(story: Story) -> None:
    analysis = story.analysed(
        run(core=""),
        "0 core start_building\n2 core record_artifacts\n-500 core start_publishing\n3 core start_verifying confirm",
    )
    assert analysis.makespan == analysis.critical == 5


def test_files_that_are_found_while_others_are_uploaded_open_no_gate(story: Story) -> None:
    analysis = story.analysed(
        run(core="", late=""),
        """
        0 core start_building
        0 late start_building
        2 core record_artifacts
        0 late record_artifacts
        1 core start_publishing
        2 late recover
        1 late start_building
        4 late start_publishing
        1 core start_verifying confirm
        """,
    )
    assert analysis.gated


def test_skipped_packages_link_chains_and_take_nothing(story: Story) -> None:
    analysis = story.analysed(
        run(core="", middle="core", top="middle"),
        """
        0 middle skip
        0 core start_building record_artifacts start_publishing
        0 top start_building record_artifacts
        2 core start_verifying confirm
        0 top start_publishing
        3 top start_verifying confirm
        """,
    )
    assert path_of(analysis) == [("core", "publishing", 2), ("top", "publishing", 3)]


@pytest.mark.parametrize("state", [RunState("abc"), run(a="", b="a")], ids=["no packages", "no events"])
def test_where_nothing_was_at_work_there_is_no_path_and_no_distance(story: Story, state: RunState) -> None:
    analysis = story.analysed(state, "")
    assert (analysis.makespan, path_of(analysis), analysis.critical, analysis.distance) == (0, [], 0, None)
    assert analysis.gated
    assert analysis.slowest() == []


def test_requirements_in_a_circle_or_unknown_are_no_crash(story: Story) -> None:
    analysis = story.analysed(run(a="b nobody", b="a"), "0 a start_building\n2 a start_publishing\n3 a start_verifying")
    assert path_of(analysis) == [("a", "building", 2), ("a", "publishing", 3)]


def test_a_step_of_no_time_is_left_out(story: Story) -> None:
    analysis = story.analysed(run(a=""), "0 a start_building record_artifacts start_publishing\n1 a start_verifying")
    assert analysis.critical_path == [Step("a", PUBLISHING, 1)]


@st.composite
def any_runs(draw: st.DrawFn) -> tuple[RunState, str]:
    """Draw a run behind the gate or without it: its requirements, how long everything takes and waits."""
    names = [f"p{n}" for n in range(draw(st.integers(1, 6)))]
    requires = {name: draw(st.lists(st.sampled_from(names[:n]), unique=True)) for n, name in enumerate(names) if n}
    gate, seconds = draw(st.booleans()), st.integers(0, 20)
    built = {name: draw(seconds) for name in names}
    done: dict[str, int] = {}
    moves = [(0, f"{name} start_building") for name in names]
    moves += [(built[name], f"{name} record_artifacts") for name in names]
    for name in names:
        begin = max([max(built.values()) if gate else built[name], *(done[r] for r in requires.get(name, []))])
        begin += draw(st.integers(0, 3))  # no job was free
        sent = begin + draw(seconds)
        done[name] = sent + draw(seconds)
        moves.append((begin, f"{name} start_publishing"))
        moves += [(sent, f"{name} start_verifying"), (done[name], f"{name} confirm")]
    moves.sort(key=lambda move: move[0])
    times = [0, *(time for time, _ in moves)]
    lines = [f"{time - last} {move}" for last, (time, move) in zip(times, moves, strict=False)]
    return run(**{name: " ".join(requires.get(name, [])) for name in names}), "\n".join(lines)


@settings(deadline=None, max_examples=60)
@given(any_runs())
def test_no_run_is_faster_than_its_critical_path(drawn: tuple[RunState, str]) -> None:
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        analysis = Story(Path(directory) / STATE_FILENAME, patch).analysed(*drawn)
    assert analysis.critical <= analysis.makespan
    assert analysis.distance is None or analysis.distance >= 1
    assert [step.status for step in analysis.critical_path].count(BUILDING) <= 1
    for name, statuses in analysis.work.items():
        assert all(seconds <= analysis.stood[name].get(status, seconds) for status, seconds in statuses.items())
