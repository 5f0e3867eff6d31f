"""The real command line in real processes that start in no time: each is forked from one that has imported it.

Most of what a short command takes is importing, and the tests run more than a thousand of them. Run as a program, this
forks a child for each line of its input. The child is what `python …` is from its first line on, in every respect but
what was imported before, and the arguments and the environment that /proc shows of it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[1]
USED: Final = (
    "releasekit.cli",
    "releasekit.cli.history",
    "releasekit.cli.plan",
    "releasekit.cli.publish",
    "releasekit.cli.report",
    "releasekit.cli.status",
    "releasekit.pipeline.python.package_index",
    "releasekit.pipeline.python.simple_api",
    "releasekit.report.write",
    "anyio._backends._asyncio",
    "concurrent.futures.thread",
    "encodings.utf_8_sig",
    "filelock",
    "httpcore",
    "httpx",
    "pypi_simple",
    "structlog",
)
"""What the command line imports when it needs it."""

TIMEOUT: Final = 100.0
"""Seconds after which a command is taken to hang."""


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        returncode: Its exit code; negative for a signal.
        seconds: How long it lived.
        stdout: What it said there.
        stderr: Likewise.
    """

    returncode: int
    seconds: float
    stdout: str
    stderr: str


class Interpreter:
    """A Python that has imported releasekit and forks; a context manager."""

    def __enter__(self) -> Self:
        # Measuring coverage would take longer than the commands; and a mark is of one test's processes.
        others = ("COV", "RELEASEKIT_TESTS_")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        self._output = tempfile.TemporaryDirectory()
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.warm"],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._program.communicate()  # it ends with its input
        self._output.cleanup()

    def run(
        self, arguments: list[str], *, cwd: Path, environ: Mapping[str, str], kill_after: float | None = None
    ) -> Ended:
        """Run `python …` to its end.

        Args:
            arguments: `-m` and a module, or a script; then what they are told.
            cwd: Where it runs.
            environ: Its variables.
            kill_after: Seconds after which it gets SIGKILL, alone, if it has not ended by then: what it has started
                goes on, as when the kernel kills for want of memory.
        """
        assert self._program.stdin
        assert self._program.stdout
        said = Path(self._output.name, "stdout"), Path(self._output.name, "stderr")
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "environ": dict(environ),
            "said": [str(path) for path in said],
            "kill_after": kill_after,
        }
        print(json.dumps(request), file=self._program.stdin, flush=True)
        line = self._program.stdout.readline()
        assert line, "the interpreter has ended"
        code, seconds = json.loads(line)
        stdout, stderr = (path.read_text(encoding="utf-8") for path in said)
        if seconds > TIMEOUT and kill_after is None:
            raise subprocess.TimeoutExpired(arguments, TIMEOUT, stdout, stderr)
        return Ended(code, seconds, stdout, stderr)


_idle: list[Interpreter] = []


@contextmanager
def interpreter() -> Iterator[Interpreter]:
    """Lend one that nobody uses; it is kept for the next, and ends with this process."""
    try:
        found = _idle.pop()
    except IndexError:
        found = Interpreter().__enter__()
        atexit.register(found.__exit__)
    yield found
    _idle.append(found)  # not after an error: it may still be at work


def _child(request: dict[str, Any]) -> int:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(request["said"], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    first, *rest = request["arguments"]
    try:
        if first == "-m":
            sys.argv = rest
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [first, *rest]
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)  # noqa: T201  # as Python does
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _run(request: dict[str, Any]) -> tuple[int, float]:
    began = time.monotonic()
    child = os.fork()
    if not child:
        code = 1
        try:
            code = _child(request)
            threading._shutdown()  # type: ignore[attr-defined]  # what Python does at its end: wait for threads, and
            atexit._run_exitfuncs()
            sys.stdout.flush()
        except BaseException:  # noqa: BLE001  # it must not get back to what the parent does
            sys.excepthook(*sys.exc_info())
        os._exit(code)  # clearing this interpreter up would take longer than most commands
    kill_after = TIMEOUT if request["kill_after"] is None else request["kill_after"]
    ended = os.pidfd_open(child)
    if not select.select([ended], [], [], kill_after)[0]:
        os.kill(child, signal.SIGKILL)  # nobody else can have its number: it has not been waited for
    os.close(ended)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began


def _main() -> None:
    for name in USED:
        import_module(name)
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)  # noqa: T201  # for the other end


if __name__ == "__main__":
    _main()
