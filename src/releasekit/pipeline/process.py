"""Child processes: each in a process group of its own, which ends with the child, at a deadline, or with us.

When we are killed there is nobody left to kill the group. So a guard waits in each of them: a shell that reads from
a pipe whose other end only we hold, and kills its group when that is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import tempfile
from functools import cache
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError
from releasekit.redaction import redact

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Coroutine, Mapping, Sequence
    from pathlib import Path
    from typing import IO

OUTPUT_LIMIT: Final = 1 << 28
"""Bytes that a child may print: they lie in a temporary file, and a child that never stops must not fill the disk."""

READ_LIMIT: Final = 1 << 20
"""Bytes of them that are looked at: the last ones, where tools put the error."""

SHOWN_LIMIT: Final = 8_000
"""Characters of them that are shown and stored."""

_SHOWN_HEAD: Final = 2_000  # characters of these that are from the beginning, where an error has its name
_CUT: Final = (
    1 << 16
)  # characters; more than any secret has that was cut, and so was not recognised, where reading began
_POLL: Final = 1.0  # seconds between two looks at how much was printed
_ENVIRON: Final = {
    "NO_COLOR": "1",
    "UV_NO_PROGRESS": "1",
    # uv breaks its lines at this width, also within a secret; without it, and into a file, it breaks none.
    "COLUMNS": None,
}
ELSEWHERE: Final = dict.fromkeys(("UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY"))
"""Variables to take away from a `uv` that is to work where it runs: these would send it to other directories."""

_NOT_STARTED: Final = 127  # as a shell has it
_GUARDED: Final = 'exec 3<&0 </dev/null; (read -r _ <&3; kill -9 0) & exec "$@" 3<&-'
"""A POSIX shell's command that becomes the one it is given, and leaves the guard in the background."""


class CommandError(Exception):
    """A child process ended with another status than 0, or could not be run.

    Attributes:
        returncode: Its exit status; negative for a signal.
        output: The end of what it printed, without secrets: up to `READ_LIMIT`, to look for what went wrong.
    """

    def __init__(self, returncode: int, output: str) -> None:
        super().__init__(returncode, output)
        self.returncode = returncode
        self.output = output

    @property
    def shown(self) -> str:
        """What to show and to store of the output."""
        return shorten(self.output)


class ProgramMissingError(CommandError):
    """There is no such program: to try again would not help."""


class CommandTimeoutError(CommandError):
    """A child process took too long, and was killed with all of its process group."""


def shorten(output: str) -> str:
    """Cut an output to `SHOWN_LIMIT`: its beginning and, more of it, its end."""
    left_out = len(output) - SHOWN_LIMIT
    if left_out <= 0:
        return output
    return f"{output[:_SHOWN_HEAD]}\n[… {left_out} characters left out …]\n{output[_SHOWN_HEAD - SHOWN_LIMIT :]}"


def find_uv() -> str:
    """Find the `uv` program: where `uv run` says it is, else on PATH.

    Raises:
        ReleaseKitError: There is none (`E.UV_MISSING`).
    """
    found = os.environ.get("UV") or shutil.which("uv")
    if not found:
        raise ReleaseKitError(E.UV_MISSING, "the program uv is not on PATH", "install it: pip install uv")
    return found


async def run(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str | None], timeout: float) -> str:  # noqa: ASYNC109  # the process group is to be killed first
    """Run a program to its end, without input. No argument is ever read by a shell.

    Args:
        command: The program and its arguments. Never a secret: any process can read them.
        cwd: Where it runs.
        environ: Variables on top of our own, which it inherits; None takes one away.
        timeout: Seconds that it may take.

    Returns:
        The end of what it printed on stdout and stderr together, redacted.

    Raises:
        CommandError: It failed, or printed more than `OUTPUT_LIMIT`, and was killed for that.
        ProgramMissingError: There is no such program.
        CommandTimeoutError: It took longer than it may.
        asyncio.CancelledError: The caller was cancelled; the whole process group was killed first.
    """
    if not shutil.which(command[0]):
        text = f"{command[0]} could not be run: {os.strerror(errno.ENOENT)}, or it is no program"
        raise ProgramMissingError(_NOT_STARTED, redact(text))
    try:
        returncode, output = await _run(command, cwd, environ, timeout)
    except OSError as error:
        raise CommandError(_NOT_STARTED, redact(f"{command[0]} could not be run: {error}")) from error
    if returncode:
        raise CommandError(returncode, output)
    return output


async def _run(command: Sequence[str], cwd: Path, environ: Mapping[str, str | None], seconds: float) -> tuple[int, str]:
    inherited = {**os.environ, **_ENVIRON, **environ}
    # A file, not a pipe: a pipe ends only when all that inherited it have ended, and what it gives fills the memory.
    with tempfile.TemporaryFile() as printed:
        starting = asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", _GUARDED, "sh", *command),
            cwd=cwd,
            env={name: value for name, value in inherited.items() if value is not None},
            stdin=_our_life(os.getpid()),
            stdout=printed,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        child = await _started(starting)
        timed_out = too_much = False
        try:
            async with asyncio.timeout(seconds):
                too_much = not await _ends(child, printed)
        except TimeoutError:
            timed_out = True
        finally:
            # Also after a normal end: a build backend may have left something running.
            _kill_group(child)
            returncode = await child.wait()
        output = _end_of(printed)
        if timed_out:
            raise CommandTimeoutError(returncode, output)
        if too_much:
            raise CommandError(returncode, f"{output}\nkilled, since it printed more than {OUTPUT_LIMIT >> 20} MiB")
        return returncode, output


async def _started(starting: Coroutine[None, None, Process]) -> Process:
    """Wait until a child has started, also when cancelled: asyncio would kill the child then, but not its group."""
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.exception():
            child = task.result()
            _kill_group(child)
            await child.wait()
        raise


async def _ends(child: Process, printed: IO[bytes]) -> bool:
    """Wait for a child's end; False if it printed too much before that."""
    end = asyncio.ensure_future(child.wait())
    try:
        while not end.done():
            await asyncio.wait([end], timeout=_POLL)
            if os.fstat(printed.fileno()).st_size > OUTPUT_LIMIT:
                return False
        return True
    finally:
        end.cancel()


def _kill_group(child: Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: only zombies are left in it
        os.killpg(child.pid, signal.SIGKILL)


@cache
def _our_life(_process: int) -> int:
    """Make the pipe that nobody ever writes to, and give its reading end: it ends when this process does."""
    ours, _theirs = os.pipe()  # neither is inherited, but for what is given as a child's input
    return ours


def _end_of(printed: IO[bytes]) -> str:
    left_out = printed.seek(0, os.SEEK_END) - READ_LIMIT
    printed.seek(max(0, left_out))
    text = redact(printed.read(READ_LIMIT).decode(errors="backslashreplace"))
    return text[_CUT if left_out > 0 else 0 :].strip()
