from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.pipeline.doubles import DIAMOND, A, B, Run, failure

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import Trigger
from releasekit.persistence import atomic
from releasekit.pipeline import Orchestrator
from releasekit.pipeline.orchestrator import CONFIRM_TIMEOUT
from releasekit.pipeline.order import longest_path_first
from releasekit.pipeline.outcome import FileConflictError, NotShownError, StepError
from releasekit.pipeline.patience import AT_A_TIME
from releasekit.state import RunState
from releasekit.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from releasekit.pipeline.carrier import Sending
    from releasekit.workspace import Package

WIDE = dict.fromkeys("abcdefgh", "")


async def turns(count: int = 50) -> None:
    """Let every other task go as far as it can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(held: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about; the test's own time limit ends it otherwise."""
    while not held():  # noqa: ASYNC110  # nobody sets an event for it
        await asyncio.sleep(0.001)


def published(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "published")


def test_every_package_is_published_after_what_it_requires(tmp_path: Path) -> None:
    run = Run(tmp_path, DIAMOND).go()

    assert run.statuses == published(*DIAMOND)
    order = run.steps.names("publish")
    assert order[0] == "core"
    assert order[-1] == "top"
    assert sorted(order) == sorted(DIAMOND)


def test_every_move_is_on_disk_before_its_effect(tmp_path: Path) -> None:
    run = Run(tmp_path, DIAMOND).go()

    on_disk = run.steps.on_disk
    for name in DIAMOND:
        assert on_disk["build", name][name] == "building"
        assert on_disk["publish", name][name] == "publishing"
        assert on_disk["verify", name][name] == "verifying"
    for name, requires in DIAMOND.items():
        assert all(on_disk["publish", name][required] == "published" for required in requires.split())


def test_with_the_gate_nothing_is_published_before_every_build_has_ended(tmp_path: Path) -> None:
    run = Run(tmp_path, DIAMOND | WIDE, jobs=2)
    run.steps.before["build", "h"] = turns
    built: list[tuple[str, str]] = []

    async def remember() -> None:
        built.extend(run.steps.ended)

    run.steps.before["publish", "core"] = remember
    run.go()

    assert {name for step, name in built if step == "build"} == set(DIAMOND | WIDE)


@pytest.mark.parametrize("broken", ["top", "core"])
def test_with_the_gate_a_failing_build_means_that_nothing_is_published(tmp_path: Path, broken: str) -> None:
    run = Run(tmp_path, DIAMOND)
    run.steps.errors["build", broken] = failure()
    run.go()

    assert run.steps.names("publish") == []
    assert sorted(run.steps.names("build")) == sorted(DIAMOND)
    assert run.statuses == dict.fromkeys(DIAMOND, "pending") | {broken: "failed"}
    assert run.state[broken].error == "RK-BUILD-FAILED: it is broken"


def test_without_the_gate_a_failing_build_stops_only_what_requires_it(tmp_path: Path) -> None:
    run = Run(tmp_path, DIAMOND | {"other": ""}, gate=False)
    run.steps.errors["build", "left"] = failure()
    run.go()

    assert run.statuses == published("core", "right", "other") | {"left": "failed", "top": "pending"}
    assert run.state.blocked_packages() == {"top": ("left",)}


@pytest.mark.parametrize("step", ["publish", "verify"])
def test_a_package_that_fails_holds_its_dependents_and_nobody_else(tmp_path: Path, step: str) -> None:
    run = Run(tmp_path, DIAMOND | {"other": "", "roof": "top"})
    run.steps.errors[step, "left"] = failure(code=E.PUBLISH_FAILED)
    run.go()

    assert run.statuses == published("core", "right", "other") | {"left": "failed", "top": "pending", "roof": "pending"}
    assert run.state.blocked_packages() == {"top": ("left",), "roof": ("left",)}
    assert not {"top", "roof"} & set(run.steps.names("publish"))


def test_a_conflict_that_is_found_before_the_gate_holds_its_dependents_and_nobody_else(tmp_path: Path) -> None:
    run = Run(tmp_path, {"base": "", "top": "base", "other": ""})
    run.steps.errors["build", "base"] = failure(code=E.INDEX_CONFLICT)
    run.go()

    assert run.statuses == {"base": "failed", "top": "pending", "other": "published"}


