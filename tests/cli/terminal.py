"""A terminal with the command line at work in it."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Workspace

HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A pseudo-terminal with the command line at work in it."""

    def __init__(self, workspace: Workspace, *arguments: str, **environ: str) -> None:
        self.screen = b""
        self.ours, theirs = pty.openpty()
        terminal = {"TERM": "xterm-256color", "LINES": "12", "COLUMNS": "100"}
        kept = {name: value for name, value in workspace.environ().items() if name not in {"CI", "NO_COLOR"}}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "releasekit", *arguments],
            cwd=workspace.root,
            env=kept | terminal | environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self.ours, 65536):
                self.screen += piece
        except OSError as error:
            if error.errno != errno.EIO:  # Linux says so when the other end is closed
                raise

    def end(self, during: Callable[[subprocess.Popen[bytes]], object] = lambda _child: None) -> int:
        """Do something while it works, wait for its end, return its exit code."""
        try:
            during(self.child)
            return self.child.wait(60)
        finally:
            self.child.kill()
            self.child.wait()
            self._reading.join()
            os.close(self.ours)

    @property
    def lines(self) -> list[str]:
        return self.screen.decode().replace("\r", "").rstrip("\n").split("\n")
