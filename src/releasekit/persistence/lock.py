"""The lock of a run: the operating system's, so that it is free as soon as its process ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import Final, Self

import msgspec

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence.journal import open_regular

LOCK_FILENAME: Final = ".releasekit-state.lock"

_PATIENCE: Final = 0.05
"""Seconds that the lock is tried for: who asks `is_held` has it for an instant."""

_POLL: Final = 0.01  # seconds
_TOLD: Final = 1 << 12  # bytes, and more than stand in a lock file


class RunLock:
    """The operating system's lock on a run's directory, held until `release` or the process's death.

    The lock file is never deleted and never broken by age: the kernel alone says whether it is held. What
    stands in it is information for people.

    Args:
        directory: Where the state file is.

    Raises:
        ReleaseKitError: Another process holds it (`E.STATE_LOCKED`), with who it is.
        OSError: There is no such directory, the lock file can't be made, or the file system knows no locks.
    """

    def __init__(self, directory: Path) -> None:
        from filelock import FileLock, Timeout  # noqa: PLC0415  # slow, and who only asks `is_held` does without

        if not directory.is_dir():  # the lock would make it, and leave it there
            raise FileNotFoundError(errno.ENOENT, "there is no such directory to keep a run in", str(directory))
        self.path = directory / LOCK_FILENAME
        # A soft lock would outlive its process; thread_local would let another thread hold it a second time.
        self._lock = FileLock(
            self.path, timeout=_PATIENCE, poll_interval=_POLL, thread_local=False, fallback_to_soft=False
        )
        try:
            self._lock.acquire()
        except Timeout:
            raise ReleaseKitError(
                E.STATE_LOCKED,
                f"another releasekit is at work in {directory}: {holder(self.path)}",
                "wait until it ends, or stop it; `releasekit status` shows how far it is",
            ) from None
        except OSError as error:
            raise type(error)(error.errno, f"could not lock: {error.strerror}", str(self.path)) from error
        text = msgspec.json.encode({"pid": os.getpid(), "host": os.uname().nodename})
        with contextlib.suppress(OSError):  # information only: a full disk must not stop a reader of the lock
            self.path.write_bytes(text + b"\n")

    @classmethod
    def of(cls, path: Path) -> Self:
        """Take the lock of the run in a state file: one lock a file, whatever link or directory it is reached by."""
        return cls(Path(os.path.realpath(path)).parent)

    def release(self) -> None:
        """Give the lock back. If that can't be, it is free when the process ends."""
        with contextlib.suppress(OSError):
            self._lock.release()


def is_held(path: Path) -> bool | None:
    """Tell whether somebody holds the lock of the run in a state file, without keeping anybody from it.

    Returns:
        None if that can't be told.
    """
    try:
        fd = os.open(Path(os.path.realpath(path)).with_name(LOCK_FILENAME), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(fd)


def holder(path: Path) -> str:
    """Say who holds a lock file, as far as it tells."""
    try:
        with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
            known = msgspec.json.decode(file.read(_TOLD), type=dict[str, int | str])
        return f"process {known['pid']} on {known['host']}"
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return "it does not say which process it is"