def test_after_a_failure_fail_fast_begins_nothing_new(tmp_path: Path) -> None:
    run = Run(tmp_path, WIDE, jobs=1, fail_fast=True, gate=False)
    run.steps.errors["build", "a"] = failure()
    run.go()

    assert run.steps.called == [("build", "a")]
    assert run.statuses == dict.fromkeys(WIDE, "pending") | {"a": "failed"}


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("jobs", [1, 3])
def test_no_more_than_jobs_builds_or_uploads_go_on_at_a_time(tmp_path: Path, jobs: int, *, gate: bool) -> None:
    run = Run(tmp_path, WIDE, jobs=jobs, gate=gate)
    together = asyncio.Barrier(jobs)
    run.steps.before |= {("build", name): together.wait for name in "abc"[:jobs]}
    run.go()

    assert run.steps.most_jobs == jobs
    assert run.statuses == published(*WIDE)


def test_a_slow_index_does_not_keep_others_from_uploading(tmp_path: Path) -> None:
    run = Run(tmp_path, {"slow": "", "z": ""}, jobs=1)
    run.steps.before["verify", "slow"] = lambda: until(lambda: ("publish", "z") in run.steps.ended)
    run.go()

    assert run.statuses == published("slow", "z")


def test_nothing_to_do_does_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, {"a": "", "b": ""})
    for name in ("a", "b"):
        run.state[name].skip("not wanted")

    assert run.go().steps.called == []


def test_an_empty_run_ends(tmp_path: Path) -> None:
    assert Run(tmp_path, {}).go().statuses == {}


def test_a_skipped_requirement_counts_as_published(tmp_path: Path) -> None:
    run = Run(tmp_path, {"core": "", "top": "core"})
    run.state["core"].skip("not wanted")

    assert run.go().statuses == {"core": "skipped", "top": "published"}


def test_recorded_artifacts_are_handed_to_the_build_and_not_recorded_again(tmp_path: Path) -> None:
    run = Run(tmp_path, {"a": ""})
    run.state["a"].start_building()
    run.state["a"].record_artifacts({"a-1.0.tar.gz": B})
    run.state["a"].recover()
    moves: list[str] = []
    run.state.listen(lambda moved: moves.append(moved.trigger.value))
    run.go()

    assert run.steps.given["a"] == {"a-1.0.tar.gz": B}
    assert moves == ["start_building", "start_publishing", "start_verifying", "confirm"]


def test_what_an_earlier_process_published_is_confirmed_before_anything_else(tmp_path: Path) -> None:
    run = Run(tmp_path, {"core": "", "top": "core"})
    run.publish_before("core")
    run.go()

    assert run.steps.called == [
        *(("verify", "core"), ("build", "top"), ("check", "top")),
        *(("publish", "top"), ("verify", "top")),
    ]
    assert run.steps.patience == {"core": CONFIRM_TIMEOUT, "top": 900.0}


def test_what_an_earlier_process_published_is_confirmed_a_few_at_a_time(tmp_path: Path) -> None:
    """The deadline of what waits for a connection would run otherwise."""
    names = [f"p{number}" for number in range(3 * AT_A_TIME)]
    run = Run(tmp_path, dict.fromkeys([*names, "left"], ""))
    run.publish_before(*names)
    most = 0

    async def count() -> None:
        nonlocal most
        most = max(most, run.steps.running["verify"])
        await turns()

    run.steps.before |= {("verify", name): count for name in names}
    run.go()

    assert most == AT_A_TIME
    assert sorted(run.steps.names("verify")) == sorted([*names, "left"])


def test_a_finished_run_asks_nobody(tmp_path: Path) -> None:
    """Nothing depends any more on what the index shows; `publish --dry-run` asks it."""
    run = Run(tmp_path, DIAMOND)
    run.publish_before(*DIAMOND)

    run.go()

    assert run.steps.called == []
    assert run.statuses == published(*DIAMOND)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotShownError("core", ["core-1.0.tar.gz"], "memory"), E.PUBLISHED_MISSING),
        (FileConflictError("core-1.0.tar.gz", A, B, "memory"), E.INDEX_CONFLICT),
        (failure("memory is down", E.INDEX_UNREADABLE), E.INDEX_UNREADABLE),
    ],
)
def test_a_published_package_that_is_not_confirmed_again_stops_the_run(
    tmp_path: Path, error: Exception, code: E
) -> None:
    run = Run(tmp_path, DIAMOND)
    run.publish_before("core")
    run.steps.errors["verify", "core"] = error

    with pytest.raises(ReleaseKitError, match=r"'core' was published by an earlier process") as caught:
        run.go()

    assert caught.value.code is code
    assert run.steps.called == [("verify", "core")]
    assert run.statuses == dict.fromkeys(DIAMOND, "pending") | published("core")


