"""A release whose files may not grow, or whose disk is full, to the byte or the block where that hits it.

Nothing acknowledged is lost, the release says why it ends, and once there is space it goes on. Space that was only
to be written ahead may be missing: that is no reason to end.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest
from tests import small_workspace
from tests.faults import disks
from tests.faults.three_packages import Nursery, goes_on, on_disk, report, survived
from tests.support import Workspace, digests

from releasekit.persistence.writer import SPACE
from releasekit.pipeline.build import DIST_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

WRITTEN: Final = 4 << 10  # bytes, and more than a release writes into any of its files
STEP: Final = 64  # bytes; the shortest record has more than twice as many
LIMITS: Final = [*range(0, WRITTEN, STEP), *range(SPACE, SPACE + WRITTEN, STEP)]

TAKEN: Final = 16 << 10  # bytes of a disk, and more than all files of a release take but for what is written ahead
PARTS: Final = 4  # that the limits are dealt out to
ROOM: Final = 1 << 20  # bytes, of which a build takes some more than half for each of its two files
DISKS: Final = {"tmpfs": 1, "ext4": 4}  # and the sizes of each disk


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.mark.parametrize("part", range(PARTS))
def test_files_that_may_not_grow_lose_nothing(
    nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    ended: Counter[str] = Counter()

    for limit in LIMITS[part::PARTS]:
        directory = tmp_path / str(limit)
        directory.mkdir()
        ended += release_and_resume(nursery, directory, enough=limit >= WRITTEN, limit=limit)
        goes_on(nursery, directory)
        shutil.rmtree(directory)

    assert {"published", "RK-STATE-NOT-DURABLE"} <= set(ended)
    report(capsys, f"a release and a resume with each of {len(LIMITS[part::PARTS])} limits of a file's size", ended)


@pytest.mark.parametrize(("kind", "part"), [(kind, part) for kind, parts in DISKS.items() for part in range(parts)])
def test_a_full_disk_loses_nothing(
    nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, part: int
) -> None:
    ended: Counter[str] = Counter()

    with disk(kind, tmp_path) as mounted:
        ample = disks.free(mounted)
        sizes = range(0, SPACE + TAKEN, disks.block_size(mounted))[part :: DISKS[kind]]
        for size in sizes:
            directory = mounted / "run"
            directory.mkdir()
            disks.fill(mounted, size)
            ended += release_and_resume(nursery, directory, enough=size >= TAKEN)
            disks.fill(mounted, ample)
            goes_on(nursery, directory)
            shutil.rmtree(directory)

    # A snapshot alone fails at one size in thirty: on ext4 where it frees blocks late, so that a part may have none.
    assert {"published", "RK-STATE-NOT-DURABLE"} <= set(ended)
    assert kind == "ext4" or "published, with a warning" in ended
    report(capsys, f"a release and a resume with each of {len(sizes)} sizes of free space on {kind}", ended)


def test_a_build_on_a_full_disk_says_to_make_room_and_goes_on_once_there_is(tmp_path: Path) -> None:
    root, out = tmp_path / "ws", tmp_path / "out"
    small_workspace.make(root, "http://127.0.0.1:9/simple/", "http://127.0.0.1:9/")
    (root / "base" / "src" / "base" / "data.bin").write_bytes(os.urandom(ROOM >> 1))
    workspace = Workspace(root)
    workspace.commit()
    out.mkdir()

    with disks.tmpfs(root / DIST_DIRECTORY, ROOM << 1) as mounted:
        disks.fill(mounted, ROOM >> 2)
        full = workspace.releasekit("publish", "--index", str(out))
        disks.fill(mounted, ROOM << 1)
        ended = workspace.releasekit("publish", "--index", str(out))

    assert full.returncode == 1
    assert "RK-BUILD-FAILED" in full.stdout
    assert "hint: make room on the disk" in full.stdout
    assert "mend the package" not in full.stdout
    assert ended.returncode == 0, ended.stderr
    assert digests(out) == workspace.recorded()


def release_and_resume(nursery: Nursery, directory: Path, *, enough: bool, limit: int | None = None) -> Counter[str]:
    """Release, and resume at once, with so little space that it may not suffice; count how they ended."""
    ended: Counter[str] = Counter()
    for _ in range(2):
        before = on_disk(directory)
        told = nursery.release(directory, limit=limit)
        ended[told.ending] += 1
        survived(directory, told, before)
        assert told.code == 0 or not enough
    return ended


def disk(kind: str, tmp_path: Path) -> AbstractContextManager[Path]:
    if kind == "tmpfs":
        return disks.tmpfs(tmp_path / "disk", 1 << 20)
    return disks.ext4_image(tmp_path / "disk.img", 8 << 20, "-b", "1024")
