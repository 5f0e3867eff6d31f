"""Group commit: tasks that wait for the disk at the same time share one flush, which no event loop waits in.

One flush is under way at a time, in a thread of its own. Who comes meanwhile waits for the next one, which begins as
soon as that one has ended and serves all of them: so each waits for one flush that began after it came.
"""

from __future__ import annotations

import asyncio
import contextlib
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable


_Job: TypeAlias = "tuple[asyncio.AbstractEventLoop, list[asyncio.Future[None]]]"


class GroupCommit:
    """Shares flushes among the tasks of an event loop.

    Args:
        flush: Flushes everything recorded so far, and blocks until that is done. It must not raise: whether it
            could is asked of others.
    """

    def __init__(self, flush: Callable[[], object]) -> None:
        self._flush = flush
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._begun = False
        self._closed = False
        self._changing = Lock()

    def next_flush(self) -> asyncio.Future[None]:
        """Give what is done when a flush that began after this call has ended, well or not."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop and not self._serves(loop):  # but another thread's, whose futures can't be touched
            return asyncio.ensure_future(self._flush_elsewhere())
        future = loop.create_future()
        self._waiting.append(future)
        if not self._begun:  # when those who are about to come have come
            self._begun = True
            loop.call_soon(self._begin, loop)
        return future

    async def _flush_elsewhere(self) -> None:
        await asyncio.to_thread(self._flush)

    def close(self) -> None:
        """Return when no flush is under way; begin none any more."""
        with self._changing:
            self._closed = True
            self._jobs.put(None)
        if self._thread:
            self._thread.join()

    def _serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether this is the loop whose tasks share flushes: the first one, until it is closed."""
        with self._changing:
            if self._loop is None or self._loop.is_closed():
                self._loop, self._waiting, self._begun = loop, [], False
            return loop is self._loop

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        served, self._waiting = self._waiting, []
        with self._changing:
            if begun := not self._closed and self._has_thread():
                self._jobs.put((loop, served))
        if not begun:
            self._end(loop, served)

    def _has_thread(self) -> bool:
        """Start the thread, if there is none yet. A system that has no threads left is no reason to wait for ever."""
        if not self._thread:
            thread = Thread(target=self._work, name="releasekit-flush", daemon=True)
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread
        return self._thread is not None

    def _work(self) -> None:
        while job := self._jobs.get():
            self._flush()
            loop, _ = job
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(self._end, *job)

    def _end(self, loop: asyncio.AbstractEventLoop, served: list[asyncio.Future[None]]) -> None:
        for future in served:
            if not future.done():  # it may have been cancelled
                future.set_result(None)
        self._begun = bool(self._waiting)
        if self._begun:
            loop.call_soon(self._begin, loop)
