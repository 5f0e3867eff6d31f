"""Many processes on one state file: what each has committed is there once, and one at a time holds the lock."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest
from tests.faults import forks

from releasekit.persistence.lock import LOCK_FILENAME
from releasekit.state import STATE_FILENAME, RunState, journal_path
from releasekit.store import RunStore

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES = 16
TRANSITIONS = 1_000  # each
CONTENDERS = 64
DEATHS = 150
SHARED = "shared"
OWN = [f"p{number}" for number in range(PROCESSES)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / STATE_FILENAME
    run = RunState("abc")
    for name in (*OWN, SHARED):
        run.init_package(name)
    RunStore.create(path, run).close()
    return path


@pytest.mark.timeout(300)
def test_sixteen_processes_lose_nothing_and_double_nothing(path: Path) -> None:
    ended = forks.run("tests.faults.crowd", "workers", path, PROCESSES, TRANSITIONS, timeout=280)
    assert ended == {"0": PROCESSES}

    lines = journal_path(path).read_bytes().splitlines()
    declaration, *records = [json.loads(line) for line in lines[1:]]
    assert len(declaration["declared"]) == PROCESSES + 1
    assert len(records) == PROCESSES * TRANSITIONS
    assert [declaration["seq"], *(record["seq"] for record in records)] == list(range(1, len(records) + 2))

    half = TRANSITIONS // 2
    assert Counter(record["package"] for record in records) == dict.fromkeys(OWN, half) | {SHARED: half * PROCESSES}
    moves = defaultdict(list)
    for record in records:
        moves[record["package"]].append((record["trigger"], record["from"], record["to"]))
    for moved in moves.values():
        there_and_back = [("start_building", "pending", "building"), ("recover", "building", "pending")]
        assert moved == there_and_back * (len(moved) // 2)

    for run in (RunState.load(path), loaded_from_snapshot(path)):
        assert {name: run[name].attempts for name in OWN} == dict.fromkeys(OWN, half // 2)
        assert run[SHARED].attempts == half // 2 * PROCESSES
    print(f"{len(records):,} transitions of {PROCESSES} processes, none lost, none doubled")  # noqa: T201  # the figures


def loaded_from_snapshot(path: Path) -> RunState:
    journal_path(path).unlink()
    return RunState.load(path)


@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process that it is dying")
def test_one_contender_at_a_time_holds_the_lock_and_death_frees_it(path: Path) -> None:
    lock_file = path.with_name(LOCK_FILENAME)
    inode = lock_file.stat().st_ino

    found = forks.run("tests.faults.crowd", "contenders", path, CONTENDERS, DEATHS, timeout=280)

    assert found.keys() <= {"free", "left", "killed", "killed by the parent", "inodes"}, found
    assert found["left"] >= DEATHS
    assert found["killed by the parent"]
    assert found["free"]
    assert found["inodes"] == 1
    assert lock_file.stat().st_ino == inode
    RunStore.open(path).close()
    print(f"{CONTENDERS} contenders: {found}")  # noqa: T201  # the figures
