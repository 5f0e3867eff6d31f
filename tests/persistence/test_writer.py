"""Writing a journal: what is on the device when a flush returns, and that a failure is the end of it."""

from __future__ import annotations

import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Semaphore
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence import journal, writer
from releasekit.persistence.journal import MAX_LINE, Position, open_regular
from releasekit.persistence.writer import SPACE, Writer, not_durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HEADER, BEGIN = Position().behind_header(b'{"run":"r"}')


def lines(*flushed: int) -> bytes:
    """Make the lines of records n1, n2, …; `flushed` is what each says was on the device."""
    data, position = b"", BEGIN
    for seq, before in enumerate(flushed, 1):
        line, position = position.behind_record(payload(seq), before)
        data += line
    return data


def payload(seq: int) -> bytes:
    return b'{"note":"n%d"}' % seq


class Disk:
    """Notes every system call of a writer, in order, and has any of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.durable: list[int] = []
        self.writer: Writer | None = None
        self.errors: dict[str, BaseException] = {}
        self.begun = Event()
        self.go_on = Event()
        self.go_on.set()
        self.room: int | None = None
        self.monkeypatch = monkeypatch
        self._pwrite = os.pwrite
        self._watch("fdatasync", self._note_durable)
        self._watch("ftruncate")
        self._watch("close")
        monkeypatch.setattr(os, "pwrite", self._write)

    def _watch(self, name: str, before: Callable[[], None] = lambda: None) -> None:
        real = getattr(os, name)

        def noted(fd: int, *arguments: int) -> None:
            self.calls.append((name, *arguments))
            before()
            self._fail(name)
            real(fd, *arguments)

        self.monkeypatch.setattr(os, name, noted)

    def _note_durable(self) -> None:
        assert self.writer
        self.durable.append(self.writer.durable)
        self.begun.set()
        assert self.go_on.wait(30)

    def _write(self, fd: int, data: memoryview, offset: int) -> int:
        blank = bytes(data).strip(b"\n") == b""
        name = "space" if blank else "write"
        self.calls.append((name, offset, len(data)))
        self._fail(name)
        rest = data if not blank or self.room is None else data[: self.room]
        if blank and self.room is not None:
            self.room -= len(rest)
            if not rest:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._pwrite(fd, rest, offset)

    def _fail(self, name: str) -> None:
        if name in self.errors:
            raise self.errors[name]

    def taken(self) -> list[tuple[Any, ...]]:
        """Give the calls since the last time."""
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.journal"
    path.write_bytes(HEADER)
    return path


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def written(path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    """A writer to a journal that has only its header."""
    monkeypatch.setattr(writer, "SPACE", 1000)
    written = Writer(path, open_regular(path, os.O_RDWR), BEGIN)
    disk.writer = written
    yield written
    disk.errors.clear()
    written.close()


def record(written: Writer, *seqs: int) -> None:
    for seq in seqs:
        written.record(payload(seq))


def failure(call: Callable[[], object]) -> ReleaseKitError:
    with pytest.raises(ReleaseKitError) as caught:
        call()
    return caught.value


# the good days


def test_a_record_is_in_memory_until_a_flush(path: Path, written: Writer, disk: Disk) -> None:
    assert (written.path, written.recorded, written.durable) == (path, 0, 0)
    record(written, 1, 2)
    assert (written.recorded, written.durable) == (2, 0)
    assert disk.taken() == []
    assert path.read_bytes() == HEADER
    written.flush()
    assert (written.recorded, written.durable) == (2, 2)
    assert path.read_bytes().rstrip(b"\n") + b"\n" == HEADER + lines(0, 0)


def test_a_flush_writes_all_records_at_once_then_space_and_then_flushes(written: Writer, disk: Disk) -> None:
    record(written, 1, 2, 3)
    written.flush()
    size = len(lines(0, 0, 0))
    assert disk.taken() == [
        ("write", len(HEADER), size),
        ("space", len(HEADER) + size, 1000),
        ("fdatasync",),
    ]


def test_records_are_durable_only_after_the_flush(written: Writer, disk: Disk) -> None:
    record(written, 1)
    written.flush()
    record(written, 2)
    written.flush()
    assert disk.durable == [0, 1]
    assert written.durable == 2


def test_each_record_says_what_was_flushed_when_it_was_written(path: Path, written: Writer) -> None:
    record(written, 1)
    written.flush()
    record(written, 2, 3)
    written.flush()
    record(written, 4)
    written.flush()
    assert path.read_bytes().rstrip(b"\n") + b"\n" == HEADER + lines(0, 1, 1, 3)


def test_a_flush_with_nothing_new_does_nothing(written: Writer, disk: Disk) -> None:
    written.flush()
    assert written.try_flush()
    record(written, 1)
    written.flush()
    disk.taken()
    written.flush()
    assert written.try_flush()
    assert disk.taken() == []


def test_a_writer_goes_on_behind_what_is_there(path: Path, disk: Disk) -> None:
    path.write_bytes(HEADER + lines(0, 1))
    position = BEGIN.behind(lines(0, 1), 2)
    assert position
    written = disk.writer = Writer(path, open_regular(path, os.O_RDWR), position)
    assert (written.recorded, written.durable) == (2, 2)
    record(written, 3)
    assert written.recorded == 3
    written.close()
    assert path.read_bytes() == HEADER + lines(0, 1, 2)


def test_a_flush_that_another_is_doing_is_waited_for_and_shared(written: Writer, disk: Disk) -> None:
    record(written, 1)
    disk.go_on.clear()
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(written.flush)
        assert disk.begun.wait(30)
        record(written, 2)
        second, third = threads.submit(written.flush), threads.submit(written.try_flush)
        assert [first.done(), second.done(), third.done()] == [False] * 3
        disk.go_on.set()
        first.result()
        second.result()
        assert third.result() is True
    assert disk.durable == [0, 1]
    assert written.durable == 2


def test_what_is_recorded_while_a_flush_writes_waits_for_the_next_one(path: Path, written: Writer, disk: Disk) -> None:
    record(written, 1)
    disk.go_on.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(written.flush)
        assert disk.begun.wait(30)
        record(written, 2)
        disk.go_on.set()
        first.result()
    assert (written.recorded, written.durable) == (2, 1)
    written.close()
    assert path.read_bytes() == HEADER + lines(0, 1)


class Turnstile:
    """A lock that says when somebody is about to take it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.came = Semaphore(0)

    def __enter__(self) -> None:
        self.came.release()
        self.lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self.lock.release()


