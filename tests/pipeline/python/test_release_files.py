"""What is read of the files that are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests import archives

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python.release_files import requirements_in

if TYPE_CHECKING:
    from pathlib import Path


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
