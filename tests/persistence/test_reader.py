"""Reading a journal: where the good lines end, and what it means."""

from __future__ import annotations

import os
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest
from msgspec import Struct

from releasekit.persistence import reader
from releasekit.persistence.journal import MAX_BYTES, MAX_LINE, Position, seal
from releasekit.persistence.reader import JournalError, Reader, Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Head(Struct, forbid_unknown_fields=True):
    """A first line."""

    journal: int
    run: str
    check: str


class Line(Struct, forbid_unknown_fields=True):
    """Any other line."""

    seq: int
    note: str
    flushed: int
    check: str


class Loose(Struct):
    """A line that says whatever it likes."""

    seq: int
    flushed: int
    check: str
    note: object


class Found(NamedTuple):
    """What a reader found."""

    seqs: list[int]
    position: Position
    tail: Tail | None


def write(count: int, flushed: Callable[[int], int] = lambda seq: seq - 1) -> list[bytes]:
    """Make the lines of a journal; each record was flushed before the next one, if nothing else is asked for."""
    line, position = Position().behind_header(b'{"run":"r"}')
    lines = [line]
    for seq in range(1, count + 1):
        line, position = position.behind_record(b'{"note":"n%d"}' % seq, flushed(seq))
        lines.append(line)
    return lines


def together(seq: int) -> int:
    """All records behind the first one were written at once."""
    return min(seq - 1, 1)


def behind(lines: list[bytes]) -> Position:
    position = Position().behind(b"".join(lines), len(lines) - 1)
    assert position
    return position


def sealed(lines: list[bytes], body: bytes) -> bytes:
    """Forge a line that says anything, with the right checksum behind others."""
    return seal(body, behind(lines).crc if lines else Position().crc)[0]


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
        os.fstat(fd)  # it stays open
    finally:
        os.close(fd)


class Read:
    """Reads bytes as a journal."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "x.journal"

    def __call__(self, data: bytes) -> Found:
        self.path.write_bytes(data)
        with opened(self.path) as fd:
            found = Reader(fd, Head, Line)
            return Found([line.seq for line in found], found.position, found.tail)

    def refused(self, data: bytes) -> tuple[int, str]:
        with pytest.raises(JournalError) as caught:
            self(data)
        error = caught.value
        assert error.args == (error.line, error.problem)
        return error.args


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path)


LINES = write(5)
WHOLE = b"".join(LINES)
AT_ONCE = write(5, together)


# good journals


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_good_journal_is_read_to_its_end(read: Read, count: int) -> None:
    lines = write(count)
    assert read(b"".join(lines)) == (list(range(1, count + 1)), behind(lines), None)


def test_the_first_line_is_known_before_the_others_are_read(read: Read) -> None:
    read.path.write_bytes(WHOLE)
    with opened(read.path) as fd:
        found = Reader(fd, Head, Line)
        assert (found.header.journal, found.header.run) == (1, "r")
        assert found.header.check == LINES[0][-11:-3].decode()
        assert (found.position, found.tail) == (behind(LINES[:1]), None)
        first = next(iter(found))
        assert first == Line(1, "n1", 0, LINES[1][-11:-3].decode())


def test_a_journal_is_read_from_its_beginning_wherever_the_file_stands(read: Read) -> None:
    read.path.write_bytes(WHOLE)
    with opened(read.path) as fd:
        os.lseek(fd, 7, os.SEEK_SET)
        assert len(list(Reader(fd, Head, Line))) == 5
        assert os.lseek(fd, 0, os.SEEK_CUR) == 7


@pytest.mark.parametrize("blanks", [1, 100, 1 << 18, (1 << 18) + 1])
def test_blank_lines_at_the_end_are_space(read: Read, blanks: int) -> None:
    assert read(WHOLE + b"\n" * blanks) == ([1, 2, 3, 4, 5], behind(LINES), None)


@pytest.mark.parametrize("chunk", [1, 7, len(LINES[0]) - 1, len(LINES[0]), len(LINES[0]) + 1, 200, len(WHOLE)])
@pytest.mark.parametrize("tail", [b"", b"\n\n", b'{"seq":6,', b"\n\0\0"], ids=["closed", "space", "torn", "zeros"])
def test_where_the_chunks_end_makes_no_difference(
    read: Read, chunk: int, tail: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read(WHOLE + tail)
    monkeypatch.setattr(reader, "_CHUNK", chunk)
    assert read(WHOLE + tail) == expected
    assert expected.seqs == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("chunk", [1, 30, 100, 1000])
def test_damage_is_found_in_the_same_line_wherever_the_chunks_end(
    read: Read, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_CHUNK", chunk)
    assert read.refused(WHOLE.replace(b"n2", b"n9")) == (3, "is damaged: record 3 is good, and was written later")
    assert read.refused(WHOLE + b"\n\n" + LINES[3]) == (9, "is record 3, which has its place in line 4")
    assert read(b"".join(AT_ONCE).replace(b"n2", b"n9")).tail == Tail(3, has_records=True)


def test_the_lines_of_a_chunk_are_checked_at_once(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one they would take several times as long."""
    checked: list[bytes] = []
    check = Position.behind

    def note(position: Position, lines: bytes, seq: int) -> Position | None:
        checked.append(lines)
        return check(position, lines, seq)

    monkeypatch.setattr(Position, "behind", note)
    assert read(WHOLE).seqs == [1, 2, 3, 4, 5]
    assert checked == [LINES[0], b"".join(LINES[1:])]


