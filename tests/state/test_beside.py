"""The names beside a state file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.state import STATE_FILENAME
from releasekit.state.beside import DIST_DIRECTORY, directory_name, earlier_runs, kept_directories, new_suffix

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_put_aside_is_found_by_its_name_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / STATE_FILENAME
    older, newer = new_suffix(), new_suffix()
    for name in (older, newer, f"{newer}.journal", ".tmp", ".2026"):
        (tmp_path / f"{STATE_FILENAME}{name}").touch()
        (tmp_path / f"{DIST_DIRECTORY}{name}").mkdir()

    assert earlier_runs(path) == [tmp_path / f"{STATE_FILENAME}{name}" for name in (older, newer)]
    assert [*kept_directories(path, "core")] == [
        tmp_path / f"{DIST_DIRECTORY}{name}" / "core" for name in ("", newer, older)
    ]


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("aurora-core", "aurora-core"),
        ("@scope/core", "@scope+core"),
        ("socket.io", "socket%2Eio"),
        ("..", "%2E%2E"),
        ("../../etc", "%2E%2E+%2E%2E+etc"),
        ("/", "+"),
        ("a+b", "a%2Bb"),
        ("a%2Bb", "a%252Bb"),
        ("a\\b\0*[é]", "a%5Cb%00%2A%5B%C3%A9%5D"),
    ],
)
def test_a_package_has_a_directory_of_its_own_whatever_its_name(package: str, name: str) -> None:
    assert directory_name(package) == name


def test_the_built_files_of_a_scoped_package_lie_in_one_directory(tmp_path: Path) -> None:
    assert [*kept_directories(tmp_path / STATE_FILENAME, "@s/core")] == [tmp_path / DIST_DIRECTORY / "@s+core"]
