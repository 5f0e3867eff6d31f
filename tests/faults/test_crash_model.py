"""A run over random histories of crashes, disk errors and crashes while it recovers from them.

The device under it (see `device`) loses in a crash what was not flushed, or keeps any part of it. Whatever happens,
opening the run again gives all that a commit has acknowledged, a prefix of what was recorded, and never a refusal; see
`tracked_run` for what is compared.
"""

from __future__ import annotations

import errno
from collections import Counter
from random import Random
from typing import ClassVar, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_examples
from tests.faults.tracked_run import TrackedRun

Trouble = tuple[int, int | None]

FORGED: Final = '\n{"seq":1,"flushed":9,"check":"00000000"}\n{"journal":1}\n'
PACKAGES: Final = 6  # at most

numbers = st.integers(0, 255)
several = st.lists(numbers, min_size=1, max_size=4)
texts = st.sampled_from(["", "no network", FORGED, "x" * 400, "y" * 1300])
operations = st.sampled_from(["commit", "commit_together", "refresh", "close"])
calls = st.integers(0, 12)
errors = st.sampled_from([errno.EIO, errno.ENOSPC])
troubles = st.tuples(calls, st.none() | errors)  # None is a power cut
seeds = st.integers(0, 2**32 - 1)


def chances(seed: int) -> Random:
    return Random(seed)  # noqa: S311  # no secret


def is_open(machine: RunOnAFailingDevice) -> bool:
    return machine.run.store is not None


def is_closed(machine: RunOnAFailingDevice) -> bool:
    return machine.run.store is None


class RunOnAFailingDevice(RuleBasedStateMachine):
    """What may happen to a run."""

    counts: ClassVar[Counter[str]] = Counter()  # of all examples

    def __init__(self) -> None:
        super().__init__()
        self.run = TrackedRun(self.counts)

    def teardown(self) -> None:
        self.run.clean_up()

    @initialize(count=st.integers(0, 3), saved=st.booleans(), trouble=st.none() | troubles, seed=seeds)
    def begin(self, count: int, saved: bool, trouble: Trouble | None, seed: int) -> None:  # noqa: FBT001  # a keyword
        random = chances(seed)
        if trouble:
            self.run.device.prepare(*trouble, random)
        self.run.begin([f"p{number}" for number in range(count)], saved=saved)
        self.run.device.settle()
        if trouble and trouble[1] is None:
            self.run.cut_power(random)
        self.run.begin_again()

    @rule(status=st.sampled_from(["pending", "skipped"]), text=texts)
    @precondition(lambda self: is_open(self) and len(self.run.model) < PACKAGES)
    def declare(self, status: str, text: str) -> None:
        self.run.declare(status, text)

    @rule(number=numbers, text=texts)
    @precondition(is_open)
    def fire(self, number: int, text: str) -> None:
        self.run.fire(number, text)

    @rule(number=numbers)
    @precondition(lambda self: is_open(self) and self.run.model)
    def fire_illegally(self, number: int) -> None:
        self.run.fire_illegally(number)

    @rule(operation=operations, fired=several)
    @precondition(is_open)
    def operate(self, operation: str, fired: list[int]) -> None:
        self.run.operate(operation, fired)

    @rule()
    @precondition(is_closed)
    def open(self) -> None:
        self.run.open()

    @rule()
    def read(self) -> None:
        self.run.read()

    @rule(operation=operations, fired=several, after=calls, seed=seeds)
    @precondition(is_open)
    def crash(self, operation: str, fired: list[int], after: int, seed: int) -> None:
        random = chances(seed)
        self.run.device.prepare(after, None, random)
        self.run.operate(operation, fired)
        self.run.cut_power(random)
        self.counts["crashes"] += 1

    @rule(after=calls, seed=seeds)
    @precondition(is_closed)
    def crash_in_recovery(self, after: int, seed: int) -> None:
        random = chances(seed)
        self.run.device.prepare(after, None, random)
        self.run.try_to_open()
        self.counts["crashes in recovery"] += self.run.device.troubled
        self.run.cut_power(random)

    @rule(operation=operations, fired=several, after=calls, error=errors, seed=seeds)
    @precondition(is_open)
    def fail(self, operation: str, fired: list[int], after: int, error: int, seed: int) -> None:
        self.run.device.prepare(after, error, chances(seed))
        self.run.operate(operation, fired)
        self.run.device.settle()
        self.counts["disk errors"] += self.run.device.troubled

    @rule(after=calls, error=errors, seed=seeds)
    @precondition(is_closed)
    def fail_in_recovery(self, after: int, error: int, seed: int) -> None:
        self.run.device.prepare(after, error, chances(seed))
        self.run.try_to_open()
        self.run.device.settle()
        self.counts["disk errors in recovery"] += self.run.device.troubled

    @invariant()
    def the_run_is_what_was_recorded(self) -> None:
        self.counts["steps"] += 1
        if self.run.store:
            self.run.check()


def explore(steps: int) -> None:
    counts = RunOnAFailingDevice.counts
    counts.clear()
    while counts["steps"] < steps:
        checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
        options = settings(max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=checks)
        run_examples(RunOnAFailingDevice, settings=options)
    print(*(f"{count:,} {what}" for what, count in sorted(counts.items())), sep=", ")  # noqa: T201  # the figures
    assert all(counts.values())


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("after", range(12))
def test_a_beginning_that_failed_at_any_call_is_gone_on_with_and_survives_a_crash(after: int, saved: bool) -> None:  # noqa: FBT001  # parametrized
    for seed in range(8):
        run = TrackedRun(Counter())
        run.device.prepare(after, errno.EIO, chances(seed))
        run.begin(["p0"], saved=saved)
        run.device.settle()
        run.begin_again()
        run.operate("commit", [0])
        run.cut_power(chances(seed))
        run.open()
        run.clean_up()


@pytest.mark.timeout(600)
def test_a_crash_anywhere_loses_nothing_acknowledged_and_invents_nothing() -> None:
    explore(25_000)


@pytest.mark.campaign
@pytest.mark.timeout(3 * 60 * 60)
def test_a_million_steps_lose_nothing_acknowledged_and_invent_nothing() -> None:
    explore(1_000_000)