def test_a_flush_waits_only_for_what_was_recorded_before_it(
    written: Writer, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    turnstile = Turnstile()
    monkeypatch.setattr(written, "_flushing", turnstile)
    record(written, 1)
    disk.go_on.clear()
    with ThreadPoolExecutor(4) as threads:
        flushes = [threads.submit(written.flush)]
        assert disk.begun.wait(30)
        flushes += [threads.submit(written.flush) for _ in range(2)]
        tried = threads.submit(written.try_flush)
        for _ in range(4):
            assert turnstile.came.acquire(timeout=30)
        record(written, 2)
        disk.go_on.set()
        for flush in flushes:
            flush.result()
        assert tried.result() is True
    assert disk.durable == [0]
    assert written.durable == 1


# space


def test_blank_lines_are_written_ahead_once_in_so_many_bytes(path: Path, written: Writer, disk: Disk) -> None:
    end = len(HEADER)
    room = end
    spaces = 0
    for seq in range(1, 101):
        record(written, seq)
        written.flush()
        (_, offset, size), *rest = disk.taken()
        assert offset == end
        end += size
        if end > room:
            assert rest == [("space", end, 1000), ("fdatasync",)]
            room = end + 1000
            spaces += 1
        else:
            assert rest == [("fdatasync",)]
        assert path.stat().st_size == room
    assert spaces == 6


def test_a_record_that_just_fits_into_the_space_needs_no_more(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = lines(0), lines(0, 1)[len(lines(0)) :]
    for space, more in (
        (len(second), []),
        (len(second) - 1, [("space", len(HEADER + first + second), len(second) - 1)]),
    ):
        path.write_bytes(HEADER)
        monkeypatch.setattr(writer, "SPACE", space)
        written = disk.writer = Writer(path, open_regular(path, os.O_RDWR), BEGIN)
        record(written, 1)
        written.flush()
        disk.taken()
        record(written, 2)
        written.flush()
        assert disk.taken() == [("write", len(HEADER + first), len(second)), *more, ("fdatasync",)]
        written.close()


def test_the_space_is_256_kib_of_blank_lines(path: Path, disk: Disk) -> None:
    assert SPACE == 256 * 1024
    written = disk.writer = Writer(path, open_regular(path, os.O_RDWR), BEGIN)
    record(written, 1)
    written.flush()
    assert path.read_bytes() == HEADER + lines(0) + b"\n" * SPACE
    written.close()


def test_space_that_a_file_has_already_is_used(path: Path, disk: Disk) -> None:
    path.write_bytes(HEADER + b"\n" * 500)
    written = disk.writer = Writer(path, open_regular(path, os.O_RDWR), BEGIN)
    record(written, 1)
    written.flush()
    assert disk.taken() == [("write", len(HEADER), len(lines(0))), ("fdatasync",)]
    written.close()


def test_the_space_is_never_so_much_that_nobody_would_read_the_journal(
    path: Path, written: Writer, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = len(HEADER + lines(0, 1))
    for module in (writer, journal):
        monkeypatch.setattr(module, "MAX_BYTES", limit)
    for seq in (1, 2):
        record(written, seq)
        written.flush()
        assert path.stat().st_size == limit
    record(written, 3)
    assert f"more than {limit} bytes" in failure(written.flush).message
    assert disk.durable == [0, 1]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG], ids=errno.errorcode.get)
def test_a_full_disk_has_no_space_to_write_ahead_and_that_is_no_failure(
    path: Path, written: Writer, disk: Disk, code: int
) -> None:
    disk.errors["space"] = OSError(code, os.strerror(code))
    for seq, more in ((1, ["space", "ftruncate"]), (2, [])):
        record(written, seq)
        written.flush()
        end = len(HEADER + lines(*range(seq)))
        assert [call[0] for call in disk.taken()] == ["write", *more, "fdatasync"]
        assert (written.durable, path.stat().st_size) == (seq, end)
    assert path.read_bytes() == HEADER + lines(0, 1)


def test_the_last_space_of_a_disk_is_left_to_others(path: Path, written: Writer, disk: Disk) -> None:
    disk.room = 5
    for seq, more in ((1, ["space", "space", "ftruncate"]), (2, []), (3, [])):
        record(written, seq)
        written.flush()
        assert [call[0] for call in disk.taken()] == ["write", *more, "fdatasync"]
        assert path.stat().st_size == len(HEADER + lines(*range(seq)))
    assert path.read_bytes() == HEADER + lines(0, 1, 2)


@pytest.mark.parametrize("code", [errno.EIO, errno.EBADF, errno.EROFS], ids=errno.errorcode.get)
def test_another_error_of_writing_ahead_is_a_failure(written: Writer, disk: Disk, code: int) -> None:
    disk.errors["space"] = OSError(code, os.strerror(code))
    record(written, 1)
    assert os.strerror(code) in failure(written.flush).message
    assert ("fdatasync",) not in disk.taken()
    assert written.durable == 0


# the end


def test_closing_flushes_gives_the_space_back_and_closes(path: Path, written: Writer, disk: Disk) -> None:
    record(written, 1)
    written.close()
    end = len(HEADER + lines(0))
    assert [call[0] for call in disk.taken()] == ["write", "space", "fdatasync", "ftruncate", "close"]
    assert disk.calls == []
    assert written.durable == 1
    assert path.read_bytes() == HEADER + lines(0)
    assert path.stat().st_size == end


def test_closing_with_nothing_new_flushes_nothing(path: Path, written: Writer, disk: Disk) -> None:
    record(written, 1)
    written.flush()
    assert path.stat().st_size == len(HEADER + lines(0)) + 1000
    disk.taken()
    written.close()
    assert disk.taken() == [("ftruncate", len(HEADER + lines(0))), ("close",)]


def test_closing_twice_does_nothing(written: Writer, disk: Disk) -> None:
    written.close()
    disk.taken()
    written.close()
    assert disk.taken() == []


@pytest.mark.parametrize("step", ["ftruncate", "close"])
def test_an_error_of_giving_space_back_or_of_closing_is_no_failure(
    path: Path, written: Writer, disk: Disk, step: str
) -> None:
    record(written, 1)
    disk.errors[step] = OSError(errno.EIO, os.strerror(errno.EIO))
    written.close()
    assert [call[0] for call in disk.taken()] == ["write", "space", "fdatasync", "ftruncate", "close"]
    assert path.read_bytes().startswith(HEADER + lines(0))


def test_after_closing_nothing_is_flushed(path: Path, written: Writer, disk: Disk) -> None:
    written.check_open()
    written.close()
    disk.taken()
    record(written, 1)
    for call in (written.flush, written.check_open):
        error = failure(call)
        assert error.code is E.STATE_CLOSED
        assert error.message == f"the run in {path} is closed"
        assert error.hint == "open it again"
    assert written.try_flush() is False
    assert disk.taken() == []
    assert path.read_bytes() == HEADER


def test_a_writer_that_a_fork_copied_writes_nothing(
    path: Path, written: Writer, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = os.getpid()
    record(written, 1)
    assert not written.is_copy()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: parent + 1)
        assert written.is_copy()
        for call in (written.flush, written.check_open):
            error = failure(call)
            assert error.code is E.STATE_CLOSED
            assert error.message == f"the run in {path} is open in process {parent}, and only there"
            assert error.hint == "let that process record what happens, or open it in this one"
    assert disk.taken() == []
    assert path.read_bytes() == HEADER
    written.flush()
    assert written.durable == 1


# poison


def error_of(kind: str) -> BaseException:
    return {
        "no-space": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        "device": OSError(errno.EIO, os.strerror(errno.EIO)),
        "value": ValueError("no good"),
        "interrupt": KeyboardInterrupt("stop"),
        "exit": SystemExit("stop"),
    }[kind]


@pytest.mark.parametrize("kind", ["no-space", "device", "value"])
@pytest.mark.parametrize("step", ["write", "fdatasync"])
def test_a_failure_is_told_to_everyone_and_nothing_is_tried_again(
    path: Path, written: Writer, disk: Disk, kind: str, step: str
) -> None:
    cause = disk.errors[step] = error_of(kind)
    record(written, 1)
    first = failure(written.flush)
    disk.errors.clear()
    assert [call[0] for call in disk.taken()] == ["write", "space", "fdatasync"][: 1 if step == "write" else 3]
    content = path.read_bytes()
    record(written, 2)
    for error in (first, failure(written.flush), failure(written.flush)):
        assert error.code is E.STATE_NOT_DURABLE
        assert error.message == f"the run could not be written to {path}: {cause}"
        mend = "" if kind == "value" else "mend the disk (space? limits? permissions?) and "
        assert error.hint == f"{mend}run the same command again: it goes on from what was written"
        assert error.__cause__ is cause
    assert written.try_flush() is False
    written.close()  # everyone who asked was told
    assert disk.taken() == [("close",)]
    assert path.read_bytes() == content
    assert written.durable == 0


@pytest.mark.parametrize("kind", ["interrupt", "exit"])
@pytest.mark.parametrize("step", ["write", "fdatasync"])
def test_an_interrupt_stays_one_and_is_a_failure_too(written: Writer, disk: Disk, kind: str, step: str) -> None:
    cause = disk.errors[step] = error_of(kind)
    record(written, 1)
    with pytest.raises(type(cause)) as caught:
        written.flush()
    assert caught.value is cause
    disk.errors.clear()
    disk.taken()
    error = failure(written.flush)
    assert (error.code, error.__cause__) == (E.STATE_NOT_DURABLE, cause)
    written.close()
    assert disk.taken() == [("close",)]


def test_a_record_that_is_too_long_is_a_failure_before_anything_is_written(
    path: Path, written: Writer, disk: Disk
) -> None:
    record(written, 1)
    written.record(b'{"note":"%b"}' % (b"x" * MAX_LINE))
    record(written, 3)
    for _ in range(2):
        assert "is longer than 1048576, which nobody would read" in failure(written.flush).message
    assert disk.taken() == []
    assert path.read_bytes() == HEADER


def test_a_part_that_was_written_is_not_written_again(path: Path, written: Writer, disk: Disk) -> None:
    disk.errors["fdatasync"] = error_of("device")
    record(written, 1)
    failure(written.flush)
    disk.errors.clear()
    record(written, 2)
    failure(written.flush)
    written.close()
    assert path.read_bytes() == HEADER + lines(0) + b"\n" * 1000


@pytest.mark.parametrize("step", ["write", "fdatasync"])
def test_a_failure_in_the_background_is_told_to_the_next_who_commits(written: Writer, disk: Disk, step: str) -> None:
    cause = disk.errors[step] = error_of("device")
    record(written, 1)
    assert written.try_flush() is False
    disk.errors.clear()
    disk.taken()
    assert written.try_flush() is False
    error = failure(written.flush)
    assert (error.code, error.__cause__) == (E.STATE_NOT_DURABLE, cause)
    written.close()
    assert disk.taken() == [("close",)]


def test_a_failure_in_the_background_is_told_at_close_if_nobody_was_told(written: Writer, disk: Disk) -> None:
    cause = disk.errors["fdatasync"] = error_of("device")
    record(written, 1)
    assert written.try_flush() is False
    disk.errors.clear()
    disk.taken()
    error = failure(written.close)
    assert (error.code, error.__cause__) == (E.STATE_NOT_DURABLE, cause)
    assert disk.taken() == [("close",)]
    written.close()
    assert disk.taken() == []


def test_a_failure_that_was_told_is_not_told_again_because_of_the_background(written: Writer, disk: Disk) -> None:
    disk.errors["fdatasync"] = error_of("device")
    record(written, 1)
    failure(written.flush)
    assert written.try_flush() is False
    written.close()


@pytest.mark.parametrize("step", ["write", "fdatasync"])
def test_a_failure_at_close_is_told_and_the_file_is_closed(written: Writer, disk: Disk, step: str) -> None:
    disk.errors[step] = error_of("no-space")
    record(written, 1)
    assert failure(written.close).code is E.STATE_NOT_DURABLE
    calls = [call[0] for call in disk.taken()]
    assert calls == [*["write", "space", "fdatasync"][: 1 if step == "write" else 3], "close"]
    assert failure(written.flush).code is E.STATE_CLOSED


def test_an_interrupt_at_close_closes_the_file_all_the_same(written: Writer, disk: Disk) -> None:
    disk.errors["fdatasync"] = error_of("interrupt")
    record(written, 1)
    with pytest.raises(KeyboardInterrupt):
        written.close()
    assert disk.taken()[-1] == ("close",)
    assert failure(written.check_open).code is E.STATE_CLOSED


def test_everyone_who_waits_for_a_flush_that_fails_is_told(written: Writer, disk: Disk) -> None:
    disk.go_on.clear()
    disk.errors["fdatasync"] = error_of("device")
    record(written, 1)
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(failure, written.flush) for _ in range(4)]
        assert disk.begun.wait(30)
        disk.go_on.set()
        assert {waiter.result().code for waiter in waiting} == {E.STATE_NOT_DURABLE}
    assert [call[0] for call in disk.taken()].count("fdatasync") == 1


def test_a_device_that_takes_a_part_is_given_the_rest(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:7], offset))
    monkeypatch.setattr(writer, "SPACE", 10)
    written = Writer(path, open_regular(path, os.O_RDWR), BEGIN)
    record(written, 1, 2)
    written.flush()
    assert path.read_bytes() == HEADER + lines(0, 0) + b"\n" * 10
    written.close()


def test_an_error_that_says_nothing_is_told_by_its_kind(path: Path) -> None:
    assert not_durable(path, MemoryError()).message == f"the run could not be written to {path}: MemoryError"


def test_the_error_says_file_cause_and_what_to_do(path: Path) -> None:
    error = not_durable(path, OSError(errno.EIO, "Input/output error"))
    assert re.fullmatch(rf"the run could not be written to {re.escape(str(path))}: .*Input/output error", error.message)
    assert error.code is E.STATE_NOT_DURABLE
