"""The files of a run, read while others may be writing them: every accident is refused where it is, or read past."""

from __future__ import annotations

import errno
import gc
import json
import os
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import PackageStatus
from releasekit.persistence.journal import MAX_BYTES, MAX_LINE, Position, open_regular
from releasekit.persistence.reader import Tail
from releasekit.state import STATE_FILENAME, RunState, files
from releasekit.state.files import Replayed, journal_path, there_is_a_run
from releasekit.state.snapshot import StateCorruptedError
from releasekit.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from releasekit.state.records import Record

TIME = "2026-11-25T12:00:00Z"
SHA = "0123456789abcdef" * 4
RUN = {"git_sha": "abc", "created_at": "2026-01-02T03:04:05+00:00", "run_id": "r", "index": "pypi"}
HINT = (
    "restore the file from a copy, or run `releasekit publish --fresh` to start over: "
    "the old file is kept aside, and the index is asked what is already there"
)


def forge(*payloads: dict[str, Any], run_id: str = "r", flushed: Sequence[int] = ()) -> list[bytes]:
    """Make the lines of a journal; each record was flushed before the next one, if nothing else is asked for."""
    line, position = Position().behind_header(json.dumps({**RUN, "run_id": run_id, "packages": 1}).encode())
    lines = [line]
    for payload in payloads:
        data = json.dumps({"time": TIME} | payload).encode()
        line, position = position.behind_record(data, flushed[position.seq] if flushed else position.seq)
        lines.append(line)
    return lines


def fired(trigger: str, source: str, target: str, package: str = "core", /, **said: object) -> dict[str, Any]:
    return {"package": package, "trigger": trigger, "from": source, "to": target, **said}


STORY = (
    {"declared": [{"name": "core"}, {"name": "top", "requires": ["core"]}]},
    fired("start_building", "pending", "building"),
    fired("record_artifacts", "building", "building", artifacts={"core-1.0.tar.gz": SHA}),
    fired("start_publishing", "building", "publishing"),
    fired("start_verifying", "publishing", "verifying"),
    fired("confirm", "verifying", "published"),
)
STATUSES = ("", "pending", "building", "building", "publishing", "verifying", "published")
"""The status of core after each record."""

