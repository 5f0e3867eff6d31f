"""A power cut on a real file system, at any moment: nothing that was acknowledged is missing, and reading never fails.

A run is written on an ext4 whose disk logs every write and every flush that it gets, and, in the same log, every moment
at which a commit had returned. From the log the disks are made that a power cut could have left: all that was written
up to a moment, and, since a disk keeps what it was not told to flush in any order and maybe not at all, what was
written up to a flush with any part of what followed. Each is mounted, so that ext4 replays its journal, read and
recovered. A writer or a file system that does not flush must be found out, or all this would prove nothing.
"""

from __future__ import annotations

import ctypes.util
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from structlog.testing import capture_logs
from tests.faults import disks
from tests.faults.logged_disk import DISK, MARKS, Entry, Kind, copy, mounted, pieces, put, read_log, run, served

from releasekit import STATE_FILENAME, ReleaseKitError, RunState, RunStore
from releasekit.state import files, journal_path, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from releasekit.persistence.reader import Tail

WRITER: Final = Path(__file__).with_name("power_writer.py")
NOTHING: Final = -1  # has been acknowledged yet
SIZES: Final = (512, 4096)  # bytes that a disk keeps or loses together
SHARES: Final = (0.1, 0.5, 0.9)  # of what was not flushed, that are kept

NEEDED: Final = {
    "root": os.geteuid() == 0,
    "/dev/fuse": Path("/dev/fuse").exists(),
    "/dev/loop-control": Path("/dev/loop-control").exists(),
    "mkfs.ext4": bool(shutil.which("mkfs.ext4")),
    "libfuse3": bool(ctypes.util.find_library("fuse3")),
    "mfusepy": bool(importlib.util.find_spec("mfusepy")),
}
MISSING: Final = ", ".join(name for name, is_there in NEEDED.items() if not is_there)
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=f"needs {MISSING}"), pytest.mark.timeout(600)]
campaign = [pytest.mark.campaign, pytest.mark.timeout(24 * 3600)]


class Recording(NamedTuple):
    """What a writer did to a disk.

    Attributes:
        base: The disk before; what is made of the recording is put beside it.
        acknowledged: The number of the state that was acknowledged before.
        entries: What reached the disk.
        states: Each state that the run had, and its number.
    """

    base: Path
    acknowledged: int
    entries: list[Entry]
    states: dict[str, int]

    def count(self, kind: Kind) -> int:
        return sum(entry.kind is kind for entry in self.entries)


class Crash(NamedTuple):
    """A disk that a power cut could have left, and the number of the state that had been acknowledged."""

    image: Path
    acknowledged: int


