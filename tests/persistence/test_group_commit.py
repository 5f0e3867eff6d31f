"""Sharing flushes among tasks: each waits for one that began after it came, and the event loop for none."""

from __future__ import annotations

import asyncio
import threading
import time
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from releasekit.persistence.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

T = TypeVar("T")

PATIENCE = 10.0  # seconds for a thread to get its turn
NAME = "releasekit-flush"


class Flushed:
    """Counts flushes, and lets a test wait for one or hold one up."""

    def __init__(self) -> None:
        self.ends: list[bool] = []
        self.begun = Semaphore(0)
        self.go_on = Event()
        self.go_on.set()
        self.threads: list[Thread] = []

    @property
    def count(self) -> int:
        return len(self.threads)

    @property
    def ended(self) -> int:
        return len(self.ends)

    def __call__(self) -> None:
        self.threads.append(threading.current_thread())
        self.begun.release()
        assert self.go_on.wait(PATIENCE)
        self.ends.append(True)

    def wait(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE)

    async def has_begun(self) -> None:
        await asyncio.to_thread(self.wait)


@pytest.fixture
def flushed() -> Flushed:
    return Flushed()


@pytest.fixture
def group(flushed: Flushed) -> Iterator[GroupCommit]:
    group = GroupCommit(flushed)
    yield group
    flushed.go_on.set()
    group.close()
    assert not flush_threads()


