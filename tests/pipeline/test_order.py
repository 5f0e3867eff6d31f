from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from tests.pipeline.doubles import Run

from releasekit.lifecycle import PackageStatus
from releasekit.pipeline.aside import set_aside
from releasekit.pipeline.order import BUILDING, SENDING, is_ahead, last_work, longest_path_first
from releasekit.state import RunState

if TYPE_CHECKING:
    from pathlib import Path

B, P, V = PackageStatus.BUILDING, PackageStatus.PUBLISHING, PackageStatus.VERIFYING


def declared(**requires: str) -> RunState:
    state = RunState("0" * 40)
    for name, required in requires.items():
        state.init_package(name, requires=required.split())
    return state


def test_what_a_package_waits_for_over_any_number_of_steps_is_ahead_of_it() -> None:
    state = declared(core="", link="core", top="link", alone="")
    assert is_ahead(state, "top", "link")
    assert is_ahead(state, "top", "core")
    assert not is_ahead(state, "top", "alone")
    assert not is_ahead(state, "core", "top")


def test_what_has_ended_is_ahead_of_all_and_what_it_required_is_not() -> None:
    state = declared(core="", link="core", top="link")
    state["link"].skip("it is private")
    assert is_ahead(state, "top", "link")
    assert is_ahead(state, "core", "link")
    assert not is_ahead(state, "top", "core")


def test_the_longest_path_of_work_goes_first() -> None:
    state = declared(chain="", link="chain", end="link", slow="")
    work = {name: {B: 1.0, P: 1.0} for name in state} | {"slow": {B: 5.0, P: 5.0}}

    assert longest_path_first(state) == ["chain", "link", "end", "slow"]
    assert longest_path_first(state, work) == ["slow", "chain", "link", "end"]


def test_each_phase_counts_its_own_work() -> None:
    state = declared(a="", b="", c="b")
    work = {"a": {B: 9.0, P: 1.0}, "b": {B: 1.0, P: 2.0}, "c": {B: 1.0, V: 2.0}}

    assert longest_path_first(state, work, BUILDING, dict.fromkeys(state, ())) == ["a", "b", "c"]
    assert longest_path_first(state, work, SENDING) == ["b", "c", "a"]


def test_builds_wait_only_for_what_they_are_built_with() -> None:
    state = declared(tool="", a="", b="a", c="b")
    work = {name: {B: 1.0} for name in state}

    building = {"tool": (), "a": ("tool",), "b": (), "c": ()}
    assert longest_path_first(state, work, BUILDING, building)[0] == "tool"


def test_a_package_that_was_never_seen_takes_as_long_as_those_in_the_middle() -> None:
    state = declared(fast="", middle="", slow="", new="")
    work = {"fast": {B: 1.0}, "middle": {B: 5.0}, "slow": {B: 9.0}}

    assert longest_path_first(state, work) == ["slow", "middle", "new", "fast"]


def test_requirements_in_a_circle_or_of_unknown_packages_are_no_obstacle() -> None:
    state = declared(a="b", b="a", c="nobody")
    assert sorted(longest_path_first(state, {"a": {B: 1.0}})) == ["a", "b", "c"]


def test_the_work_of_the_last_run_that_was_put_aside_is_known(tmp_path: Path) -> None:
    run = Run(tmp_path, {"a": "", "b": "a"}).go()
    assert last_work(run.path) == {}  # it is this run

    set_aside(run.path, unfinished=False)

    work = last_work(run.path)
    assert work.keys() == {"a", "b"}
    assert work["b"].keys() == {B, P, V}


@pytest.mark.parametrize("damage", ["missing", "torn", "huge"])
def test_a_run_that_can_not_be_read_says_nothing(tmp_path: Path, damage: str) -> None:
    run = Run(tmp_path, {"a": ""}).go()
    journal = next(path for path in set_aside(run.path, unfinished=False) if path.name.endswith(".journal"))
    if damage == "missing":
        journal.unlink()
    elif damage == "torn":
        journal.write_bytes(b"{")
    else:
        os.truncate(journal, 1 << 27)

    assert last_work(run.path) == {}


def test_what_waits_for_a_job_is_taken_by_its_path_and_not_in_the_order_of_coming(tmp_path: Path) -> None:
    """When `a` was sent, `c` has waited for long, and `z` came when `b` was verified."""
    run = Run(tmp_path, {"a": "", "b": "", "c": "", "z": "b", "y": "z"}, jobs=1)

    async def until_z_waits() -> None:
        while run.state["b"].status is not PackageStatus.PUBLISHED:  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)

    run.steps.before["publish", "a"] = until_z_waits
    run.go()
    assert run.steps.names("publish") == ["b", "a", "z", "c", "y"]


def test_known_durations_decide_the_order_of_builds(tmp_path: Path) -> None:
    work = {"a": {B: 1.0}, "b": {B: 3.0}, "c": {B: 2.0}}
    run = Run(tmp_path, {"a": "", "b": "", "c": ""}, jobs=1, work=work).go()
    assert run.steps.names("build") == ["b", "c", "a"]
