"""A real registry on 127.0.0.1 and a real pnpm, installed by npm into a directory that is kept between runs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE: Final = 60.0  # seconds for the registry to answer
INSTALL: Final = 500.0  # seconds for npm to install it
CREATED: Final = 201
WANTED: Final = {
    "private": True,
    "dependencies": {"verdaccio": "^6.0.0", "pnpm": ">=10"},
    "overrides": {"node-fetch": "^2.7.0"},  # else a tag is asked for, which not every mirror has
}

_CONFIG: Final = """\
storage: ./storage
auth:
  htpasswd:
    file: ./htpasswd
    max_users: 10
uplinks: {}
web:
  enable: false
packages:
  '**':
    access: $all
    publish: $authenticated
log: {type: file, path: verdaccio.log, format: json, level: http}
"""


def install() -> Path:
    """Install it, once for all runs; give the directory of the programs. Skips where that can't be had."""
    if not shutil.which("npm"):
        pytest.skip("there is no npm")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "releasekit-tests" / "npm"
    cache.mkdir(parents=True, exist_ok=True)
    programs = cache / "node_modules" / ".bin"
    with FileLock(cache / "lock"):
        wanted = json.dumps(WANTED)
        done = cache / "done"
        if not done.exists() or done.read_text() != wanted:
            cache.joinpath("package.json").write_text(wanted)
            command = ["npm", "install", "--prefix", str(cache), "--no-package-lock", "--no-fund", "--no-audit"]
            installed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL)
            if installed.returncode:
                pytest.skip(f"npm can't install verdaccio: {installed.stderr[-500:]}")
            done.write_text(wanted)
    return programs


class Verdaccio:
    """A registry of its own, which knows no other one.

    Args:
        directory: Where it keeps everything.
        programs: What `install` gave.

    Attributes:
        url: Its address.
        token: Of somebody who may publish.
    """

    def __init__(self, directory: Path, programs: Path) -> None:
        self.directory = directory
        self._programs = programs
        directory.mkdir()
        directory.joinpath("config.yaml").write_text(_CONFIG)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/"
        self._process: subprocess.Popen[bytes] | None = None
        self.token = ""

    def __enter__(self) -> Self:
        self.start()
        user = {"name": "alice", "password": "a-password-1"}
        self.token = self.ask("-/user/org.couchdb.user:alice", user)["token"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(self._programs / "verdaccio"), "--config", "config.yaml", "--listen", f"127.0.0.1:{self._port}"]
        with self.directory.joinpath("output").open("ab") as output:
            self._process = subprocess.Popen(command, cwd=self.directory, stdout=output, stderr=output)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"verdaccio does not listen: {self.directory.joinpath('output').read_text()[-1000:]}")

    def stop(self) -> None:
        """Stop it; what it has stays."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, path: str, sent: object = None) -> Any:  # noqa: ANN401  # any JSON
        """Ask it, or send it something; None for what is not there."""
        data = None if sent is None else json.dumps(sent).encode()
        method = "GET" if data is None else "PUT"
        request = Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310  # 127.0.0.1
                return json.loads(answer.read())
        except HTTPError as error:
            if error.code != 404:
                raise
            return None

    def version(self, package: str, version: str) -> Any:  # noqa: ANN401  # any JSON
        """What it tells of a version; None if it has none."""
        told = self.ask(quote(package, safe="@"))
        return told["versions"].get(version) if told else None

    def versions(self) -> dict[str, list[str]]:
        """All that it has: package → versions."""
        found = [
            path.parent.relative_to(self.directory / "storage")
            for path in self.directory.glob("storage/**/package.json")
        ]
        return {str(name): sorted(self.ask(quote(str(name), safe="@"))["versions"]) for name in found}

    def download(self, package: str, version: str) -> bytes:
        """The file of a version."""
        with urlopen(self.version(package, version)["dist"]["tarball"], timeout=PATIENCE) as answer:  # noqa: S310
            data: bytes = answer.read()
        return data

    def accepted(self) -> list[str]:
        """The packages of which it took a version, in order."""
        found = []
        for line in self.directory.joinpath("verdaccio.log").read_text().splitlines():
            told = json.loads(line)
            request = told.get("request") or {}
            if request.get("method") == "PUT" and told.get("status") == CREATED and "/-/user/" not in request["url"]:
                found.append(request["url"].strip("/").replace("%2f", "/"))
        return found