LINES = forge(*STORY)
WHOLE = b"".join(LINES)
TOGETHER = forge(*STORY, flushed=(0, 1, 1, 1, 1, 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / STATE_FILENAME


@pytest.fixture
def journal(path: Path) -> Path:
    return path.with_name(".releasekit-state.journal")


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long reading waited, each time; no time passes."""
    seen: list[float] = []
    monkeypatch.setattr(time, "sleep", seen.append)
    return seen


def torn_of(logs: Sequence[Any]) -> list[dict[str, Any]]:
    return [dict(entry) for entry in logs if entry["event"] == "releasekit.journal_torn"]


# which files they are


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (".releasekit-state.json", ".releasekit-state.journal"),
        ("x.json", "x.journal"),
        ("x.json.json", "x.json.journal"),
        ("state", "state.journal"),
        ("x.JSON", "x.JSON.journal"),
        ("json", "json.journal"),
    ],
)
def test_a_journal_stands_beside_its_state_file(tmp_path: Path, name: str, expected: str) -> None:
    assert journal_path(tmp_path / name) == tmp_path / expected


def test_a_journal_stands_where_a_link_to_the_state_file_leads(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "there" / "state.json")
    (tmp_path / "same").symlink_to(tmp_path / "there")
    for path in (tmp_path / "link.json", tmp_path / "same" / "state.json"):
        assert journal_path(path) == tmp_path / "there" / "state.journal"


def test_a_relative_path_has_an_absolute_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert journal_path(Path("x.json")) == tmp_path / "x.journal"


def make_link(path: Path) -> None:
    path.symlink_to("missing")


@pytest.mark.parametrize(
    "make", [Path.touch, os.mkfifo, os.mkdir, make_link], ids=["file", "pipe", "directory", "link"]
)
@pytest.mark.parametrize("which", ["state", "journal"])
def test_there_is_a_run_if_anything_has_the_name_of_one_of_its_files(
    path: Path, journal: Path, which: str, make: Callable[[Path], object]
) -> None:
    assert not there_is_a_run(path)
    make(path if which == "state" else journal)
    assert there_is_a_run(path)


# the journal is the truth


def test_a_journal_is_read_and_the_state_file_beside_it_is_not(path: Path, journal: Path, naps: list[float]) -> None:
    path.write_bytes(b"nonsense")
    journal.write_bytes(WHOLE)
    read = files.read(path)
    assert {name: getattr(read, name) for name in RUN} == RUN
    assert [(package.name, package.status) for package in read.packages] == [("core", "published"), ("top", "pending")]
    assert read.packages[1].requires == ("core",)
    assert read.records == 0
    assert naps == []


def test_a_state_file_without_a_journal_is_read(path: Path) -> None:
    state = RunState("abc")
    state.init_package("core")
    state.save(path)
    assert RunState.load(path) == state


def test_with_neither_of_them_the_state_file_is_what_is_missing(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"^Failed to read {path}: No such file or directory$") as caught:
        files.read(path)
    assert caught.value.errno == errno.ENOENT


def test_the_records_of_a_journal_are_kept_if_it_is_asked_to(path: Path, journal: Path) -> None:
    journal.write_bytes(WHOLE)
    kept: list[Record] = []
    files.read(path, kept)
    assert [record.seq for record in kept] == [1, 2, 3, 4, 5, 6]
    assert kept[5].trigger == "confirm"


def test_the_records_of_a_journal_that_was_read_again_are_kept_once(
    path: Path, journal: Path, naps: list[float]
) -> None:
    journal.write_bytes(WHOLE[:-1])
    kept: list[Record] = []
    files.read(path, kept)
    assert [record.seq for record in kept] == [1, 2, 3, 4, 5]
    assert len(naps) == 1


def test_replaying_tells_run_position_and_tail(path: Path, journal: Path) -> None:
    journal.write_bytes(WHOLE + b"torn")
    fd = open_regular(journal, os.O_RDONLY)
    try:
        replayed = files.replay(fd, journal, path)
        kept: list[Record] = []
        files.replay(fd, journal, path, kept)
    finally:
        os.close(fd)
    assert replayed.position == Position().behind(WHOLE, 6)
    assert replayed.tail == Tail(8, has_records=False)
    assert replayed.run.run_id == "r"
    assert len(kept) == 6


def open_files() -> list[str]:
    return sorted(entry.name for entry in Path("/dev/fd").iterdir())


def test_reading_leaves_no_file_open(path: Path, journal: Path, naps: list[float]) -> None:
    before = open_files()
    for content in (WHOLE, WHOLE[:-1], b"", WHOLE[1:]):
        journal.write_bytes(content)
        try:
            files.read(path)
        except StateCorruptedError:
            continue
    assert open_files() == before
    assert len(naps) == 3


# accidents, one by one


def without(seq: int) -> bytes:
    return b"".join([*LINES[:seq], *LINES[seq + 1 :]])


def twice(seq: int) -> bytes:
    return b"".join([*LINES[: seq + 1], *LINES[seq:]])


def then(*payloads: dict[str, Any], story: int = 1) -> bytes:
    return b"".join(forge(*STORY[:story], *payloads))


OTHER = b"".join(forge(*STORY, run_id="another"))

ACCIDENTS: dict[str, tuple[bytes, int]] = {
    "empty file": (b"", 1),
    "blank lines only": (b"\n" * 100, 1),
    "NULs only": (bytes(4096), 1),
    "header without its end": (LINES[0][:-1], 1),
    "header missing": (WHOLE[len(LINES[0]) :], 1),
    "header twice": (LINES[0] + WHOLE, 2),
    "header twice without the end of the first": (LINES[0][:-1] + WHOLE, 1),
    "header only, packages missing": (LINES[0], 2),
    "header only, packages torn": (LINES[0] + LINES[1][:-1], 2),
    "header only, packages blank": (LINES[0] + b"\n" * 100, 2),
    "header of another tool": (b'{"version": 1, "entries": []}\n' + without(0), 1),
    "header of a newer version": (WHOLE.replace(b'{"journal":1,', b'{"journal":2,'), 1),
    "header of another journal": (OTHER.split(b"\n")[0] + b"\n" + without(0), 2),
    "header before which something stands": (b"\n" + WHOLE, 1),
    "byte order mark": (b"\xef\xbb\xbf" + WHOLE, 1),
    "state file in its place": (b'{\n  "schema": 1\n}\n', 1),
    "gap at the beginning": (without(1), 2),
    "gap in the middle": (without(3), 4),
    "gap before the last": (without(5), 6),
    "reorder at the beginning": (b"".join([LINES[0], LINES[2], LINES[1], *LINES[3:]]), 2),
    "reorder at the end": (b"".join([*LINES[:5], LINES[6], LINES[5]]), 6),
    "reorder among those of one write": (b"".join([*TOGETHER[:5], TOGETHER[6], TOGETHER[5]]), 6),
    "duplicate of the first": (twice(1), 3),
    "duplicate in the middle": (twice(3), 5),
    "duplicate of the last": (twice(6), 8),
    "duplicate of an earlier one at the end": (WHOLE + LINES[2], 8),
    "duplicate behind a torn write": (WHOLE + b"torn\n" + LINES[2], 9),
    "journal twice": (WHOLE * 2, 8),
    "journal and another one": (WHOLE + OTHER, 8),
    "journal, torn, and another one": (WHOLE[:-1] + OTHER, 7),
    "records of another journal": (b"".join([*LINES[:3], *OTHER.splitlines(keepends=True)[3:]]), 4),
    "line damaged": (WHOLE.replace(b"record_artifacts", b"record_Artifacts"), 4),
    "line damaged in its number": (WHOLE.replace(b'"seq":3', b'"seq":8'), 4),
    "line damaged in its checksum": (b"".join([*LINES[:3], LINES[3][:-4] + b"x" + LINES[3][-3:], *LINES[4:]]), 4),
    "line cut off in the middle": (b"".join([*LINES[:3], LINES[3][:40] + b"\n", *LINES[4:]]), 4),
    "line emptied": (b"".join([*LINES[:3], b"\n", *LINES[4:]]), 4),
    "line zeroed": (b"".join([*LINES[:3], bytes(len(LINES[3])), *LINES[4:]]), 4),
    "line before the last damaged": (b"".join([*LINES[:5], LINES[5][1:], *LINES[6:]]), 6),
    "line's end changed": (b"".join([*LINES[:3], LINES[3][:-1], b"x", *LINES[4:]]), 4),
    "line's end lost": (b"".join([*LINES[:3], LINES[3][:-1], *LINES[4:]]), 4),
    "line's end doubled": (b"".join([*LINES[:3], b"\n", *LINES[3:]]), 4),
    "line's end changed before the last": (b"".join([*LINES[:5], LINES[5][:-1], b" ", *LINES[6:]]), 6),
    "lines' ends as of Windows": (WHOLE.replace(b"\n", b"\r\n"), 1),
    "one line's end as of Windows": (b"".join([*LINES[:3], LINES[3][:-1], b"\r\n", *LINES[4:]]), 4),
    "not UTF-8": (WHOLE.replace(b"record_artifacts", b"record_art\xfffacts"), 4),
    "UTF-16": (WHOLE.decode().encode("utf-16"), 1),
    "upper case": (WHOLE.upper(), 1),
    "indented by a tool": (WHOLE.replace(b'":', b'": '), 1),
    "line over 1 MiB": (WHOLE + b"x" * MAX_LINE + b"\n", 8),
    "line over 1 MiB without an end": (WHOLE + b"x" * (2 * MAX_LINE), 8),
    "first line over 1 MiB": (b"{" * MAX_LINE + WHOLE, 1),
    "trigger that is not allowed": (then(fired("confirm", "verifying", "published")), 3),
    "trigger fired again": (then(fired("start_building", "pending", "building"), story=2), 4),
    "trigger unknown": (then(fired("explode", "pending", "building")), 3),
    "trigger missing": (then({"package": "core", "from": "pending", "to": "building"}), 3),
    "source that is wrong": (then(fired("start_building", "failed", "building")), 3),
    "source missing": (then({"package": "core", "trigger": "start_building", "to": "building"}), 3),
    "target that is wrong": (then(fired("start_building", "pending", "publishing")), 3),
    "target missing": (then({"package": "core", "trigger": "start_building", "from": "pending"}), 3),
    "status unknown": (then(fired("start_building", "pending", "lost")), 3),
    "value missing": (then(fired("skip", "pending", "skipped")), 3),
    "value too much": (then(fired("start_building", "pending", "building", reason="x")), 3),
    "value of another kind": (then(fired("skip", "pending", "skipped", error="x")), 3),
    "value of another type": (then(fired("skip", "pending", "skipped", reason=5)), 3),
    "artifacts that are none": (
        then(fired("record_artifacts", "building", "building", artifacts={"a": "b"}), story=2),
        4,
    ),
    "package undeclared": (then(fired("start_building", "pending", "building", "other")), 3),
    "package declared twice": (then({"declared": [{"name": "core"}]}), 3),
    "package declared twice at once": (then({"declared": [{"name": "new"}, {"name": "new"}]}), 3),
    "package without a name": (then({"declared": [{"name": ""}]}), 3),
    "record that says nothing": (then({}), 3),
    "field unknown": (then(fired("start_building", "pending", "building", more=1)), 3),
}


@pytest.mark.parametrize(("content", "line"), ACCIDENTS.values(), ids=ACCIDENTS)
@pytest.mark.usefixtures("naps")
def test_an_accident_is_refused_with_file_line_and_hint_and_nothing_is_changed(
    path: Path, journal: Path, content: bytes, line: int
) -> None:
    journal.write_bytes(content)
    for call in (RunState.load, RunState.load, RunStore.open):
        with capture_logs() as logs, pytest.raises(ReleaseKitError) as caught:
            call(path)
        error = caught.value
        assert isinstance(error, StateCorruptedError)
        assert error.code is E.STATE_CORRUPTED
        assert (error.path, error.place) == (journal, f"line {line}")
        assert error.message.startswith(f"{journal}: line {line} ")
        assert len(error.message) <= len(f"{journal}: line {line} ") + 300
        assert error.hint == HINT
        assert error.__suppress_context__
        assert not torn_of(logs)
    assert journal.read_bytes() == content


def test_a_file_that_is_too_large_is_refused(path: Path, journal: Path, naps: list[float]) -> None:
    journal.write_bytes(WHOLE)
    os.truncate(journal, MAX_BYTES + 1)
    with pytest.raises(StateCorruptedError) as caught:
        RunState.load(path)
    problem = "line 1 begins a file of more than 1073741824 bytes, the most that is read"
    assert caught.value.message == f"{journal}: {problem}"
    assert naps == [0.01]


def test_a_file_as_large_as_it_may_be_is_judged_by_what_is_in_it(
    path: Path, journal: Path, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros are what a power cut may leave, and any number of them is a torn write."""
    monkeypatch.setattr("releasekit.persistence.reader.MAX_BYTES", 3 << 20)
    journal.write_bytes(WHOLE)
    os.truncate(journal, 3 << 20)
    with capture_logs() as logs:
        assert RunState.load(path)["core"].status is PackageStatus.PUBLISHED
    assert [(entry["line"], entry["kept"]) for entry in torn_of(logs)] == [(8, 6)]
    assert naps == [0.01]
    os.truncate(journal, (3 << 20) + 1)
    with pytest.raises(StateCorruptedError, match="line 1 begins a file of more than 3145728 bytes"):
        RunState.load(path)


TORN: dict[str, tuple[bytes, int, int]] = {
    "cut": (WHOLE[:-10], 7, 5),
    "cut by its end only": (WHOLE[:-1], 7, 5),
    "changed": (WHOLE.replace(b'"confirm"', b'"Confirm"'), 7, 5),
    "its number changed": (WHOLE.replace(b'"seq":6', b'"seq":9'), 7, 5),
    "its end changed": (WHOLE[:-1] + b"x", 7, 5),
    "zeroed": (b"".join(LINES[:6]) + bytes(512), 7, 5),
    "garbage behind it": (WHOLE + b"\xff\xfe garbage", 8, 6),
    "NULs behind it": (WHOLE + bytes(512), 8, 6),
    "very many NULs behind it": (WHOLE + bytes(2 * MAX_LINE), 8, 6),
    "garbage behind blank lines": (WHOLE + b"\n\n\ngarbage\n\n", 11, 6),
    "one of several in a write": (b"".join([*TOGETHER[:3], b"x" + TOGETHER[3], *TOGETHER[4:]]), 4, 2),
    "several of a write": (b"".join([*TOGETHER[:3], bytes(99), b"\n" * 99, *TOGETHER[6:]]), 4, 2),
}


@pytest.mark.parametrize(("content", "line", "kept"), TORN.values(), ids=TORN)
def test_a_torn_write_is_read_past_with_a_warning_and_cut_off_by_the_next_open(  # noqa: PLR0913, PLR0917
    path: Path, journal: Path, naps: list[float], content: bytes, line: int, kept: int
) -> None:
    journal.write_bytes(content)
    warning = {
        "event": "releasekit.journal_torn",
        "log_level": "warning",
        "module": "releasekit.state.files",
        "file": str(journal),
        "line": line,
        "kept": kept,
    }
    with capture_logs() as logs:
        run = RunState.load(path)
    assert run["core"].status == STATUSES[kept]
    assert logs == [warning]
    assert naps == [0.01]
    assert journal.read_bytes() == content
    with capture_logs() as logs, RunStore.open(path) as store:
        assert torn_of(logs) == [warning]
        assert store.state == run
    with capture_logs() as logs:
        assert RunState.load(path) == run
    assert logs == []
    good = journal.read_bytes()
    assert content.startswith(good)
    assert good.count(b"\n") == kept + 1


# what the state file has seen


def snapshot_of(path: Path, **fields: object) -> None:
    document = {"schema": 1, **RUN, "packages": {}, "records": 3} | fields
    path.write_bytes(json.dumps({name: value for name, value in document.items() if value is not None}).encode())


BAD = b"".join([*TOGETHER[:3], b"x" + TOGETHER[3], *TOGETHER[4:]])
"""Record 3 of a write is bad; only a state file can tell whether that write had been flushed."""


@pytest.mark.parametrize("seen", [3, 4, 2**31 - 1])
@pytest.mark.parametrize("blanks", [b"", b"\n\n"], ids=["", "behind-blank-lines"])
def test_a_bad_record_that_the_state_file_has_seen_is_damage(
    path: Path, journal: Path, naps: list[float], seen: int, blanks: bytes
) -> None:
    journal.write_bytes(BAD.replace(b"x" + TOGETHER[3], blanks + b"x" + TOGETHER[3]))
    snapshot_of(path, records=seen)
    with pytest.raises(StateCorruptedError) as caught:
        RunState.load(path)
    problem = "is damaged: the state file has what it said, and records behind it are good"
    assert caught.value.message == f"{journal}: line 4 {problem}"
    assert caught.value.hint == HINT
    assert naps == [0.01]


@pytest.mark.parametrize(
    "fields",
    [{"records": 2}, {"records": None}, {"run_id": "another"}, {"run_id": None}, {"schema": 2}, {"records": -1}],
    ids=["earlier", "without-a-journal", "another-run", "no-run", "newer", "corrupted"],
)
def test_a_bad_record_that_the_state_file_has_not_seen_is_torn(
    path: Path, journal: Path, naps: list[float], fields: dict[str, object]
) -> None:
    journal.write_bytes(BAD)
    snapshot_of(path, **fields)
    assert RunState.load(path)["core"].status is PackageStatus.BUILDING
    assert naps == [0.01]


@pytest.mark.usefixtures("naps")
def test_nothing_is_cut_while_the_state_file_cant_be_asked(path: Path, journal: Path) -> None:
    journal.write_bytes(BAD)
    assert RunState.load(path)["core"].status is PackageStatus.BUILDING
    path.mkdir()
    for call in (RunState.load, RunStore.open):
        with pytest.raises(IsADirectoryError) as caught:
            call(path)
        assert str(caught.value) == f"Failed to read {path}: Is a directory"
    assert journal.read_bytes() == BAD


@pytest.mark.usefixtures("naps")
def test_a_bad_end_is_torn_whatever_the_state_file_has_seen(path: Path, journal: Path) -> None:
    journal.write_bytes(WHOLE[:-1])
    snapshot_of(path, records=6)
    assert RunState.load(path)["core"].status is PackageStatus.VERIFYING


@pytest.mark.usefixtures("naps")
def test_a_good_journal_does_not_ask_the_state_file(path: Path, journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("releasekit.state.snapshot.read", None)
    for content in (WHOLE, WHOLE[:-1], WHOLE + bytes(512)):
        journal.write_bytes(content)
        RunState.load(path)


# other things than files


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))


def make_journal_elsewhere(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(WHOLE)
    path.symlink_to("elsewhere")


THINGS: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "pipe": (os.mkfifo, errno.EINVAL, "is not a regular file"),
    "directory": (os.mkdir, errno.EINVAL, "is not a regular file"),
    "socket": (make_socket, errno.ENXIO, "No such device or address"),
    "link to nothing": (make_link, errno.ELOOP, "is a symbolic link, which it must not be"),
    "link to a journal": (make_journal_elsewhere, errno.ELOOP, "is a symbolic link, which it must not be"),
}


@pytest.mark.parametrize(("make", "code", "problem"), THINGS.values(), ids=THINGS)
def test_what_is_no_file_is_an_os_error_at_once(  # noqa: PLR0913, PLR0917
    path: Path,
    journal: Path,
    naps: list[float],
    make: Callable[[Path], object],
    code: int,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(path.parent)  # the path of a socket has to be short
    RunState("abc").save(path)
    make(journal)
    with pytest.raises(OSError, match=f"^Failed to read {journal}: {problem}$") as caught:
        RunState.load(path)
    assert caught.value.errno == code
    assert naps == []
    with pytest.raises(OSError, match=f"^Failed to read {journal}: "):
        RunStore.open(path)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_a_device_is_an_os_error(path: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(files, "journal_path", lambda _path: Path(device))
    for call in (RunState.load, RunStore.open):
        with pytest.raises(OSError, match=f"^Failed to read {device}: is not a regular file$") as caught:
            call(path)
        assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE], ids=errno.errorcode.get)
@pytest.mark.parametrize("step", ["open", "fstat", "pread"])
def test_an_error_of_the_system_is_an_os_error_of_its_kind(  # noqa: PLR0913, PLR0917
    path: Path, journal: Path, naps: list[float], monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    journal.write_bytes(WHOLE)

    def fail(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code), str(journal))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(OSError, match="Failed to read") as caught:
            RunState.load(path)
    assert str(caught.value) == f"Failed to read {journal}: {os.strerror(code)}"
    assert type(caught.value) is type(OSError(code, ""))
    assert caught.value.errno == code
    assert naps == []


# while others write


@pytest.fixture
def meanwhile(journal: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[float]]]:
    """Have the journal change each time that reading waits: to a content, or to nothing."""
    contents: list[bytes | None] = []
    seen: list[float] = []

    def nap(seconds: float) -> None:
        seen.append(seconds)
        content = contents.pop(0)
        if content is None:
            journal.unlink()
        else:
            journal.write_bytes(content)

    def change(*coming: bytes | None) -> list[float]:
        assert coming[0] is not None
        journal.write_bytes(coming[0])
        contents.extend(coming[1:])
        return seen

    monkeypatch.setattr(time, "sleep", nap)
    yield change
    assert not contents


