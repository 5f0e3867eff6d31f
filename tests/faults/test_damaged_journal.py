"""A journal that was cut, flipped, zeroed and shuffled at every place of it.

Whatever happened to it, loading gives the longest beginning that was written, or refuses and says in which line; and
what was read can be opened and gone on with. What is right in each case follows from the lines that were written and
are still there, so it is computed from them, without the reader's help.
"""

from __future__ import annotations

import json
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from structlog.testing import capture_logs

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence import writer
from releasekit.persistence.refresher import Refresher
from releasekit.state import STATE_FILENAME, RunState, files, journal_path
from releasekit.state.snapshot import StateCorruptedError
from releasekit.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTOR = 512  # bytes that a device writes whole or not at all
SAMPLED = 16  # bytes from one that is looked at closely to the next
SPACE = 1100  # bytes written ahead: more than two sectors, and few enough to damage each


class Written(NamedTuple):
    """A journal as it was written.

    Attributes:
        data: Its bytes.
        lines: Its lines, without blank ones at the end.
        flushed: For each line, what it says was on the device; 0 for the header.
        states: For each line, the run as it was behind it; the header's is none.
        snapshot: The state file beside it.
        seen: How many of its records are in that.
    """

    data: bytes
    lines: list[bytes]
    flushed: list[int]
    states: list[bytes]
    snapshot: bytes
    seen: int


class Verdict(NamedTuple):
    """What loading must give.

    Attributes:
        kept: How many records; None if it must be refused.
        line: The line that is refused, or in which the torn tail begins; 0 if there is none.
    """

    kept: int | None
    line: int


def refused(line: int) -> Verdict:
    return Verdict(None, line)


def write_run(path: Path, *, killed: bool) -> Written:
    """Write a run of several packages, with commits of one record and of many.

    Args:
        path: The state file.
        killed: Whether the process died in the end: nothing was closed, and the last commit was one of many.
    """
    run = RunState("0123456789abcdef", index="pypi")
    run.init_package("core", version="1.0")
    run.init_package("größe", version="1.0", level=1, requires=["core"])
    run.init_package("private", version="0", requires=["core"])
    journal = files.journal_path(path)
    with RunStore.create(path, run) as store:
        states = [b"", run.to_bytes()]
        core, top = run["core"], run["größe"]
        artifacts = {"seq": "ab" * 32, "journal": "cd" * 32, "größe-1.0.tar.gz": "ef" * 32}
        for number, step in enumerate((
            lambda: run["private"].skip("private\n{"),
            core.start_building,
            lambda: core.record_artifacts(artifacts),
            core.start_publishing,
            top.start_building,
            lambda: top.fail('it "broke" \\ \n{"seq":1,"flushed":9}\U0001f4a5'),
            core.start_verifying,
            top.retry,
            core.confirm,
            lambda: run.init_package("late", version="2.0"),
            top.start_building,
            top.recover,
        )):  # fmt: skip
            step()
            states.append(run.to_bytes())
            if number < 3 or number == 8:
                store.commit()
        store.commit()
        if not killed:
            store.close()
        data, snapshot = journal.read_bytes(), path.read_bytes()
    lines = data.rstrip(b"\n").splitlines(keepends=True)
    lines[-1] += b"\n"
    assert len(lines) == len(states) == 14
    flushed = [json.loads(line).get("flushed", 0) for line in lines]
    assert flushed == [0, 0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 10, 10, 10]
    return Written(data, lines, flushed, states, snapshot, json.loads(snapshot)["records"])


