"""An open run: the lock, the state file and the `RunState`, kept together.

Whoever holds the lock is the only writer. Every trigger fired on the run's packages is recorded in memory at
once and durable after the next `commit`. In this version a commit writes the snapshot; the append-only journal
will take that place behind the same interface.

A write that fails poisons the store: nothing is known of the disk any more, so nothing more is written, no
fsync is tried again, and the next `open` reads what the disk has.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, Self

import msgspec
from filelock import FileLock, Timeout

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence import atomic
from releasekit.state import RunState
from releasekit.state.package import LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from releasekit.state import Transition

LOCK_FILENAME: Final = ".releasekit-state.lock"


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
        if not directory.is_dir():  # the lock would make it, and leave it there
            raise FileNotFoundError(errno.ENOENT, "there is no such directory to keep a run in", str(directory))
        self.path = directory / LOCK_FILENAME
        # A soft lock would outlive its process; thread_local would let another thread hold it a second time.
        self._lock = FileLock(self.path, timeout=0, thread_local=False, fallback_to_soft=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise ReleaseKitError(
                E.STATE_LOCKED,
                f"another releasekit is at work in {directory}: {holder(self.path)}",
                "wait until it ends, or stop it; `releasekit status` shows how far it is",
            ) from None
        text = msgspec.json.encode({"pid": os.getpid(), "host": os.uname().nodename})
        with contextlib.suppress(OSError):  # information only: a full disk must not stop a reader of the lock
            self.path.write_bytes(text + b"\n")

    @classmethod
    def of(cls, path: Path) -> Self:
        """Take the lock of the run in a state file: one lock a file, whatever link or directory it is reached by."""
        return cls(Path(os.path.realpath(path)).parent)

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


def holder(path: Path) -> str:
    """Say who holds a lock file, as far as it tells."""
    try:
        known = msgspec.json.decode(path.read_bytes(), type=dict[str, int | str])
        return f"process {known['pid']} on {known['host']}"
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return "it does not say which process it is"


class RunStore:
    """An open run. Made by `create` or `open`, not by itself.

    Attributes:
        state: The run. Every trigger fired on its packages is recorded.
        path: Its state file.
    """

    def __init__(self, path: Path, state: RunState, lock: RunLock) -> None:
        self.path = path
        self.state = state
        self._lock = lock
        self._flushing = Lock()
        self._fired = 0
        self._durable = -1  # of what `_changes` counts; nothing, not even that there is a run
        self._failure: BaseException | None = None
        self._closed = False
        state.listen(self._record)

    @classmethod
    def create(cls, path: str | os.PathLike[str], state: RunState) -> Self:
        """Begin a run: take the lock and write its state file, which must not exist.

        Args:
            path: The state file to be.
            state: The run, with every package declared.

        Raises:
            ReleaseKitError: The file exists (`E.STATE_EXISTS`), another process holds the lock
                (`E.STATE_LOCKED`), or the file can't be written (`E.STATE_NOT_DURABLE`).
        """
        path = Path(os.path.realpath(path))  # one lock a file, whatever link or directory it is reached by
        with _locked(path) as lock:
            if os.path.lexists(path):
                hint = "open it to go on with that run, or move it aside"
                raise ReleaseKitError(E.STATE_EXISTS, f"there is already a run in {path}", hint)
            atomic.remove_leftovers(path)
            store = cls(path, state, lock)
            store.commit()
        return store

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, git_sha: str | None = None) -> Self:
        """Go on with a run: take the lock and read its state file.

        Args:
            path: The state file.
            git_sha: The commit that it must belong to; None accepts any.

        Raises:
            OSError: The file could not be read.
            ReleaseKitError: It can't be trusted (`E.STATE_CORRUPTED`), belongs to another commit
                (`E.STATE_SHA_MISMATCH`), or another process holds the lock (`E.STATE_LOCKED`).
        """
        path = Path(os.path.realpath(path))  # one lock a file, whatever link or directory it is reached by
        with _locked(path) as lock:
            state = RunState.load(path)
            if git_sha is not None:
                state.validate_sha(git_sha)
            atomic.remove_leftovers(path)
            store = cls(path, state, lock)
            store._durable = store._changes()
        return store

    def commit(self) -> None:
        """Return when every trigger fired and every package declared so far is durable.

        Raises:
            ReleaseKitError: The disk refused (`E.STATE_NOT_DURABLE`), now or earlier, or the store is closed
                (`E.STATE_CLOSED`).
        """
        wanted = self._changes()
        with self._flushing:
            if self._closed:
                raise ReleaseKitError(E.STATE_CLOSED, f"the run in {self.path} is closed", "open it again")
            self._flush(wanted)

    async def acommit(self) -> None:
        """Do what `commit` does without blocking the event loop; concurrent callers share one flush."""
        await asyncio.to_thread(self.commit)

    def close(self) -> None:
        """Commit what is not yet durable and give the lock back. Closing twice does nothing.

        Raises:
            ReleaseKitError: The last commit failed (`E.STATE_NOT_DURABLE`); the lock is given back.
        """
        with self._flushing:  # or another thread's commit could write after the lock is given back
            if self._closed:
                return
            try:
                if not self._failure:
                    self._flush(self._changes())
            finally:
                self._closed = True
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, _transition: Transition) -> None:
        self._fired += 1

    def _changes(self) -> int:
        """Count what there is to make durable: triggers fired and packages declared. It never shrinks."""
        with LOCK:
            return self._fired + len(self.state)

    def _flush(self, wanted: int) -> None:
        if self._failure:
            raise self._not_durable(self._failure) from self._failure
        if self._durable >= wanted:
            return
        changes = self._changes()
        try:
            self.state.save(self.path)
        except BaseException as error:  # an interrupt too leaves it unknown what the disk has
            self._failure = error
            if isinstance(error, Exception):
                raise self._not_durable(error) from error
            raise
        self._durable = changes

    def _not_durable(self, error: BaseException) -> ReleaseKitError:
        return ReleaseKitError(
            E.STATE_NOT_DURABLE,
            f"the run could not be written to {self.path}: {error}",
            "mend the disk (space? permissions?) and run the same command again: it goes on from what was written",
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[RunLock]:
    """Take the lock beside a state file, and give it back if anything goes wrong before the store has it."""
    lock = RunLock.of(path)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise
