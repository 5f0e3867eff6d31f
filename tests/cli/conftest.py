"""The fixture of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_repository_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever directory the tests run in, git finds no repository above theirs."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
