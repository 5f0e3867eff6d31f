"""What the tests share: a workspace with a user in it, and the content of a directory."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

from tests import warm

from releasekit.cli import demo_workspace
from releasekit.state import STATE_FILENAME, RunState
from releasekit.state.audience import Audience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from releasekit.state import Transition

KILL_AT = Path(__file__).parent / "faults" / "kill_at.py"
INDEX = "local"
PATIENCE = 30.0  # seconds for the kernel to end a process


@dataclass(frozen=True)
class Workspace:
    """A committed uv workspace, and what a user does with it."""

    root: Path

    def releasekit(self, *arguments: str, environ: Mapping[str, str] | None = None) -> CompletedProcess[str]:
        """Run the command line in the workspace, to its end."""
        return run_python("-m", "releasekit", *arguments, cwd=self.root, environ=self.environ() | dict(environ or {}))

    def killed_at(self, status: str, seconds: float, *arguments: str) -> CompletedProcess[str]:
        """Run the command line, and kill it so many seconds after a package's status has become durable."""
        return run_python(str(KILL_AT), status, str(seconds), *arguments, cwd=self.root, environ=self.environ())

    def python(self, *arguments: str, environ: Mapping[str, str] | None = None) -> CompletedProcess[str]:
        """Run a Python of its own in the workspace, to its end."""
        return _run_anew(*arguments, cwd=self.root, environ=self.environ() | dict(environ or {}))

    @staticmethod
    def environ() -> dict[str, str]:
        """Credentials that the server does not check, and nothing of the machine's own index settings or CI job."""
        others = ("UV_INDEX", "UV_PUBLISH", "GITHUB_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        return kept | {"UV_PUBLISH_USERNAME": "user", "UV_PUBLISH_PASSWORD": "canary-password", "COLUMNS": "120"}

    def state(self) -> dict[str, Any]:
        """Read the state file as another tool would."""
        state: dict[str, Any] = json.loads((self.root / STATE_FILENAME).read_bytes())
        return state

    def run(self) -> RunState:
        """Read the run, also while it is at work or after it was killed."""
        return RunState.load(self.root / STATE_FILENAME)

    def statuses(self) -> dict[str, str]:
        """Read every package's status."""
        return {name: package.status.value for name, package in self.run().packages.items()}

    def recorded(self) -> dict[str, str]:
        """Read the sha256 of every recorded file."""
        return {name: sha for package in self.run().packages.values() for name, sha in package.artifacts.items()}

    def commit(self, message: str = "A change") -> None:
        """Commit everything."""
        demo_workspace.commit_all(self.root, message)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace some text of a file, which must have it."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


def run_python(*arguments: str, cwd: Path, environ: Mapping[str, str]) -> CompletedProcess[str]:
    """Run `python …`, which starts in no time where that can be had: see `warm`."""
    if sys.platform != "linux":  # which alone can wait for a process or the time, whichever comes first
        return _run_anew(*arguments, cwd=cwd, environ=environ)
    with warm.interpreter() as python:
        ended = python.run([*arguments], cwd=cwd, environ=environ)
    return CompletedProcess(arguments, ended.returncode, ended.stdout, ended.stderr)


def _run_anew(*arguments: str, cwd: Path, environ: Mapping[str, str]) -> CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=warm.TIMEOUT,
    )


def digests(directory: Path) -> dict[str, str]:
    """Hash every visible file of a directory."""
    paths = sorted(path for path in directory.glob("[!.]*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@contextmanager
def holding(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Have another process hold something while it lasts: a Python program that prints `held`, and waits."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs: a zombie that nobody has waited for yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def dies(pid: int) -> bool:
    """Tell whether a process ends, as one that was killed does soon."""
    deadline = time.monotonic() + PATIENCE
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


def told(*listeners: Callable[[Transition], None]) -> Audience:
    """Make an audience of listeners, for a package without a run."""
    audience = Audience()
    audience.listeners += listeners
    return audience


def interrupted(place: int, call: Callable[[], object], before: Callable[..., object] | None = None) -> bool:
    """Interrupt a call at one of the moments at which Python lets a signal be handled; tell whether it has as many.

    Args:
        place: Which of them.
        call: What is called.
        before: A function that it calls, and from which on there are no more.
    """
    moments = iter(range(10_000))

    def interrupt(frame: FrameType, event: str, _argument: object) -> None:
        if before and frame.f_code is before.__code__:
            sys.setprofile(None)
        elif event in {"call", "c_return"} and next(moments) == place:
            sys.setprofile(None)
            raise KeyboardInterrupt

    profile = sys.getprofile()
    gc.disable()  # Python ignores what is raised while it clears up, and that might be anybody's
    sys.setprofile(interrupt)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(profile)
        gc.enable()
    return False