def test_a_journal_of_many_chunks_is_read_in_bounded_memory(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 20_000
    data = b"".join(write(count))
    read.path.write_bytes(data)
    monkeypatch.setattr(reader, "_CHUNK", 1 << 14)
    with opened(read.path) as fd:
        found = Reader(fd, Head, Line)
        tracemalloc.start()
        try:
            seen = sum(1 for _ in found)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert seen == found.position.seq == count
    assert peak < len(data) / 2


# limits


def test_a_file_of_the_largest_size_is_read_and_a_larger_one_is_not(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_BYTES", len(WHOLE))
    assert read(WHOLE).position == behind(LINES)
    problem = f"begins a file of more than {len(WHOLE)} bytes, the most that is read"
    assert read.refused(WHOLE + b"\n") == (1, problem)


def test_a_file_that_is_too_large_is_not_even_begun(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    read.path.write_bytes(WHOLE)
    os.truncate(read.path, MAX_BYTES + 1)
    monkeypatch.setattr(os, "pread", None)
    with opened(read.path) as fd, pytest.raises(JournalError, match="more than 1073741824 bytes"):
        Reader(fd, Head, Line)


@pytest.mark.parametrize(
    ("byte", "length", "problem"),
    [
        (b"\0", 1 << 15, "is not the header of a journal, or is damaged"),
        (b"x", MAX_LINE, "has more than 1048576 bytes"),
    ],
)
def test_a_huge_file_without_lines_is_given_up_soon(
    read: Read, monkeypatch: pytest.MonkeyPatch, byte: bytes, length: int, problem: str
) -> None:
    read.path.write_bytes(byte * (2 * MAX_LINE))
    os.truncate(read.path, MAX_BYTES)
    taken: list[int] = []
    pread = os.pread

    def counted(fd: int, size: int, offset: int) -> bytes:
        data = pread(fd, size, offset)
        taken.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", counted)
    with opened(read.path) as fd, pytest.raises(JournalError) as caught:
        Reader(fd, Head, Line)
    assert caught.value.args == (1, problem)
    assert sum(taken) == length


def long_line(lines: list[bytes], length: int) -> bytes:
    line, _ = behind(lines).behind_record(b'{"note":""}', 0)
    line, _ = behind(lines).behind_record(b'{"note":"%b"}' % (b"x" * (length - len(line))), 0)
    return line


def test_a_line_of_the_longest_length_is_read(read: Read) -> None:
    lines = [*LINES, long_line(LINES, MAX_LINE)]
    following, _ = behind(lines).behind_record(b'{"note":"n7"}', 6)
    assert read(b"".join([*lines, following])) == ([1, 2, 3, 4, 5, 6, 7], behind([*lines, following]), None)


@pytest.mark.parametrize("end", [b"x\n", b"x", b"x" * 300_000, b"\n"], ids=["ended", "open", "longer", "other-end"])
def test_a_line_that_is_longer_is_refused_whatever_its_end(read: Read, end: bytes) -> None:
    line = long_line(LINES, MAX_LINE)
    too_long = line[:-1] + b"x" + end if end == b"\n" else line[:-1] + end
    refused = read.refused(WHOLE + too_long)
    assert refused == (7, "has more than 1048576 bytes")


def test_a_torn_line_of_all_but_the_longest_length_is_no_more_than_torn(read: Read) -> None:
    torn = long_line(LINES, MAX_LINE)[:-1]
    assert len(torn) == MAX_LINE - 1
    assert read(WHOLE + torn) == ([1, 2, 3, 4, 5], behind(LINES), Tail(7, has_records=False))


@pytest.mark.parametrize("byte", [b" ", b"\r", b"\t", b"\xff"])
def test_only_zeros_may_go_on_for_longer_than_a_line(read: Read, byte: bytes) -> None:
    assert read.refused(WHOLE + byte * MAX_LINE) == (7, "has more than 1048576 bytes")
    assert read(WHOLE + b"\0" * (2 * MAX_LINE) + b"\n").tail == Tail(7, has_records=False)


@pytest.mark.parametrize("lines_before", [0, 1, 3, 20_000])
def test_the_number_of_a_line_that_is_too_long_counts_all_before_it(read: Read, lines_before: int) -> None:
    lines = write(lines_before - 1) if lines_before else []
    refused = read.refused(b"".join(lines) + b"x" * MAX_LINE)
    assert refused == (lines_before + 1, "has more than 1048576 bytes")


def test_a_line_that_is_too_long_is_refused_also_behind_a_torn_write(read: Read) -> None:
    assert read.refused(WHOLE + b"torn\n\n" + b"x" * MAX_LINE) == (9, "has more than 1048576 bytes")


# the first line

NO_HEADER = (1, "is not the header of a journal, or is damaged")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        bytes(4096),
        LINES[0][:-1],
        WHOLE[1:],
        b"\n" + WHOLE,
        b"".join(LINES[1:]),
        WHOLE.replace(b'"run"', b'"ruN"'),
        WHOLE.replace(b"\n", b"\r\n"),
        WHOLE.replace(b"\n", b""),
        WHOLE.replace(b"\n", b" ", 1),
        b"\xef\xbb\xbf" + WHOLE,
        WHOLE.decode().encode("utf-16"),
        b"\xff\xfe\n",
        b'{"schema": 1}\n',
        b'{"journal":1,"run":"r","check":"00000000"}\n',
        b'{"journal":1}\n',
    ],
    ids=[
        "empty",
        "blank",
        "zeros",
        "without-its-end",
        "without-its-first-byte",
        "blank-before",
        "missing",
        "changed",
        "crlf",
        "no-line-ends",
        "its-end-changed",
        "byte-order-mark",
        "utf-16",
        "not-utf-8",
        "another-tools",
        "other-checksum",
        "no-checksum",
    ],
)
def test_what_does_not_begin_with_a_header_is_no_journal(read: Read, data: bytes) -> None:
    assert read.refused(data) == NO_HEADER


@pytest.mark.parametrize("version", [0, 2, 123_456_789])
def test_a_header_of_another_version_is_refused_by_its_number_whatever_else_it_says(read: Read, version: int) -> None:
    problem = f"is of version {version}, and this releasekit reads 1: use the one that wrote it"
    assert read.refused(b'{"journal":%d,"sealed in":["another way"]}\n' % version) == (1, problem)
    assert read.refused(sealed([], b'{"journal":%d,"run":"r"' % version)) == (1, problem)


@pytest.mark.parametrize("version", [b"1234567890", b"-1", b'"2"', b"2.0", b"null"])
def test_a_version_that_is_none_is_no_header(read: Read, version: bytes) -> None:
    assert read.refused(b'{"journal":%b,"run":"r","check":"00000000"}\n' % version) == NO_HEADER


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"journal":1', "Object missing required field `run`"),
        (b'{"journal":1,"run":"r","more":1', "Object contains unknown field `more`"),
        (b'{"journal":1,"run":5', "Expected `str`, got `int` - at `$.run`"),
        (b'{"journal":"1","run":"r"', "Expected `int`, got `str` - at `$.journal`"),
        (b'{"journal":1,"run":"\xff"', "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b'{"journal":1,"run":' + b"[" * 100_000, "Expected `str`, got `array` - at `$.run`"),
        (b'{"journal":1,"run":"r","check":""}{"":""', "JSON is malformed: trailing characters (byte 35)"),
    ],
    ids=["too-little", "too-much", "other-type", "version-as-text", "not-utf-8", "deep", "two"],
)
def test_a_sealed_header_that_says_something_else_is_refused(read: Read, body: bytes, problem: str) -> None:
    assert read.refused(sealed([], body)) == (1, f"is sealed, but is no header: {problem}")


# records out of place


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_a_gap_is_refused_where_it_is(read: Read, count: int) -> None:
    for seq in range(1, count):
        lines = write(count)
        del lines[seq]
        assert read.refused(b"".join(lines)) == (seq + 1, f"is record {seq + 1}: record {seq} is missing")


@pytest.mark.parametrize("lines", [LINES, AT_ONCE], ids=["one-by-one", "at-once"])
@pytest.mark.parametrize("seq", [1, 2, 3, 4])
def test_two_records_that_changed_places_are_refused_at_the_first(read: Read, lines: list[bytes], seq: int) -> None:
    swapped = [*lines[:seq], lines[seq + 1], lines[seq], *lines[seq + 2 :]]
    assert read.refused(b"".join(swapped)) == (seq + 1, f"is record {seq + 1}: record {seq} is missing")


@pytest.mark.parametrize("lines", [LINES, AT_ONCE], ids=["one-by-one", "at-once"])
@pytest.mark.parametrize("seq", [1, 2, 5])
def test_a_record_that_stands_twice_is_refused_the_second_time(read: Read, lines: list[bytes], seq: int) -> None:
    doubled = [*lines[: seq + 1], *lines[seq:]]
    assert read.refused(b"".join(doubled)) == (seq + 2, f"is record {seq}, which has its place in line {seq + 1}")


@pytest.mark.parametrize("seq", [1, 3, 5])
def test_a_record_of_before_is_refused_at_the_end_also_behind_blank_lines_and_garbage(read: Read, seq: int) -> None:
    place = f"is record {seq}, which has its place in line {seq + 1}"
    assert read.refused(WHOLE + LINES[seq]) == (7, place)
    assert read.refused(WHOLE + b"\n\n\n" + LINES[seq]) == (10, place)
    assert read.refused(WHOLE + b"garbage\n\n" + LINES[seq]) == (9, place)


@pytest.mark.parametrize("before", [b"", b"\n", b"garbage\n"], ids=["nothing", "blank", "garbage"])
@pytest.mark.parametrize("lines", [LINES, LINES[:1], LINES[:2]], ids=["all", "header-only", "one-record"])
def test_a_header_behind_the_first_line_is_refused(read: Read, lines: list[bytes], before: bytes) -> None:
    number = len(lines) + bool(before) + 1
    refused = read.refused(b"".join(lines) + before + WHOLE)
    assert refused == (number, "is the header of a journal, which has its place in line 1")


def test_a_header_that_follows_a_line_without_its_end_is_refused(read: Read) -> None:
    refused = read.refused(WHOLE[:-1] + WHOLE)
    assert refused == (6, "is the header of a journal, which has its place in line 1")


def test_another_journals_record_is_torn_if_it_has_the_next_number(read: Read) -> None:
    """It could be this one's, with its checksum damaged: nothing proves that it was flushed."""
    other, _ = Position(crc=5, seq=5).behind_record(b'{"note":"x"}', 0)
    assert read(WHOLE + other).tail == Tail(7, has_records=False)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"seq":6,"note":"x"', "Object missing required field `flushed`"),
        (b'{"seq":6,"note":"x","flushed":0,"more":1', "Object contains unknown field `more`"),
        (b'{"seq":6,"note":5,"flushed":0', "Expected `str`, got `int` - at `$.note`"),
        (
            b'{"seq":6,"note":"\xff","flushed":0',
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (b'{"seq":6,"note":' + b"[" * 100_000, "Expected `str`, got `array` - at `$.note`"),
        (b'{"seq":%b,"note":"x","flushed":0' % (b"9" * 6000), "Integer value out of range - at `$.seq`"),
        (b'{"journal":1,"run":"r"', "Object contains unknown field `journal`"),
        (b"\0\0\0", "JSON is malformed: invalid character (byte 0)"),
    ],
    ids=["too-little", "too-much", "other-type", "not-utf-8", "deep", "huge-number", "header", "zeros"],
)
@pytest.mark.parametrize("following", [False, True], ids=["last", "followed"])
def test_a_sealed_line_that_is_no_record_is_refused(read: Read, body: bytes, problem: str, *, following: bool) -> None:
    lines = [*LINES, sealed(LINES, body)]
    if following:
        lines.append(behind(lines)._replace(seq=6).behind_record(b'{"note":"x"}', 6)[0])
    assert read.refused(b"".join(lines)) == (7, f"is sealed, but is no record: {problem}")