TORN_1, TORN_2, TORN_3 = WHOLE[: -len(LINES[6]) - 5], WHOLE[:-9], WHOLE + b"torn"
DAMAGED_1, DAMAGED_2 = WHOLE.replace(b"start_building", b"x"), WHOLE.replace(b"start_verifying", b"x")


@pytest.mark.parametrize(
    "before",
    [
        (TORN_1,),
        (TORN_1, TORN_2),
        (TORN_1, TORN_2, TORN_1),
        (DAMAGED_1,),
        (DAMAGED_1, DAMAGED_2),
        (DAMAGED_1, TORN_1, DAMAGED_1, TORN_1),
        (b"",),
    ],
    ids=["torn", "torn-twice", "to-and-fro", "bad", "bad-twice", "bad-and-torn", "empty"],
)
def test_a_write_that_was_seen_half_done_is_read_again_without_a_word(
    path: Path, meanwhile: Callable[..., list[float]], before: tuple[bytes, ...]
) -> None:
    naps = meanwhile(*before, WHOLE)
    with capture_logs() as logs:
        run = RunState.load(path)
    assert run["core"].status is PackageStatus.PUBLISHED
    assert logs == []
    assert naps == [0.01] * len(before)


@pytest.mark.parametrize(
    ("contents", "line", "kept"),
    [((TORN_2, TORN_2), 7, 5), ((TORN_1, TORN_2, TORN_2), 7, 5), ((DAMAGED_1, TORN_3, TORN_3), 8, 6)],
    ids=["at-once", "later", "after-damage"],
)
def test_what_is_torn_twice_in_the_same_way_is_torn(
    path: Path, meanwhile: Callable[..., list[float]], contents: tuple[bytes, ...], line: int, kept: int
) -> None:
    naps = meanwhile(*contents)
    with capture_logs() as logs:
        run = RunState.load(path)
    assert run["core"].status == STATUSES[kept]
    assert [(entry["line"], entry["kept"]) for entry in torn_of(logs)] == [(line, kept)]
    assert len(naps) == len(contents) - 1


