"""A directory in memory, where there is one: for tests of which a real disk would take most of the time."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a directory of its own is made in it


@contextmanager
def directory() -> Iterator[Path]:
    """Make a directory for a while, without links in its path."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as made:
        yield Path(os.path.realpath(made))