@pytest.mark.parametrize("seq", [-1, 0, 3, 5, 7, 8])
@pytest.mark.parametrize("following", [False, True], ids=["last", "followed"])
def test_a_sealed_record_of_another_number_is_refused(read: Read, seq: int, *, following: bool) -> None:
    lines = [*LINES, sealed(LINES, b'{"seq":%d,"note":"x","flushed":0' % seq)]
    if following:
        lines.append(behind(lines)._replace(seq=6).behind_record(b'{"note":"x"}', 6)[0])
    missing, place = f"is record {seq}: record 6 is missing", f"is record {seq}, which has its place in line {seq + 1}"
    assert read.refused(b"".join(lines)) == (7, missing if seq > 6 else place)


def test_a_line_that_is_too_deep_for_python_is_no_record(read: Read) -> None:
    deep = b'{"seq":6,"note":%b%b,"flushed":0' % (b"[" * 100_000, b"]" * 100_000)
    for line, problem in ((sealed(LINES, deep), r"is sealed, but is no record: .*recursion"), (deep, "")):
        read.path.write_bytes(WHOLE + line)
        with opened(read.path) as fd:
            found = Reader(fd, Head, Loose)
            if problem:
                with pytest.raises(JournalError, match=problem):
                    list(found)
            else:
                assert len(list(found)) == 5
                assert found.tail == Tail(7, has_records=False)


