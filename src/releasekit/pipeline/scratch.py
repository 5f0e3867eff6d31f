"""Directories among the built files that something is made in before it is kept, or used and thrown away.

None is ever used twice: the children of a process that was killed may still be writing into theirs.
"""

from __future__ import annotations

import re
import secrets
import shutil
from typing import TYPE_CHECKING, Final

from releasekit.state.beside import DIST_DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path

_OURS: Final = re.compile(r"\.[a-z]+-[0-9a-f]{16}")
"""Names that `new_scratch` gives. The built files may lie on another disk, behind a link, among hidden directories."""


def new_scratch(root: Path, purpose: str) -> Path:
    """Name a directory, on the file system of the built files, that nobody has used and no package can be called.

    Args:
        root: The workspace.
        purpose: What it is for: a word in small letters.
    """
    return root / DIST_DIRECTORY / f".{purpose}-{secrets.token_hex(8)}"


def remove_leftovers(root: Path) -> None:
    """Remove what a process left that was killed meanwhile; whoever calls it holds the run's lock.

    Args:
        root: The workspace.
    """
    for leftover in (root / DIST_DIRECTORY).glob(".*-*"):
        if _OURS.fullmatch(leftover.name):
            shutil.rmtree(leftover, ignore_errors=True)