@pytest.mark.parametrize(
    "contents",
    [(DAMAGED_1, DAMAGED_1), (DAMAGED_2, DAMAGED_1, DAMAGED_1), (TORN_1, DAMAGED_1, DAMAGED_1)],
    ids=["at-once", "later", "after-a-tear"],
)
def test_what_is_damaged_twice_in_the_same_way_is_damaged(
    path: Path, meanwhile: Callable[..., list[float]], contents: tuple[bytes, ...]
) -> None:
    naps = meanwhile(*contents)
    with pytest.raises(StateCorruptedError, match="line 3 is damaged"):
        RunState.load(path)
    assert len(naps) == len(contents) - 1


def test_a_journal_that_is_put_aside_while_it_is_read_leaves_the_state_file(
    path: Path, meanwhile: Callable[..., list[float]]
) -> None:
    state = RunState("abc")
    state.save(path)
    meanwhile(TORN_1, None)
    kept: list[Record] = []
    assert RunState.of(files.read(path, kept)) == state
    assert kept == []


def test_a_torn_journal_is_warned_of_and_a_whole_one_is_not(journal: Path) -> None:
    position = Position(5, 4, 3)
    run = RunState("abc")
    with capture_logs() as logs:
        files.warn_of(Replayed(run, position, None), journal)  # type: ignore[arg-type]  # only asked for its end
        files.warn_of(Replayed(run, position, Tail(7, has_records=True)), journal)  # type: ignore[arg-type]
    assert [(entry["file"], entry["line"], entry["kept"]) for entry in torn_of(logs)] == [(str(journal), 7, 4)]