class Journal:
    """Puts a damaged journal on disk and compares what is loaded with what was written."""

    def __init__(self, directory: Path, written: Written) -> None:
        self.path = directory / STATE_FILENAME
        self.journal = files.journal_path(self.path)
        self.written = written
        self.path.write_bytes(written.snapshot)
        self.points = 0

    def load(self, data: bytes, expected: Verdict) -> None:
        """Load a journal; fail if that gives anything else than what is expected."""
        self.points += 1
        self.journal.write_bytes(data)
        assert self._verdict() == expected

    def go_on(self, data: bytes, expected: Verdict) -> None:
        """Open a journal, go on, and load what that has written; or find that it is refused and left alone."""
        self.load(data, expected)
        if expected.kept is None:
            with pytest.raises(StateCorruptedError) as caught:
                RunStore.open(self.path)
            assert caught.value.place == f"line {expected.line}"
            assert self.journal.read_bytes() == data
            return
        with capture_logs(), RunStore.open(self.path) as store:
            assert store.state.to_bytes() == self.written.states[expected.kept]
            store.state.init_package("more")
            store.commit()
            now, alive = store.state.to_bytes(), self.journal.read_bytes()
        with capture_logs() as logs:
            assert RunState.load(self.path).to_bytes() == now
        assert logs == []
        good = b"".join(self.written.lines[: expected.kept + 1])
        assert self.journal.read_bytes().startswith(good + b'{"seq":%d,' % (expected.kept + 1))
        assert alive.strip(b"\n") == self.journal.read_bytes().strip(b"\n")  # nothing of the tail was left
        self.path.write_bytes(self.written.snapshot)

    def judge(self, data: bytes) -> Verdict:
        """Compute what is right from the lines that were written and are still there."""
        written = self.written
        kept, end = 0, 0
        for seq, line in enumerate(written.lines):
            if not data.startswith(line, end):
                break
            kept, end = seq, end + len(line)
        rest = data[end:]
        if not end:
            return refused(1)
        blank = len(rest) - len(rest.lstrip(b"\n"))
        tail = 0 if blank == len(rest) else kept + 2 + blank
        # The bad line itself proves nothing, also if only its end is bad.
        later = [seq for seq in range(kept + 2, len(written.lines)) if written.lines[seq][:-1] in rest]
        if any(written.flushed[seq] > kept for seq in later) or (later and written.seen > kept):
            return refused(kept + 2)
        return Verdict(kept, tail) if kept else refused(2)  # the packages are in the first record

    def _verdict(self) -> Verdict:
        with capture_logs() as logs:
            try:
                loaded = RunState.load(self.path).to_bytes()
            except StateCorruptedError as error:
                return refused(int(error.place.removeprefix("line ")))
        kept = self.written.states.index(loaded)
        for entry in logs:
            assert (entry["event"], entry["kept"]) == ("releasekit.journal_torn", kept)
        return Verdict(kept, sum(entry["line"] for entry in logs))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where there is such a thing: what is flushed does not matter here."""
    memory = Path("/dev/shm")  # noqa: S108  # a directory of our own in it
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as made:
        yield Path(made)


@pytest.fixture(params=["closed", "killed"])
def damaged(
    request: pytest.FixtureRequest, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Journal]:
    monkeypatch.setattr(writer, "SPACE", SPACE)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # nobody writes meanwhile
    monkeypatch.setattr(Refresher, "changed", lambda _refresher: None)  # a thread for each of them would take too long
    (directory / "run").mkdir()
    written = write_run(directory / "run" / STATE_FILENAME, killed=request.param == "killed")
    damaged = Journal(directory, written)
    yield damaged
    with capsys.disabled():
        print(f"\n{request.node.name}: {damaged.points} points")  # noqa: T201  # how much was tried


def test_the_journals_are_what_they_should_be(damaged: Journal) -> None:
    written = damaged.written
    good = b"".join(written.lines)
    killed = written.data != good
    assert written.data[len(good) :].strip(b"\n") == b""
    assert (written.seen, killed) in {(13, False), (1, True)}
    damaged.go_on(written.data, Verdict(13, 0))


def test_cut_at_any_byte_it_is_the_longest_beginning_and_goes_on(damaged: Journal) -> None:
    data, lines = damaged.written.data, damaged.written.lines
    ends = [sum(map(len, lines[:count])) for count in range(1, len(lines) + 1)]
    for length in range(len(data)):
        kept = sum(end <= length for end in ends) - 1
        torn = 0 if length in ends or length > ends[-1] else kept + 2
        expected = refused(1) if kept < 0 else refused(2) if kept == 0 else Verdict(kept, torn)
        assert damaged.judge(data[:length]) == expected
        if length % SAMPLED and damaged.written.seen == 1:
            damaged.load(data[:length], expected)  # what to go on with is the same as in the closed one
        else:
            damaged.go_on(data[:length], expected)


@pytest.mark.parametrize("change", ["bit", "case", "newline", "blank"])
def test_with_any_byte_changed_it_is_refused_or_without_its_last_write(damaged: Journal, change: str) -> None:
    data, lines = damaged.written.data, damaged.written.lines
    good = sum(map(len, lines))
    last = good - len(lines[-1])
    closed = damaged.written.seen == 13
    for place, old in enumerate(data):
        new = {"bit": old ^ 1 << place % 8, "case": old ^ 0x20, "newline": 10, "blank": 32 if old == 10 else 0}[change]
        if new == old:
            continue
        changed = data[:place] + bytes([new]) + data[place + 1 :]
        expected = damaged.judge(changed)
        if place < last and closed:
            assert expected == refused(data.count(b"\n", 0, place) + 1)
        elif last <= place < good:
            assert expected == Verdict(12, 15 if place == last and new == 10 else 14)
        elif place >= good:
            assert expected == Verdict(13, 15 + place - good)
        damaged.load(changed, expected)


@pytest.mark.parametrize("value", [b"\0", b"\n", b"\xff"], ids=["zeros", "newlines", "ones"])
@pytest.mark.parametrize("size", [SECTOR, 8 * SECTOR, 64], ids=["sector", "page", "part"])
def test_with_any_sector_lost_it_is_refused_or_without_its_last_write(
    damaged: Journal, value: bytes, size: int
) -> None:
    data = damaged.written.data
    for start in range(0, len(data), size):
        lost = data[:start] + value * len(data[start : start + size]) + data[start + size :]
        damaged.go_on(lost, damaged.judge(lost))
        cut = lost[: start + size]
        damaged.go_on(cut, damaged.judge(cut))


def test_with_any_two_sectors_of_a_write_lost_nothing_is_read_that_was_not_written(damaged: Journal) -> None:
    data = damaged.written.data
    starts = range(0, len(data), SECTOR)
    for first in starts:
        for second in starts:
            for value in (b"\0", b"\n"):
                lost = bytearray(data)
                for start in (first, second):
                    lost[start : start + SECTOR] = value * len(data[start : start + SECTOR])
                damaged.load(bytes(lost), damaged.judge(bytes(lost)))


def test_without_any_line_it_is_refused(damaged: Journal) -> None:
    lines = damaged.written.lines
    space = damaged.written.data[sum(map(len, lines)) :]
    for number in range(len(lines)):
        expected = Verdict(12, 0) if number == 13 else refused(number + 1)
        damaged.go_on(b"".join(lines[:number] + lines[number + 1 :]) + space, expected)


def test_with_any_line_twice_it_is_refused(damaged: Journal) -> None:
    lines = damaged.written.lines
    space = damaged.written.data[sum(map(len, lines)) :]
    for number, line in enumerate(lines):
        damaged.go_on(b"".join([*lines[: number + 1], *lines[number:]]) + space, refused(number + 2))
        damaged.go_on(b"".join([*lines, line]) + space, refused(15))
        damaged.go_on(b"".join([*lines, b"\n\ntorn\n", line]) + space, refused(18))


def test_with_any_two_lines_exchanged_it_is_refused(damaged: Journal) -> None:
    lines = damaged.written.lines
    space = damaged.written.data[sum(map(len, lines)) :]
    for number, (first, second) in enumerate(pairwise(lines)):
        exchanged = [*lines[:number], second, first, *lines[number + 2 :]]
        damaged.go_on(b"".join(exchanged) + space, refused(number + 1))


def test_with_a_line_of_another_journal_it_is_refused_or_without_its_last_write(
    damaged: Journal, directory: Path
) -> None:
    (directory / "other").mkdir()
    lines = damaged.written.lines
    other = write_run(directory / "other" / STATE_FILENAME, killed=False).lines
    for number in range(len(lines)):
        mixed = b"".join([*lines[:number], other[number], *lines[number + 1 :]])
        expected = Verdict(12, 14) if number == 13 else refused(number + 1 if number else 2)
        if 11 <= number < 13 and damaged.written.seen == 1:
            expected = Verdict(number - 1, number + 1)
        damaged.go_on(mixed, expected)


@pytest.mark.parametrize("zeros", [1 << 18, 1 << 20, 5_000_001])
def test_any_number_of_zeros_at_the_end_is_a_torn_write(tmp_path: Path, zeros: int) -> None:
    path = tmp_path / STATE_FILENAME
    with RunStore.create(path, RunState("abc")) as store:
        store.state.init_package("core")
        store.commit()
    with journal_path(path).open("ab") as journal:
        journal.write(b'{"seq":2,"ti' + bytes(zeros))
    assert list(RunState.load(path)) == ["core"]
    RunStore.open(path).close()
    assert b"\0" not in journal_path(path).read_bytes()


def test_zeros_in_front_of_a_good_record_are_damage(tmp_path: Path) -> None:
    path = tmp_path / STATE_FILENAME
    with RunStore.create(path, RunState("abc")) as store:
        for name in ("first", "second", "third"):
            store.state.init_package(name)
            store.commit()
    header, first, second, third = journal_path(path).read_bytes().splitlines(keepends=True)
    journal_path(path).write_bytes(header + first + bytes(len(second) + (2 << 20)) + third)
    with pytest.raises(ReleaseKitError, match="line 3 is damaged") as caught:
        RunState.load(path)
    assert caught.value.code is E.STATE_CORRUPTED