# torn or damaged


@pytest.mark.parametrize("seq", [1, 2, 3, 4])
def test_a_bad_record_before_one_that_was_written_later_is_damage(read: Read, seq: int) -> None:
    for damaged in (LINES[seq].replace(b"n", b"N"), LINES[seq][:20] + b"\n", LINES[seq][10:], b"\0" * 50 + b"\n"):
        lines = [*LINES[:seq], damaged, *LINES[seq + 1 :]]
        problem = f"is damaged: record {seq + 1} is good, and was written later"
        assert read.refused(b"".join(lines)) == (seq + 1, problem)


def test_a_bad_record_is_found_by_the_first_good_one_behind_it_that_proves_it(read: Read) -> None:
    lines = write(6, lambda seq: 0 if seq < 5 else 4)
    lines[2] = lines[2].replace(b"n", b"N")
    assert read.refused(b"".join(lines)) == (3, "is damaged: record 5 is good, and was written later")


@pytest.mark.parametrize(("flushed", "damaged"), [(2, False), (3, True), (4, True)])
def test_what_was_flushed_before_the_bad_record_proves_nothing(read: Read, flushed: int, *, damaged: bool) -> None:
    lines = write(5, lambda seq: flushed if seq == 5 else 0)
    lines[3] = b"garbage\n"
    if damaged:
        assert read.refused(b"".join(lines)) == (4, "is damaged: record 5 is good, and was written later")
    else:
        assert read(b"".join(lines)) == ([1, 2], behind(lines[:3]), Tail(4, has_records=True))


