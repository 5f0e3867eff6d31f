"""Processes that are forked from one which has imported releasekit: a start costs little.

A forked process knows nothing of the threads of its parent, so fork before any run is opened, in a program of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import filelock  # noqa: F401  # a run imports it when it is opened: once, rather than in each process

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def fork(work: Callable[..., object], *arguments: object) -> int:
    """Call a function in a process of its own; give its id. It ends with 0, or with 1 after an error."""
    return os.fork() or _end(work, *arguments)


def _end(work: Callable[..., object], *arguments: object) -> NoReturn:
    try:
        work(*arguments)
    except BaseException:  # noqa: BLE001  # nothing may get back to what the parent was about to do
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def run(module: str, *arguments: object, timeout: float) -> dict[str, Any]:
    """Run a module of the tests as a program; give the figures that it prints as JSON in its last line."""
    # Measuring the coverage of processes that are killed takes time and gives nothing.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # before it there may be log lines
    return figures
