"""Every system call of a release on its run's files is hit: by SIGKILL just before it, and by errors in its place.

`strace` hits the Nth call of its name that a thread makes on these files. Which calls there are is read from a trace
of the same release that nothing hits, and one that was to be hit and was not fails the test.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from tests.faults.three_packages import GRAPH, UNTRACED, Nursery, goes_on, on_disk, report, survived

from releasekit.persistence.lock import LOCK_FILENAME
from releasekit.state import STATE_FILENAME, journal_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.three_packages import Told

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing here")

# What changes a file, locks it, or reads the journal, by every name that it has on one processor or another.
CALLS: Final = (
    "openat|flock|fchmod|write|pwrite64|ftruncate|fsync|fdatasync|fadvise64|pread64"
    "|rename|renameat|renameat2|unlink|unlinkat|close"
)
FAULTS: Final = {"SIGKILL": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "EINTR": "error=EINTR"}
TEMPORARY_FILES: Final = 8  # more than a release writes
PARTS: Final = 16  # of the campaign


class Point(NamedTuple):
    """A system call: the `number`th of its name in a thread."""

    thread: str
    call: str
    number: int


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def beginnings(nursery: Nursery, tmp_path: Path) -> dict[str, Path]:
    """What a release may find: nothing, or all that a crash can leave."""
    nothing, crashed = tmp_path / "nothing", tmp_path / "crashed"
    nothing.mkdir()
    crashed.mkdir()
    renames = [point for point in points(nursery, nothing) if point.call.startswith("rename")]
    hit(nursery, crashed, renames[2], "SIGKILL")  # that of the snapshot, in the middle
    tear(journal_path(crashed / STATE_FILENAME))
    assert {"verifying"} < {status for status, *_ in (on_disk(crashed) or {}).values()}
    assert list(crashed.glob("*.tmp"))
    return {"release": nothing, "resume": crashed}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("what", ["release", "resume"])
def test_whichever_call_is_hit_nothing_acknowledged_is_lost_and_the_run_goes_on(
    nursery: Nursery, beginnings: dict[str, Path], capsys: pytest.CaptureFixture[str], what: str, fault: str
) -> None:
    found = points(nursery, beginnings[what])
    ended: Counter[str] = Counter()

    for number, point in enumerate(found):
        directory = copy(beginnings[what], str(number))
        before = on_disk(directory)
        told = hit(nursery, directory, point, fault)
        ended[told.ending] += 1
        survived(directory, told, before)
        goes_on(nursery, directory)
        shutil.rmtree(directory)

    calls = Counter(point.call for point in found)
    assert {"openat", "write", "pwrite64", "fsync", "fdatasync", "close", "ftruncate"} <= set(calls)
    assert sum(ended.values()) == len(found)
    report(capsys, f"system calls of a {what}", calls)
    report(capsys, f"{fault} at each of these {len(found)}", ended)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_second_kill_while_a_first_one_is_recovered_from_loses_nothing(
    nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    pairs: Counter[str] = Counter()

    for number, first in enumerate(points(nursery, nothing)[part::PARTS]):
        crashed = copy(nothing, f"crashed-{number}")
        hit(nursery, crashed, first, "SIGKILL")
        for again, second in enumerate(points(nursery, crashed)):
            directory = copy(crashed, str(again))
            before = on_disk(directory)
            survived(directory, hit(nursery, directory, second, "SIGKILL"), before)
            goes_on(nursery, directory)
            shutil.rmtree(directory)
            pairs["pairs of system calls"] += 1

    assert pairs
    report(capsys, "SIGKILL, and again in the resume", pairs)


def test_after_a_failed_flush_nothing_is_written_or_flushed_any_more_and_every_waiter_is_told(
    nursery: Nursery, beginnings: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    touched = re.compile(r"(write|pwrite64|fsync|fdatasync)\(\d+<[^>]*/\.releasekit-state\.journal>")
    flushes = [point for point in points(nursery, beginnings["release"]) if point.call in {"pwrite64", "fdatasync"}]
    assert {point.thread for point in flushes} == {"flush"}  # as strace counts in each thread of those it follows
    refused: Counter[str] = Counter()

    for number, point in enumerate(flushes):
        directory = copy(beginnings["release"], str(number))
        told, trace = follow(nursery, directory, f"--inject={point.call}:error=EIO:when={point.number}")
        failed = [place for place, line in enumerate(trace) if "EIO" in line]
        assert len(failed) == 1
        assert touched.search(trace[failed[0]]) or "resumed" in trace[failed[0]]
        assert not [line for line in trace[failed[0] + 1 :] if touched.search(line)]
        assert told.error.startswith("RK-STATE-NOT-DURABLE: ")
        assert "/.releasekit-state.journal: [Errno 5] Input/output error\n  hint: " in told.error
        assert not told.waiting
        refused[f"x {told.refused} commits refused"] += 1
        survived(directory, told, None)
        goes_on(nursery, directory)

    assert len(refused) == 3  # one alone, and two and three who waited together
    report(capsys, f"EIO at each of the {len(flushes)} writes and flushes of a journal", refused)


def test_a_resume_has_the_disk_and_the_kernel_agree_on_the_journal_before_it_reads_it(
    nursery: Nursery, beginnings: dict[str, Path]
) -> None:
    told, trace = follow(nursery, beginnings["resume"])
    journal = [line for line in trace if "state.journal>" in line]

    assert told.code == 0
    assert [re.sub(r"^\d+ +|\(.*", "", line) for line in journal[:4]] == ["openat", "fdatasync", "fadvise64", "pread64"]
    assert "POSIX_FADV_DONTNEED" in journal[2]


def test_an_upload_begins_after_its_intent_and_what_it_requires_were_flushed(
    nursery: Nursery, beginnings: dict[str, Path]
) -> None:
    _, trace = follow(nursery, beginnings["release"], "--string-limit=9999", paths=False)
    text = "\n".join(trace)
    flushed = r"(?s:.*?)\bfdatasync\b[^\n]* = 0\n(?s:.*?)"

    for name, requires in GRAPH.items():
        uploads = rf'write\([^\n]*{{\\"upload\\": \\"{name}\\"}}'
        for package, status in [(name, "publishing"), *((required, "published") for required in requires)]:
            intent = rf'pwrite64\([^\n]*\\"package\\":\\"{package}\\"[^}}\n]*\\"to\\":\\"{status}\\"'
            assert re.search(intent + flushed + uploads, text)


def tear(journal: Path) -> None:
    """Leave what a power cut can leave of a write of many records: the first is torn, those behind it are whole."""
    lines = journal.read_bytes().rstrip(b"\n").splitlines(keepends=True)
    record = next(line for line in lines if b"record_artifacts" in line)
    first = len(lines)
    more = [re.sub(rb'"seq":\d+', b'"seq":%d' % number, record) for number in range(first + 1, first + 8)]
    with journal.open("r+b") as file:
        file.seek(len(b"".join(lines)) + 1)
        file.write(b'{"seq":%d,"ti\n' % first + b"".join(more))


def points(nursery: Nursery, beginning: Path) -> list[Point]:
    """Find out which system calls there are to be hit."""
    directory = copy(beginning, "traced")
    output = directory.with_suffix(".trace")
    told = nursery.release(directory, *strace(directory, "--follow-forks", "--output-separately", f"--output={output}"))
    assert told.code == 0
    shutil.rmtree(directory)
    found = []
    for thread in sorted(directory.parent.glob(f"{output.name}.*")):
        text = thread.read_text()
        name = "main" if UNTRACED in text else "flush"
        calls = Counter(re.findall(rf"^({CALLS})\(", text, re.MULTILINE))
        found += [Point(name, call, number + 1) for call, times in calls.items() for number in range(times)]
        thread.unlink()
    assert len(found) == len(set(found))  # or there is a third thread
    return found


def hit(nursery: Nursery, directory: Path, point: Point, fault: str) -> Told:
    """Release, or resume, and be hit."""
    output = directory.with_suffix(".trace")
    inject = f"--inject={point.call}:{FAULTS[fault]}:when={point.number}"
    told = nursery.release(directory, *strace(directory, inject, f"--output={output}"), thread=point.thread)
    lines = [line for line in output.read_text().splitlines() if line.startswith(f"{point.call}(")]
    assert len(lines) >= point.number
    assert (told.code == -signal.SIGKILL) if fault == "SIGKILL" else lines[point.number - 1].endswith("(INJECTED)")
    return told


def follow(nursery: Nursery, directory: Path, *options: str, paths: bool = True) -> tuple[Told, list[str]]:
    """Release, or resume, with all its threads traced, and give the lines of the trace in their order."""
    output = directory.with_suffix(".trace")
    command = strace(directory, "--follow-forks", "--decode-fds=path", f"--output={output}", *options)
    if not paths:
        command = [word for word in command if not word.startswith("--trace-path")]
    told = nursery.release(directory, *command)
    return told, output.read_text().splitlines()


def strace(directory: Path, *options: str) -> list[str]:
    """Begin the command that traces what is done to the files of a run."""
    state = directory / STATE_FILENAME
    journal = journal_path(state)
    numbers = range(TEMPORARY_FILES)
    temporary = [directory / f"{file.name}.{number:016x}.tmp" for file in (state, journal) for number in numbers]
    paths = [directory, state, journal, directory / LOCK_FILENAME, directory / UNTRACED, *temporary]
    traced = ["--inject=truncate:retval=0", f"--trace=/^({CALLS}|truncate)$"]
    return ["strace", *traced, *(f"--trace-path={path}" for path in paths), *options]


def copy(beginning: Path, name: str) -> Path:
    return shutil.copytree(beginning, beginning.with_name(f"{beginning.name}-{name}"))
