"""Run the real command line with shorter waits, and broken if it is so wanted.

Usage: python hasty.py WAY ARGUMENT...
WAY is a name in `tests.faults.broken`, or empty.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import sys
import threading
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from tests.processes import MARK, Mark

from releasekit.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

HANG: Final = 90.0  # seconds after which a release is taken to hang
HASTE: Final = 10  # times shorter than the command's own are its waits for the index: a campaign has many


def frames(awaited: object) -> Iterator[str]:
    """Name what waits for what, from the outermost coroutine inwards."""
    while frame := getattr(awaited, "cr_frame", None):
        yield f"{frame.f_code.co_name}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None)


def give_up() -> None:
    """Say what threads, tasks and processes are at, and end."""
    faulthandler.dump_traceback()
    tasks = [found for found in gc.get_objects() if isinstance(found, asyncio.Task) and not found.done()]
    told = [" > ".join(frames(task.get_coro())) for task in tasks]
    print("Timeout (hang)", *told, *Mark(os.environ[MARK]).alive(), sep="\n", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(1)


watchdog = threading.Timer(HANG, give_up)
watchdog.daemon = True
watchdog.start()
faulthandler.dump_traceback_later(HANG + 10, exit=True)  # if no thread gets to run
sleep = asyncio.sleep
patch("asyncio.sleep", lambda delay, *result: sleep(delay / HASTE, *result)).start()
way, *sys.argv[1:] = sys.argv[1:]
if way:
    from tests.faults import broken

    broken.WAYS[way]()
sys.exit(main())
