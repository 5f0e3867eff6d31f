"""What is read of the files that are kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests import archives
from tests.pipeline.doubles import MemoryIndex, make_package

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python import Python
from releasekit.pipeline.python.release_files import requirements_in


def keep(directory: Path, tag: str, *requirements: str) -> None:
    lines = "".join(f"Requires-Dist: {each}\n" for each in requirements)
    said = f"Metadata-Version: 2.1\nName: core\nVersion: 1.2\n{lines}\n".encode()
    archives.wheel(directory / f"core-1.2-{tag}.whl", said, tags=tag)


def test_what_any_wheel_requires_is_told_once(tmp_path: Path) -> None:
    keep(tmp_path, "cp311-cp311-linux_x86_64", "help>=1", "Text")
    keep(tmp_path, "cp311-cp311-win_amd64", "text", "only-there==2", "help >= 1")
    keep(tmp_path, "py3-none-any")
    assert [*map(str, requirements_in(tmp_path))] == ["help>=1", "Text", "only-there==2"]


def test_no_wheel_requires_nothing(tmp_path: Path) -> None:
    assert requirements_in(tmp_path) == []
    assert requirements_in(tmp_path / "missing") == []


def test_the_wheel_that_says_what_is_no_requirement_is_named(tmp_path: Path) -> None:
    keep(tmp_path, "cp311-cp311-linux_x86_64", "help")
    keep(tmp_path, "py3-none-any", "@@")
    with pytest.raises(StepError, match=r"core-1\.2-py3-none-any\.whl can't be read") as caught:
        requirements_in(tmp_path)
    assert caught.value.code is E.BUILD_MISMATCH


def test_a_wheel_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    keep(tmp_path, "cp311-cp311-linux_x86_64", "help")
    (tmp_path / "core-1.2-py3-none-any.whl").mkdir()
    with pytest.raises(StepError, match=r"core-1\.2-py3-none-any\.whl can't be read") as caught:
        requirements_in(tmp_path)
    assert caught.value.code is E.FILE_FAILED


@pytest.mark.parametrize(
    ("tag", "directory", "warned"),
    [
        ("cp311-cp311-linux_x86_64", None, True),
        ("py3-none-linux_armv7l", None, True),
        ("cp311-cp311-manylinux_2_17_x86_64", None, False),
        ("cp311-abi3-musllinux_1_2_aarch64", None, False),
        ("cp311-cp311-win_amd64", None, False),
        ("py3-none-any", None, False),
        ("cp311-cp311-linux_x86_64", Path("out"), False),
    ],
)
def test_a_wheel_for_this_machine_is_told_of_before_it_is_sent_to_an_index(
    tmp_path: Path, tag: str, directory: Path | None, warned: object
) -> None:
    keep(tmp_path, tag)
    index = MemoryIndex()
    index.directory = directory  # type: ignore[assignment]  # another kind of index
    with capture_logs() as logged:
        asyncio.run(Python().check(make_package("core", tmp_path), tmp_path, {}, bool, index))
    files = [(line["event"], line["package"], line["files"]) for line in logged]
    assert files == [("releasekit.wheel_not_portable", "core", [f"core-1.2-{tag}.whl"])] * bool(warned)
