"""Doing something again soon after a change, in a thread, without taking more than a small share of the time."""

from __future__ import annotations

import contextlib
import time
from threading import Event, Thread
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
        self._dirty = Event()
        self._stopped = Event()
        self._thread: Thread | None = None

    def changed(self) -> None:
        """Have the function called soon."""
        if not self._dirty.is_set():
            self._dirty.set()
            if not self._thread:
                # A daemon: who forgets to close a run can end all the same.
                thread = Thread(target=self._work, name="releasekit-refresh", daemon=True)
                with contextlib.suppress(RuntimeError):  # the system has no threads left, and it can be done without
                    thread.start()
                    self._thread = thread

    def close(self) -> None:
        """Return when the function is not being called; it is not called any more."""
        self._stopped.set()
        self._dirty.set()
        if self._thread:
            self._thread.join()

    def _work(self) -> None:
        pause = INTERVAL
        while self._dirty.wait() and not self._stopped.wait(pause):
            self._dirty.clear()
            if self._stopped.is_set():  # just now, and what `close` wakes us by may be cleared
                return
            begun = time.perf_counter()
            self._refresh()
            pause = max(INTERVAL, (time.perf_counter() - begun) / SHARE)
