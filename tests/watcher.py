"""Reads the command lines of processes that begin while something goes on, as any user of a machine can."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Final, Self

PROC: Final = Path("/proc")
PAUSE: Final = 0.002  # seconds between two looks


class Watcher:
    """Collects the command lines that it sees; a context manager.

    Attributes:
        seen: Each of them once, its arguments separated by NUL.
    """

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._before = set(PROC.iterdir())
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.is_set():
            for directory in set(PROC.iterdir()) - self._before:
                with contextlib.suppress(OSError):  # it has ended
                    self.seen.add((directory / "cmdline").read_bytes())
            time.sleep(PAUSE)
