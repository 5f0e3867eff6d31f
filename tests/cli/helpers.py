"""What a user at a terminal does besides calling a command: break things, look while it works, interrupt it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Workspace

PATIENCE = 60.0  # seconds for another process to do what it is waited for
OUT = ("publish", "--index", "./out")
NAMES = frozenset(
    ("aurora", "aurora-api", "aurora-core", "aurora-http", "aurora-net", "aurora-parse", "aurora-store", "aurora-text")
)

_STUCK = """
import os, pathlib, sys, time

def build_sdist(*_):
    here = next(p for p in pathlib.Path(__file__).parents if (p / ".git").exists()) / ".git" / "stuck"
    here.with_suffix(".new").write_text(str(os.getpid()))
    here.with_suffix(".new").rename(here)
    time.sleep(600)

build_wheel = build_sdist
"""


def break_package(workspace: Workspace, name: str) -> None:
    """Let a package's build fail."""
    shutil.rmtree(workspace.root / "packages" / name / "src")
    workspace.commit("Break a package")


class StuckPackage:
    """A package whose build never ends, until it is mended; that takes no commit."""

    def __init__(self, workspace: Workspace, name: str, directory: Path | None = None) -> None:
        self.workspace = workspace
        self.file = (directory or workspace.root / "packages" / name) / "pyproject.toml"
        self.marker = workspace.root / ".git" / "stuck"
        self.text = self.file.read_text()
        backend = 'build-backend = "stuck"\nbackend-path = ["."]'
        text = self.text.replace('build-backend = "uv_build"', backend)
        self.file.write_text(text.replace('requires = ["uv_build>=0.8,<1"]', "requires = []"))
        self.file.with_name("stuck.py").write_text(_STUCK)
        workspace.commit("Let a build get stuck")

    def mend(self) -> None:
        """Let it build like the others."""
        self.file.write_text(self.text)

    def wait(self, child: subprocess.Popen[Any]) -> int:
        """Return when the build is stuck: the id of its process."""
        wait_for(self.marker, child)
        return int(self.marker.read_text())


def wait_for(path: Path, child: subprocess.Popen[Any]) -> None:
    """Return when a child has made a file."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert child.poll() is None, f"it ended with {child.returncode}"
        assert time.monotonic() < deadline, f"there is no {path}"
        time.sleep(0.01)


@contextmanager
def running(workspace: Workspace, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:  # noqa: ANN401
    """Have the command line at work; it is killed at the end if it still is."""
    command = [sys.executable, "-m", "releasekit", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    how: dict[str, Any] = {"cwd": workspace.root, "env": workspace.environ()} | pipes | options
    with subprocess.Popen(command, **how) as child:
        try:
            yield child
        finally:
            child.kill()
