from __future__ import annotations

import asyncio
import time
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError, TransientError
from releasekit.pipeline.patience import AT_A_TIME, Patience, in_turns, within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def busy(retry_after: float = 0.0) -> TransientError:
    return TransientError(E.PUBLISH_FAILED, "it is busy", retry_after=retry_after)


def failing(*errors: Exception, tries: list[float]) -> Callable[[], Awaitable[str]]:
    """Make a step that fails so often, and then does not; it notes when it was taken."""
    left = list(errors)

    async def step() -> str:
        tries.append(time.monotonic())
        if left:
            raise left.pop(0)
        return "done"

    return step


def spend(patience: Patience, *errors: Exception) -> list[float]:
    """Give the seconds between the tries."""
    tries: list[float] = []
    assert asyncio.run(patience.spend_on(failing(*errors, tries=tries))) == "done"
    return [after - before for before, after in pairwise(tries)]


def test_what_succeeds_at_once_costs_nothing() -> None:
    patience = Patience(1.0)

    assert spend(patience) == []
    assert patience.left == 1.0


def test_waits_grow() -> None:
    first, second = spend(Patience(60.0), busy(), busy())

    assert 0.2 <= first < second
    assert second >= 0.4


def test_a_wait_is_as_long_as_the_other_side_asks() -> None:
    waits = spend(Patience(60.0), busy(1.0), busy())

    assert waits[0] >= 1.0


def test_the_budget_is_one_for_all_steps_and_runs_only_while_something_fails() -> None:
    patience = Patience(5.0)
    waits = spend(patience, busy(0.5))
    left = patience.left

    assert left <= 5.0 - waits[0] + 0.1
    spend(patience)
    assert patience.left == left


@pytest.mark.parametrize(("budget", "asked"), [(0.0, 0.0), (10.0, 3_600.0)], ids=["none", "too long"])
def test_a_budget_that_does_not_suffice_for_a_wait_ends_it_at_once(budget: float, asked: float) -> None:
    tries: list[float] = []
    began = time.monotonic()

    with pytest.raises(TransientError):
        asyncio.run(Patience(budget).spend_on(failing(busy(asked), tries=tries)))

    assert len(tries) == 1
    assert time.monotonic() - began < 5.0


def test_a_spent_budget_ends_it_with_the_last_error() -> None:
    tries: list[float] = []
    errors = [busy() for _ in range(1_000)]

    with pytest.raises(TransientError) as caught:
        asyncio.run(Patience(0.7).spend_on(failing(*errors, tries=tries)))

    assert 2 <= len(tries) <= 5
    assert caught.value is errors[len(tries) - 1]


def test_another_error_is_raised_at_once() -> None:
    tries: list[float] = []

    with pytest.raises(StepError, match="no"):
        asyncio.run(Patience(60.0).spend_on(failing(StepError(E.PUBLISH_FAILED, "no"), tries=tries)))

    assert len(tries) == 1


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_may_be() -> None:
    began = time.monotonic()

    with pytest.raises(TransientError, match=r"local did not answer within 0\.1 s") as caught:
        asyncio.run(within(0.1, lambda: asyncio.sleep(30.0), "local"))

    assert caught.value.code is E.INDEX_UNREADABLE
    assert time.monotonic() - began < 15.0


def test_what_an_index_said_last_is_told_when_it_then_hangs() -> None:
    answers = [busy()]

    async def question() -> None:
        if answers:
            raise answers.pop()
        await asyncio.sleep(30.0)

    with pytest.raises(TransientError, match="it is busy"):
        asyncio.run(within(1.0, question, "local"))


def test_the_deadline_of_a_question_begins_when_it_is_asked() -> None:
    """Else an index that answers every page, but slowly, could not be asked for many packages at all."""
    number = 21 * AT_A_TIME  # which together take longer than the deadline, and each far less

    async def question(place: int) -> int:
        async def answer() -> int:
            await asyncio.sleep(0.1)
            return place

        return await within(2.0, answer, "local")

    assert asyncio.run(in_turns(partial(question, place) for place in range(number))) == list(range(number))


def test_when_one_of_many_questions_fails_no_other_is_at_work_any_more() -> None:
    begun, over = [], []

    async def question(place: int) -> int:
        begun.append(place)
        try:
            await asyncio.sleep(0 if place == 1 else 60)
        finally:
            await asyncio.sleep(0)  # as who ends a process
            over.append(place)
        raise busy()

    async def ask() -> None:
        with pytest.raises(TransientError):
            await in_turns(partial(question, place) for place in range(2 * AT_A_TIME))
        assert sorted(over) == begun
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(ask())
