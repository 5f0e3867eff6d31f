from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit import RunState, RunStore
from releasekit.lifecycle import PackageStatus
from releasekit.pipeline.aside import set_aside
from releasekit.report.time_left import time_left
from releasekit.report.timeline import EARLIER_RUNS, Timeline, earlier_steps
from releasekit.state import STATE_FILENAME
from releasekit.state.history import read_history

if TYPE_CHECKING:
    from pathlib import Path

BUILDING, PUBLISHING, VERIFYING = PackageStatus.BUILDING, PackageStatus.PUBLISHING, PackageStatus.VERIFYING
FILES = {"f": "0" * 64}


class Clock:
    """The time, for a timeline that listens and for the journal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0
        monkeypatch.setattr("time.time", lambda: self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def run(*names: str) -> tuple[RunState, Timeline]:
    state, timeline = RunState("0" * 40), Timeline()
    state.listen(timeline.hear)
    for number, name in enumerate(names):
        state.init_package(name, level=number, requires=names[number - 1 : number])
    return state, timeline


def publish(state: RunState, name: str, clock: Clock, seconds: float = 1) -> None:
    package = state[name]
    package.start_building()
    clock.wait(seconds)
    package.record_artifacts(FILES)
    package.start_publishing()
    clock.wait(2 * seconds)
    package.start_verifying()
    clock.wait(3 * seconds)
    package.confirm()


def test_a_package_was_at_work_for_what_its_steps_took(clock: Clock) -> None:
    state, timeline = run("a")

    publish(state, "a", clock)

    assert timeline.steps == {"a": {BUILDING: 1, PUBLISHING: 2, VERIFYING: 3}}
    assert timeline.worked("a") == timeline.worked("a", clock.now + 99) == 6
    assert timeline.total() == timeline.total(clock.now + 99) == 6


def test_what_is_built_and_waits_is_not_at_work(clock: Clock) -> None:
    state, timeline = run("a")
    state["a"].start_building()
    clock.wait(5)
    state["a"].record_artifacts(FILES)
    clock.wait(100)

    assert timeline.worked("a", clock.now) == 5
    state["a"].start_publishing()
    clock.wait(1)
    assert timeline.worked("a", clock.now) == 6
    assert timeline.steps == {"a": {BUILDING: 5}}
    assert timeline.total(clock.now) == 106


def test_files_that_are_used_again_tell_nothing_of_a_build(clock: Clock) -> None:
    state, timeline = run("a")
    state["a"].start_building()
    state["a"].record_artifacts(FILES)
    state["a"].recover()
    timeline.steps.clear()
    state["a"].start_building()
    clock.wait(50)
    state["a"].start_publishing()

    assert timeline.steps == {}
    assert timeline.worked("a", clock.now) == 0


def test_files_that_were_lost_and_are_built_again_take_time_again(clock: Clock) -> None:
    state, timeline = run("a")
    state["a"].start_building()
    clock.wait(5)
    state["a"].record_artifacts(FILES)
    state["a"].recover()
    state["a"].start_building()
    clock.wait(7)
    assert timeline.worked("a", clock.now) == 5
    state["a"].record_artifacts(FILES)
    clock.wait(100)

    assert timeline.worked("a", clock.now) == 5 + 7
    assert timeline.steps == {"a": {BUILDING: 7}}


def test_what_was_in_flight_before_anybody_listened_is_no_crash(clock: Clock) -> None:
    state, timeline = run("a")
    state["a"].start_building()

    late = Timeline()
    state.listen(late.hear)
    clock.wait(5)
    state["a"].start_publishing()
    clock.wait(2)
    state["a"].start_verifying()

    assert (late.worked("a"), timeline.worked("a")) == (2, 7)
    assert late.running("a", clock.now + 3) == 3


def test_nobody_was_at_work_between_a_crash_and_its_recovery(clock: Clock) -> None:
    state, timeline = run("a", "b")
    state["a"].start_building()
    clock.wait(5)
    state["b"].start_building()
    clock.wait(1000)
    state["a"].recover()
    state["b"].recover()
    clock.wait(1000)
    state["a"].start_building()
    clock.wait(2)

    assert timeline.worked("a", clock.now) == 5 + 2
    assert timeline.worked("b", clock.now) == 0
    assert timeline.total(clock.now) == 5 + 2


def test_a_clock_that_is_set_back_takes_no_time_away(clock: Clock) -> None:
    state, timeline = run("a")
    state["a"].start_building()
    clock.wait(-500)
    state["a"].fail("it broke")

    assert timeline.worked("a") == timeline.total() == 0


def test_the_most_jobs_at_once_do_not_count_what_waits_for_the_index(clock: Clock) -> None:
    state, timeline = run("a", "b", "c")
    for name in state:
        state[name].start_building()
        state[name].start_publishing()
        state[name].start_verifying()
    assert timeline.jobs == 1
    clock.wait(1)

    state, timeline = run("a", "b", "c")
    for name in state:
        state[name].start_building()
    assert timeline.jobs == 3


def test_a_journal_tells_the_same_as_listening(tmp_path: Path) -> None:
    state, timeline = run("a", "b")
    path = tmp_path / STATE_FILENAME
    with RunStore.create(path, state):
        for name in state:
            publish(state, name, _NoClock())
        state, _ = run()

    read = Timeline.of(path)

    assert read.steps.keys() == timeline.steps.keys()
    assert read.jobs == timeline.jobs
    # The two read the clock one after the other, and a busy machine may take its time between them.
    assert read.worked("a") == pytest.approx(timeline.worked("a"), abs=5)
    assert read.ended == pytest.approx(timeline.ended, abs=5)
    assert Timeline.of(tmp_path / "nothing").steps == {}


class _NoClock(Clock):
    def __init__(self) -> None:
        pass

    def wait(self, seconds: float) -> None:
        del seconds


def test_earlier_runs_are_those_put_aside_and_the_newest_counts(tmp_path: Path) -> None:
    path = tmp_path / STATE_FILENAME
    for number in range(EARLIER_RUNS + 2):
        state = RunState("0" * 40)
        for name in ("every", f"only-{number}"):
            state.init_package(name)
        with RunStore.create(path, state):
            for name in state:
                publish(state, name, _NoClock())
        set_aside(path, unfinished=False)
    broken = max(tmp_path.glob("*.journal"))
    broken.write_bytes(b"nothing of use\n")

    found = earlier_steps(path)

    assert set(found) == {"every", *(f"only-{number}" for number in (1, 2, 3))}  # of the fifth nothing is known
    newest = sorted(tmp_path.glob("*.journal"))[-2]
    steps = Timeline(read_history(newest.with_name(newest.name.removesuffix(".journal")))).steps
    assert found["every"] == steps["every"]


def test_nothing_is_said_where_nothing_is_known(clock: Clock) -> None:
    state, timeline = run("a", "b")
    assert time_left(state, timeline, {}, clock.now) is None
    state["a"].start_building()
    clock.wait(5)
    assert time_left(state, timeline, {}, clock.now) is None
    state["a"].record_artifacts(FILES)
    assert time_left(state, timeline, {}, clock.now) is None  # nobody knows what sending takes


def test_the_time_left_is_that_of_earlier_runs_less_what_has_passed(clock: Clock) -> None:
    state, timeline = run("a", "b")
    earlier = {"a": {BUILDING: 10.0, PUBLISHING: 20.0, VERIFYING: 30.0}}

    assert time_left(state, timeline, earlier, clock.now) == 2 * 10 + 2 * (20 + 30)  # b is expected to be like a
    state["a"].start_building()
    clock.wait(4)
    assert time_left(state, timeline, earlier, clock.now) == 2 * 10 - 4 + 2 * (20 + 30)
    clock.wait(100)
    assert time_left(state, timeline, earlier, clock.now) == 10 + 2 * (20 + 30)
    state["a"].record_artifacts(FILES)
    state["a"].start_publishing()
    clock.wait(5)
    assert time_left(state, timeline, earlier, clock.now) == 104 + 2 * (20 + 30) - 5  # b took as long as a did


def test_jobs_share_what_is_left_and_a_failure_takes_what_it_blocks_along(clock: Clock) -> None:
    state, timeline = RunState("0" * 40), Timeline()
    state.listen(timeline.hear)
    for name in "abcd":
        state.init_package(name)
    state.init_package("e", level=1, requires=["d"])
    earlier = {name: {BUILDING: 10.0, PUBLISHING: 20.0, VERIFYING: 30.0} for name in "abcde"}
    for name in "abcd":
        state[name].start_building()

    assert time_left(state, timeline, earlier, clock.now) == max(10, 50 / 4) + max(2 * 50, 100 / 4)
    state["d"].fail("it broke")
    earlier["e"][PUBLISHING] = 1000
    assert time_left(state, timeline, earlier, clock.now) == 10 + 50


def test_what_is_built_and_held_up_by_a_failure_takes_no_time(clock: Clock) -> None:
    state, timeline = run("a", "b", "c")
    earlier = {name: {BUILDING: 10.0, PUBLISHING: 20.0, VERIFYING: 30.0} for name in state}
    for name in state:
        state[name].start_building()
    state["a"].record_artifacts(FILES)
    state["c"].record_artifacts(FILES)
    clock.wait(4)
    state["a"].start_publishing()
    state["a"].fail("403 Forbidden")

    assert time_left(state, timeline, earlier, clock.now) == 10 - 4  # b is still being built
    state["b"].record_artifacts(FILES)
    assert time_left(state, timeline, earlier, clock.now) is None


def test_nothing_is_left_when_all_is_done(clock: Clock) -> None:
    state, timeline = run("a")
    publish(state, "a", clock)

    assert time_left(state, timeline, {}, clock.now) is None
    assert time_left(RunState(""), Timeline(), {}, clock.now) is None
