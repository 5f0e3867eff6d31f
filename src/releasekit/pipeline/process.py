"""Child processes: each in a process group of its own, so that none of its children outlives a stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError
from releasekit.logging import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import IO

OUTPUT_LIMIT: Final = 8_000
"""Characters of a child's output that are kept: the last ones, where tools put the error."""

_READ_LIMIT: Final = 1 << 20  # bytes; far more than is kept, so that a secret is not cut before it is redacted
_NOT_STARTED: Final = 127  # as a shell has it


class CommandError(Exception):
    """A child process ended with another status than 0, or could not be run.

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


async def run(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str | None]) -> str:
    """Run a program to its end, without a shell and without input.

    Args:
        command: The program and its arguments. Never a secret: any process can read them.
        cwd: Where it runs.
        environ: Variables on top of our own, which it inherits; None takes one away.

    Returns:
        The end of what it printed on stdout and stderr together, redacted.

    Raises:
        CommandError: It failed.
        asyncio.CancelledError: The caller was cancelled; the whole process group was killed first.
    """
    try:
        returncode, output = await _run(command, cwd, environ)
    except OSError as error:
        raise CommandError(_NOT_STARTED, f"{command[0]} could not be run: {error}") from error
    if returncode:
        raise CommandError(returncode, output)
    return output


async def _run(command: Sequence[str], cwd: Path, environ: Mapping[str, str | None]) -> tuple[int, str]:
    inherited = {**os.environ, "NO_COLOR": "1", "UV_NO_PROGRESS": "1", **environ}
    # A file, not a pipe: a pipe ends only when all that inherited it have ended, and what it gives fills the memory.
    with tempfile.TemporaryFile() as printed:
        child = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env={name: value for name, value in inherited.items() if value is not None},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=printed,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            await child.wait()
        finally:
            # Also after a normal end: a build backend may have left something running.
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: only zombies are left in it
                os.killpg(child.pid, signal.SIGKILL)
            returncode = await child.wait()
        return returncode, _end_of(printed)


def _end_of(printed: IO[bytes]) -> str:
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, size - _READ_LIMIT))
    return redact(printed.read(_READ_LIMIT).decode(errors="backslashreplace"))[-OUTPUT_LIMIT:].strip()
