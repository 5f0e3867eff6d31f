from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.support import digests

from releasekit.errors import E
from releasekit.persistence import atomic
from releasekit.pipeline.directory_index import DirectoryIndex
from releasekit.pipeline.outcome import FileConflictError, StepError
from releasekit.pipeline.python import names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SDIST, WHEEL = "some_thing-1.0.tar.gz", "some_thing-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path) -> DirectoryIndex:
    """An index that is not there yet."""
    return DirectoryIndex("./out", tmp_path / "deep" / "out", "me", names)


@pytest.fixture
def built(tmp_path: Path) -> list[Path]:
    """Two built files."""
    paths = [tmp_path / SDIST, tmp_path / WHEEL]
    for path in paths:
        path.write_text(f"content of {path.name}")
    return paths


def files(index: DirectoryIndex, package: str = "some-thing", version: str = "1.0") -> Mapping[str, str]:
    return asyncio.run(index.files(package, version, {}))


def upload(index: DirectoryIndex, paths: list[Path]) -> None:
    asyncio.run(index.upload("some-thing", "1.0", paths, 60.0))


def test_a_directory_that_is_not_there_has_no_files(index: DirectoryIndex) -> None:
    assert files(index) == {}
    assert not index.directory.exists()


def test_what_is_sent_is_shown(index: DirectoryIndex, built: list[Path]) -> None:
    upload(index, built)

    assert files(index) == digests(index.directory)
    assert sorted(files(index)) == [WHEEL, SDIST]
    assert files(index, "Some.Thing", "1.0.0") == files(index)


def test_only_that_version_of_that_package_is_shown(index: DirectoryIndex, built: list[Path]) -> None:
    upload(index, built)
    for name in ("some_thing-1.1.tar.gz", "some_thing_else-1.0.tar.gz", "README", "some_thing-1.0.zip.part"):
        (index.directory / name).write_text("other")

    assert sorted(files(index)) == [WHEEL, SDIST]


def test_the_same_file_again_is_fine_and_is_not_written_again(index: DirectoryIndex, built: list[Path]) -> None:
    upload(index, built)
    before = [(index.directory / path.name).stat() for path in built]
    upload(index, built)

    assert [(index.directory / path.name).stat().st_ino for path in built] == [old.st_ino for old in before]
    assert [(index.directory / path.name).stat().st_mtime_ns for path in built] == [old.st_mtime_ns for old in before]


def test_other_content_is_never_overwritten(index: DirectoryIndex, built: list[Path]) -> None:
    upload(index, built[:1])
    theirs = files(index)[SDIST]
    built[0].write_text("other content")

    with pytest.raises(FileConflictError) as caught:
        upload(index, built)

    assert files(index) == {SDIST: theirs}
    assert caught.value.remote == theirs
    assert theirs in str(caught.value)
    assert caught.value.local in str(caught.value)


def test_a_link_to_nowhere_is_not_written_through(index: DirectoryIndex, built: list[Path], tmp_path: Path) -> None:
    index.directory.mkdir(parents=True)
    (index.directory / SDIST).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StepError):
        upload(index, built)

    assert not (tmp_path / "elsewhere").exists()


def test_files_are_readable_by_others_and_no_temporary_one_is_left(index: DirectoryIndex, built: list[Path]) -> None:
    index.directory.mkdir(parents=True)
    (index.directory / f".releasekit-me-{SDIST}.tmp").write_text("of a killed process")
    upload(index, built)

    assert sorted(path.name for path in index.directory.iterdir()) == [WHEEL, SDIST]
    assert {path.stat().st_mode & 0o777 for path in index.directory.iterdir()} == {0o644}


def test_a_file_is_flushed_before_it_has_its_name_and_the_name_is_flushed_too(
    index: DirectoryIndex, built: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[str, bool]] = []

    def flush(fd: int) -> None:
        what = "directory" if os.path.isdir(f"/proc/self/fd/{fd}") else "file"  # noqa: PTH112  # of a descriptor
        flushed.append((what, (index.directory / SDIST).exists()))

    monkeypatch.setattr(atomic, "flush", flush)
    upload(index, built[:1])

    assert flushed == [("directory", False), ("file", False), ("directory", True)]


def test_a_disk_that_refuses_fails_the_upload(
    index: DirectoryIndex, built: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def flush(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "flush", flush)
    with pytest.raises(StepError, match="No space left") as caught:
        upload(index, built)

    assert caught.value.code is E.PUBLISH_FAILED
    assert list(index.directory.iterdir()) == []


def test_a_file_in_the_place_of_the_directory_is_unreadable(index: DirectoryIndex, built: list[Path]) -> None:
    index.directory.parent.write_text("in the way")

    with pytest.raises(StepError) as unreadable:
        files(index)
    with pytest.raises(StepError) as unwritable:
        upload(index, built)

    assert unreadable.value.code is E.INDEX_UNREADABLE
    assert unwritable.value.code is E.PUBLISH_FAILED


def test_a_directory_named_like_a_file_is_unreadable_not_a_crash(index: DirectoryIndex) -> None:
    (index.directory / SDIST).mkdir(parents=True)

    with pytest.raises(StepError) as caught:
        files(index)

    assert caught.value.code is E.INDEX_UNREADABLE


def test_what_a_killed_process_left_is_removed_and_what_others_write_is_not(tmp_path: Path, built: list[Path]) -> None:
    mine, theirs = tmp_path / f".releasekit-me-{SDIST}.tmp", tmp_path / f".releasekit-them-{SDIST}.tmp"
    mine.touch()
    theirs.touch()

    again = DirectoryIndex("./out", tmp_path, "me", names)
    assert set(files(again)) == {SDIST, WHEEL}
    upload(again, built)

    assert not mine.exists()
    assert theirs.exists()


def test_a_directory_that_vanishes_is_not_made_anew(index: DirectoryIndex, built: list[Path]) -> None:
    upload(index, built[:1])
    shutil.rmtree(index.directory)

    with pytest.raises(StepError, match="could not be copied"):
        upload(index, built[1:])

    assert not index.directory.exists()


def test_a_pipe_in_the_place_of_a_file_is_an_error_and_no_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / SDIST)

    with pytest.raises(StepError, match="not a regular file"):
        files(DirectoryIndex("./out", tmp_path, "me", names))


def test_uploads_that_begin_together_take_over_once(
    index: DirectoryIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look for leftovers would find what the first upload is writing."""
    sources = [tmp_path / f"some_thing-1.{number}.tar.gz" for number in range(8)]
    for source in sources:
        source.touch()
    flush, together, taken_over = atomic.flush_directory, threading.Barrier(len(sources)), []

    def upload_with_the_others(source: Path) -> None:
        together.wait()
        index._upload([source])

    def slow_flush(directory: Path) -> None:
        if not list(directory.glob("*.gz")):
            time.sleep(0.05)
            taken_over.append(directory)
        flush(directory)

    monkeypatch.setattr(atomic, "flush_directory", slow_flush)
    with ThreadPoolExecutor(len(sources)) as pool:
        list(pool.map(upload_with_the_others, sources))

    assert len(taken_over) == 1
    assert set(digests(index.directory)) == {source.name for source in sources}
