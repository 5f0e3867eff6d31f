"""The real command line, in processes that are forked from one which has imported it, and killed when it is asked.

Run as a program, it forks a child for each line of its input. The child is what `releasekit …` is from its first
line of Python on; it is killed alone, as the kernel kills for want of memory: what it has started goes on.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import os
import select
import signal
import subprocess
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from unittest.mock import patch

from tests.faults.forks import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HANG: Final = 120.0  # seconds after which a release is taken to hang
USED: Final = ("releasekit.cli.publish", "releasekit.pipeline.simple_api", "httpx", "pypi_simple")
"""What the command line imports when it needs it."""

HASTE: Final = 10  # times shorter than the command's own are its waits for the index: a campaign has many


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        code: Its exit code; negative for a signal.
        seconds: How long it lived.
        said: What it said on stdout and stderr.
    """

    code: int
    seconds: float
    said: str


class Publisher:
    """Starts the command line; a context manager."""

    def __enter__(self) -> Self:
        # Measuring coverage would take longer than the release.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.publisher"],
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

    def run(
        self,
        directory: Path,
        *arguments: str,
        environ: Mapping[str, str],
        kill_after: float | None = None,
        broken: str = "",
    ) -> Ended:
        """Run the command line to its end.

        Args:
            directory: Where it runs.
            arguments: What it is told.
            environ: Variables on top of those that are there.
            kill_after: Seconds after which it gets SIGKILL, if it has not ended by then.
            broken: What is wrong with it: a name in `tests.faults.broken`.
        """
        assert self._program.stdin
        assert self._program.stdout
        request = {
            "directory": str(directory),
            "arguments": arguments,
            "environ": dict(environ),
            "output": str(directory.with_name("said")),
            "kill_after": kill_after,
            "broken": broken,
        }
        print(json.dumps(request), file=self._program.stdin, flush=True)
        line = self._program.stdout.readline()
        assert line, "the publisher has ended"
        code, seconds = json.loads(line)
        return Ended(code, seconds, directory.with_name("said").read_text(encoding="utf-8"))


def _child(request: dict[str, Any]) -> int:
    from releasekit.cli import main  # noqa: PLC0415  # this module is also imported by the tests

    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    faulthandler.dump_traceback_later(HANG, exit=True)
    os.chdir(request["directory"])
    os.environ.update(request["environ"])
    sleep = asyncio.sleep
    patch("asyncio.sleep", lambda delay, *result: sleep(delay / HASTE, *result)).start()
    sys.argv = ["releasekit", *request["arguments"]]
    if request["broken"]:
        from tests.faults import broken  # noqa: PLC0415  # rarely

        broken.WAYS[request["broken"]]()
    code = main()
    sys.stdout.flush()
    return code


def _run(request: dict[str, Any]) -> tuple[int, float]:
    began = time.monotonic()
    child = os.fork()
    if not child:
        code = 70
        try:
            code = _child(request)
        except BaseException:  # noqa: BLE001  # it must not get back to what the parent does
            sys.excepthook(*sys.exc_info())
        os._exit(code)  # clearing this interpreter up would take longer than the release
    if request["kill_after"] is not None:
        ended = os.pidfd_open(child)
        if not select.select([ended], [], [], request["kill_after"])[0]:
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
