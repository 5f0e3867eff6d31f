"""What the tests of npm share: an npm that answers as it is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.npm_trees import FakeNpm

from releasekit import redaction

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNpm:
    """The only npm on PATH, and no settings of the machine's own."""
    for name in os.environ:
        if name.lower().startswith(("npm_", "pnpm_", "node_auth")):
            monkeypatch.delenv(name)
    fake = FakeNpm(tmp_path / "bin")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{fake.directory}:/usr/bin:/bin")
    monkeypatch.setattr(redaction, "_kept", set())
    return fake
