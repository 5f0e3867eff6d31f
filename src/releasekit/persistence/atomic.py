"""Put a file in place durably: whole or not at all, and still there after a power cut.

The order is what makes it so: write everything to a temporary file in the same directory, flush it, give it
its name, flush the directory. An error before the name is given leaves the old file and no litter. An error
after it leaves an unknown outcome: the name may or may not survive a power cut, and no retry of fsync can tell
(a second fsync may report success for pages that the kernel has dropped).

Temporary files match ``.releasekit-*.tmp``; a killed process leaves the one it was writing, and the
next writer takes it away: see `remove_leftovers`.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEW_FILE_MODE: Final = 0o600
_FOR_ALL: Final = 0o666
_RANDOM_BYTES: Final = 8  # of a temporary file's name
_CHUNK: Final = 1 << 20  # bytes


class UnknownOutcomeError(OSError):
    """The file has its new name, but its directory could not be flushed: it may be gone after a power cut."""


def replace(path: Path, data: bytes, *, shown: bool = False) -> None:
    """Replace or create a file.

    Args:
        path: The file. If it is a symbolic link, the file that it points to is replaced and the link stays.
        data: Its new content. An existing file keeps its mode, a new one gets 0600.
        shown: Whether it is made to be looked at: a new one may then be read by whom the system's umask lets.

    Raises:
        UnknownOutcomeError: The directory could not be flushed after the rename.
        OSError: Anything before that; the old file is untouched. It names the file, not the temporary one.
    """
    target = Path(os.path.realpath(path))
    mode: int | None
    try:
        old = target.stat()
    except FileNotFoundError:
        mode = None if shown else NEW_FILE_MODE
    else:
        mode = stat.S_IMODE(old.st_mode)
        if not stat.S_ISREG(old.st_mode):  # a rename would put a file in the place of a device or a pipe
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
    scratch = target.with_name(f"{_stem(target)}{secrets.token_hex(_RANDOM_BYTES)}.tmp")
    try:
        with _temporary(scratch, mode) as (temporary, fd):
            write_all(fd, data)
            flush(fd)
            temporary.replace(target)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error
    _flush_name(target)


def copy_new(source: Path, target: Path, scratch: Path) -> None:
    """Copy a file to a name that must not exist yet.

    Args:
        source: The file to copy.
        target: Its new name, mode 0644: others are meant to read it. It appears whole, at once.
        scratch: Another new name in the same directory, which it has until then and a killed process leaves.

    Raises:
        FileExistsError: The name exists; it is untouched.
        UnknownOutcomeError: The directory could not be flushed after the name was given.
        OSError: Anything before that, also a file system without hard links.
    """
    with _temporary(scratch, 0o644) as (temporary, fd):
        with source.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                write_all(fd, chunk)
        flush(fd)
        os.link(temporary, target)
    _flush_name(target)


def write_all(fd: int, data: bytes, write: Callable[[int, memoryview], int] = os.write) -> None:
    """Write until all is written: on a nearly full disk one call writes a part and reports no error."""
    rest = memoryview(data)
    while rest:
        written = write(fd, rest)
        rest = rest[_some(written) :]


def write_all_at(fd: int, data: bytes, offset: int) -> None:
    """Write all at a place, in bytes from the beginning: see `write_all`."""
    done = 0
    while done < len(data):
        done += _some(os.pwrite(fd, memoryview(data)[done:], offset + done))


def _some(written: int) -> int:
    if not written:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return written


def flush(fd: int) -> None:
    """Return when the device has what was written to an open file or directory.

    On macOS fsync stops at the drive's cache; F_FULLFSYNC goes on (see fsync(2) there).
    """
    if sys.platform == "darwin":  # pragma: no cover  # not on the machines that measure coverage
        import fcntl  # noqa: PLC0415  # only for macOS

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def flush_data(fd: int) -> None:
    """Do what `flush` does, but for what reading the data back does not need, such as the time of the change."""
    if sys.platform == "darwin":  # pragma: no cover  # it has no fdatasync
        flush(fd)
    else:
        os.fdatasync(fd)


def flush_directory(directory: Path) -> None:
    """Return when the names in a directory are on the device."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flush(fd)
    finally:
        with contextlib.suppress(OSError):  # what counts has been flushed
            os.close(fd)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files that killed writers of this file left. Only for who alone may write it.

    They do no harm, so one that can't be removed stays.
    """
    target = Path(os.path.realpath(path))
    for leftover in target.parent.glob(glob.escape(_stem(target)) + "[0-9a-f]" * 2 * _RANDOM_BYTES + ".tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink()


@contextlib.contextmanager
def _temporary(temporary: Path, mode: int | None) -> Iterator[tuple[Path, int]]:
    """Open a new file, with a mode or what the umask leaves; its name is gone at the end, unless it was renamed."""
    created = _FOR_ALL if mode is None else NEW_FILE_MODE  # the umask itself can't be asked without changing it
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, created)
    try:
        if mode is not None:
            os.fchmod(fd, mode)
        yield temporary, fd
    finally:
        with contextlib.suppress(OSError):  # what counts has been flushed, and its error was raised there
            os.close(fd)
        with contextlib.suppress(OSError):
            temporary.unlink()


def _stem(target: Path) -> str:
    return f".releasekit-{target.name.removeprefix('.releasekit-')}."


def _flush_name(target: Path) -> None:
    try:
        flush_directory(target.parent)
    except OSError as error:
        raise UnknownOutcomeError(error.errno, f"{error.strerror}, after the rename", str(target)) from error