@pytest.mark.parametrize("end", [b"x", b" ", b"\0", b""], ids=["letter", "space", "zero", "gone"])
@pytest.mark.parametrize("seq", [1, 3, 4])
def test_a_record_whose_end_is_damaged_is_damage_as_the_next_one_says(read: Read, seq: int, end: bytes) -> None:
    lines = [*LINES[:seq], LINES[seq][:-1] + end, *LINES[seq + 1 :]]
    problem = f"is damaged: record {seq + 1} is good, and was written later"
    assert read.refused(b"".join(lines)) == (seq + 1, problem)


@pytest.mark.parametrize("seq", [2, 3, 4])
def test_a_bad_record_among_those_of_the_same_write_is_torn(read: Read, seq: int) -> None:
    for damaged in (AT_ONCE[seq].replace(b"n", b"N"), AT_ONCE[seq][:-1], b"\0" * len(AT_ONCE[seq])):
        lines = [*AT_ONCE[:seq], damaged, *AT_ONCE[seq + 1 :]]
        expected = list(range(1, seq)), behind(AT_ONCE[:seq]), Tail(seq + 1, has_records=True)
        assert read(b"".join(lines)) == expected


@pytest.mark.parametrize(
    "tail",
    [
        LINES[5][:-2],
        LINES[5][:1],
        LINES[5].replace(b"n5", b"n6"),
        bytes(512),
        b"\0\n",
        b"\xff",
        b"\r",
        LINES[5][:-1] + b" ",
    ],
    ids=["two-bytes-short", "first-byte", "changed", "zeros", "zero-line", "not-utf-8", "cr", "end-is-a-space"],
)
@pytest.mark.parametrize("space", [b"", b"\n" * 100], ids=["no-space", "space"])
def test_a_bad_end_is_torn(read: Read, tail: bytes, space: bytes) -> None:
    before = LINES[:5]
    assert read(b"".join(before) + tail + space) == ([1, 2, 3, 4], behind(before), Tail(6, has_records=False))


