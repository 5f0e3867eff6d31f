from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from releasekit.pipeline.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

HANG = 10.0  # seconds


class Queue:
    """Who waits for turns of which one is had at a time, and in which order they got theirs."""

    def __init__(self, at_a_time: int = 1) -> None:
        self.turns = Turns(at_a_time)
        self.began: list[int] = []
        self.running = self.most = 0

    async def work(self, rank: int, until: asyncio.Event | None = None) -> None:
        async with self.turns.turn(rank):
            self.began.append(rank)
            self.running += 1
            self.most = max(self.most, self.running)
            await (until.wait() if until else asyncio.sleep(0))
            self.running -= 1


def run(story: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), HANG))


def test_the_most_urgent_of_those_who_wait_is_next() -> None:
    async def story() -> None:
        queue = Queue()
        await asyncio.gather(*(queue.work(rank) for rank in (5, 3, 4, 1, 2)))
        assert queue.began == [5, 1, 2, 3, 4]

    run(story)


def test_who_is_as_urgent_comes_in_the_order_of_coming() -> None:
    async def story() -> None:
        turns, began = Turns(1), []

        async def work(name: str) -> None:
            async with turns.turn(7):
                began.append(name)
                await asyncio.sleep(0)

        await asyncio.gather(*map(work, "abcd"))
        assert began == ["a", "b", "c", "d"]

    run(story)


def test_so_many_go_on_at_a_time_and_no_turn_is_lost() -> None:
    async def story() -> None:
        queue = Queue(3)
        await asyncio.gather(*(queue.work(rank % 7) for rank in range(50)))
        assert queue.most == 3
        assert len(queue.began) == 50
        await asyncio.gather(*(queue.work(0) for _ in range(4)))
        assert queue.most == 3

    run(story)


def test_who_is_cancelled_while_waiting_takes_no_turn() -> None:
    async def story() -> None:
        queue, end = Queue(), asyncio.Event()
        first = asyncio.create_task(queue.work(0, end))
        waiting = asyncio.create_task(queue.work(1))
        last = asyncio.create_task(queue.work(2))
        await asyncio.sleep(0)
        waiting.cancel()
        end.set()
        await asyncio.gather(first, last)
        assert queue.began == [0, 2]
        assert waiting.cancelled()

    run(story)


def test_a_turn_that_is_granted_to_who_is_cancelled_at_that_moment_goes_to_the_next() -> None:
    async def story() -> None:
        queue = Queue()
        async with queue.turns.turn(0):
            waiting = asyncio.create_task(queue.work(1))
            last = asyncio.create_task(queue.work(2))
            await asyncio.sleep(0)
        waiting.cancel()  # it has been given the turn, and has not gone on yet
        await last
        assert queue.began == [2]
        assert waiting.cancelled()

    run(story)


def test_work_that_fails_gives_its_turn_back() -> None:
    async def story() -> None:
        turns = Turns(1)

        async def fail() -> None:
            async with turns.turn(0):
                raise ValueError

        for _ in range(2):
            with pytest.raises(ValueError):  # noqa: PT011  # that one
                await fail()
        async with turns.turn(0):
            pass

    run(story)
