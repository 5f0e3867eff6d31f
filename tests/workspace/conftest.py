"""The fixture of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.workspace.trees import Tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A workspace whose members are packages/*; there are none yet."""
    root = tmp_path / "root"
    root.mkdir()
    return Tree(root)
