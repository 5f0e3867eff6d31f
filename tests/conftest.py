"""The fixtures that several rooms use: real workspaces and a real index server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import small_workspace
from tests.faulty_index import FaultyIndex
from tests.support import INDEX, Workspace

from releasekit.cli import demo_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30.0  # seconds for a server to answer


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many a test waits for a disk, an index or a deadline."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The demo's workspace of eight packages."""
    root = tmp_path / "workspace"
    demo_workspace.make_workspace(root)
    return Workspace(root)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A pypiserver on 127.0.0.1: its address and the directory of its files. Refuses to overwrite."""
    files = tmp_path / "served"
    files.mkdir()
    with serve(files) as address:
        yield address, files


@contextmanager
def serve(files: Path, algorithm: str = "sha256", port: int = 0) -> Iterator[str]:
    """Serve a directory as an index that shows digests of one algorithm; give its address."""
    port = port or free_port()
    program = Path(sys.executable).with_name("pypi-server")
    options = ["-P", ".", "-a", ".", "--hash-algo", algorithm, "--disable-fallback"]
    command = [str(program), "run", "-i", "127.0.0.1", "-p", str(port), *options, str(files)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_until_it_listens(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def free_port() -> int:
    """Choose a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def indexed(workspace: Workspace, served: tuple[str, Path]) -> Workspace:
    """The workspace, with the server as its index `local`."""
    address, _ = served
    with (workspace.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[[tool.uv.index]]\nname = "{INDEX}"\nurl = "{address}/simple/"\npublish-url = "{address}/"\n')
        file.write("explicit = true\n")
    workspace.commit("Name the index")
    return workspace


@pytest.fixture
def faulty() -> Iterator[FaultyIndex]:
    """An index that goes wrong as it is told to."""
    with FaultyIndex() as index:
        yield index


@pytest.fixture
def small(tmp_path: Path, faulty: FaultyIndex) -> Workspace:
    """A workspace of two packages, `base` and `top`, which requires it; its index `local` is `faulty`."""
    root = tmp_path / "small"
    small_workspace.make(root, faulty.url, faulty.publish_url)
    return Workspace(root)


def _wait_until_it_listens(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"pypiserver does not listen; it ended with {server.poll()}")