def test_a_record_without_its_end_is_torn_unless_there_is_space_behind_it(read: Read) -> None:
    assert read(WHOLE[:-1]) == ([1, 2, 3, 4], behind(LINES[:5]), Tail(6, has_records=False))
    assert read(WHOLE[:-1] + b"\n") == ([1, 2, 3, 4, 5], behind(LINES), None)


@pytest.mark.parametrize("blanks", [1, 2, 1000])
def test_a_tail_behind_blank_lines_is_told_by_the_line_it_begins_in(read: Read, blanks: int) -> None:
    tail = Tail(7 + blanks, has_records=False)
    assert read(WHOLE + b"\n" * blanks + b"garbage") == ([1, 2, 3, 4, 5], behind(LINES), tail)
    assert read(WHOLE + b"\n" * blanks + b"garbage\n\nmore\n\n") == ([1, 2, 3, 4, 5], behind(LINES), tail)


def test_a_tail_is_told_by_its_first_line_also_in_a_later_chunk(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_CHUNK", 64)
    assert read(WHOLE + b"\n" * 1000 + b"garbage\n\nmore").tail == Tail(1007, has_records=False)


@pytest.mark.parametrize("chunk", [1, 5, 64, 1 << 18])
def test_lines_are_counted_on_behind_a_torn_write(read: Read, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_CHUNK", chunk)
    assert read.refused(WHOLE + b"\na\n\nb\nc\n\n\n" + LINES[1] + b"\nd\n") == (
        14,
        "is record 1, which has its place in line 2",
    )


@pytest.mark.parametrize("seq", [b"7", b"1", b"4", b" 5", b"0", b"-0", b"5555555555555555555555"])
def test_a_last_record_of_which_only_the_number_is_damaged_is_torn(read: Read, seq: bytes) -> None:
    torn = LINES[5].replace(b'"seq":5', b'"seq":%b' % seq)
    assert read(b"".join(LINES[:5]) + torn) == ([1, 2, 3, 4], behind(LINES[:5]), Tail(6, has_records=False))


def test_a_record_of_which_only_the_number_is_damaged_is_told_by_the_next_one(read: Read) -> None:
    damaged = WHOLE.replace(b'"seq":3', b'"seq":4', 1)
    assert read.refused(damaged) == (4, "is damaged: record 4 is good, and was written later")


def test_what_the_bad_line_says_of_itself_is_not_believed(read: Read) -> None:
    lines = [*LINES[:5], LINES[5].replace(b'"flushed":4', b'"flushed":5')]
    assert read(b"".join(lines)) == ([1, 2, 3, 4], behind(LINES[:5]), Tail(6, has_records=False))


@pytest.mark.parametrize(
    "note",
    [b'{\\"seq\\":1,', b'{\\"journal\\":1,\\"run\\":\\"r\\"}', b'\\n{\\"seq\\":'],
    ids=["record", "header", "line"],
)
def test_a_text_that_looks_like_a_line_is_none(read: Read, note: bytes) -> None:
    line, position = behind(LINES).behind_record(b'{"note":"%b"}' % note, 5)
    assert read(WHOLE + line) == ([1, 2, 3, 4, 5, 6], position, None)
    assert read(WHOLE + line[:-1]).tail == Tail(7, has_records=False)


def test_the_good_records_before_a_bad_one_are_given_before_it_is_refused(read: Read) -> None:
    read.path.write_bytes(WHOLE.replace(b"n4", b"N4"))
    with opened(read.path) as fd:
        found = Reader(fd, Head, Line)
        seen: list[int] = []
        with pytest.raises(JournalError):
            seen.extend(line.seq for line in found)
        assert found.position == behind(LINES[:4])


def test_an_error_of_the_device_is_an_os_error(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    read.path.write_bytes(WHOLE)
    with opened(read.path) as fd:
        found = Reader(fd, Head, Line)

        def fail(_fd: int, _size: int, _offset: int) -> bytes:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(OSError, match="Input/output error"):
            list(found)
