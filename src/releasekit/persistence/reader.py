"""Reading a journal: every good line, and what it means where they end. See `journal` for the format."""

from __future__ import annotations

import os
import re
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from releasekit.persistence.journal import MAX_BYTES, MAX_LINE, VERSION, Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHUNK: Final = 1 << 15  # bytes that are read at once: few enough to stay in the caches while they are decoded
_UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_VERSION: Final = re.compile(rb'{"journal":(\d{1,9}),')
_LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")
_LINE_BEGINS: Final = re.compile(rb'(?={"(?:seq|journal)":)')
_SEQ: Final = attrgetter("seq")
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
        if (version := _VERSION.match(first)) and int(version[1]) != VERSION:
            problem = f"is of version {int(version[1])}, and this releasekit reads {VERSION}: use the one that wrote it"
            raise JournalError(1, problem)
        behind = self.position.behind(first + newline, 0)
        if behind is None:
            raise JournalError(1, "is not the header of a journal, or is damaged")
        self.position = behind
        self._chunks = chain([rest] if rest else [], self._chunks)
        try:
            self.header = self._header.decode(first)
        except _UNDECODABLE as error:
            raise JournalError(1, f"is sealed, but is no header: {error}") from None

    def __iter__(self) -> Iterator[R]:
        for chunk in self._chunks:
            records = self._take(chunk)
            if records is not None:
                yield from records
                continue
            for line in _LINE.finditer(chunk):  # pragma: no branch  # somewhere among them the good ones end
                records = self._take(line[0])
                if records is None:
                    self._refuse_misplaced(line[0])
                    self._judge(line[0].rstrip(b"\n"), chain([chunk[line.start() :]], self._chunks))
                    return
                yield from records

    def _take(self, lines: bytes) -> list[R] | None:
        """Decode the next lines and step behind them; None if not all of them are the next good ones."""
        behind = self.position.behind(lines, 0)
        if behind is None:
            return None
        one = lines.index(b"\n") == len(lines) - 1
        wanted = self.position.seq + 1
        try:
            records = [self._record.decode(lines)] if one else self._record.decode_lines(lines)
        except _UNDECODABLE as error:
            if not one:
                return None
            raise JournalError(wanted + 1, f"is sealed, but is no record: {error}") from None
        last = wanted + len(records) - 1
        if [*map(_SEQ, records)] != [*range(wanted, last + 1)]:
            if not one:
                return None
            raise JournalError(wanted + 1, _misplaced(records[0].seq, wanted))
        self.position = behind._replace(seq=last)
        return records

    def _refuse_misplaced(self, line: bytes) -> None:
        """Refuse a whole line that stands right behind a good one but is not the next one."""
        wanted = self.position.seq + 1
        self._refuse_header(line, wanted + 1)
        record = _decoded(self._record, line)
        if record and record.seq != wanted:
            _, comma, rest = line.partition(b",")
            if not self.position.behind(b'{"seq":%d%b%b' % (wanted, comma, rest), 0):  # only its number is damaged
                raise JournalError(wanted + 1, _misplaced(record.seq, wanted))

    def _judge(self, bad: bytes, chunks: Iterable[bytes]) -> None:
        """Find out what lies behind the last good record: space, a torn write, or damage.

        Args:
            bad: The first line that is not a good one; nothing that it says is believed.
            chunks: That line and all behind it.
        """
        number = self.position.seq + 2  # of the line
        for chunk in chunks:
            counted = 0
            for found in _NOT_BLANK.finditer(chunk):
                number += chunk.count(b"\n", counted, found.start())
                counted = found.start()
                self.tail = self.tail or Tail(number, has_records=False)
                # The end of a line may be what is damaged: a good one may follow it without a break.
                for piece in {found[0], *_LINE_BEGINS.split(found[0])} - {bad}:
                    self._weigh(piece, number)
            number += chunk.count(b"\n", counted)

    def _weigh(self, line: bytes, number: int) -> None:
        """Refuse the journal if a line behind a bad one proves that this is no torn write."""
        wanted = self.position.seq + 1
        self._refuse_header(line, number)
        record = _decoded(self._record, line)
        if record and self.tail:
            if record.seq < wanted:
                raise JournalError(number, _misplaced(record.seq, wanted))
            if record.flushed >= wanted:
                raise JournalError(wanted + 1, f"is damaged: record {record.seq} is good, and was written later")
            self.tail = self.tail._replace(has_records=True)

    def _refuse_header(self, line: bytes, number: int) -> None:
        if _decoded(self._header, line):
            raise JournalError(number, "is the header of a journal, which has its place in line 1")


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
        stop = data.rfind(b"\n") + 1
        first = data.find(b"\n") if stop else len(data)
        if len(rest) + first >= MAX_LINE and data[:first].strip(b"\0"):
            raise JournalError(number + 1, f"has more than {MAX_LINE} bytes")
        if stop:
            yield rest + data[:stop]
            number += data.count(b"\n")
            rest = data[stop:]
        elif data.strip(b"\0"):
            rest += data
        else:  # no line, but what a power cut may leave of what was written
            yield rest + data
            rest = b""
    if rest:
        yield rest
