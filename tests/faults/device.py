"""A device whose power can be cut, under the files of a real directory.

The directory shows what the kernel shows; what the device has is kept beside it. After `cut_power` the directory holds
what a power cut may leave: of each file what `sectors` says, and of the names what was flushed, and each one that has
changed since as it was or as after any of the changes.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.faults.sectors import File

from releasekit.persistence import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

CALLS: Final = ("open", "close", "write", "pwrite", "ftruncate", "fsync", "fdatasync", "replace", "unlink")
_real: Final[Any] = SimpleNamespace(**{name: getattr(os, name) for name in CALLS})


class Device:
    """The device under one directory; lock files are no part of it.

    Args:
        directory: The directory, empty and without links in its path.

    Attributes:
        flushes: How many flushes of files there were, well or not.
        troubled: Whether the trouble that was prepared has come.
    """

    def __init__(self, directory: Path) -> None:
        self.flushes = 0
        self.troubled = False
        self._directory = str(directory)
        self._view: dict[str, File] = {}
        self._names: dict[str, File] = {}
        self._changes: dict[str, list[File | None]] = defaultdict(list)  # of names, since the directory's last flush
        self._files: dict[int, File | None] = {}  # None is the directory
        self._calls: int | None = None
        self._error: int | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take the place of the system calls that change files."""
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, getattr(self, f"_do_{name}"))
            patch.setattr(atomic.write_all, "__defaults__", (self._do_write,))  # it took os.write when it was defined
            patch.setattr(os, "posix_fadvise", self._do_posix_fadvise, raising=False)
            yield

    def prepare(self, calls: int, error: int | None, random: Random) -> None:
        """Have so many system calls succeed and the next one fail; without an error, the power fails before it."""
        self.troubled = False
        self._calls, self._error, self._random = calls, error, random

    def settle(self) -> None:
        """Have no trouble come any more that has not come yet."""
        self._calls = None

    def cut_power(self, random: Random) -> None:
        """Cut the power and bring it back: the directory shows what the device has."""
        left: dict[str, File] = {}
        contents: dict[int, bytes] = {}
        for name in sorted(self._names.keys() | self._changes.keys()):
            file = random.choice([self._names.get(name), *self._changes[name]])
            if file:
                if id(file) not in contents:
                    contents[id(file)] = file.after_power_cut(random)
                left[name] = File(contents[id(file)])
        for name in self._view:
            _real.unlink(f"{self._directory}/{name}")
        for name, file in left.items():
            Path(self._directory, name).write_bytes(file.view)
        self._view, self._names = left, dict(left)
        self._changes.clear()
        self._files.clear()
        self._calls, self.troubled = None, False

    def _fails(self) -> bool:
        """Count a system call; tell whether it must fail."""
        if self.troubled and self._error is None:
            raise OSError(errno.EIO, "the power is off")
        if self._calls is None:
            return False
        self._calls -= 1
        if self._calls >= 0:
            return False
        self._calls, self.troubled = None, True
        return self._error is not None or self._fails()

    def _failure(self) -> OSError:
        return OSError(self._error, os.strerror(self._error or 0))

    def _name(self, path: Any) -> str | None:  # noqa: ANN401  # any path
        directory, _, name = str(path).rpartition("/")
        return name if directory == self._directory and not name.endswith(".lock") else None

    def _change(self, name: str, file: File | None) -> None:
        self._changes[name].append(file)
        if file:
            self._view[name] = file
        else:
            del self._view[name]

    def _do_open(self, path: Any, flags: int, *arguments: Any, **options: Any) -> int:  # noqa: ANN401  # as os has it
        name = self._name(path)
        new = name is not None and name not in self._view and flags & os.O_CREAT
        if new and self._fails():
            raise self._failure()
        fd: int = _real.open(path, flags, *arguments, **options)
        if name is not None:
            if new:
                self._change(name, File())
            self._files[fd] = self._view[name]
        elif str(path) == self._directory:
            self._files[fd] = None
        return fd

    def _do_close(self, fd: int) -> None:
        self._files.pop(fd, None)
        _real.close(fd)

    def _do_write(self, fd: int, data: bytes) -> int:
        file = self._files.get(fd)
        return self._written(fd, data, len(file.view)) if file else int(_real.write(fd, data))

    def _do_pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return self._written(fd, data, offset) if self._files.get(fd) else int(_real.pwrite(fd, data, offset))

    def _written(self, fd: int, data: bytes, offset: int) -> int:
        file = self._files[fd]
        assert file
        done = len(data)
        if self._fails():  # a part may be written before, and the error come with the next call, or not at all
            done = self._random.randrange(len(data))
            if not done:
                raise self._failure()
            self._calls = self._random.choice([0, None])
        _real.pwrite(fd, data[:done], offset)
        file.write(bytes(data[:done]), offset)
        return done

    def _do_ftruncate(self, fd: int, size: int) -> None:
        file = self._files.get(fd)
        if file:
            if self._fails():
                raise self._failure()
            file.truncate(size)
        _real.ftruncate(fd, size)

    def _do_fsync(self, fd: int) -> None:
        if fd not in self._files:
            _real.fsync(fd)
            return
        file = self._files[fd]
        self.flushes += file is not None
        if self._fails():
            if file:
                file.fail_to_flush(self._random)
            raise self._failure()
        if file:
            file.flush()
        else:
            self._names = dict(self._view)
            self._changes.clear()

    def _do_fdatasync(self, fd: int) -> None:
        if fd in self._files:
            self._do_fsync(fd)
        else:
            _real.fdatasync(fd)

    def _do_replace(self, source: Any, target: Any, **options: Any) -> None:  # noqa: ANN401  # as os has it
        old, new = self._name(source), self._name(target)
        if old and new:
            if self._fails():
                raise self._failure()
            file = self._view[old]
            self._change(old, None)
            self._change(new, file)
        _real.replace(source, target, **options)

    def _do_unlink(self, path: Any, **options: Any) -> None:  # noqa: ANN401  # as os has it
        name = self._name(path)
        if name in self._view:
            if self._fails():
                raise self._failure()
            self._change(name, None)
        _real.unlink(path, **options)

    def _do_posix_fadvise(self, fd: int, _offset: int, _length: int, _advice: int) -> None:
        file = self._files.get(fd)
        for content, start in file.forget() if file else ():
            _real.pwrite(fd, content, start)
