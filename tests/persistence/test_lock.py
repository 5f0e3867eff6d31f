"""The lock of a run: held by one at a time, free when its process dies, never taken from anyone."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import pytest
from tests.support import holding

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence import lock as locks
from releasekit.persistence.lock import LOCK_FILENAME, RunLock, holder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ME = {"pid": os.getpid(), "host": os.uname().nodename}


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[RunLock]:
    lock = RunLock(tmp_path)
    yield lock
    lock.release()


def refused(call: Callable[[], object]) -> ReleaseKitError:
    with pytest.raises(ReleaseKitError) as caught:
        call()
    assert caught.value.code is E.STATE_LOCKED
    return caught.value


def is_held(directory: Path) -> bool:
    """Ask the kernel, in another process."""
    done = subprocess.run([sys.executable, "-c", TRY, str(directory)], capture_output=True, text=True, check=True)
    return done.stdout == "held\n"


TRY = """
import fcntl, sys
with open(sys.argv[1] + "/.releasekit-state.lock", "ab") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("held")
"""

HOLD = """
import signal, sys
from pathlib import Path
from releasekit.persistence.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
signal.pause()
"""


def test_the_lock_file_has_its_documented_name(lock: RunLock, tmp_path: Path) -> None:
    assert lock.path == tmp_path / LOCK_FILENAME == tmp_path / ".releasekit-state.lock"
    assert [path.name for path in tmp_path.iterdir()] == [".releasekit-state.lock"]


def test_the_kernel_holds_it_until_it_is_given_back(lock: RunLock, tmp_path: Path) -> None:
    assert is_held(tmp_path)
    lock.release()
    assert not is_held(tmp_path)
    assert lock.path.exists()


def test_it_says_who_holds_it_in_a_line_of_json(lock: RunLock) -> None:
    content = lock.path.read_bytes()
    assert json.loads(content) == ME
    assert content.endswith(b"}\n")
    assert holder(lock.path) == f"process {os.getpid()} on {os.uname().nodename}"


def test_a_second_one_is_refused_at_once_with_who_and_where_and_what_to_do(lock: RunLock, tmp_path: Path) -> None:
    error = refused(lambda: RunLock(tmp_path))
    who = f"process {os.getpid()} on {os.uname().nodename}"
    assert error.message == f"another releasekit is at work in {tmp_path}: {who}"
    assert error.hint == "wait until it ends, or stop it; `releasekit status` shows how far it is"
    assert error.__suppress_context__
    assert json.loads(lock.path.read_bytes()) == ME


@pytest.mark.usefixtures("lock")
def test_a_second_one_in_another_thread_is_refused(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as other:
        other.submit(refused, lambda: RunLock(tmp_path)).result()


def test_another_thread_may_give_it_back(lock: RunLock, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as other:
        other.submit(lock.release).result()
    RunLock(tmp_path).release()


def test_another_process_is_told_apart_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    with holding(HOLD, tmp_path) as other:
        assert f"process {other.pid} on " in refused(lambda: RunLock(tmp_path)).message
        inode = (tmp_path / LOCK_FILENAME).stat().st_ino
        other.send_signal(signal.SIGKILL)
        other.wait()
        RunLock(tmp_path).release()
    assert (tmp_path / LOCK_FILENAME).stat().st_ino == inode


def test_giving_it_back_twice_does_nothing(tmp_path: Path) -> None:
    first = RunLock(tmp_path)
    first.release()
    second = RunLock(tmp_path)
    first.release()
    assert is_held(tmp_path)
    second.release()


def test_an_old_file_is_no_lock_and_stays_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / LOCK_FILENAME
    path.write_bytes(b'{"pid": 1, "host": "elsewhere", "more": "than there will be"}')
    inode = path.stat().st_ino
    os.utime(path, (0, 0))
    RunLock(tmp_path).release()
    assert path.stat().st_ino == inode
    assert json.loads(path.read_bytes()) == ME


def test_an_old_file_does_not_free_a_lock_that_is_held(lock: RunLock, tmp_path: Path) -> None:
    os.utime(lock.path, (0, 0))
    refused(lambda: RunLock(tmp_path))


def test_a_lock_reached_by_a_link_is_the_same(lock: RunLock, tmp_path: Path) -> None:
    assert lock.path.exists()
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / "link.json").symlink_to(tmp_path / "state.json")
    (tmp_path / "same").symlink_to(tmp_path)
    refused(lambda: RunLock.of(directory / "link.json"))
    refused(lambda: RunLock.of(tmp_path / "same" / "state.json"))
    assert [path.name for path in directory.iterdir()] == ["link.json"]


def test_the_lock_of_a_file_stands_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lock = RunLock.of(Path("state.json"))
    assert type(lock) is RunLock
    assert lock.path == tmp_path / LOCK_FILENAME
    lock.release()


@pytest.mark.parametrize("name", ["missing", "file", "missing/deeper"])
def test_a_directory_that_is_missing_is_an_error_and_is_not_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match="there is no such directory to keep a run in") as caught:
        RunLock(tmp_path / name)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_lock_file_that_cant_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILENAME).mkdir()
    with pytest.raises(OSError, match=LOCK_FILENAME):
        RunLock(tmp_path)


def test_a_file_system_without_locks_is_an_error_not_a_weaker_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl  # noqa: PLC0415  # where there are such locks

    def no_locks(_fd: int, _operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises((OSError, NotImplementedError)):
        RunLock(tmp_path)


@pytest.mark.usefixtures("lock")
def test_other_programs_that_ask_for_the_same_lock_are_refused_too(tmp_path: Path) -> None:
    with pytest.raises(filelock.Timeout):
        filelock.FileLock(tmp_path / LOCK_FILENAME, timeout=0).acquire()


def test_a_full_disk_does_not_keep_a_run_from_being_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        lock = RunLock(tmp_path)
    assert "it does not say which process it is" in refused(lambda: RunLock(tmp_path)).message
    lock.release()
    RunLock(tmp_path).release()


# who holds it


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"\xff",
        b'{"pid": 5, "host": "\xff"}',
        b"[]",
        b"{}",
        b'{"pid": 5}',
        b'{"host": "x"}',
        b'{"pid": [], "host": ""}',
        b'{"pid": 5.5, "host": "x"}',
        b'{"a":' * 100_000,
    ],
    ids=["empty", "no-json", "not-utf-8", "bad-host", "list", "nothing", "no-host", "no-pid", "types", "float", "deep"],
)
def test_a_lock_file_that_says_nothing_is_still_a_lock(lock: RunLock, tmp_path: Path, content: bytes) -> None:
    lock.path.write_bytes(content)
    error = refused(lambda: RunLock(tmp_path))
    assert error.message == f"another releasekit is at work in {tmp_path}: it does not say which process it is"


def test_a_lock_file_that_is_missing_says_nothing(tmp_path: Path) -> None:
    assert holder(tmp_path / "missing") == "it does not say which process it is"


def test_a_lock_file_that_is_a_pipe_says_nothing_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / LOCK_FILENAME)
    assert holder(tmp_path / LOCK_FILENAME) == "it does not say which process it is"


def test_a_lock_file_says_which_process_and_where(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b'{"pid": 5, "host": "builder", "more": 1}')
    assert holder(path) == "process 5 on builder"


# many at once

CONTEND = """
import os, random, sys, time
from pathlib import Path
from releasekit.errors import ReleaseKitError
from releasekit.persistence.lock import RunLock
directory, rounds = Path(sys.argv[1]), int(sys.argv[2])
done = 0
while done < rounds:
    try:
        lock = RunLock(directory)
    except ReleaseKitError:
        time.sleep(random.random() / 500)
        continue
    fd = os.open(directory / "held", os.O_CREAT | os.O_EXCL)
    os.close(fd)
    time.sleep(0.0005)
    os.unlink(directory / "held")
    done += 1
    lock.release()
