"""Changing files in a thread: to the end, since what goes on in a thread can't be stopped.

Who is cancelled would give the run's lock back, and a thread that still changes the run's files would change those of
the next one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


async def to_its_end(change: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call a function in a thread, and return or raise as it does; if cancelled, once it has come to its end."""
    changing = asyncio.ensure_future(asyncio.to_thread(partial(change, *arguments, **options)))
    try:
        return await asyncio.shield(changing)
    finally:
        while not changing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([changing])
        changing.exception()  # has been told, unless it was cancelled: then nobody asks