class Finding(NamedTuple):
    """What such a disk holds: what is wrong with that, if anything is, and what a torn write left of itself."""

    problem: str
    tail: Tail | None = None


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty ext4 in memory, where thousands of copies can be made and flushed."""
    with disks.tmpfs(tmp_path_factory.mktemp("power") / "ram", 256 << 20) as ram:
        image = ram / "empty" / "base.img"
        image.parent.mkdir()
        with image.open("wb") as file:
            file.truncate(16 << 20)
        at_once = "lazy_itable_init=0,lazy_journal_init=0"  # nothing that the kernel would go on with later
        run("mkfs.ext4", "-q", "-b", "4096", "-E", at_once, image)
        yield image


@pytest.fixture(scope="module")
def recording(disk: Path) -> Recording:
    return record(disk, "begin")


def record(disk: Path, part: str, *dropped: str, options: str = "loop", acknowledged: int = NOTHING) -> Recording:
    scratch = disk.parent.with_name(f"{part}-{'-'.join(dropped)}-{options}")
    scratch.mkdir(exist_ok=True)
    base, live, log = (scratch / name for name in ("base.img", "live.img", "log"))
    copy(disk, base)
    copy(disk, live)
    with (
        served(live, log, scratch / "fuse") as fuse,
        mounted(fuse / DISK, scratch / "live", "-t", "ext4", "-o", options) as root,
    ):
        arguments = [part, str(root / STATE_FILENAME), str(fuse / MARKS), *dropped]
        writer = subprocess.run(
            [sys.executable, WRITER, *arguments], capture_output=True, text=True, check=False, timeout=60
        )
    assert writer.returncode == 0, writer.stderr
    states = {state: number for number, state in enumerate(json.loads(writer.stdout.splitlines()[-1]))}
    return Recording(base, acknowledged, list(read_log(log)), states)


def cut_between_writes(recording: Recording) -> Iterator[Crash]:
    """Make the disk that every prefix of the writes gives."""
    written = copy(recording.base, recording.base.with_name("written.img"))
    acknowledged = recording.acknowledged
    for entry in recording.entries:
        if entry.kind is Kind.MARK:
            acknowledged = max(acknowledged, int(entry.data))
        elif entry.kind is Kind.WRITE:
            yield Crash(copy(written, recording.base.with_name("crash.img")), acknowledged)
            put(written, [entry])
    yield Crash(copy(written, recording.base.with_name("crash.img")), acknowledged)


def cut_under_a_cache(recording: Recording, times: int, rng: random.Random) -> Iterator[Crash]:
    """Make disks that keep what was flushed and any part of what was written before the next flush had ended."""
    flushed = copy(recording.base, recording.base.with_name("flushed.img"))
    acknowledged = recording.acknowledged
    waiting: list[Entry] = []
    for entry in [*recording.entries, Entry(Kind.FLUSH)]:
        if entry.kind is Kind.MARK:
            acknowledged = max(acknowledged, int(entry.data))
        elif entry.kind is Kind.WRITE:
            waiting.append(entry)
        elif waiting:
            for _ in range(times):
                crash = copy(flushed, recording.base.with_name("crash.img"))
                size, share = rng.choice(SIZES), rng.choice(SHARES)
                put(crash, [piece for piece in pieces(waiting, size) if rng.random() < share])
                yield Crash(crash, acknowledged)
            put(flushed, waiting)
            waiting.clear()


def examine(crash: Crash, states: dict[str, int]) -> Finding:
    """Read and recover what a power cut has left."""
    tail = None
    try:
        with mounted(crash.image, crash.image.with_name("crash"), "-t", "ext4", "-o", "loop") as root, capture_logs():
            path = root / STATE_FILENAME
            found = RunState.load(path)
            tail = tail_of(path)
            shown = RunState.of(snapshot.read(path)) if path.exists() else found
            with RunStore.open(path) as store:
                opened = picture(store.state)
                store.state.recover()
            recovered = RunState.load(path)
    except FileNotFoundError as error:
        return Finding("" if crash.acknowledged == NOTHING else f"lost: {error}")
    except (OSError, ReleaseKitError) as error:
        return Finding(f"refused: {error}", tail)
    number = states.get(picture(found))
    if number is None or opened != picture(found) or recovered != store.state:
        return Finding(f"never written: {picture(found)}", tail)
    if number < crash.acknowledged:
        return Finding(f"lost: it ends with {number}", tail)
    return Finding("the snapshot is ahead" if states.get(picture(shown), NOTHING) > number else "", tail)


def tail_of(path: Path) -> Tail | None:
    journal = journal_path(path)
    fd = os.open(journal, os.O_RDONLY)
    try:
        return files.replay(fd, journal, path).tail
    finally:
        os.close(fd)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  # no secret depends on it


def picture(state: RunState) -> str:
    return state.to_bytes().decode()


def examine_all(crashes: Iterable[Crash], recording: Recording) -> list[str]:
    """Give the violations; print the figures."""
    findings = [(crash.acknowledged, examine(crash, recording.states)) for crash in crashes]
    violations = [
        f"{acknowledged} was acknowledged, {found.problem}" for acknowledged, found in findings if found.problem
    ]
    tails = [found.tail for _, found in findings if found.tail]
    print(  # noqa: T201  # the figures are half of what is wanted
        f"{recording.count(Kind.WRITE)} writes, {recording.count(Kind.FLUSH)} flushes, "
        f"{recording.count(Kind.MARK)} acknowledgements: {len(findings)} images, {len(tails)} torn, "
        f"{sum(tail.has_records for tail in tails)} with whole records in the torn part, {len(violations)} violations"
    )
    return violations


def test_nothing_acknowledged_is_missing_after_a_cut_between_any_two_writes(recording: Recording) -> None:
    assert not examine_all(cut_between_writes(recording), recording)


@pytest.mark.parametrize("times", [4, pytest.param(300, marks=campaign)])
def test_nor_if_the_disk_kept_any_part_of_what_was_not_flushed(recording: Recording, times: int) -> None:
    assert not examine_all(cut_under_a_cache(recording, times, seeded(times)), recording)


@pytest.mark.parametrize(("times", "most"), [(2, 2), pytest.param(20, 1000, marks=campaign)])
def test_nor_after_a_second_cut_while_a_torn_run_is_recovered(recording: Recording, times: int, most: int) -> None:
    rng = seeded(times)
    recovered = 0
    for crash in cut_under_a_cache(recording, times, rng):
        left = copy(crash.image, recording.base.with_name("left.img"))
        tail = examine(crash, recording.states).tail
        if tail and tail.has_records:  # the hardest
            again = record(left, "resume", acknowledged=0)
            assert recording.states[next(iter(again.states))] >= crash.acknowledged
            assert not examine_all(cut_between_writes(again), again)
            assert not examine_all(cut_under_a_cache(again, 1, rng), again)
            recovered += 1
            if recovered == most:
                break
    assert recovered


@pytest.mark.parametrize("dropped", [["fsync"], ["fdatasync"], ["fsync", "fdatasync"]], ids=" and ".join)
def test_a_writer_that_does_not_flush_is_found_out(disk: Path, dropped: list[str]) -> None:
    recording = record(disk, "begin", *dropped)

    assert "lost" in " ".join(examine_all(cut_between_writes(recording), recording))


def test_a_file_system_that_does_not_flush_the_disk_is_found_out(disk: Path) -> None:
    recording = record(disk, "begin", options="loop,nobarrier")

    assert not examine_all(cut_between_writes(recording), recording)
    assert "lost" in " ".join(examine_all(cut_under_a_cache(recording, 8, seeded(0)), recording))
