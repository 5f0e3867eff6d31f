"""Replacing a file: whole or not at all, on full disks, through links, at any moment of a kill."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from releasekit.persistence import atomic
from releasekit.persistence.atomic import UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLD = b"old content\n"
NEW = b"new content\n"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def failing(code: int) -> Callable[..., None]:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / ".releasekit-state.json"
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


@pytest.mark.parametrize("data", [b"", b"x", NEW, bytes(3 << 20)], ids=["empty", "byte", "line", "3-MiB"])
def test_a_file_is_replaced_whole(old: Path, data: bytes) -> None:
    atomic.replace(old, data)
    assert old.read_bytes() == data
    assert names(old.parent) == [old.name]


def test_an_existing_file_keeps_its_mode(old: Path) -> None:
    atomic.replace(old, NEW)
    assert mode(old) == 0o640


def test_a_new_file_is_for_its_owner_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        atomic.replace(tmp_path / "new", NEW)
    finally:
        os.umask(umask)
    assert mode(tmp_path / "new") == 0o600
    assert (tmp_path / "new").read_bytes() == NEW


def test_a_symbolic_link_stays_and_its_target_is_replaced(old: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "link"
    link.symlink_to(Path("..") / old.name)
    atomic.replace(link, NEW)
    assert link.is_symlink()
    assert old.read_bytes() == NEW
    assert names(elsewhere) == ["link"]


def test_a_link_to_a_link_is_followed_to_the_end(old: Path, tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(old.name)
    atomic.replace(tmp_path / "first", NEW)
    assert old.read_bytes() == NEW
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()


def test_a_dangling_link_gets_its_target(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("missing")
    atomic.replace(link, NEW)
    assert link.is_symlink()
    assert (tmp_path / "missing").read_bytes() == NEW
    assert mode(tmp_path / "missing") == 0o600


def test_a_loop_of_links_is_an_error_without_litter(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ELOOP))):
        atomic.replace(tmp_path / "a", NEW)
    assert names(tmp_path) == ["a", "b"]


def test_a_directory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic.replace(tmp_path / "missing" / "file", NEW)
    assert names(tmp_path) == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_what_is_not_a_file_is_never_replaced(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "thing")
    with pytest.raises(OSError, match="is not a regular file"):
        atomic.replace(tmp_path / "thing", NEW)
    assert names(tmp_path) == ["thing"]
    assert not (tmp_path / "thing").is_file()


def test_a_link_in_the_place_of_the_temporary_file_is_not_written_through(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    victim = old.with_name("victim")
    victim.write_bytes(OLD)
    old.with_name(".releasekit-state.json.0000000000000000.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        atomic.replace(old, NEW)
    assert victim.read_bytes() == old.read_bytes() == OLD


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_writing_goes_on_until_all_is_written(most: int) -> None:
    data = bytes(range(256)) * 10
    got = bytearray()

    def write_some(_fd: int, rest: memoryview) -> int:
        got.extend(rest[:most])
        return len(rest[:most])

    atomic.write_all(-1, data, write_some)
    assert got == data


def test_a_device_that_takes_nothing_is_an_error_not_a_hang() -> None:
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.EIO))):
        atomic.write_all(-1, NEW, lambda _fd, _rest: 0)


def test_writing_nothing_writes_nothing() -> None:
    atomic.write_all(-1, b"", failing(errno.EIO))  # type: ignore[arg-type]  # never called


def test_a_disk_that_fills_up_in_the_middle_keeps_the_old_file(tmp_path: Path) -> None:
    """The limit on a file's size makes the kernel write a part and report no error, like a nearly full disk."""
    program = """
import os, resource, signal, sys
from pathlib import Path
from releasekit.persistence import atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
fd = os.open(sys.argv[1] + ".probe", os.O_WRONLY | os.O_CREAT)
print(os.write(fd, bytes(150_000)))
os.unlink(sys.argv[1] + ".probe")
try:
    atomic.replace(Path(sys.argv[1]), bytes(150_000))
except OSError as error:
    print(error.errno)
"""
    path = tmp_path / "state"
    path.write_bytes(OLD)
    # no coverage in the child: its data file has to obey the limit too
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["100000", str(errno.EFBIG)]
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["state"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount program: {error}")
    if done.returncode:
        pytest.skip(f"may not mount a small disk: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)  # wherever it is


def test_a_disk_that_is_really_full_keeps_the_old_file_and_no_litter(small_disk: Path) -> None:
    path = small_disk / "state"
    atomic.replace(path, OLD)
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ENOSPC))):
        atomic.replace(path, bytes(1 << 20))
    assert path.read_bytes() == OLD
    assert names(small_disk) == ["state"]
    atomic.replace(path, NEW)
    assert path.read_bytes() == NEW


