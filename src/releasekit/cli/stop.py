"""Stopping by SIGINT or SIGTERM: gently, or at once; either way the same command goes on.

The command line listens from its first line to its last. That it ends at the second signal depends on no write: a
reader of our output that no longer reads would keep us for ever.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

import click

from releasekit.cli import INTERRUPTED
from releasekit.escape import printable
from releasekit.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from types import FrameType

T = TypeVar("T")

SHOW_CURSOR: Final = "\x1b[?25h"

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)
LEAVE: Final = 2.0
"""Seconds after a second signal in which what is at work may still be ended in an orderly way."""

_SAYING: Final = 0.5  # seconds that the last words may take


def same_command(*without: str) -> str:
    """Write the command that was called, without some words and without secrets, as a shell reads it."""
    return shlex.join(("releasekit", *(redact(word) for word in sys.argv[1:] if word not in without)))


def resume_command() -> str:
    """Say how to go on: the same command again, but not afresh."""
    return f"resume: {printable(same_command('--fresh'))}"


class Stop:
    """What SIGINT and SIGTERM do.

    Before a release, and in other commands, they raise KeyboardInterrupt. Of a release the first cancels what goes on,
    or stops it gently once there is something to be gentle with; the second stops that too. When it is over, neither
    changes what it came to. Whatever goes on, a little after a second signal the process ends: what it has begun is
    ended with it, and the next run goes on from what is on disk.

    Args:
        came: The signals until now; those that come are added to it.
    """

    def __init__(self, came: list[int] | None = None) -> None:
        self.code = INTERRUPTED
        """The exit code when it ends without more ado."""
        self.gently: Callable[[], object] | None = None
        self.settled = False
        """Whether a signal changes nothing any more. To be assigned: before a call is under way, a signal may come."""
        self._came = [] if came is None else came
        self._does: Callable[[], object] = _nothing
        self._alarm: int | None = None

    def listen(self) -> Mapping[int, object]:
        """Handle the signals from now on, if this is the main thread: others can't.

        Returns:
            What handled them before.
        """
        if threading.current_thread() is not threading.main_thread():
            return {}
        heard, self._alarm = os.pipe()
        # Now, since a signal may come while a lock is held that starting a thread takes.
        with suppress(RuntimeError):  # the system has no threads left: then a second signal only asks again
            threading.Thread(target=self._leave, args=(heard,), daemon=True).start()
        before: dict[int, object] = {number: signal.signal(number, self._hear) for number in NUMBERS}
        self._hurry()  # two may have come already
        return before

    def begin(self) -> None:
        """Have signals raise KeyboardInterrupt from now on, as one does that has come."""
        self._does = self.check
        self.check()

    def end(self, handlers: Mapping[int, object]) -> None:
        """Let others handle the signals from now on."""
        for number, handler in handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what it was
        if self._alarm is not None:
            alarm, self._alarm = self._alarm, None
            os.close(alarm)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has come, unless that changes nothing any more."""
        if self._came and not self.settled:
            raise KeyboardInterrupt

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let a signal wait until this is over: in the middle of an import it might be lost, or told by Python."""
        does, self._does = self._does, _nothing
        try:
            yield
        finally:
            self._does = does
        self.check()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals of a release while this lasts; longer, if they are handled already."""
        before = self.listen() if self._alarm is None else None
        self._does = _nothing  # until it begins
        try:
            yield
        finally:
            if before is not None:
                self.end(before)

    async def over(self, work: Coroutine[object, object, T]) -> T:
        """Do some work that a signal may cancel, also one that came before.

        Raises:
            click.Abort: One did.
        """
        import asyncio  # noqa: PLC0415  # slow, and every command imports this module

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task  # noqa: S101  # it is a coroutine that runs
        self._does = lambda: loop.call_soon_threadsafe(self.gently or task.cancel)
        if self._came:
            self._does()
        try:
            await asyncio.sleep(0)
            return await work
        except asyncio.CancelledError:
            raise click.Abort from None
        finally:
            self._does = _nothing
            work.close()

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._came.append(number)
        self._hurry()
        self._does()

    def _hurry(self) -> None:
        if len(self._came) >= 2 and self._alarm is not None:  # noqa: PLR2004  # the second, or what came at once with it
            os.write(self._alarm, b"!")

    def _leave(self, heard: int) -> None:
        """Wait for a second signal, and end the process if it has not ended by itself a little later."""
        if os.read(heard, 1) and not _closes(heard, LEAVE):
            try:
                saying = threading.Thread(target=self._say_so, daemon=True)
                saying.start()
                saying.join(_SAYING)
            finally:
                os._exit(self.code)
        os.close(heard)  # the other end is closed: nobody listens any more

    def _say_so(self) -> None:
        """Say it past `sys.stderr`, whose locks may be held by who waits to write."""
        if self.code:
            shown = SHOW_CURSOR if sys.stderr.isatty() else ""  # a live table has hidden it
            text = f"{shown}left at once\n{resume_command()}\n"
            with suppress(OSError, ValueError):
                os.write(sys.stderr.fileno(), text.encode(sys.stderr.encoding or "utf-8", "backslashreplace"))


def _closes(pipe: int, seconds: float) -> bool:
    """Tell whether the other end of a pipe is closed within so many seconds, whatever comes through it meanwhile."""
    deadline = time.monotonic() + seconds
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        if not os.read(pipe, 1):
            return True
    return False


def _nothing() -> None:
    pass