def flush_threads() -> list[Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run something in an event loop, but not for ever."""
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


async def flush(group: GroupCommit) -> None:
    assert await group.next_flush() is None  # type: ignore[func-returns-value]  # and nothing else


def test_who_waits_goes_on_after_a_flush(group: GroupCommit, flushed: Flushed) -> None:
    async def commit() -> int:
        await flush(group)
        return flushed.ended

    assert run(commit()) == 1


def test_nothing_is_flushed_and_no_thread_begun_before_anyone_waits(group: GroupCommit, flushed: Flushed) -> None:
    assert not flush_threads()
    group.close()
    assert flushed.count == 0


@pytest.mark.parametrize("count", [2, 64])
def test_who_waits_at_the_same_time_shares_one_flush(group: GroupCommit, flushed: Flushed, count: int) -> None:
    async def commit_all() -> None:
        await asyncio.gather(*(flush(group) for _ in range(count)))

    run(commit_all())
    assert flushed.count == 1


def test_who_comes_during_a_flush_shares_the_next_one(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_all() -> list[bool]:
        flushed.go_on.clear()
        early = [asyncio.ensure_future(flush(group)) for _ in range(3)]
        await flushed.has_begun()
        late = [asyncio.ensure_future(flush(group)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert flushed.count == 1
        flushed.go_on.set()
        await asyncio.gather(*early)
        done = [waiter.done() for waiter in late]
        await asyncio.gather(*late)
        return done

    assert run(commit_all()) == [False] * 3
    assert flushed.count == 2


def test_waiting_again_and_again_flushes_each_time_in_the_same_thread(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_all() -> None:
        for _ in range(5):
            await flush(group)

    run(commit_all())
    assert flushed.count == 5
    (thread,) = set(flushed.threads)
    assert thread is not threading.main_thread()
    assert (thread.name, thread.daemon) == (NAME, True)


def test_a_flush_begins_when_those_who_are_about_to_come_have_come(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_all() -> None:
        first = group.next_flush()
        assert flushed.count == 0
        second = group.next_flush()
        assert first is not second
        await first
        assert second.done()

    run(commit_all())
    assert flushed.count == 1


def test_the_event_loop_goes_on_during_a_flush(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_and_work() -> bool:
        flushed.go_on.clear()
        waiter = asyncio.ensure_future(flush(group))
        await flushed.has_begun()
        for _ in range(10):
            await asyncio.sleep(0)
        waits = not waiter.done()
        flushed.go_on.set()
        await waiter
        return waits

    assert run(commit_and_work())


def test_one_who_is_cancelled_leaves_the_others_waiting(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_and_cancel() -> None:
        flushed.go_on.clear()
        cancelled, waiter = (asyncio.ensure_future(flush(group)) for _ in range(2))
        await flushed.has_begun()
        cancelled.cancel()
        await asyncio.sleep(0)
        assert cancelled.cancelled()
        flushed.go_on.set()
        await waiter
        await flush(group)

    run(commit_and_cancel())
    assert flushed.count == 2


def test_a_flush_is_shared_also_after_one_for_which_all_were_cancelled(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_and_cancel() -> None:
        waiter = asyncio.ensure_future(flush(group))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(*(flush(group) for _ in range(3)))

    run(commit_and_cancel())
    assert flushed.ended == flushed.count <= 2


def test_the_next_event_loop_shares_flushes_too(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_all() -> None:
        await asyncio.gather(*(flush(group) for _ in range(3)))

    for _ in range(3):
        run(commit_all())
    assert flushed.count == 3
    assert {thread.name for thread in flushed.threads} == {NAME}


def test_an_event_loop_that_was_closed_in_the_middle_stops_nobody(group: GroupCommit, flushed: Flushed) -> None:
    async def come_and_go() -> None:
        waiter = group.next_flush()
        await flushed.has_begun()
        group.next_flush()
        assert not waiter.done()

    async def commit_all() -> None:
        waiters = asyncio.gather(*(flush(group) for _ in range(3)))
        await asyncio.sleep(0)
        flushed.go_on.set()
        await waiters

    flushed.go_on.clear()
    run(come_and_go())
    run(commit_all())
    assert flushed.count == flushed.ended == 2


def test_another_threads_event_loop_has_flushes_of_its_own(group: GroupCommit, flushed: Flushed) -> None:
    done: SimpleQueue[int] = SimpleQueue()

    async def commit_elsewhere() -> None:
        await flush(group)
        done.put(flushed.ended)

    async def commit_here_and_elsewhere() -> None:
        await flush(group)
        other = Thread(target=run, args=[commit_elsewhere()])
        other.start()
        assert await asyncio.to_thread(done.get, timeout=PATIENCE) == 2
        await asyncio.to_thread(other.join, PATIENCE)
        await flush(group)

    run(commit_here_and_elsewhere())
    assert flushed.count == 3
    assert [thread.name == NAME for thread in flushed.threads] == [True, False, True]


def test_two_event_loops_that_come_at_once_both_get_their_flush(group: GroupCommit, flushed: Flushed) -> None:
    together = threading.Barrier(2)
    ended: list[int] = []

    async def commit() -> None:
        together.wait(PATIENCE)
        for _ in range(50):
            await flush(group)
            ended.append(flushed.ended)

    threads = [Thread(target=run, args=[commit()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ended) == flushed.count == 100


def test_outside_an_event_loop_nobody_can_wait(group: GroupCommit) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        group.next_flush()


def test_a_system_without_threads_left_keeps_nobody_waiting(
    group: GroupCommit, flushed: Flushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def commit_twice() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Thread, "start", refuse)
            await asyncio.gather(*(flush(group) for _ in range(3)))
        assert flushed.count == 0
        await flush(group)

    run(commit_twice())
    assert flushed.count == 1


# the end


def wait_until_closing(group: GroupCommit) -> None:
    deadline = time.monotonic() + PATIENCE
    while not group._closed:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_closing_waits_for_a_flush_under_way_and_for_those_in_line(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_and_close() -> None:
        flushed.go_on.clear()
        waiter = asyncio.ensure_future(flush(group))
        await flushed.has_begun()
        closing = asyncio.ensure_future(asyncio.to_thread(group.close))
        await asyncio.to_thread(wait_until_closing, group)
        assert not closing.done()
        flushed.go_on.set()
        await closing
        assert flushed.ended == 1
        assert not flush_threads()
        await waiter

    run(commit_and_close())


def test_after_closing_nothing_is_flushed_and_nobody_waits(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_after() -> None:
        group.close()
        await asyncio.gather(*(flush(group) for _ in range(3)))
        await flush(group)

    run(commit_after())
    assert flushed.count == 0
    assert not flush_threads()


def test_who_waited_for_the_next_flush_when_it_was_closed_goes_on_without(group: GroupCommit, flushed: Flushed) -> None:
    async def commit_and_close() -> None:
        flushed.go_on.clear()
        first = asyncio.ensure_future(flush(group))
        await flushed.has_begun()
        second = asyncio.ensure_future(flush(group))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(asyncio.to_thread(group.close))
        await asyncio.to_thread(wait_until_closing, group)
        flushed.go_on.set()
        await asyncio.gather(first, second, closing)

    run(commit_and_close())
    assert flushed.count == 1


def test_closing_twice_does_nothing(group: GroupCommit, flushed: Flushed) -> None:
    run(flush(group))
    for _ in range(3):
        group.close()
    assert flushed.count == 1