print(done)
"""


def test_of_many_processes_one_at_a_time_holds_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONTEND, str(tmp_path), "20"]
    contenders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert [contender.communicate(timeout=60)[0] for contender in contenders] == ["20\n"] * 6
    assert not (tmp_path / "held").exists()


def test_a_lock_that_the_file_system_refuses_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_fd: int, _operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", refuse)
        with pytest.raises(OSError, match="could not lock: Input/output error") as caught:
            RunLock(tmp_path)
    assert caught.value.errno == errno.EIO
    assert caught.value.filename == str(tmp_path / LOCK_FILENAME)
    lock = RunLock(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", refuse)
        lock.release()  # free when the process ends


def test_who_asks_is_told_whether_the_lock_is_held(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert locks.is_held(path) is False
    lock = RunLock(tmp_path)
    assert locks.is_held(path) is True
    lock.release()
    assert locks.is_held(path) is False
    assert (tmp_path / LOCK_FILENAME).exists()


def test_who_asks_keeps_nobody_from_the_lock(tmp_path: Path) -> None:
    """A shared lock that is held for an instant, whenever somebody asks, is waited for."""
    RunLock(tmp_path).release()
    ending = threading.Event()

    def ask() -> None:
        while not ending.is_set():
            locks.is_held(tmp_path / "state.json")

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(200):
            RunLock(tmp_path).release()
    finally:
        ending.set()
        for thread in asking:
            thread.join()


@pytest.mark.parametrize("call", ["os.open", "fcntl.flock"])
def test_a_lock_that_can_not_be_asked_for_is_neither(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LOCK_FILENAME).touch()

    def fail(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(f"releasekit.persistence.lock.{call}", fail)
    assert locks.is_held(tmp_path / "state.json") is None
