"""Child processes: each in a process group of its own, so that none of its children outlives a stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError
from releasekit.logging import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OUTPUT_LIMIT: Final = 8_000
"""Characters of a child's output that are kept: the last ones, where tools put the error."""


class CommandError(Exception):
    """A child process ended with another status than 0.

    Attributes:
        returncode: Its exit status; negative for a signal.
        output: The end of what it printed, without secrets.
    """

    def __init__(self, returncode: int, output: str) -> None:
        super().__init__(returncode, output)
        self.returncode = returncode
        self.output = output


def find_uv() -> str:
    """Find the `uv` program: where `uv run` says it is, else on PATH.

    Raises:
        ReleaseKitError: There is none (`E.UV_MISSING`).
    """
    found = os.environ.get("UV") or shutil.which("uv")
    if not found:
        raise ReleaseKitError(E.UV_MISSING, "the program uv is not on PATH", "install it: pip install uv")
    return found


async def run(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> str:
    """Run a program to its end, without a shell and without input.

    Args:
        command: The program and its arguments. Never a secret: any process can read them.
        cwd: Where it runs.
        environ: Variables on top of our own, which it inherits.

    Returns:
        The end of what it printed on stdout and stderr together, redacted.

    Raises:
        CommandError: It failed.
        asyncio.CancelledError: The caller was cancelled; the whole process group was killed first.
    """
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "UV_NO_PROGRESS": "1", **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        printed, _ = await child.communicate()
    finally:
        # Also after a normal end: a build backend may have left something running.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
    output = redact(printed.decode(errors="backslashreplace"))[-OUTPUT_LIMIT:].strip()
    if child.returncode:
        raise CommandError(child.returncode, output)
    return output
