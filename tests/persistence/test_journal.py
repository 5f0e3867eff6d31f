"""The format of a journal: exact bytes, since other versions of this program and other tools read them."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasekit.persistence import journal
from releasekit.persistence.journal import MAX_BYTES, MAX_LINE, VERSION, Position, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = b'{"journal":1,"git":"abc","check":"5916c246"}\n'
FIRST = b'{"seq":1,"note":"a","flushed":0,"check":"24967aa4"}\n'
SECOND = b'{"seq":2,"note":"b","flushed":1,"check":"73173f86"}\n'
WHOLE = HEADER + FIRST + SECOND
OVERHEAD = len(b'{"journal":1,"note":"","check":"00000000"}\n')
RECORD_OVERHEAD = len(b'{"seq":1,"note":"","flushed":0,"check":"00000000"}\n')


def note(length: int) -> bytes:
    return b'{"note":"%b"}' % (b"x" * length)


def test_the_format_is_of_version_1_and_its_limits_are_the_documented_ones() -> None:
    assert (VERSION, MAX_LINE, MAX_BYTES) == (1, 1024 * 1024, 1024 * 1024 * 1024)


def test_a_position_is_the_beginning_at_first() -> None:
    assert Position() == (0, 0, 0)


def test_a_header_says_the_version_first_and_its_checksum_last() -> None:
    line, position = Position().behind_header(b'{"git":"abc"}')
    assert line == HEADER
    assert position == (len(HEADER), 0, crc32(HEADER))


def test_a_record_says_its_number_first_and_last_what_was_flushed_and_the_checksum() -> None:
    _, position = Position().behind_header(b'{"git":"abc"}')
    first, position = position.behind_record(b'{"note":"a"}', 0)
    assert first == FIRST
    assert position == (len(HEADER + FIRST), 1, crc32(HEADER + FIRST))
    second, position = position.behind_record(b'{"note":"b"}', 1)
    assert second == SECOND
    assert position == (len(WHOLE), 2, crc32(WHOLE))


def test_a_checksum_covers_every_byte_before_it() -> None:
    for line_end in (len(HEADER), len(HEADER + FIRST), len(WHOLE)):
        before, _, seal = WHOLE[:line_end].rpartition(b',"check":"')
        assert seal == b'%08x"}\n' % crc32(before)


def test_a_checksum_has_eight_digits_also_when_it_begins_with_zeros() -> None:
    line, position = Position().behind_header(b'{"n":11420}')
    assert line == b'{"journal":1,"n":11420,"check":"000f8d41"}\n'
    assert Position().behind(line, 0) == position


def test_every_line_is_json_with_what_the_caller_said_in_it() -> None:
    assert [json.loads(line) for line in WHOLE.splitlines()] == [
        {"journal": 1, "git": "abc", "check": "5916c246"},
        {"seq": 1, "note": "a", "flushed": 0, "check": "24967aa4"},
        {"seq": 2, "note": "b", "flushed": 1, "check": "73173f86"},
    ]


@pytest.mark.parametrize("cuts", [(), (1,), (2,), (1, 2)], ids=str)
def test_lines_are_checked_one_by_one_or_many_at_once(cuts: tuple[int, ...]) -> None:
    lines = WHOLE.splitlines(keepends=True)
    bounds = [0, *cuts, 3]
    position = Position()
    for start, stop in pairwise(bounds):
        behind = position.behind(b"".join(lines[start:stop]), stop - 1)
        assert behind
        position = behind
    assert position == (len(WHOLE), 2, crc32(WHOLE))


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"\n",
        HEADER[-20:],
        HEADER[:-1],
        HEADER + b"\n",
        HEADER[:-1] + b"\r\n",
        HEADER * 2,
        FIRST,
        SECOND,
        b"\n" * 99,
    ],
    ids=["nothing", "blank", "seal", "no-end", "blank-behind", "crlf", "twice", "first", "second", "blanks"],
)
def test_what_is_not_the_next_lines_has_no_position_behind_it(lines: bytes) -> None:
    assert Position().behind(lines, 0) is None


def test_a_checksum_in_upper_case_is_another() -> None:
    line, _ = Position().behind_header(b'{"n":11420}')
    assert Position().behind(line.replace(b"000f8d41", b"000F8D41"), 0) is None


@given(place=st.integers(0, 8 * len(WHOLE) - 1), burst=st.integers(1, 2**32 - 1))
def test_every_change_of_up_to_32_adjacent_bits_is_found(place: int, burst: int) -> None:
    changed = int.from_bytes(WHOLE, "little") ^ burst << place
    damaged = changed.to_bytes(len(WHOLE) + 4, "little")[: len(WHOLE)]
    assert Position().behind(damaged, 2) is None or damaged == WHOLE


def test_a_header_of_the_longest_length_is_made_and_a_longer_one_is_not() -> None:
    line, position = Position().behind_header(note(MAX_LINE - OVERHEAD))
    assert len(line) == position.end == MAX_LINE
    message = "a line of 1048577 bytes is longer than 1048576, which nobody would read"
    with pytest.raises(ValueError, match=f"^{message}$"):
        Position().behind_header(note(MAX_LINE - OVERHEAD + 1))


def test_a_record_of_the_longest_length_is_made_and_a_longer_one_is_not() -> None:
    line, position = Position(100, 0, 5).behind_record(note(MAX_LINE - RECORD_OVERHEAD), 0)
    assert len(line) == MAX_LINE
    assert position.end == 100 + MAX_LINE
    with pytest.raises(ValueError, match=r"^a line of 1048577 bytes is longer than 1048576, "):
        Position(100, 0, 5).behind_record(note(MAX_LINE - RECORD_OVERHEAD + 1), 0)


def test_a_journal_of_the_largest_size_is_made_and_a_larger_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Position(end=len(HEADER), crc=crc32(HEADER))
    monkeypatch.setattr(journal, "MAX_BYTES", len(HEADER + FIRST))
    assert before.behind_record(b'{"note":"a"}', 0)[0] == FIRST
    monkeypatch.setattr(journal, "MAX_BYTES", len(HEADER + FIRST) - 1)
    message = f"it would have more than {len(HEADER + FIRST) - 1} bytes, which nobody would read"
    with pytest.raises(ValueError, match=f"^{message}$"):
        before.behind_record(b'{"note":"a"}', 0)


# opening


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.journal"
    path.write_bytes(WHOLE)
    return path


def test_a_regular_file_is_opened_as_asked(file: Path) -> None:
    fd = open_regular(file, os.O_RDWR)
    try:
        assert os.pread(fd, 5, 0) == WHOLE[:5]
        os.pwrite(fd, b"#", 0)
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)
    fd = open_regular(file, os.O_RDONLY)
    try:
        assert os.pread(fd, 1, 0) == b"#"
        with pytest.raises(OSError, match=re.escape(os.strerror(errno.EBADF))):
            os.pwrite(fd, b"#", 1)
    finally:
        os.close(fd)


def link(path: Path) -> None:
    path.symlink_to("elsewhere")


def link_to_a_file(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(WHOLE)
    path.symlink_to("elsewhere")


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (Path.exists, errno.ENOENT, "No such file or directory"),
        (os.mkdir, errno.EINVAL, "is not a regular file"),
        (os.mkfifo, errno.EINVAL, "is not a regular file"),
        (listen, errno.ENXIO, "No such device or address"),
        (link, errno.ELOOP, "is a symbolic link, which it must not be"),
        (link_to_a_file, errno.ELOOP, "is a symbolic link, which it must not be"),
    ],
    ids=["nothing", "directory", "pipe", "socket", "dangling-link", "link"],
)
def test_what_is_not_a_regular_file_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has to be short
    path = Path("x.journal")
    make(path)
    with pytest.raises(OSError, match=re.escape(message)) as caught:
        open_regular(path, os.O_RDONLY)
    assert (caught.value.errno, caught.value.strerror, caught.value.filename) == (code, message, "x.journal")


def test_a_device_is_not_opened_but_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    opened: list[int] = []
    real_open, real_close = os.open, os.close

    def remember_open(path: Path, flags: int) -> int:
        opened.append(real_open(path, flags))
        return opened[-1]

    def remember_close(fd: int) -> None:
        closed.append(fd)
        real_close(fd)

    monkeypatch.setattr(os, "open", remember_open)
    monkeypatch.setattr(os, "close", remember_close)
    with pytest.raises(OSError, match=r"is not a regular file: '/dev/zero'"):
        open_regular(Path("/dev/zero"), os.O_RDONLY)
    assert opened == closed != []


def test_a_pipe_is_not_opened_for_writing_either(tmp_path: Path) -> None:
    pipe = tmp_path / "x.journal"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="is not a regular file"):
        open_regular(pipe, os.O_RDWR)
