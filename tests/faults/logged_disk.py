"""A disk that remembers: a file served by FUSE that logs every write and every flush of it, in order.

A loop device on the file passes each write and each flush of the file system above it on, so the log has what a real
disk would have been sent, and every disk that a power cut could have left can be made from it. Beside the disk stands a
second file: what is written to that one is logged too and changes nothing, so a program can mark a moment in the log
exactly.

Usage: python logged_disk.py IMAGE LOG MOUNTPOINT
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import subprocess
import sys
import time
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DISK: Final = "disk.img"
MARKS: Final = "marks"
SUPERBLOCK: Final = 4096  # bytes at the beginning of the disk
PATIENCE: Final = 30.0  # seconds for the server to come and go

_HEAD: Final = struct.Struct("<BQQ")  # kind, offset, length; the data follows


class Kind(IntEnum):
    """What reached the disk."""

    WRITE = 0
    FLUSH = 1
    MARK = 2


class Entry(NamedTuple):
    """A line of the log."""

    kind: Kind
    offset: int = 0
    data: bytes = b""


def read_log(path: Path) -> Iterator[Entry]:
    """Yield what reached the disk, in order."""
    log = memoryview(path.read_bytes())
    while log:
        kind, offset, length = _HEAD.unpack_from(log)
        end = _HEAD.size + length
        yield Entry(Kind(kind), offset, bytes(log[_HEAD.size : end]))
        log = log[end:]


def pieces(writes: Iterable[Entry], size: int) -> Iterator[Entry]:
    """Divide writes into what a disk keeps or loses together."""
    for write in writes:
        start = 0
        while start < len(write.data):
            # The superblock stays whole: ext4 counts on that, and has copies of it for fsck if it is torn.
            stop = start + (size if write.offset + start else SUPERBLOCK)
            yield Entry(Kind.WRITE, write.offset + start, write.data[start:stop])
            start = stop


def copy(source: Path, target: Path) -> Path:
    """Copy an image, without its holes."""
    run("cp", "--sparse=always", source, target)
    return target


def put(image: Path, writes: Iterable[Entry]) -> None:
    """Write to an image."""
    with image.open("r+b") as file:
        for write in writes:
            file.seek(write.offset)
            file.write(write.data)


def run(*command: str | Path) -> None:
    """Run a command, and say what it said if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


@contextlib.contextmanager
def mounted(source: Path | str, target: Path, *options: str) -> Iterator[Path]:
    """Mount something for a while."""
    target.mkdir(exist_ok=True)
    run("mount", *options, source, target)
    try:
        yield target
    finally:
        try:
            run("umount", target)
        except OSError:
            run("umount", "--lazy", target)  # leave nothing behind
            raise


@contextlib.contextmanager
def served(image: Path, log: Path, mountpoint: Path) -> Iterator[Path]:
    """Serve an image as a logged disk; give the directory with `DISK` and `MARKS` in it."""
    mountpoint.mkdir(exist_ok=True)
    environ = os.environ | {"FUSE_LIBRARY_NAME": "fuse3"}
    with subprocess.Popen([sys.executable, __file__, image, log, mountpoint], env=environ) as server:
        try:
            deadline = time.monotonic() + PATIENCE
            while not (mountpoint / DISK).exists():
                assert server.poll() is None, f"the FUSE server ended with {server.returncode}"
                assert time.monotonic() < deadline, "the FUSE server does not serve"
                time.sleep(0.01)
            yield mountpoint
        finally:
            with contextlib.suppress(OSError):  # it may never have been mounted
                run("umount", "--lazy", mountpoint)
            try:
                server.wait(PATIENCE)
            finally:
                server.kill()


class LoggedDisk:
    """The operations that FUSE calls."""

    use_ns = True  # of times, which are not told at all

    def __init__(self, image: Path, log: Path) -> None:
        self._image = os.open(image, os.O_RDWR)
        self._size = os.fstat(self._image).st_size
        self._log = log.open("wb", buffering=0)

    def getattr(self, path: str, _fh: int | None = None) -> dict[str, int]:
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        if path not in {f"/{DISK}", f"/{MARKS}"}:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": self._size if path == f"/{DISK}" else 0}

    def read(self, _path: str, size: int, offset: int, _fh: int) -> bytes:
        return os.pread(self._image, size, offset)

    def write(self, path: str, data: bytes, offset: int, _fh: int) -> int:
        if path == f"/{MARKS}":
            self._note(Entry(Kind.MARK, 0, data))
            return len(data)
        self._note(Entry(Kind.WRITE, offset, data))
        return os.pwrite(self._image, data, offset)

    def fsync(self, path: str, _datasync: int, _fh: int) -> int:
        assert path == f"/{DISK}"
        self._note(Entry(Kind.FLUSH))
        return 0

    def _note(self, entry: Entry) -> None:
        self._log.write(_HEAD.pack(entry.kind, entry.offset, len(entry.data)) + entry.data)


if __name__ == "__main__":
    from mfusepy import FUSE  # loads libfuse, which who only reads a log can do without

    image, log, mountpoint = map(Path, sys.argv[1:])
    FUSE(LoggedDisk(image, log), str(mountpoint), foreground=True, nothreads=True)
