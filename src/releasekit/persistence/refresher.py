"""Doing something again soon after a change, in a thread, without taking more than a small share of the time.

The thread is woken by a queue that one call puts into, and what is in it stays there. An `Event` can be cleared just
when it was set; and the lock within it stays held for ever if an interrupt such as Ctrl-C, or a fork, comes at the
wrong moment.
"""

from __future__ import annotations

import contextlib
import time
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL: Final = 0.8
"""Seconds from a change to its refresh."""

SHARE: Final = 0.05
"""The share of the time that refreshing may take; what takes longer is done less often."""


class Refresher:
    """Calls a function in a thread after `changed` was called, once for all the changes of an interval.

    Args:
        refresh: What to call; it sees to its own errors.
    """

    def __init__(self, refresh: Callable[[], object]) -> None:
        self._refresh = refresh
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._dirty = False
        self._closed = False
        self._begun = False
        self._thread: Thread | None = None
        self._at_it = Lock()  # rather than by the thread alone: an interrupt as it began may have kept it from us

    def changed(self) -> None:
        """Have the function called soon."""
        if self._dirty or self._closed:
            return
        self._dirty = True
        self._wakes.put(None)
        if not self._begun:
            self._begun = True
            # A daemon: who forgets to close a run can end all the same.
            thread = Thread(target=self._work, name="releasekit-refresh", daemon=True)
            with contextlib.suppress(RuntimeError):  # the system has no threads left, and it can be done without
                thread.start()
                self._thread = thread

    def close(self) -> None:
        """Return when the function is not being called; it is not called any more."""
        self._closed = True
        self._wakes.put(None)
        with self._at_it:
            pass
        if self._thread:
            self._thread.join()

    def _work(self) -> None:
        pause = INTERVAL
        while self._goes_on_after(None) and self._goes_on_after(pause):
            self._dirty = False
            begun = time.perf_counter()
            with self._at_it:
                if not self._closed:
                    self._refresh()
            pause = max(INTERVAL, (time.perf_counter() - begun) / SHARE)

    def _goes_on_after(self, seconds: float | None) -> bool:
        """Wait for a change, or for so many seconds in which none is told; for the end in both cases."""
        with contextlib.suppress(Empty):
            self._wakes.get(timeout=seconds)
        return not self._closed
