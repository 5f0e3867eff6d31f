"""Small disks of one's own, to be filled or cut off: mounted for a test, and gone after it, however it ends.

Whoever may not mount, or has no `mkfs.ext4`, has the test skipped with what the system said. The names are the
caller's, so that processes side by side don't meet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILLER: Final = "filler"
"""The file that `fill` takes the space with."""


@contextmanager
def tmpfs(directory: Path, size: int) -> Iterator[Path]:
    """Mount a tmpfs of so many bytes on a directory, which is made; give the directory."""
    with _mounted(directory, "-t", "tmpfs", "-o", f"size={size}", "tmpfs"):
        yield directory


@contextmanager
def ext4_image(image: Path, size: int, *options: str) -> Iterator[Path]:
    """Make an ext4 image of so many bytes and mount it beside itself; give where.

    Args:
        image: The file to be.
        size: Its size in bytes.
        options: More of mkfs.ext4's.
    """
    with image.open("xb") as file:
        file.truncate(size)
    _need("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", *options, str(image))
    directory = image.with_suffix(".mounted")
    with _mounted(directory, "-t", "ext4", "-o", "loop", str(image)):
        yield directory


def free(directory: Path) -> int:
    """Tell how many bytes may still be written to a disk."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


def block_size(directory: Path) -> int:
    """Tell in which steps a disk fills, in bytes."""
    return os.statvfs(directory).f_frsize


def fill(directory: Path, wanted: int) -> None:
    """Leave so many bytes free on a disk, to the block; only what `fill` wrote itself is taken away again."""
    with (directory / FILLER).open("ab") as file:
        size = max(0, file.seek(0, os.SEEK_END) + free(directory) - wanted)
        file.truncate(min(size, file.tell()))
        if size > file.tell():
            os.posix_fallocate(file.fileno(), 0, size)


@contextmanager
def _mounted(directory: Path, *arguments: str) -> Iterator[None]:
    directory.mkdir()
    _need("mount", *arguments, str(directory))
    try:
        yield
    finally:
        unmount = _program("umount")
        if subprocess.run([unmount, str(directory)], check=False).returncode:  # a process is still at work there
            subprocess.run([unmount, "--lazy", str(directory)], check=True)


def _need(name: str, *arguments: str) -> None:
    done = subprocess.run([_program(name), *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{name} can't work here: {done.stderr.strip()}")


def _program(name: str) -> str:
    """Find a program; those of administrators are not on every user's PATH."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or pytest.skip(f"{name} is missing here")
