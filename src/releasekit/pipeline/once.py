"""What several tasks wait for and only the first of them begins."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Once(Generic[T]):
    """Something that is made when it is first asked for, and never again."""

    def __init__(self) -> None:
        self._making: asyncio.Task[T] | None = None

    async def get(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Give it, once it is made.

        Args:
            make: Makes it, if nobody has begun to. What it raises, everybody is told who asks. It is not kept: it
                tends to belong to who keeps this, who would never be gone then.

        Raises:
            asyncio.CancelledError: The caller was cancelled, and with it the making, which is over by then: a process
                that it ran is not to outlive who waited for it.
        """
        if not self._making:
            self._making = asyncio.get_running_loop().create_task(make())
        making = self._making
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            while not making.done():
                making.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([making])
            raise
