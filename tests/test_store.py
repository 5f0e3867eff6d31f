"""An open run: the lock between processes, what a commit promises, and what a failure ends."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs
from tests.support import holding, interrupted

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import PackageStatus
from releasekit.persistence import atomic, refresher
from releasekit.persistence.lock import LOCK_FILENAME, RunLock
from releasekit.state import STATE_FILENAME, RunState
from releasekit.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILDING = PackageStatus.BUILDING


def a_run(*names: str) -> RunState:
    run = RunState("abc")
    for name in names or ("core",):
        run.init_package(name)
    return run


def code_of(call: Any, *arguments: Any, **options: Any) -> E:  # noqa: ANN401  # any call
    with pytest.raises(ReleaseKitError) as caught:
        call(*arguments, **options)
    return caught.value.code


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / STATE_FILENAME


@pytest.fixture
def store(path: Path) -> Iterator[RunStore]:
    with RunStore.create(path, a_run()) as store:
        yield store


def run_python(program: str, *arguments: object) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


READ = """
import sys
from releasekit import RunState
for name, package in RunState.load(sys.argv[1]).packages.items():
    print(name, package.status)
"""


def read_elsewhere(path: Path) -> dict[str, str]:
    """Load the state file in another process: name → status."""
    return dict(line.split() for line in run_python(READ, path).splitlines())


HOLD = """
import sys, time
from releasekit import RunStore
store = RunStore.open(sys.argv[1])
print("held", flush=True)
time.sleep(100)
"""


class Flushes:
    """Counts the flushes of the journal, and lets a test hold one up or have it fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.error: BaseException | None = None
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.flush = atomic.flush_data
        monkeypatch.setattr(atomic, "flush_data", self.held_up)

    def held_up(self, fd: int) -> None:
        self.count += 1
        self.begun.set()
        assert self.go_on.wait(30)
        if self.error:
            raise self.error
        self.flush(fd)


@pytest.fixture
def flushes(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> Flushes:
    assert store.path.exists()  # what create flushed is not counted
    return Flushes(monkeypatch)


@pytest.fixture(autouse=True)
def _no_refresh_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresher, "INTERVAL", 1000.0)


def journal_of(path: Path) -> Path:
    return path.with_name(".releasekit-state.journal")


def records_of(path: Path) -> list[dict[str, Any]]:
    """Read the journal's records as another tool would."""
    return [json.loads(line) for line in journal_of(path).read_bytes().split(b"\n")[1:] if line]


# create, open, close


def test_create_writes_the_run_at_once(path: Path) -> None:
    run = a_run("a", "b")
    with RunStore.create(path, run) as store:
        assert store.state is run
        assert store.path == path
        assert read_elsewhere(path) == {"a": "pending", "b": "pending"}


def test_create_writes_an_empty_run_too(path: Path) -> None:
    RunStore.create(path, RunState("abc")).close()
    assert len(RunState.load(path)) == 0


def test_create_takes_a_path_as_a_string(path: Path) -> None:
    RunStore.create(str(path), a_run()).close()
    RunStore.open(str(path)).close()


def test_create_refuses_a_run_that_exists_and_gives_the_lock_back(path: Path) -> None:
    RunStore.create(path, a_run("old")).close()
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(ReleaseKitError, match="already a run") as caught:
            RunStore.create(path, a_run("new"))
        assert caught.value.code is E.STATE_EXISTS
        assert caught.value.hint == "open it to go on with that run, or move it aside"
    assert path.read_bytes() == before
    RunStore.open(path).close()


def test_create_refuses_whatever_has_the_name(path: Path) -> None:
    path.mkdir()
    assert code_of(RunStore.create, path, a_run()) is E.STATE_EXISTS


def test_create_that_cant_write_gives_the_lock_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "replace", full)
        with pytest.raises(ReleaseKitError, match=r"state\.journal: .*No space left") as caught:
            RunStore.create(path, a_run())
        assert caught.value.code is E.STATE_NOT_DURABLE
    assert [p.name for p in path.parent.iterdir()] == [LOCK_FILENAME]
    RunStore.create(path, a_run()).close()