# readers beside a writer

COUNT = 7  # packages
PATIENCE = 30.0  # seconds for a writer to get its turn
WRITER = """
import asyncio, os, random, struct, sys, time
from releasekit import RunState, RunStore

path, kind, piece, seconds, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
pwrite = os.pwrite


def write_slowly(fd, data, offset):
    if data[0] != ord("\\n"):
        time.sleep(0.0005)
    return pwrite(fd, data[:piece], offset)


if piece:
    os.pwrite = write_slowly
state = RunState("abc")
packages = [state.init_package(f"p{number}") for number in range(count)]
store = RunStore.create(path, state)
acknowledged = os.open(path + ".acknowledged", os.O_WRONLY | os.O_CREAT)
fired = 0
choice = random.Random(1)


async def write():
    global fired
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(choice.randint(1, 4)):
            package = packages[fired % count]
            package.start_building() if package.status == "pending" else package.recover()
            fired += 1
        if kind == "commit":
            store.commit()
        else:
            await asyncio.gather(*(store.acommit() for _ in range(3)))
        pwrite(acknowledged, struct.pack("q", fired), 0)
        time.sleep(choice.random() / 1000)


pwrite(acknowledged, struct.pack("q", 0), 0)
print("ready", flush=True)
asyncio.run(write())
store.close()
print(fired, flush=True)
"""


