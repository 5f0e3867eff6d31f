r"""The journal: an append-only log of JSON lines, each of which seals everything before it by a checksum.

The format, version 1, and why it is so:

- One JSON object a line, so that people, `jq` and `grep` can read it. Line 1 is the header,
  ``{"journal":1,…,"check":"9a0f364b"}``; every other line is a record,
  ``{"seq":7,…,"flushed":6,"check":"5d21c0e8"}``, with what the caller says at the dots.
- `check` is the CRC-32 (as zlib computes it), in hex, of every byte of the file before ``,"check"``. It is there
  against accidents, of which it finds each one that hits at most 32 adjacent bits, and all but one in 2^32 of the
  others. Since it is chained through all lines before, a line that stands elsewhere than where it was written
  fails too, and a reader can check many lines at once. No checksum keeps a forger out who may write the file.
- `seq` counts from 1, so that a record which is missing or stands twice is called that.
- `flushed` is the last record that was known to be on the device when this one was written. Records that are
  written together are flushed together, and a power cut may keep any sectors of them: a record behind a bad one
  proves damage only if it says that the bad one had been flushed.
- Blank lines at the end are space that was written ahead: a flush into it has no new size and no new blocks to
  write down, which makes it 1.4 times faster. Readers skip them.
- It is never compacted: it is also the history.

So a line whose seal is wrong is a torn write if nothing behind it proves that it was flushed: the journal ends before
it. In every other case something happened to the file that no crash does, and it is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VERSION: Final = 1
MAX_LINE: Final = 1 << 20
"""Bytes of a line; a longer one is neither written nor read."""

MAX_BYTES: Final = 1 << 30
"""Bytes of a journal that is written or read: eight times what a run of 100,000 packages takes."""

_SEAL: Final = b',"check":"%08x"}\n'
_SEAL_LENGTH: Final = len(_SEAL % 0)


class Position(NamedTuple):
    """A place between two lines of a journal.

    Attributes:
        end: How many bytes stand before it.
        seq: The number of the last record before it; 0 behind the header.
        crc: The CRC-32 of all bytes before it.
    """

    end: int = 0
    seq: int = 0
    crc: int = 0

    def behind_header(self, payload: bytes) -> tuple[bytes, Position]:
        """Make the first line of a journal.

        Args:
            payload: A JSON object that is not empty: what the caller wants to say.

        Returns:
            The line, and the position behind it.

        Raises:
            ValueError: It is longer than `MAX_LINE`.
        """
        line, crc = seal(b'{"journal":%d,%b' % (VERSION, payload[1:-1]), self.crc)
        return line, self._behind(line, 0, crc)

    def behind_record(self, payload: bytes, flushed: int) -> tuple[bytes, Position]:
        """Make the line of the next record.

        Args:
            payload: A JSON object that is not empty: what the caller wants to say.
            flushed: The number of the last record that is known to be on the device.

        Returns:
            The line, and the position behind it.

        Raises:
            ValueError: It is longer than `MAX_LINE`, or the journal would be longer than `MAX_BYTES`.
        """
        return self.behind_records([payload], flushed)

    def behind_records(self, payloads: Sequence[bytes], flushed: int) -> tuple[bytes, Position]:
        """Make the lines of the next records: see `behind_record`."""
        seq, crc = self.seq, self.crc
        lines = []
        for payload in payloads:
            seq += 1
            line, crc = seal(b'{"seq":%d,%b,"flushed":%d' % (seq, payload[1:-1], flushed), crc)
            lines.append(line)
        joined = b"".join(lines)
        return joined, self._behind(joined, seq, crc)

    def behind(self, lines: bytes, seq: int) -> Position | None:
        """Check lines that stand here.

        Args:
            lines: One whole line or more.
            seq: The number of the last record in them.

        Returns:
            The position behind them; None if their seal is wrong.
        """
        crc = crc32(memoryview(lines)[:-_SEAL_LENGTH], self.crc)
        seal = lines[-_SEAL_LENGTH:]
        return Position(self.end + len(lines), seq, crc32(seal, crc)) if seal == _SEAL % crc else None

    def _behind(self, lines: bytes, seq: int, crc: int) -> Position:
        end = self.end + len(lines)
        if end > MAX_BYTES:
            raise ValueError(f"it would have more than {MAX_BYTES} bytes, which nobody would read")
        return Position(end, seq, crc)


def seal(body: bytes, crc: int) -> tuple[bytes, int]:
    """Close a line, which is all but its seal yet, with the checksum of the file up to there.

    Args:
        body: The line up to the seal.
        crc: The checksum of all before it.

    Returns:
        The line, and the checksum of the file with it.

    Raises:
        ValueError: It is longer than `MAX_LINE`.
    """
    crc = crc32(body, crc)
    end = _SEAL % crc
    line = body + end
    if len(line) > MAX_LINE:
        raise ValueError(f"a line of {len(line)} bytes is longer than {MAX_LINE}, which nobody would read")
    return line, crc32(end, crc)


def open_regular(path: Path, flags: int) -> int:
    """Open a file that must be a regular one and not a link: nothing else is a journal, and a pipe would hang.

    Raises:
        OSError: It is something else, or can't be opened.
    """
    try:
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a symbolic link, which it must not be", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return fd