def test_what_a_run_needs_is_prepared_under_its_lock_and_before_it_is_there(path: Path) -> None:
    seen: list[tuple[E | None, list[str]]] = []

    def prepare() -> None:
        seen.append((code_of(RunStore.create, path, a_run()), [p.name for p in path.parent.iterdir()]))

    RunStore.create(path, a_run(), prepare=prepare).close()
    assert seen == [(E.STATE_LOCKED, [LOCK_FILENAME])]
    assert code_of(lambda: RunStore.create(path, a_run(), prepare=prepare)) is E.STATE_EXISTS
    assert len(seen) == 1


def test_no_run_begins_if_what_it_needs_can_not_be_prepared(path: Path) -> None:
    def prepare() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RunStore.create(path, a_run(), prepare=prepare)
    assert [p.name for p in path.parent.iterdir()] == [LOCK_FILENAME]
    RunStore.create(path, a_run()).close()  # the lock was given back


def test_open_goes_on_where_the_last_one_ended(path: Path) -> None:
    with RunStore.create(path, a_run()) as store:
        store.state["core"].start_building()
    with RunStore.open(path, git_sha="abc") as store:
        assert store.state["core"].status is BUILDING
        assert store.state.recover() == ["core"]
    assert RunState.load(path)["core"].attempts == 1
    assert RunState.load(path).pending_packages() == ["core"]


def test_open_refuses_a_run_of_another_commit_and_gives_the_lock_back(path: Path) -> None:
    RunStore.create(path, a_run()).close()
    assert code_of(RunStore.open, path, git_sha="abd") is E.STATE_SHA_MISMATCH
    RunStore.open(path).close()


def test_open_begins_a_journal_beside_a_state_file_that_has_none(path: Path) -> None:
    run = a_run()
    run["core"].start_building()
    run.save(path)
    with RunStore.open(path, git_sha="abc") as store:
        assert store.path == path
        assert store.state.packages == run.packages
        assert code_of(RunStore.open, path) is E.STATE_LOCKED
        store.state["core"].fail("it broke")
        store.commit()
    assert [record["trigger"] for record in records_of(path) if "trigger" in record] == ["fail"]
    assert RunState.load(path)["core"].error == "it broke"


def test_open_refuses_a_state_file_of_another_commit_and_begins_no_journal(path: Path) -> None:
    a_run().save(path)
    assert code_of(RunStore.open, path, git_sha="abd") is E.STATE_SHA_MISMATCH
    assert not journal_of(path).exists()
    RunStore.open(path).close()


def test_open_names_the_journal_that_it_cant_read(path: Path) -> None:
    RunStore.create(path, a_run()).close()
    journal_of(path).unlink()
    journal_of(path).mkdir()
    with pytest.raises(OSError, match=f"Failed to read {journal_of(path)}"):
        RunStore.open(path)


def test_a_journal_that_was_opened_and_cant_be_written_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunStore.create(path, a_run()).close()
    store = RunStore.open(path)
    flushes = Flushes(monkeypatch)
    flushes.error = OSError(errno.EIO, os.strerror(errno.EIO))
    store.state["core"].start_building()
    with pytest.raises(ReleaseKitError, match=f"could not be written to {journal_of(path)}"):
        store.commit()
    store.close()


def test_open_refuses_a_damaged_file_and_gives_the_lock_back(path: Path) -> None:
    path.write_bytes(b"{")
    for _ in range(2):
        assert code_of(RunStore.open, path) is E.STATE_CORRUPTED
    assert path.read_bytes() == b"{"


def test_open_of_a_missing_file_is_an_os_error_and_gives_the_lock_back(path: Path) -> None:
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="Failed to read"):
            RunStore.open(path)


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_directory_that_is_missing_is_an_os_error_and_is_not_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    for call in (RunStore.open, lambda path: RunStore.create(path, a_run())):
        with pytest.raises(FileNotFoundError, match="no such directory to keep a run in") as caught:
            call(tmp_path / name / STATE_FILENAME)
        assert caught.value.errno == errno.ENOENT
        assert caught.value.filename == str(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_open_removes_what_a_killed_writer_left(path: Path) -> None:
    RunStore.create(path, a_run()).close()
    for name in (STATE_FILENAME, ".releasekit-state.journal"):
        path.with_name(f"{name}.0123456789abcdef.tmp").write_bytes(b"{")
    RunStore.open(path).close()
    assert sorted(p.name for p in path.parent.iterdir()) == [".releasekit-state.journal", STATE_FILENAME, LOCK_FILENAME]


def test_a_relative_path_means_the_same_file_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    with RunStore.create(STATE_FILENAME, a_run()) as store:
        monkeypatch.chdir(there)
        store.state["core"].start_building()
        store.commit()
        assert code_of(RunStore.open, here / STATE_FILENAME) is E.STATE_LOCKED
    assert RunState.load(here / STATE_FILENAME)["core"].status is BUILDING
    assert list(there.iterdir()) == []


def test_a_run_reached_by_a_link_has_the_same_lock_and_the_link_stays(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / STATE_FILENAME
    link.symlink_to(path)
    RunStore.create(path, a_run()).close()
    with RunStore.open(link) as store:
        assert code_of(RunStore.open, path) is E.STATE_LOCKED
        store.state["core"].start_building()
    assert link.is_symlink()
    assert RunState.load(path)["core"].status is BUILDING
    assert [p.name for p in elsewhere.iterdir()] == [STATE_FILENAME]


def test_closing_commits_what_is_not_yet_durable(path: Path) -> None:
    store = RunStore.create(path, a_run())
    store.state["core"].start_building()
    store.close()
    assert read_elsewhere(path) == {"core": "building"}


def test_closing_with_nothing_new_writes_nothing(store: RunStore, flushes: Flushes) -> None:
    store.close()
    assert flushes.count == 0


def test_closing_twice_does_nothing(store: RunStore, flushes: Flushes) -> None:
    store.state["core"].start_building()
    for _ in range(3):
        store.close()
    assert flushes.count == 1


@pytest.mark.parametrize("part", ["_refresher", "_writer", "_shared"])
def test_an_interrupt_while_it_is_closed_gives_the_lock_back(store: RunStore, path: Path, part: str) -> None:
    with patch.object(getattr(store, part), "close", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        store.close()
    RunStore.open(path).close()


def test_an_interrupt_at_any_moment_of_closing_gives_the_lock_back_or_lets_it_be_closed_again(tmp_path: Path) -> None:
    place, has_moment = 0, True
    while has_moment:
        directory = tmp_path / str(place)
        directory.mkdir()
        store = RunStore.create(directory / STATE_FILENAME, a_run())
        has_moment = interrupted(place, store.close, before=RunLock.release)
        store.close()
        RunStore.open(store.path).close()
        place += 1
    assert place > 20


def test_after_close_nothing_can_be_committed(store: RunStore, flushes: Flushes) -> None:
    store.close()
    recorded = store._writer.recorded
    store.state["core"].start_building()
    for _ in range(2):
        assert code_of(store.commit) is E.STATE_CLOSED
        with pytest.raises(ReleaseKitError, match="is closed"):
            asyncio.run(store.acommit())
    assert flushes.count == 0
    assert store._writer.recorded == recorded


def test_a_snapshot_with_nothing_new_is_not_written_again(store: RunStore) -> None:
    store.state["core"].start_building()
    store._refresh()
    before = store.path.stat().st_ino
    store._refresh()
    store.close()
    assert store.path.stat().st_ino == before


def test_a_context_commits_and_closes_also_when_it_ends_with_an_error(path: Path) -> None:
    def interrupted() -> None:
        with RunStore.create(path, a_run()) as store:
            store.state["core"].start_building()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with RunStore.open(path) as store:
        assert store.state["core"].status is BUILDING


# the lock


def test_a_second_open_in_the_same_process_is_refused_and_names_it(store: RunStore) -> None:
    with pytest.raises(ReleaseKitError, match=f"process {os.getpid()} on ") as caught:
        RunStore.open(store.path)
    assert caught.value.code is E.STATE_LOCKED
    assert caught.value.hint
    assert code_of(RunStore.create, store.path, a_run()) is E.STATE_LOCKED


def test_a_second_open_in_another_thread_is_refused(store: RunStore) -> None:
    with ThreadPoolExecutor(1) as other:
        assert other.submit(code_of, RunStore.open, store.path).result() is E.STATE_LOCKED


TRY_TO_OPEN = """
import sys
from releasekit import ReleaseKitError, RunStore
try:
    RunStore.open(sys.argv[1])
except ReleaseKitError as error:
    print(error.code, error.message)
"""


def test_a_second_open_in_another_process_is_refused_and_names_the_first(store: RunStore) -> None:
    code, _, message = run_python(TRY_TO_OPEN, store.path).partition(" ")
    assert code == E.STATE_LOCKED
    assert f"process {os.getpid()} on " in message


def test_the_lock_of_a_killed_process_is_free(path: Path) -> None:
    RunStore.create(path, a_run()).close()
    lock_file = path.with_name(LOCK_FILENAME)
    inode = lock_file.stat().st_ino
    with holding(HOLD, path) as other:
        with pytest.raises(ReleaseKitError, match=f"process {other.pid} on ") as caught:
            RunStore.open(path)
        assert caught.value.code is E.STATE_LOCKED
        other.send_signal(signal.SIGKILL)
        other.wait()
        RunStore.open(path).close()
    assert lock_file.stat().st_ino == inode


def test_the_lock_file_is_never_deleted_or_exchanged(path: Path) -> None:
    lock_file = path.with_name(LOCK_FILENAME)
    RunStore.create(path, a_run()).close()
    inode = lock_file.stat().st_ino
    for _ in range(3):
        RunStore.open(path).close()
        assert lock_file.stat().st_ino == inode
    assert json.loads(lock_file.read_bytes())["pid"] == os.getpid()


def test_an_old_lock_file_that_nobody_holds_is_no_obstacle(path: Path) -> None:
    path.with_name(LOCK_FILENAME).write_bytes(b'{"pid": 1, "host": "elsewhere"}')
    RunStore.create(path, a_run()).close()


# commit


def test_a_commit_makes_every_trigger_so_far_durable(store: RunStore) -> None:
    store.state.init_package("base")
    core = store.state["core"]
    core.start_building()
    store.state["base"].skip("private")
    assert read_elsewhere(store.path) == {"core": "pending"}
    store.commit()
    assert read_elsewhere(store.path) == {"core": "building", "base": "skipped"}
    core.start_publishing()
    store.commit()
    assert read_elsewhere(store.path) == {"core": "publishing", "base": "skipped"}


def test_a_commit_with_nothing_new_writes_nothing(store: RunStore, flushes: Flushes) -> None:
    store.commit()
    store.state["core"].start_building()
    for _ in range(3):
        store.commit()
    assert flushes.count == 1


def test_what_is_loaded_is_durable_already(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunStore.create(path, a_run()).close()
    with RunStore.open(path) as store:
        flushes = Flushes(monkeypatch)
        store.commit()
        assert flushes.count == 0


@pytest.mark.parametrize("declare", ["init_package", "set_status"])
def test_a_package_declared_late_is_durable_after_the_next_commit(path: Path, declare: str) -> None:
    RunStore.create(path, a_run()).close()
    with RunStore.open(path) as store:
        if declare == "init_package":
            store.state.init_package("late")
        else:
            store.state.set_status("late", PackageStatus.PENDING)
        store.commit()
        assert read_elsewhere(path) == {"core": "pending", "late": "pending"}


def test_an_illegal_trigger_leaves_nothing_to_commit(store: RunStore, flushes: Flushes) -> None:
    assert code_of(store.state["core"].confirm) is E.STATE_ILLEGAL_TRANSITION
    store.commit()
    assert flushes.count == 0


def test_acommit_makes_every_trigger_so_far_durable(store: RunStore) -> None:
    store.state["core"].start_building()
    asyncio.run(store.acommit())
    assert read_elsewhere(store.path) == {"core": "building"}


def test_concurrent_commits_share_flushes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"p{n}" for n in range(64)]
    with RunStore.create(path, a_run(*names)) as store:
        flushes = Flushes(monkeypatch)
        flushes.go_on.clear()

        async def build(name: str) -> None:
            store.state[name].start_building()
            await store.acommit()
            assert RunState.load(path)[name].status is BUILDING

        async def build_all() -> None:
            builds = [asyncio.create_task(build(name)) for name in names]
            await asyncio.sleep(0)  # all have fired and wait
            flushes.go_on.set()
            await asyncio.gather(*builds)

        asyncio.run(build_all())
        assert 1 <= flushes.count <= 2


def test_the_event_loop_goes_on_while_a_commit_waits_for_the_disk(store: RunStore, flushes: Flushes) -> None:
    flushes.go_on.clear()

    async def commit_and_work() -> str:
        store.state["core"].start_building()
        commit = asyncio.create_task(store.acommit())
        await asyncio.to_thread(flushes.begun.wait, 30)
        worked = "worked" if not commit.done() else "waited"
        flushes.go_on.set()
        await commit
        return worked

    assert asyncio.run(commit_and_work()) == "worked"


def test_a_commit_covers_what_was_fired_before_it_also_when_a_flush_is_under_way(
    store: RunStore, flushes: Flushes
) -> None:
    flushes.go_on.clear()
    core = store.state["core"]
    with ThreadPoolExecutor(2) as threads:
        core.start_building()
        first = threads.submit(store.commit)
        assert flushes.begun.wait(30)
        core.start_publishing()
        second = threads.submit(store.commit)
        flushes.go_on.set()
        first.result()
        second.result()
    assert RunState.load(store.path)["core"].status is PackageStatus.PUBLISHING


def test_a_cancelled_acommit_goes_on_and_close_waits_for_it(store: RunStore, flushes: Flushes) -> None:
    flushes.go_on.clear()

    async def commit_and_cancel() -> None:
        store.state["core"].start_building()
        commit = asyncio.create_task(store.acommit())
        await asyncio.to_thread(flushes.begun.wait, 30)
        commit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await commit
        flushes.go_on.set()
        await asyncio.to_thread(store.close)

    asyncio.run(commit_and_cancel())
    assert flushes.count == 1
    with RunStore.open(store.path) as again:
        assert again.state["core"].status is BUILDING


def test_close_gives_the_lock_back_only_after_a_commit_under_way(store: RunStore, flushes: Flushes) -> None:
    flushes.go_on.clear()
    store.state["core"].start_building()
    with ThreadPoolExecutor(3) as threads:
        commit = threads.submit(store.commit)
        assert flushes.begun.wait(30)
        closes = [threads.submit(store.close) for _ in range(2)]
        assert code_of(RunStore.open, store.path) is E.STATE_LOCKED
        assert not any(close.done() for close in closes)
        flushes.go_on.set()
        commit.result()
        for close in closes:
            close.result()
    RunStore.open(store.path).close()


# poison


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def poisoned(store: RunStore, flushes: Flushes) -> RunStore:
    """A store whose last write failed, on a disk that is well again."""
    flushes.error = no_space()
    store.state["core"].start_building()
    with pytest.raises(ReleaseKitError, match=r"No space left on device") as caught:
        store.commit()
    assert caught.value.code is E.STATE_NOT_DURABLE
    assert caught.value.hint
    assert caught.value.__cause__ is flushes.error
    assert str(journal_of(store.path)) in caught.value.message
    flushes.error = None
    return store


def test_after_a_failed_write_nothing_is_written_any_more(poisoned: RunStore, flushes: Flushes) -> None:
    for _ in range(2):
        assert code_of(poisoned.commit) is E.STATE_NOT_DURABLE
        with pytest.raises(ReleaseKitError) as caught:
            asyncio.run(poisoned.acommit())
        assert caught.value.code is E.STATE_NOT_DURABLE
        poisoned.state["core"].recover()
        poisoned.state["core"].start_building()
    poisoned.close()
    assert flushes.count == 1
    assert [record.get("trigger") for record in records_of(poisoned.path)] == [None, "start_building"]
    assert json.loads(poisoned.path.read_bytes())["packages"]["core"]["status"] == "pending"


def test_after_a_failed_flush_close_frees_the_lock_and_the_next_open_reads_what_the_disk_has(
    poisoned: RunStore,
) -> None:
    poisoned.close()
    with RunStore.open(poisoned.path) as again:
        assert again.state["core"].status is BUILDING  # it was written, though nobody was told so
    assert code_of(poisoned.commit) is E.STATE_CLOSED


def test_a_write_that_fails_at_close_raises_and_frees_the_lock(store: RunStore, flushes: Flushes) -> None:
    flushes.error = no_space()
    store.state["core"].start_building()
    assert code_of(store.close) is E.STATE_NOT_DURABLE
    store.close()
    assert flushes.count == 1
    flushes.error = None
    RunStore.open(store.path).close()


def test_a_flush_that_failed_in_the_background_is_told_at_close(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RunStore.create(path, a_run())
    flushes = Flushes(monkeypatch)
    flushes.error = no_space()
    store.state["core"].start_building()
    store._refresh()
    assert flushes.count == 1
    assert code_of(store.close) is E.STATE_NOT_DURABLE
    assert flushes.count == 1


def test_everyone_who_waits_for_a_flush_that_fails_is_told(store: RunStore, flushes: Flushes) -> None:
    flushes.go_on.clear()
    flushes.error = no_space()
    with ThreadPoolExecutor(8) as threads:
        store.state["core"].start_building()
        commits = [threads.submit(code_of, store.commit) for _ in range(8)]
        assert flushes.begun.wait(30)
        flushes.go_on.set()
        assert {commit.result() for commit in commits} == {E.STATE_NOT_DURABLE}
    assert flushes.count == 1


def test_a_snapshot_that_cant_be_written_is_logged_and_the_run_goes_on(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_directory: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(atomic, "flush_directory", fail)
        store.state["core"].start_building()
        store._refresh()
        store.commit()
    (warning,) = logs
    assert warning["event"] == "releasekit.snapshot_failed"
    assert warning["log_level"] == "warning"
    assert warning["file"] == str(store.path)
    assert "after the rename" in warning["error"]
    assert warning["hint"] == "the run goes on without: its journal has everything"
    assert warning["module"] == "releasekit.store"
    assert RunState.load(store.path)["core"].status is BUILDING


def test_an_interrupt_during_a_write_stays_an_interrupt_and_poisons(store: RunStore, flushes: Flushes) -> None:
    flushes.error = KeyboardInterrupt()
    store.state["core"].start_building()
    with pytest.raises(KeyboardInterrupt):
        store.commit()
    assert code_of(store.commit) is E.STATE_NOT_DURABLE
    store.close()
    assert flushes.count == 1
    flushes.error = None
    RunStore.open(store.path).close()


def test_a_journal_that_would_be_too_large_to_read_is_not_durable(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.state["core"].start_building()
    monkeypatch.setattr("releasekit.persistence.journal.MAX_BYTES", journal_of(store.path).stat().st_size)
    assert code_of(store.commit) is E.STATE_NOT_DURABLE
    monkeypatch.undo()
    store.close()
    assert RunState.load(store.path)["core"].status is PackageStatus.PENDING


def test_a_run_too_large_for_a_state_file_goes_on_without(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.state["core"].start_building()
    monkeypatch.setattr("releasekit.state.snapshot.MAX_BYTES", 10)
    with capture_logs() as logs:
        store.close()
    assert [log["event"] for log in logs] == ["releasekit.snapshot_failed"]
    assert RunState.load(store.path)["core"].status is BUILDING


def test_an_interrupt_in_the_middle_of_a_move_ends_what_is_recorded(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    store.state["core"].start_building()
    with monkeypatch.context() as patch:
        patch.setattr(store, "_record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.state["core"].fail("an error")
    for call in (store.state["core"].retry, store.commit, lambda: asyncio.run(store.acommit())):
        with pytest.raises(ReleaseKitError, match="an interrupt hit while") as caught:
            call()
        assert caught.value.code is E.STATE_NOT_DURABLE
        assert caught.value.hint
    assert code_of(store.state.init_package, "more") is E.STATE_NOT_DURABLE
    before = store.path.read_bytes()
    store.close()
    assert store.path.read_bytes() == before
    with RunStore.open(store.path) as again:
        assert again.state["core"].status is BUILDING


KILLED = """
import sys
from releasekit import RunState, RunStore
store = RunStore.create(sys.argv[1], RunState("abc"))
for number in range(10**9):
    store.state.init_package(f"p{number}")
    store.commit()
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        for _ in range(20):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
    with RunStore.open(path) as store:
        assert len(store.state) >= acknowledged + 1


def test_create_removes_what_a_killed_creation_left(path: Path) -> None:
    leftovers = [path.with_name(f".releasekit-state.{kind}.0123456789abcdef.tmp") for kind in ("json", "journal")]
    for leftover in leftovers:
        leftover.touch()

    RunStore.create(path, a_run()).close()

    assert not any(leftover.exists() for leftover in leftovers)


def test_a_forked_process_can_neither_commit_nor_close_nor_harm_the_run_of_its_parent(store: RunStore) -> None:
    core = store.state["core"]
    pid = os.fork()
    if not pid:  # pragma: no cover  # measured in the parent
        told: list[E] = []
        for call in (store.commit, lambda: asyncio.run(store.acommit())):
            try:
                store.state["core"].start_building() if not told else None
                call()
            except ReleaseKitError as error:
                told.append(error.code)
        store.close()
        os._exit(0 if told == [E.STATE_CLOSED] * 2 else 1)
    core.start_building()
    core.start_publishing()
    store.commit()
    assert os.waitpid(pid, 0)[1] == 0
    assert code_of(RunStore.open, store.path) is E.STATE_LOCKED
    core.start_verifying()
    store.commit()
    store.close()
    assert RunState.load(store.path)["core"].status is PackageStatus.VERIFYING


def test_what_a_fork_copied_says_whose_the_run_is(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store._writer, "_process", 1)
        store.state["core"].start_building()
        with pytest.raises(ReleaseKitError, match=r"is open in process 1, and only there") as caught:
            store.commit()
        store.close()
    assert caught.value.code is E.STATE_CLOSED
    assert caught.value.hint == "let that process record what happens, or open it in this one"
    store.commit()


def test_a_system_without_threads_left_can_go_on_with_a_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with RunStore.create(path, a_run()) as store:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none_left)
            store.state["core"].start_building()
            asyncio.run(store.acommit())
            assert RunState.load(path)["core"].status is BUILDING
        store.state["core"].start_publishing()
        asyncio.run(store.acommit())
    assert json.loads(path.read_bytes())["packages"]["core"]["status"] == "publishing"


def test_more_requirements_than_a_record_can_hold_are_refused_before_anything_happens(store: RunStore) -> None:
    names = [f"package-{n:06d}" for n in range(20_000)]
    with pytest.raises(ReleaseKitError, match="requires have 280000 characters together, more than 262144") as caught:
        store.state.init_package("all", requires=names)
    assert caught.value.code is E.STATE_INVALID_VALUE
    store.state.init_package("many", requires=names[:18_000])
    store.commit()
    assert len(RunState.load(store.path)["many"].requires) == 18_000


def test_a_state_file_is_not_saved_beside_a_journal_that_would_make_it_void(store: RunStore) -> None:
    before = store.path.read_bytes()
    with pytest.raises(ReleaseKitError, match="would be read instead of what is saved") as caught:
        RunState("abc").save(store.path)
    assert caught.value.code is E.STATE_EXISTS
    assert caught.value.message.startswith(f"{journal_of(store.path)} has the truth about the run in {store.path}")
    assert caught.value.hint == "open that run with `RunStore.open` to change it"
    assert store.path.read_bytes() == before


def test_a_disk_that_refuses_while_a_run_is_opened_is_told_and_gives_everything_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    RunStore.create(path, a_run()).close()
    with journal_of(path).open("ab") as journal:
        journal.write(b"torn")
    descriptors = sorted(Path("/dev/fd").iterdir())
    for place, name in ((atomic, "flush_data"), (atomic, "flush_directory"), (os, "ftruncate"), (atomic, "flush")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, refuse)
            with pytest.raises(ReleaseKitError, match=r"state\.journal: .*Input/output error") as caught:
                RunStore.open(path)
        assert caught.value.code is E.STATE_NOT_DURABLE
        assert sorted(Path("/dev/fd").iterdir()) == descriptors
    RunStore.open(path).close()
    assert b"torn" not in journal_of(path).read_bytes()


def test_with_nothing_new_to_commit_nothing_is_flushed(store: RunStore, flushes: Flushes) -> None:
    store.state["core"].start_building()
    store.commit()
    count = flushes.count

    asyncio.run(store.acommit())

    assert flushes.count == count


def test_the_state_file_follows_a_commit_by_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresher, "INTERVAL", 0.1)
    with RunStore.create(path, a_run()) as store:
        store.state["core"].start_building()
        store.commit()
        deadline = time.monotonic() + 30
        while json.loads(path.read_bytes())["packages"]["core"]["status"] != "building":
            assert time.monotonic() < deadline
            time.sleep(0.05)
