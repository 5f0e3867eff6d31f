"""How long trying again may go on: a budget of seconds, so that a run ends or says what a person must do."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

import stamina

from releasekit.errors import E
from releasekit.pipeline.outcome import TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

T = TypeVar("T")

START_BUDGET: Final = 30.0
"""Seconds that transient errors may take before a run begins, when nothing is lost by giving up."""

AT_A_TIME: Final = 16
"""Questions to an index at a time."""

_WAIT_INITIAL: Final = 0.2  # seconds; doubles
_WAIT_MAX: Final = 10.0  # seconds, unless the other side asks for more
_JITTER: Final = 0.1  # of a wait, so that many do not come back at the same moment


class Patience:
    """A budget for trying again.

    Args:
        seconds: What may be spent in all, from the first error of a step to its end.
    """

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    async def spend_on(self, step: Callable[[], Awaitable[T]]) -> T:
        """Take a step, and again while it raises `TransientError` and there is time left.

        Between two tries it waits: as long as the other side asks (`TransientError.retry_after`), else longer each
        time, with jitter.

        Raises:
            TransientError: The last one, when the budget is spent or would not suffice for the wait.
            Exception: Any other that the step raises, at once.
        """
        failed_at: float | None = None

        def again(error: Exception) -> bool | float:
            nonlocal failed_at
            if not isinstance(error, TransientError):
                return False
            failed_at = failed_at or time.monotonic()
            left = self.left - (time.monotonic() - failed_at)
            if left <= error.retry_after:
                return False
            return error.retry_after * random.uniform(1, 1 + _JITTER) or True  # noqa: S311  # no secret

        try:
            async for attempt in stamina.retry_context(
                on=again,
                attempts=None,
                timeout=None,
                wait_initial=_WAIT_INITIAL,
                wait_max=_WAIT_MAX,
                wait_jitter=_JITTER,
            ):
                with attempt:
                    return await step()
        finally:
            if failed_at is not None:
                self.left -= time.monotonic() - failed_at
        raise AssertionError  # pragma: no cover  # the last attempt raises


async def in_turns(questions: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Ask many questions, a few at a time: what waits for its turn is not asked yet, so no deadline of it runs.

    Raises:
        Exception: The first one that a question raised; the others are given up, and over.
    """
    turns = asyncio.Semaphore(AT_A_TIME)

    async def ask(question: Callable[[], Awaitable[T]]) -> T:
        async with turns:
            return await question()

    asked = [asyncio.ensure_future(ask(question)) for question in questions]
    try:
        return await asyncio.gather(*asked)
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def within(seconds: float, question: Callable[[], Awaitable[T]], index: str, budget: float | None = None) -> T:
    """Ask an index until it has answered as it should, for so many seconds from now.

    Args:
        seconds: All that may be spent, also on an answer that does not come.
        question: Asks once, and raises `TransientError` if it should be asked again.
        index: The name of the index, for messages.
        budget: Seconds that trying again may take, if that is less.

    Raises:
        TransientError: The last one; if there was none, it did not answer (`E.INDEX_UNREADABLE`).
    """
    last: TransientError | None = None

    async def ask() -> T:
        nonlocal last
        try:
            return await question()
        except TransientError as error:
            last = error
            raise

    try:
        async with asyncio.timeout(seconds):
            return await Patience(seconds if budget is None else min(budget, seconds)).spend_on(ask)
    except TimeoutError:
        raise last or TransientError(
            E.INDEX_UNREADABLE,
            f"{index} did not answer within {seconds:g} s",
            "check the network and the index, then run the same command again",
        ) from None
