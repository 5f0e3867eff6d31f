"""The names beside a state file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.state import STATE_FILENAME
from releasekit.state.beside import DIST_DIRECTORY, earlier_runs, kept_directories, new_suffix

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