BEFORE_THE_RENAME = ["open", "fchmod", "write", "fsync", "replace"]


@pytest.mark.parametrize("step", BEFORE_THE_RENAME)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_an_error_before_the_rename_keeps_the_old_file_and_no_litter(
    old: Path, step: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if step == "replace":
        monkeypatch.setattr(Path, step, failing(code))
    elif step == "write":
        monkeypatch.setattr(atomic, "write_all", failing(code))
    else:
        monkeypatch.setattr(os, step, failing(code))
    with pytest.raises(OSError, match=re.escape(os.strerror(code))) as caught:
        atomic.replace(old, NEW)
    monkeypatch.undo()
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert caught.value.filename == str(old)
    assert old.read_bytes() == OLD
    assert mode(old) == 0o640
    assert names(old.parent) == [old.name]


def test_an_interrupt_before_the_rename_leaves_no_litter(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic.replace(old, NEW)
    assert old.read_bytes() == OLD
    assert names(old.parent) == [old.name]


def test_an_error_after_the_rename_is_an_unknown_outcome(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "flush_directory", failing(errno.EIO))
    with pytest.raises(UnknownOutcomeError, match="after the rename") as caught:
        atomic.replace(old, NEW)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.EIO
    assert caught.value.filename == str(old)
    assert names(old.parent) == [old.name]


def test_an_error_of_close_hides_neither_success_nor_litter(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = os.close

    def close_and_complain(fd: int) -> None:
        close(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", close_and_complain)
    monkeypatch.setattr(atomic, "flush_directory", lambda _directory: None)
    atomic.replace(old, NEW)
    monkeypatch.undo()
    assert old.read_bytes() == NEW
    assert names(old.parent) == [old.name]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed and named, in order."""
    seen: list[str] = []
    fsync, rename, link = os.fsync, os.replace, os.link

    def record_fsync(fd: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else f"file of {os.fstat(fd).st_size}"
        seen.append(f"flush {kind}")
        fsync(fd)

    def record_rename(source: Path, target: Path) -> None:
        seen.append(f"rename to {Path(target).name}")
        rename(source, target)

    def record_link(source: Path, target: Path) -> None:
        seen.append(f"link to {Path(target).name}")
        link(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_rename)
    monkeypatch.setattr(os, "link", record_link)
    return seen


def test_the_file_is_flushed_before_the_rename_and_the_directory_after(old: Path, calls: list[str]) -> None:
    atomic.replace(old, NEW)
    assert calls == [f"flush file of {len(NEW)}", f"rename to {old.name}", "flush directory"]


def test_a_copy_is_flushed_before_it_has_its_name_and_the_directory_after(old: Path, calls: list[str]) -> None:
    atomic.copy_new(old, old.with_name("copy"), old.with_name("scratch.tmp"))
    assert calls == [f"flush file of {len(OLD)}", "link to copy", "flush directory"]


def test_the_directory_of_a_links_target_is_flushed(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to(old)
    flushed: list[Path] = []
    monkeypatch.setattr(atomic, "flush_directory", flushed.append)
    atomic.replace(elsewhere / "link", NEW)
    assert flushed == [tmp_path]


def test_flushing_a_directory_that_is_none_is_an_error(old: Path) -> None:
    with pytest.raises(NotADirectoryError):
        atomic.flush_directory(old)


@pytest.mark.parametrize("size", [0, 5, (1 << 20) + 1], ids=["empty", "small", "more-than-a-chunk"])
def test_a_copy_appears_whole_and_for_others_to_read(tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    source.chmod(0o600)
    umask = os.umask(0o077)
    try:
        atomic.copy_new(source, tmp_path / "copy", tmp_path / "scratch.tmp")
    finally:
        os.umask(umask)
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert mode(tmp_path / "copy") == 0o644
    assert names(tmp_path) == ["copy", "source"]


@pytest.mark.parametrize("kind", ["file", "directory", "dangling-link"])
def test_a_copy_never_overwrites(old: Path, kind: str) -> None:
    target = old.with_name("target")
    if kind == "file":
        target.write_bytes(OLD)
    elif kind == "directory":
        target.mkdir()
    else:
        target.symlink_to("missing")
    before = target.lstat()
    with pytest.raises(FileExistsError):
        atomic.copy_new(old, target, old.with_name("scratch.tmp"))
    assert target.lstat() == before
    assert names(old.parent) == [old.name, "target"]


@pytest.mark.parametrize("step", ["open", "fsync", "link"])
def test_a_copy_that_fails_leaves_no_litter(old: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, step, failing(errno.EPERM))
    with pytest.raises(PermissionError) as caught:
        atomic.copy_new(old, old.with_name("copy"), old.with_name("scratch.tmp"))
    monkeypatch.undo()
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert names(old.parent) == [old.name]


def test_a_copy_of_what_is_missing_leaves_no_litter(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic.copy_new(tmp_path / "missing", tmp_path / "copy", tmp_path / "scratch.tmp")
    assert names(tmp_path) == []


def test_a_copy_whose_directory_cant_be_flushed_is_an_unknown_outcome(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "flush_directory", failing(errno.EIO))
    with pytest.raises(UnknownOutcomeError):
        atomic.copy_new(old, old.with_name("copy"), old.with_name("scratch.tmp"))


@pytest.mark.parametrize("name", [".releasekit-state.json", "state.json", "odd [ab]*?.json"])
def test_leftovers_of_a_file_are_removed_and_no_others(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    stem = name.removeprefix(".releasekit-")
    leftovers = [f".releasekit-{stem}.{digits}.tmp" for digits in ("0123456789abcdef", "f" * 16)]
    others = [
        name,
        f".releasekit-{stem}.more.0123456789abcdef.tmp",
        f".releasekit-{stem}.mine.tmp",
        f".releasekit-{stem}.0123456789abcdef.tmp.bak",
        ".releasekit-odd a.json.0123456789abcdef.tmp",
        ".releasekit-state.lock",
    ]
    for made in {*leftovers, *others}:
        (tmp_path / made).write_bytes(OLD)
    atomic.remove_leftovers(path)
    assert names(tmp_path) == sorted(others)


def test_leftovers_are_sought_where_a_link_leads(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".releasekit-target.0123456789abcdef.tmp").write_bytes(OLD)
    (tmp_path / "link").symlink_to(elsewhere / "target")
    atomic.remove_leftovers(tmp_path / "link")
    assert names(elsewhere) == []


def test_what_a_write_leaves_when_killed_is_what_remove_leftovers_knows(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", failing(errno.EIO))
        patch.setattr(Path, "replace", failing(errno.EIO))
        with pytest.raises(OSError, match=re.escape(os.strerror(errno.EIO))):
            atomic.replace(old, NEW)
    assert len(names(old.parent)) == 2
    atomic.remove_leftovers(old)
    assert names(old.parent) == [old.name]


WRITER = """
import sys
from pathlib import Path
from releasekit.persistence import atomic
path, size = Path(sys.argv[1]), int(sys.argv[2])
for digit in range(10**9):
    atomic.replace(path, b"%d" % (digit % 10) * size)
    if digit == 0:
        print("ready", flush=True)
"""
SIZE = 200_000


def test_kill_9_at_any_moment_leaves_one_content_whole(tmp_path: Path) -> None:
    path = tmp_path / ".releasekit-state.json"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    for round_number in range(12):
        command = [sys.executable, "-c", WRITER, str(path), str(SIZE)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as writer:
            assert writer.stdout
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(0.0007 * round_number)  # somewhere in the middle; no outcome depends on it
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == SIZE
        assert len(set(content)) == 1
        assert len(names(tmp_path)) <= 2
        atomic.remove_leftovers(path)
        assert names(tmp_path) == [path.name]


def test_a_leftover_that_cant_be_removed_stays(tmp_path: Path) -> None:
    path = tmp_path / ".releasekit-state.json"
    stuck = path.with_name(".releasekit-state.json.0000000000000000.tmp")
    stuck.mkdir()
    other = path.with_name(".releasekit-state.json.0123456789abcdef.tmp")
    other.touch()
    atomic.remove_leftovers(path)
    assert [*tmp_path.iterdir()] == [stuck]


def test_a_directory_that_was_flushed_but_cant_be_closed_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = os.close

    def refuse(fd: int) -> None:
        close(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", refuse)
        atomic.flush_directory(tmp_path)