def fired_of(run: RunState) -> int:
    """Count the triggers that a run of the writer has seen, which must be the first ones."""
    seen = [2 * package.attempts - (package.status is PackageStatus.BUILDING) for package in run.packages.values()]
    total = sum(seen)
    assert seen == [(total + COUNT - 1 - number) // COUNT for number in range(COUNT)]
    return total


@pytest.mark.parametrize("piece", [0, 97], ids=["whole", "in-pieces"])
@pytest.mark.parametrize("kind", ["commit", "acommit"])
def test_readers_see_all_that_was_acknowledged_and_the_first_triggers_only(
    path: Path, kind: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lock, no error, and never a step back; what looks torn is whole a moment later."""
    naps: list[float] = []
    nap = time.sleep

    def count_and_nap(seconds: float) -> None:
        naps.append(seconds)
        nap(seconds)

    monkeypatch.setattr(time, "sleep", count_and_nap)
    command = [sys.executable, "-c", WRITER, str(path), kind, str(piece), "1", str(COUNT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
        acknowledged = os.open(f"{path}.acknowledged", os.O_RDONLY)
        last = warned = 0
        totals: set[int] = set()
        torn_since = time.monotonic()
        while writer.poll() is None:
            (before,) = struct.unpack("q", os.pread(acknowledged, 8, 0))
            with capture_logs() as logs:
                total = fired_of(RunState.load(path))
            assert max(before, last) <= total
            last = total
            totals.add(total)
            warned += len(logs)
            if not logs:
                torn_since = time.monotonic()
            assert time.monotonic() - torn_since < PATIENCE
        os.close(acknowledged)
        assert writer.wait() == 0
        fired = int(writer.stdout.read())
    assert len(totals) > 2
    if piece:  # otherwise a reader hardly ever meets a write in the middle
        assert warned < len(naps)
    with capture_logs() as logs:
        assert fired_of(RunState.load(path)) == fired
    assert logs == []


def test_readers_beside_threads_that_write_see_them_too(path: Path) -> None:
    state = RunState("abc")
    for number in range(COUNT):
        state.init_package(f"p{number}")
    with RunStore.create(path, state) as store, ThreadPoolExecutor(2) as threads:
        done = Event()

        def write() -> None:
            try:
                for fired in range(500):
                    package = store.state[f"p{fired % COUNT}"]
                    if package.status is PackageStatus.PENDING:
                        package.start_building()
                    else:
                        package.recover()
                    if fired % 3:
                        store.commit()
            finally:
                done.set()

        def read() -> list[int]:
            seen = []
            while not done.is_set():
                seen.append(fired_of(RunState.load(path)))
            return seen

        writing, reading = threads.submit(write), threads.submit(read)
        seen = reading.result()
        writing.result()
        assert len(seen) > 1
        assert seen == sorted(seen)
    assert fired_of(RunState.load(path)) == 500


@pytest.mark.parametrize("enabled", [True, False])
def test_loading_leaves_the_garbage_collector_as_it_was(tmp_path: Path, *, enabled: bool) -> None:
    with RunStore.create(tmp_path / STATE_FILENAME, RunState("abc")) as store:
        path = store.path
    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        RunState.load(path)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
