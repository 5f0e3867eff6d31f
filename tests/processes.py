"""Who is left of a release: the processes that have a mark of ours in their environment."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.support import is_alive

MARK: Final = "RELEASEKIT_TESTS_MARK"


class Mark(NamedTuple):
    """A variable that all processes of a release inherit, and nobody else has."""

    value: str

    @classmethod
    def new(cls) -> Mark:
        """Make one."""
        return cls(secrets.token_hex(8))

    @property
    def environ(self) -> dict[str, str]:
        """Give it to a process."""
        return {MARK: self.value}

    def alive(self) -> list[str]:
        """Name the processes that have it and run, each with its command line."""
        wanted = f"{MARK}={self.value}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                has_it = wanted in process.joinpath("environ").read_bytes().split(b"\0")
                command = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has ended, or is none of ours
                continue
            if has_it and is_alive(int(process.name)):
                found.append(f"{process.name} {command}")
        return found

    def left(self, patience: float = 2.0) -> list[str]:
        """Name the processes that are still there after so many seconds; nobody, if they end before."""
        deadline = time.monotonic() + patience
        while (found := self.alive()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found