def test_the_first_stop_kills_the_builds(tmp_path: Path) -> None:
    run = Run(tmp_path, WIDE, jobs=3)

    async def stop() -> None:
        await until(lambda: run.steps.running["build"] == 3)
        run.orchestrator.stop()
        await asyncio.Event().wait()

    for name in "abc":
        run.steps.before["build", name] = asyncio.Event().wait if name != "a" else stop
    run.go()

    assert run.orchestrator.interrupted
    assert run.steps.ended == []
    assert run.steps.running["build"] == 0
    assert sorted(run.steps.names("build")) == ["a", "b", "c"]
    assert set(run.statuses.values()) == {"pending"}


def test_the_first_stop_lets_a_running_upload_finish_and_begins_no_other(tmp_path: Path) -> None:
    run = Run(tmp_path, WIDE | {"top": "a"}, jobs=2)

    async def stop() -> None:
        await until(lambda: run.steps.running["publish"] == 2)
        run.orchestrator.stop()
        stopped.set()
        await turns()

    async def go_on_after_it() -> None:
        await stopped.wait()
        await turns()

    stopped = asyncio.Event()
    run.steps.before["publish", "top"] = asyncio.Event().wait
    first = longest_path_first(run.state)[:2]
    run.steps.before["publish", first[0]] = stop
    run.steps.before["publish", first[1]] = go_on_after_it
    run.go()

    assert sorted(name for step, name in run.steps.ended if step == "publish") == sorted(first)
    assert sorted(run.steps.names("publish")) == sorted(first)
    assert run.steps.names("verify") == []
    assert set(run.statuses.values()) == {"pending"}
    assert run.state[first[0]].artifacts


def test_the_second_stop_ends_the_uploads_too(tmp_path: Path) -> None:
    run = Run(tmp_path, WIDE, jobs=2)

    async def stop_twice() -> None:
        await until(lambda: run.steps.running["publish"] == 2)
        run.orchestrator.stop()
        await turns()
        run.orchestrator.stop()
        await asyncio.Event().wait()

    run.steps.before |= {("publish", "a"): stop_twice, ("publish", "b"): asyncio.Event().wait}
    run.go()

    assert [name for step, name in run.steps.ended if step == "publish"] == []
    assert run.steps.running["publish"] == 0
    assert set(run.statuses.values()) == {"pending"}


def test_a_stop_ends_what_only_waits_to_send(tmp_path: Path) -> None:
    """Asking what is there, or waiting for the next try, is nothing that a stop should wait for."""
    run = Run(tmp_path, {"a": ""})

    async def stop() -> None:
        run.orchestrator.stop()
        await asyncio.Event().wait()

    run.steps.before["ask", "a"] = stop
    run.go()

    assert run.steps.names("publish") == []
    assert run.statuses == {"a": "pending"}


def test_an_upload_that_fails_after_a_stop_is_not_tried_again(tmp_path: Path) -> None:
    run = Run(tmp_path, {"a": ""})

    async def stop() -> None:
        run.orchestrator.stop()

    async def publish(package: Package, artifacts: Mapping[str, str], sending: Sending) -> None:
        del package, artifacts
        tries = 0
        while True:
            tries += 1
            try:
                with sending():
                    await stop()
                    raise failure(code=E.PUBLISH_FAILED)
            except StepError:
                assert tries == 1
                await asyncio.sleep(0)

    run.steps.publish = publish  # type: ignore[method-assign]
    run.go()

    assert run.statuses == {"a": "pending"}


def test_a_stop_while_verifying_ends_that_and_a_resume_finishes_it(tmp_path: Path) -> None:
    run = Run(tmp_path, {"a": "", "b": "a"})

    async def stop() -> None:
        run.orchestrator.stop()
        await asyncio.Event().wait()

    run.steps.before["verify", "a"] = stop
    run.go()
    assert run.statuses == {"a": "pending", "b": "pending"}

    run.steps.before.clear()
    with RunStore.open(run.path) as store:
        asyncio.run(Orchestrator(store, run.packages, run.steps, jobs=2).run())
    assert run.statuses == published("a", "b")


