"""Stopping a release by SIGINT or SIGTERM: gently, or at once; either way the same command goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import click

from releasekit.cli import INTERRUPTED, output, unless_gone
from releasekit.escape import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

T = TypeVar("T")

SHOW_CURSOR: Final = "\x1b[?25h"

LEAVE: Final = 2.0
"""Seconds after a second signal in which what is at work may still be ended in an orderly way."""


def resume_command() -> str:
    """Say how to go on: the same command again, but not afresh."""
    again = output.command_line(*(word for word in sys.argv[1:] if word != "--fresh"))
    return f"resume: {printable(again)}"


class Stop:
    """What SIGINT and SIGTERM do.

    The first cancels what goes on, or stops it gently once there is something to be gentle with. The second stops that
    too, and if it does not end at once, the process does: what it has begun is ended with it, and the next run goes on
    from what is on disk.
    """

    def __init__(self) -> None:
        self.signals = 0
        self.gently: Callable[[], object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals while this lasts."""
        before = {number: signal.signal(number, self._came) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def over(self, work: Coroutine[object, object, T]) -> T:
        """Do some work that a signal may cancel.

        Raises:
            click.Abort: One did.
        """
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            return await work
        except asyncio.CancelledError:
            click.echo(resume_command(), err=True)
            raise click.Abort from None
        finally:
            self._loop = None

    def _came(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1
        if self.signals == 2:  # noqa: PLR2004  # the second
            leaving = threading.Timer(LEAVE, self._leave)
            leaving.daemon = True
            leaving.start()
        if self._loop and self._task:  # else it has not begun, or is over
            self._loop.call_soon_threadsafe(self.gently or self._task.cancel)
        else:
            raise KeyboardInterrupt

    @staticmethod
    def _leave() -> None:
        # Not what a live table put in its place, which may be stuck; it has hidden the cursor.
        stream = sys.__stderr__ or sys.stderr
        with unless_gone(stream):
            shown = SHOW_CURSOR if stream.isatty() else ""
            click.echo(f"{shown}left at once\n{resume_command()}", file=stream)
        os._exit(INTERRUPTED)
