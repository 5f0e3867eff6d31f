"""How near the orchestrator's order comes to the least time possible, on a clock that is simulated.

Nothing can be faster than its critical path, nor than all its work shared by its jobs; behind the build gate, than that
of the builds and then that of the uploads. Durations are skewed: most packages take little, some very long. The loop's
clock jumps to the next thing that happens, so that a second costs nothing; the run is kept in memory.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from random import Random
from selectors import DefaultSelector
from typing import TYPE_CHECKING, Any, cast

from tests.benchmarks.measure import Result

from releasekit.lifecycle import PackageStatus
from releasekit.pipeline import Orchestrator
from releasekit.pipeline.built import Built
from releasekit.requirements import requirements_first
from releasekit.state import RunState
from releasekit.workspace import Package

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from releasekit.pipeline.carrier import Sending
    from releasekit.store import RunStore

B, P, V = PackageStatus.BUILDING, PackageStatus.PUBLISHING, PackageStatus.VERIFYING
SEEDS = 10
MUST = 1.10
GOAL = 1.05


class _Selector(DefaultSelector):
    """One that does not wait: the time goes on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401  # as the base has it
        self.now += timeout or 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    """A loop on simulated time."""

    def __init__(self) -> None:
        self._simulated = _Selector()
        super().__init__(self._simulated)

    def time(self) -> float:
        return self._simulated.now


class _InMemory:
    """What the orchestrator needs of a store."""

    def __init__(self, state: RunState) -> None:
        self.state = state

    async def acommit(self) -> None:
        """Nothing is written."""


class _Steps:
    """Steps that take their time, and nothing else."""

    def __init__(self, work: Mapping[str, Mapping[PackageStatus, float]]) -> None:
        self.work = work

    async def build(self, package: Package, artifacts: Mapping[str, str]) -> Built:
        await asyncio.sleep(self.work[package.name][B])
        return Built(artifacts or {f"{package.name}-1.0.tar.gz": "a" * 64})

    async def check(self, package: Package, *_: object) -> None:
        """Nothing is missing."""

    async def publish(self, package: Package, artifacts: Mapping[str, str], sending: Sending) -> None:
        del artifacts
        with sending():
            await asyncio.sleep(self.work[package.name][P])

    async def verify(self, package: Package, artifacts: Mapping[str, str], patience: float) -> None:
        del artifacts, patience
        await asyncio.sleep(self.work[package.name][V])


def results() -> list[Result]:
    """Measure all of it; the worst of several graphs counts."""
    found = []
    for packages, jobs, known in product((60, 1_000), (4, 16), (True, False)):
        worst = max(_ratio(Random(seed), packages, jobs, known=known) for seed in range(SEEDS))  # noqa: S311
        name = f"makespan, {packages} packages, {jobs} jobs{'' if known else ', durations unknown'}"
        limits = (MUST, GOAL) if known else (None, None)
        found.append(Result(name, f"worst of {SEEDS} graphs", "least possible", worst, *limits))
    return found


def _ratio(random: Random, packages: int, jobs: int, *, known: bool) -> float:
    requires: dict[str, tuple[str, ...]] = {}
    for number in range(packages):
        names = [*requires][-packages // 4 :]
        requires[f"p{number}"] = tuple(random.sample(names, min(len(names), random.choice([0, 0, 1, 1, 2, 3]))))
    work = {name: {B: random.lognormvariate(1, 1), P: random.lognormvariate(0, 1), V: 0.5} for name in requires}
    state = RunState("0" * 40)
    for name, required in requires.items():
        state.init_package(name, version="1.0", requires=required)
    store = cast("RunStore", _InMemory(state))
    members = {name: Package(name, "1.0", Path(), required, 0) for name, required in requires.items()}
    with _simulated() as loop:
        told = work if known else {}
        loop.run_until_complete(Orchestrator(store, members, _Steps(work), jobs=jobs, work=told).run())
        makespan = loop.time()
    assert state.is_finished()
    builds = [each[B] for each in work.values()]
    uploads = [each[P] for each in work.values()]
    until: dict[str, float] = {}
    for name in requirements_first(requires):
        before = max((until[required] for required in requires[name]), default=0.0)
        until[name] = work[name][P] + work[name][V] + before
    least = max(*builds, sum(builds) / jobs) + max(*until.values(), sum(uploads) / jobs)
    return makespan / least


@contextmanager
def _simulated() -> Iterator[_Loop]:
    loop = _Loop()
    try:
        yield loop
    finally:
        loop.close()
