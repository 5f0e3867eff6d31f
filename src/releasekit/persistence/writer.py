"""Writing a journal: records are collected in memory, and one flush makes all of them durable.

Only who holds the run's lock may write. A write or a flush that fails *poisons* the writer: it is then unknown what
the device has (after a failed fsync the kernel may drop the pages and report success the next time), so nothing is
written and nothing is flushed any more; whoever opens the journal next reads what the device has.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence import atomic
from releasekit.persistence.journal import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.persistence.journal import Position

SPACE: Final = 1 << 18
"""Bytes that are written ahead as blank lines, so that most flushes change no size."""

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Writer:
    """Appends to a journal.

    Args:
        path: The journal.
        fd: The journal, open for reading and writing; the writer closes it.
        position: Where the next record goes.

    Attributes:
        recorded: The number of the last record that was given to `record`.
        durable: The number of the last record that is known to be on the device.
    """

    def __init__(self, path: Path, fd: int, position: Position) -> None:
        self.path = path
        self.recorded = self.durable = position.seq
        self._fd = fd
        self._position = position
        self._room = os.fstat(fd).st_size
        self._numbers = count(position.seq + 1)
        self._pending: deque[bytes] = deque()
        self._flushing = Lock()
        self._process = os.getpid()
        self._failure: BaseException | None = None
        self._told = False
        self._closed = False

    def record(self, payload: bytes) -> None:
        """Take a record, in memory. The caller sees to it that records come in their order.

        Args:
            payload: A JSON object that is not empty.
        """
        self._pending.append(payload)
        self.recorded = next(self._numbers)

    def flush(self) -> None:
        """Return when every record taken so far is on the device.

        Raises:
            ReleaseKitError: The disk refused (`E.STATE_NOT_DURABLE`), now or earlier, or the writer is closed
                (`E.STATE_CLOSED`).
        """
        wanted = self.recorded
        self.check_open()  # before the lock, which a fork may have copied as it was held
        with self._flushing:
            self.check_open()
            self._flush(wanted)

    def try_flush(self) -> bool:
        """Do what `flush` does for who can do without it: a failure is left for the next who can't.

        Returns:
            Whether every record taken so far is on the device.
        """
        wanted = self.recorded
        with self._flushing:
            if self._failure or self._closed:
                return False
            try:
                self._flush(wanted)
            except ReleaseKitError:
                self._told = False
                return False
            return True

    def check_open(self) -> None:
        """Return if the writer is not closed, and not one that a fork copied.

        Raises:
            ReleaseKitError: It is (`E.STATE_CLOSED`).
        """
        if self._closed:
            raise ReleaseKitError(E.STATE_CLOSED, f"the run in {self.path} is closed", "open it again")
        if self.is_copy():
            message = f"the run in {self.path} is open in process {self._process}, and only there"
            raise ReleaseKitError(
                E.STATE_CLOSED, message, "let that process record what happens, or open it in this one"
            )

    def is_copy(self) -> bool:
        """Tell whether a fork made this writer: two that write to one file would destroy it."""
        return os.getpid() != self._process

    def close(self) -> None:
        """Flush what is not durable yet, give unused space back and close the file. Closing twice does nothing.

        Raises:
            ReleaseKitError: A flush failed (`E.STATE_NOT_DURABLE`), and nobody was told yet.
        """
        with self._flushing:
            if self._closed:
                return
            try:
                if not self._told:
                    self._flush(self.recorded)
                    with contextlib.suppress(OSError):  # blank lines do no harm
                        os.ftruncate(self._fd, self._position.end)
            finally:
                self._closed = True
                with contextlib.suppress(OSError):  # what counts has been flushed
                    os.close(self._fd)

    def _flush(self, wanted: int) -> None:
        if self._failure:
            self._told = True
            raise not_durable(self.path, self._failure) from self._failure
        if self.durable >= wanted:
            return
        try:
            self._write()
        except BaseException as error:  # an interrupt too leaves it unknown what the disk has
            self._failure = error
            self._told = True
            if isinstance(error, Exception):
                raise not_durable(self.path, error) from error
            raise

    def _write(self) -> None:
        payloads = [self._pending.popleft() for _ in range(len(self._pending))]  # others may record meanwhile
        lines, position = self._position.behind_records(payloads, self.durable)
        atomic.write_all_at(self._fd, lines, self._position.end)
        if position.end > self._room:
            self._write_ahead(position.end)
        atomic.flush_data(self._fd)
        self._position = position
        self.durable = position.seq

    def _write_ahead(self, end: int) -> None:
        """Make room for the next records, unless the disk is full: then what is left is for others, and the records."""
        try:
            atomic.write_all_at(self._fd, b"\n" * min(SPACE, MAX_BYTES - end), end)  # more would not be read
            self._room = os.fstat(self._fd).st_size
        except OSError as error:
            if error.errno not in _FULL:
                raise
            os.ftruncate(self._fd, end)
            self._room = MAX_BYTES  # ask no more


def not_durable(path: Path, error: BaseException) -> ReleaseKitError:
    """Make the error that says that a run could not be written (`E.STATE_NOT_DURABLE`)."""
    mend = "mend the disk (space? limits? permissions?) and " if isinstance(error, OSError) else ""
    return ReleaseKitError(
        E.STATE_NOT_DURABLE,
        f"the run could not be written to {path}: {str(error) or type(error).__name__}",
        f"{mend}run the same command again: it goes on from what was written",
    )