def test_a_stop_before_the_run_begins_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, DIAMOND)
    run.publish_before("core")
    with RunStore.create(run.path, run.state) as store:
        orchestrator = Orchestrator(store, run.packages, run.steps, jobs=2)
        orchestrator.stop()
        asyncio.run(orchestrator.run())

    assert run.steps.called == []
    assert run.statuses == dict.fromkeys(DIAMOND, "pending") | published("core")


@pytest.mark.parametrize("step", ["build", "publish", "verify"])
def test_a_disk_that_refuses_stops_the_run_and_keeps_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    run = Run(tmp_path, DIAMOND)

    async def fill_the_disk() -> None:
        monkeypatch.setattr(atomic, "write_all_at", no_space)

    def no_space(_fd: int, _data: bytes, _offset: int) -> None:
        raise OSError(28, "No space left on device")

    run.steps.before[step, "core"] = fill_the_disk
    with pytest.raises(ReleaseKitError, match="No space left") as caught:
        run.go()

    assert caught.value.code is E.STATE_NOT_DURABLE
    assert run.statuses["core"] == {"build": "building", "publish": "publishing", "verify": "verifying"}[step]
    assert not {"left", "right", "top"} & set(run.steps.names("publish"))


def test_an_upload_is_not_begun_when_its_intent_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, {"a": ""})
    write = atomic.write_all_at

    def refuse_to_publish(fd: int, data: bytes, offset: int) -> None:
        if b"start_publishing" in data:
            raise OSError(28, "No space left on device")
        write(fd, data, offset)

    monkeypatch.setattr(atomic, "write_all_at", refuse_to_publish)
    with pytest.raises(ReleaseKitError, match="No space left"):
        run.go()

    assert run.steps.names("publish") == []


def test_a_foreseen_error_of_the_whole_stops_everything_and_leaves_nothing_in_flight(tmp_path: Path) -> None:
    run = Run(tmp_path, WIDE)
    run.steps.errors["publish", "a"] = ReleaseKitError(E.UV_MISSING, "uv is gone")
    for name in "bcdefgh":
        run.steps.before["publish", name] = asyncio.Event().wait

    with pytest.raises(ReleaseKitError, match="uv is gone"):
        run.go()

    assert run.steps.running["publish"] == 0
    assert set(run.statuses.values()) == {"pending"}


def test_a_bug_in_a_step_comes_out_and_loses_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, {"a": "", "b": ""}, jobs=1)
    run.steps.errors["publish", "b"] = ZeroDivisionError("a bug")
    run.steps.before["publish", "b"] = lambda: until(lambda: run.state["a"].status == "published")

    with pytest.raises(ExceptionGroup) as caught:
        run.go()

    assert caught.group_contains(ZeroDivisionError)
    assert run.statuses == {"a": "published", "b": "pending"}
    RunStore.open(run.path).close()  # the lock was given back


def test_the_longest_chain_goes_first() -> None:
    state = RunState("0" * 40)
    for name, level, requires in [
        ("lone", 0, ()),
        ("root", 0, ()),
        ("base", 0, ()),
        ("wall", 1, ("base",)),
        ("leaf", 1, ("root",)),
        ("roof", 2, ("wall",)),
    ]:
        state.init_package(name, level=level, requires=requires)

    assert longest_path_first(state) == ["base", "root", "wall", "leaf", "lone", "roof"]

    state["base"].skip("")
    assert "base" not in longest_path_first(state)


def test_builds_begin_along_the_longest_chain(tmp_path: Path) -> None:
    run = Run(tmp_path, {"a": "", "z": "", "y": "z", "x": "y"}, jobs=1).go()

    assert run.steps.names("build") == ["z", "y", "a", "x"]


def test_what_a_package_waits_for_may_fail_before_it_asks(tmp_path: Path) -> None:
    async def later() -> None:
        await until(lambda: run.state["core"].status == "failed")

    run = Run(tmp_path, {"core": "", "top": "core"}, gate=False)
    run.steps.errors["build", "core"] = failure()
    before: Callable[[], Awaitable[object]] = later
    run.steps.before["build", "top"] = before
    run.go()

    assert run.statuses == {"core": "failed", "top": "pending"}


TOOLS = {"tool": "", "lib": "", "a": "tool", "b": "a", "other": ""}
BUILT_WITH = {"a": "lib tool", "b": "a"}


@pytest.mark.parametrize("gate", [True, False])
def test_a_package_is_built_after_what_it_needs_for_that(tmp_path: Path, *, gate: bool) -> None:
    run = Run(tmp_path, TOOLS, BUILT_WITH, gate=gate)
    started: dict[str, set[str]] = {}

    def remember(name: str) -> Callable[[], Awaitable[None]]:
        async def note() -> None:
            started[name] = {built for step, built in run.steps.ended if step == "build"}
            await turns()

        return note

    run.steps.before |= {("build", name): remember(name) for name in TOOLS}
    run.go()

    assert started["a"] >= {"tool", "lib"}
    assert started["b"] >= {"a"}
    assert not started["other"]
    assert run.statuses == published(*TOOLS)


def test_without_the_gate_what_is_needed_for_a_build_need_not_be_published_for_it(tmp_path: Path) -> None:
    run = Run(tmp_path, {"tool": "", "a": "tool"}, {"a": "tool"}, gate=False)
    run.steps.before["publish", "tool"] = lambda: until(lambda: ("build", "a") in run.steps.ended)
    run.go()

    assert run.statuses == published("tool", "a")


def test_what_waits_for_a_build_takes_no_turn(tmp_path: Path) -> None:
    run = Run(tmp_path, {"z": "", "a": "z", "b": "z"}, {"a": "z", "b": "z"}, jobs=1).go()

    assert run.statuses == published("z", "a", "b")
    assert run.steps.names("build")[0] == "z"


@pytest.mark.parametrize("gate", [True, False])
def test_a_build_that_fails_holds_those_that_need_it_to_be_built(tmp_path: Path, *, gate: bool) -> None:
    run = Run(tmp_path, TOOLS, BUILT_WITH, gate=gate)
    run.steps.errors["build", "lib"] = failure()
    run.go()

    assert sorted(run.steps.names("build")) == ["lib", "other", "tool"]
    others = dict.fromkeys(("tool", "other"), "pending" if gate else "published")
    assert run.statuses == {"lib": "failed", "a": "pending", "b": "pending"} | others


def test_what_an_earlier_process_published_or_somebody_left_out_holds_no_build(tmp_path: Path) -> None:
    run = Run(tmp_path, TOOLS, BUILT_WITH)
    run.publish_before("tool")
    run.state["lib"].skip("not wanted")
    run.go()

    assert run.statuses == published(*TOOLS) | {"lib": "skipped"}


def test_a_conflict_that_waits_for_a_person_holds_those_that_need_it_to_be_built(tmp_path: Path) -> None:
    run = Run(tmp_path, {"tool": "", "a": "tool"}, {"a": "tool"})
    run.state["tool"].start_building()
    run.state["tool"].fail(f"{E.INDEX_CONFLICT}: it has another")
    run.go()

    assert run.steps.names("build") == []
    assert run.statuses == {"tool": "failed", "a": "pending"}


def test_a_stop_ends_what_waits_for_a_build(tmp_path: Path) -> None:
    run = Run(tmp_path, TOOLS, BUILT_WITH)

    async def stop() -> None:
        await turns()
        run.orchestrator.stop()
        await asyncio.Event().wait()

    run.steps.before["build", "tool"] = stop
    run.go()

    assert set(run.statuses.values()) == {"pending"}
    assert "a" not in run.steps.names("build")


def test_what_was_about_to_be_sent_is_held_when_another_fails_meanwhile_and_that_is_to_stop_all(tmp_path: Path) -> None:
    run = Run(tmp_path, {"a": "", "b": ""}, jobs=1, uploads=2, fail_fast=True)
    failed = asyncio.Event()
    run.state.listen(lambda moved: failed.set() if moved.trigger is Trigger.FAIL else None)
    run.steps.errors["publish", "a"] = failure("refused", E.PUBLISH_FAILED)
    run.steps.before["ask", "b"] = failed.wait

    run.go()

    assert run.steps.names("publish") == ["a"]
    assert run.statuses == {"a": "failed", "b": "pending"}
