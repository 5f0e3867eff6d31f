"""An open run: the lock, the journal, the snapshot and the `RunState`, kept together.

Whoever holds the lock is the only writer. Every trigger fired on the run's packages is recorded in memory at
once and durable in the journal after the next `commit`. The snapshot, which is for people and other tools,
follows within a second (less often where writing it takes long: see `refresher`), and never tells what the journal does
not have.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

from releasekit.errors import E, ReleaseKitError
from releasekit.logging import get_logger
from releasekit.persistence import atomic
from releasekit.persistence.group_commit import GroupCommit
from releasekit.persistence.journal import open_regular
from releasekit.persistence.lock import RunLock
from releasekit.persistence.refresher import Refresher
from releasekit.persistence.writer import Writer, not_durable
from releasekit.state import RunState, files, records
from releasekit.state.audience import LOCK
from releasekit.state.snapshot import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from releasekit.state import PackageState, Transition


class RunStore:
    """An open run. Made by `create` or `open`, not by itself.

    Attributes:
        state: The run. Every trigger fired on its packages is recorded.
        path: Its state file.
    """

    def __init__(self, path: Path, state: RunState, writer: Writer, lock: RunLock) -> None:
        self.path = path
        self.state = state
        self._lock = lock
        self._writer = writer
        self._shared = GroupCommit(writer.try_flush)
        self._refresher = Refresher(self._refresh)
        self._refreshed = -1  # the number of the last record that the snapshot has; not known yet
        self._closing = Lock()
        self._closed = False
        state.record(self)

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], state: RunState, *, prepare: Callable[[], object] | None = None
    ) -> Self:
        """Begin a run: take the lock and write its files, which must not exist.

        Args:
            path: The state file to be.
            state: The run, with every package declared.
            prepare: Called when the lock is held and no file of the run is there yet, to lay down what the run needs:
                if it raises, or a crash comes, there is no run that would go on without.

        Raises:
            OSError: There is no such directory, or it can't be locked.
            ReleaseKitError: A file exists (`E.STATE_EXISTS`), another process holds the lock
                (`E.STATE_LOCKED`), or the journal can't be written (`E.STATE_NOT_DURABLE`).
        """
        path = Path(os.path.realpath(path))  # one lock a file, whatever link or directory it is reached by
        with _locked(path) as lock:
            if files.there_is_a_run(path):
                hint = "open it to go on with that run, or move it aside"
                raise ReleaseKitError(E.STATE_EXISTS, f"there is already a run in {path}", hint)
            if prepare:
                prepare()
            with LOCK:  # nothing may happen to it before somebody takes note of that
                store = cls(path, state, _begin_journal(path, state), lock)
            store._refresh()
        return store

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, git_sha: str | None = None) -> Self:
        """Go on with a run: take the lock, read what the disk has, and cut a torn write off.

        A run that has no journal, such as one of another tool, gets one.

        Args:
            path: The state file.
            git_sha: The commit that it must belong to; None accepts any.

        Raises:
            OSError: The run could not be read, or its directory not be locked.
            ReleaseKitError: It can't be trusted (`E.STATE_CORRUPTED`), belongs to another commit
                (`E.STATE_SHA_MISMATCH`), another process holds the lock (`E.STATE_LOCKED`), or the disk refuses
                (`E.STATE_NOT_DURABLE`).
        """
        path = Path(os.path.realpath(path))  # one lock a file, whatever link or directory it is reached by
        with _locked(path) as lock:
            journal = files.journal_path(path)
            if os.path.lexists(journal):
                store = cls(path, *_open_journal(journal, path, git_sha), lock)
            else:
                state = _checked(RunState.load(path), git_sha)
                store = cls(path, state, _begin_journal(path, state), lock)
                store._refresh()  # it may tell of a journal that is gone
            atomic.remove_leftovers(path)
            atomic.remove_leftovers(journal)
        return store

    def commit(self) -> None:
        """Return when every trigger fired and every package declared so far is durable.

        It waits for the disk and for other commits: a signal handler or a listener must not call it.

        Raises:
            ReleaseKitError: The disk refused (`E.STATE_NOT_DURABLE`), now or earlier, or the store is closed
                (`E.STATE_CLOSED`).
        """
        self.state.check()
        self._writer.flush()

    async def acommit(self) -> None:
        """Do what `commit` does without blocking the event loop; concurrent callers share one flush."""
        self.state.check()
        writer = self._writer
        writer.check_open()
        wanted = writer.recorded
        if writer.durable < wanted:
            await self._shared.next_flush()
        if writer.durable < wanted:
            writer.flush()  # which says why it could not

    def close(self) -> None:
        """Commit what is not yet durable, write the snapshot and give the lock back. Closing twice does nothing.

        Like `commit`, it waits for the disk: a signal handler or a listener must not call it. In a process that was
        forked off while the run was open it does nothing: the run is its parent's.

        Raises:
            ReleaseKitError: The last commit failed (`E.STATE_NOT_DURABLE`); the lock is given back.
        """
        if self._writer.is_copy():
            return
        with self._closing:
            if self._closed:
                return
            self._closed = True
            try:  # each of them, whatever another one raises or an interrupt hits; the lock is the last
                self._refresher.close()
                self._refresh()
            finally:
                try:
                    self._writer.close()
                finally:
                    try:
                        self._shared.close()
                    finally:
                        self._lock.release()

    def declared(self, package: PackageState) -> None:
        """Record a package that joined the run; called by the run."""
        self._record(records.declaration(package))

    def moved(self, package: PackageState, moved: Transition) -> None:
        """Record a trigger; called by the run."""
        self._record(records.transition(package, moved))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, payload: bytes) -> None:
        if not self._closed:
            self._writer.record(payload)
            self._refresher.changed()

    def _refresh(self) -> None:
        """Write the snapshot, if there is anything new in it. The run goes on without: the journal is the truth."""
        try:
            with LOCK:
                self.state.check()
                recorded = self._writer.recorded
                encode = self.state.frozen(recorded)
            if recorded != self._refreshed and self._writer.try_flush():  # it must not tell what the journal has not
                atomic.replace(self.path, encode())
                self._refreshed = recorded
        except (OSError, ReleaseKitError) as error:
            get_logger(__name__).warning(
                "releasekit.snapshot_failed",
                file=str(self.path),
                error=str(error),
                hint="the run goes on without: its journal has everything",
            )


def _begin_journal(path: Path, state: RunState) -> Writer:
    """Write a new journal beside a state file; both may have leftovers of a killed beginning."""
    journal = files.journal_path(path)
    for file in (path, journal):
        atomic.remove_leftovers(file)
    try:
        data, position = state.begin_journal()
        atomic.replace(journal, data)
        fd = open_regular(journal, os.O_RDWR)
    except (OSError, ValueError) as error:
        raise not_durable(journal, error) from error
    return Writer(journal, fd, position)


def _open_journal(journal: Path, path: Path, git_sha: str | None) -> tuple[RunState, Writer]:
    try:
        fd = open_regular(journal, os.O_RDWR)
    except OSError as error:
        raise unreadable(journal, error) from error
    try:
        _settle(fd, journal)
        try:
            replayed = files.replay(fd, journal, path)
        except OSError as error:
            raise unreadable(journal, error) from error
        state = _checked(RunState.of(replayed.run), git_sha)
        if replayed.tail:
            files.warn_of(replayed, journal)
            _cut(fd, replayed.position.end, journal)
        return state, Writer(journal, fd, replayed.position)
    except BaseException:
        os.close(fd)
        raise


def _settle(fd: int, journal: Path) -> None:
    """Have the disk and the kernel agree on a journal before it is read.

    A writer that was killed may have left lines that only the kernel has; and where a flush failed, the kernel may
    show lines that the disk never got.
    """
    try:
        atomic.flush_data(fd)
        atomic.flush_directory(journal.parent)
    except OSError as error:
        raise not_durable(journal, error) from error
    if hasattr(os, "posix_fadvise"):  # pragma: no branch  # not on macOS
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _cut(fd: int, end: int, journal: Path) -> None:
    try:
        os.ftruncate(fd, end)
        atomic.flush(fd)
    except OSError as error:
        raise not_durable(journal, error) from error


def _checked(state: RunState, git_sha: str | None) -> RunState:
    if git_sha is not None:
        state.validate_sha(git_sha)
    return state


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[RunLock]:
    """Take the lock beside a state file, and give it back if anything goes wrong before the store has it."""
    lock = RunLock.of(path)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise
