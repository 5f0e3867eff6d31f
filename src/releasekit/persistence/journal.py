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
import re
import stat
from itertools import chain
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar
from zlib import crc32

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

VERSION: Final = 1
MAX_LINE: Final = 1 << 20
"""Bytes of a line; a longer one is neither written nor read."""

MAX_BYTES: Final = 1 << 30
"""Bytes of a journal that is written or read: eight times what a run of 100,000 packages takes."""

_CHUNK: Final = 1 << 18  # bytes that are read at once
_SEAL: Final = b',"check":"%08x"}\n'
_SEAL_LENGTH: Final = len(_SEAL % 0)
_UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_LINE_BEGINS: Final = re.compile(rb'(?={"(?:seq|journal)":)')
_NOT_BLANK: Final = re.compile(rb"[^\n]+")


class Header(Protocol):
    """What the caller's type for the first line must have."""

    journal: int
    check: str


class Record(Protocol):
    """What the caller's type for every other line must have."""

    seq: int
    flushed: int
    check: str


H = TypeVar("H", bound=Header)
R = TypeVar("R", bound=Record)
T = TypeVar("T")


class JournalError(Exception):
    """A journal that can't be trusted.

    Attributes:
        line: The line that is wrong, from 1.
        problem: What is wrong with it.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(line, problem)
        self.line = line
        self.problem = problem


class Tail(NamedTuple):
    """What a torn write left behind the last good record.

    Attributes:
        line: Its first line, from 1.
        has_records: Whether whole records stand in it, behind bad ones of the same write.
    """

    line: int
    has_records: bool


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
        return self._behind(b'{"journal":%d,%b' % (VERSION, payload[1:-1]), 0)

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
        seq = self.seq + 1
        return self._behind(b'{"seq":%d,%b,"flushed":%d' % (seq, payload[1:-1], flushed), seq)

    def _behind(self, body: bytes, seq: int) -> tuple[bytes, Position]:
        crc = crc32(body, self.crc)
        seal = _SEAL % crc
        line = body + seal
        end = self.end + len(line)
        if len(line) > MAX_LINE:
            raise ValueError(f"a line of {len(line)} bytes is longer than {MAX_LINE}, which nobody would read")
        if end > MAX_BYTES:
            raise ValueError(f"it would have more than {MAX_BYTES} bytes, which nobody would read")
        return line, Position(end, seq, crc32(seal, crc))


def open_regular(path: Path, flags: int) -> int:
    """Open a file that must be a regular one and not a link: nothing else is a journal, and a pipe would hang.

    Raises:
        OSError: It is something else, or can't be opened.
    """
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return fd


class Reader(Generic[H, R]):
    """Reads a journal from its beginning, in bounded memory; iterating gives the records.

    Args:
        fd: The open file; it stays open.
        header: The type of the first line, a `msgspec.Struct`.
        record: The type of every other line, a `msgspec.Struct`.

    Attributes:
        header: The first line.
        position: Behind the good lines, once all were given.
        tail: What a torn write left behind them; None before the end is reached, or if there is nothing.

    Raises:
        JournalError: The file is too large, or its header is none; from the iteration, a record is wrong.
        OSError: It could not be read.
    """

    def __init__(self, fd: int, header: type[H], record: type[R]) -> None:
        if os.fstat(fd).st_size > MAX_BYTES:
            raise JournalError(1, f"begins a file of more than {MAX_BYTES} bytes, the most that is read")
        self._header = msgspec.json.Decoder(header)
        self._record = msgspec.json.Decoder(record)
        self.position = Position()
        self.tail: Tail | None = None
        self._chunks = _read(fd)
        first, newline, rest = next(self._chunks, b"").partition(b"\n")
        behind = self._behind(first + newline, seq=0)
        if behind is None:
            raise JournalError(1, "is not the header of a journal, or is damaged")
        self.position = behind
        self._chunks = chain([rest] if rest else [], self._chunks)
        try:
            self.header = self._header.decode(first)
        except _UNDECODABLE as error:
            raise JournalError(1, f"is sealed, but is no header: {error}") from None
        if self.header.journal != VERSION:
            raise JournalError(1, f"is of version {self.header.journal}; this releasekit reads {VERSION}")

    def __iter__(self) -> Iterator[R]:
        for chunk in self._chunks:
            records = self._take(chunk)
            if records is not None:
                yield from records
                continue
            rest = chunk
            while rest:  # one by one: somewhere in it the good lines end
                line, newline, behind = rest.partition(b"\n")
                records = self._take(line + newline)
                if records is None:
                    self._refuse_misplaced(line + newline)
                    self._judge(chain([rest], self._chunks))
                    return
                yield from records
                rest = behind

    def _behind(self, lines: bytes, seq: int) -> Position | None:
        """Tell the position behind some lines that end with the record `seq`; None if they are not sealed."""
        crc = crc32(memoryview(lines)[:-_SEAL_LENGTH], self.position.crc)
        seal = lines[-_SEAL_LENGTH:]
        return Position(self.position.end + len(lines), seq, crc32(seal, crc)) if seal == _SEAL % crc else None

    def _take(self, lines: bytes) -> list[R] | None:
        """Decode the next lines and step behind them; None if not all of them are the next good ones."""
        behind = self._behind(lines, 0)
        if behind is None:
            return None
        one = lines.index(b"\n") == len(lines) - 1
        wanted = self.position.seq + 1
        try:
            records = self._record.decode_lines(lines)
        except _UNDECODABLE as error:
            if not one:
                return None
            raise JournalError(wanted + 1, f"is sealed, but is no record: {error}") from None
        last = wanted + len(records) - 1
        if [record.seq for record in records] != [*range(wanted, last + 1)]:
            if not one:
                return None
            raise JournalError(wanted + 1, _misplaced(records[0].seq, wanted))
        self.position = behind._replace(seq=last)
        return records

    def _refuse_misplaced(self, line: bytes) -> None:
        """Refuse a whole record that stands right behind a good one but does not follow it."""
        wanted = self.position.seq + 1
        record = _decoded(self._record, line)
        if record and record.seq != wanted:
            raise JournalError(wanted + 1, _misplaced(record.seq, wanted))

    def _judge(self, chunks: Iterable[bytes]) -> None:
        """Find out what lies behind the last good record: space, a torn write, or damage."""
        wanted = self.position.seq + 1
        number = wanted + 1  # of the line
        for chunk in chunks:
            counted = 0
            for found in _NOT_BLANK.finditer(chunk):
                number += chunk.count(b"\n", counted, found.start())
                counted = found.start()
                self.tail = self.tail or Tail(number, has_records=False)
                # The end of a line may be what is damaged: a good one may follow it without a break.
                for piece in (found[0], *_LINE_BEGINS.split(found[0])):
                    if _decoded(self._header, piece):
                        raise JournalError(number, "is the header of a journal, which has its place in line 1")
                    if record := _decoded(self._record, piece):
                        self._weigh(record, number)
                        self.tail = self.tail._replace(has_records=True)
            number += chunk.count(b"\n", counted)

    def _weigh(self, record: R, number: int) -> None:
        """Refuse the journal if a record behind bad ones proves that these are no torn write."""
        wanted = self.position.seq + 1
        if record.seq < wanted:
            raise JournalError(number, _misplaced(record.seq, wanted))
        if record.flushed >= wanted:
            raise JournalError(wanted + 1, f"is damaged: line {number} is good, and was written later")


def _decoded(decoder: msgspec.json.Decoder[T], line: bytes) -> T | None:
    try:
        return decoder.decode(line)
    except _UNDECODABLE:
        return None


def _misplaced(seq: int, wanted: int) -> str:
    if seq > wanted:
        return f"is record {seq}: record {wanted} is missing"
    return f"is record {seq}, which has its place in line {seq + 1}"


def _read(fd: int) -> Iterator[bytes]:
    """Yield a file in chunks of whole lines; what stands behind the last line's end comes last."""
    rest = b""
    offset = number = 0
    while data := os.pread(fd, _CHUNK, offset):
        offset += len(data)
        whole, newline, behind = data.rpartition(b"\n")
        if len(rest) + len(data if not newline else data.partition(b"\n")[0]) >= MAX_LINE:
            raise JournalError(number + 1, f"has more than {MAX_LINE} bytes")
        if newline:
            yield rest + whole + newline
            number += whole.count(b"\n") + 1
            rest = behind
        else:
            rest += data
    if rest:
        yield rest
