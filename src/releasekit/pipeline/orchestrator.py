"""The loop: every package goes its way as soon as it may, and every move is on disk before its effect."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError, code_of
from releasekit.lifecycle import FINAL, IN_FLIGHT, PackageStatus
from releasekit.logging import get_logger
from releasekit.pipeline.order import BUILDING, SENDING, is_ahead, longest_path_first
from releasekit.pipeline.outcome import UNDECIDED, ConflictError, NotShownError, StepError
from releasekit.pipeline.patience import AT_A_TIME
from releasekit.pipeline.turns import Turns
from releasekit.pipeline.versions import Versions
from releasekit.redaction import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping

    from releasekit.pipeline.built import Built
    from releasekit.pipeline.order import Work
    from releasekit.pipeline.steps import Steps
    from releasekit.state import PackageState, RunState
    from releasekit.store import RunStore
    from releasekit.workspace import Package

CONFIRM_TIMEOUT: Final = 30.0
"""Seconds in which the index must show again what it has shown to an earlier process."""

GRACE: Final = 30.0
"""Seconds; many runners of CI kill what has not ended ten to sixty seconds after it was asked to."""

LOST: Final = (
    "find out what happened on the index. If files are lost, put those of .releasekit-dist back or start over with "
    "--fresh; if it only lags, run the same command again"
)

_NOT_BUILT: Final = {PackageStatus.PENDING, PackageStatus.FAILED}


class _HeldError(Exception):
    """The package may not go on in this run, through no fault of its own."""


class Orchestrator:
    """Releases the unfinished packages of an open run.

    Args:
        store: The open run.
        packages: The workspace's packages by name.
        steps: What is done with each.
        jobs: How many builds go on at a time.
        uploads: How many packages may be sent at a time, where the steps don't have them wait; as many as builds if 0.
        gate: Upload nothing before everything is built.
        fail_fast: Begin nothing new once a package has failed.
        grace: Seconds that running uploads have left when the run is asked to stop.
        work: How long each package is expected to take, as `order.last_work` has it: the longest path goes first.
    """

    def __init__(  # noqa: PLR0913  # its options, by keyword
        self,
        store: RunStore,
        packages: Mapping[str, Package],
        steps: Steps,
        *,
        jobs: int,
        uploads: int = 0,
        gate: bool = True,
        fail_fast: bool = False,
        grace: float = GRACE,
        work: Work = MappingProxyType({}),
    ) -> None:
        self.store = store
        self.state: RunState = store.state
        self.packages = packages
        self.steps = steps
        self.gate = gate
        self.fail_fast = fail_fast
        self.grace = grace
        self.work = work
        self.interrupted = False
        self._failed_before = set(self.state.failed_packages())
        self._end_of_grace: asyncio.TimerHandle | None = None
        self._to_build = Turns(jobs)
        self._to_send = Turns(uploads or jobs)
        self._rank: dict[str, int] = {}
        self._questions = asyncio.Semaphore(AT_A_TIME)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._settled: dict[str, asyncio.Event] = {}
        self._builds: dict[str, asyncio.Event] = {}
        self._uploading: set[str] = set()

    async def run(self) -> None:
        """Release every unfinished package, and return when each is published, failed or held.

        What is held is `pending` again at the end: nothing stays in flight.

        Raises:
            ReleaseKitError: The run can't go on: the disk refused it (`E.STATE_NOT_DURABLE`), or the index
                shows no longer what an earlier process published (`E.PUBLISHED_MISSING`, `E.INDEX_CONFLICT`).
        """
        try:
            if not self.state.is_finished():  # else nothing depends on it any more
                await self._each(self.state.published_packages(), self._confirm_again)
            if self.gate:
                await self._each(self._longest_first(BUILDING, self._building()), self._build)
                await self._each(self._built(), self._check)
                if not self._failures() - self._undecided():
                    await self._each(self._built(), self._requirements, self._release)
            else:
                todo = self._longest_first(IN_FLIGHT)
                await self._each(todo, self._build, self._requirements, self._check, self._release)
        except BaseExceptionGroup as errors:  # not except*: what that raises is a group again before Python 3.11.4
            foreseen, others = errors.split(ReleaseKitError)
            if others or not foreseen:
                raise
            raise _first(foreseen) from None
        finally:
            if self._end_of_grace:
                self._end_of_grace.cancel()
            self.state.recover()  # of what an error stopped too; durable when the store is closed, if that can be
        await self.store.acommit()

    def stop(self) -> None:
        """Begin nothing new, kill the builds and let running uploads finish within `grace`.

        Running are those whose bytes are on their way; what waits for its next try is not. A second call stops these
        too. To be called in the event loop, if there is one.
        """
        spared = set() if self.interrupted else self._uploading
        if spared:
            self._end_of_grace = asyncio.get_running_loop().call_later(self.grace, self.stop)
        self.interrupted = True
        for name, task in self._tasks.items():
            if name not in spared:
                task.cancel()

    async def _each(self, names: Iterable[str], *stages: Callable[[PackageState], Awaitable[None]]) -> None:
        """Take packages through stages, side by side; return when every one is through or out."""
        self._settled = {name: asyncio.Event() for name in names}
        self._rank = {name: place for place, name in enumerate(self._settled)}
        self._builds = {name: asyncio.Event() for name in self._settled}
        async with asyncio.TaskGroup() as tasks:
            self._tasks = {name: tasks.create_task(self._attempt(name, *stages)) for name in self._settled}

    async def _attempt(self, name: str, *stages: Callable[[PackageState], Awaitable[None]]) -> None:
        package = self.state[name]
        try:
            for stage in stages:
                await stage(package)
        except _HeldError:
            get_logger(__name__).info("releasekit.package_held", package=name)
        except StepError as error:
            await self._move(package.fail, redact(str(error)))
        finally:
            self._settled[name].set()

    async def _build(self, package: PackageState) -> None:
        try:
            await self._build_requirements(package)
            async with self._turn(package, self._to_build):
                await self._move(package.start_building)
                built = await self.steps.build(self._planned(package), package.artifacts)
            await self._record(package, built)  # a job is for work: the next one begins while the disk writes
        finally:
            self._builds[package.name].set()

    async def _record(self, package: PackageState, built: Built) -> None:
        if built.artifacts != package.artifacts:
            learned = () if package.version else (built.version,)
            await self._move(package.record_artifacts, built.artifacts, *learned)
        if built.not_wanted:  # which only the build could tell
            package.recover()
            await self._move(package.skip, built.not_wanted)

    async def _build_requirements(self, package: PackageState) -> None:
        for required in self.packages[package.name].build_requires:
            if required in self._builds:
                await self._builds[required].wait()
            if self.state[required].status in _NOT_BUILT:
                raise _HeldError

    async def _check(self, package: PackageState) -> None:
        if package.status in FINAL:  # only its build could tell that it is not wanted
            return
        if self.interrupted:
            raise _HeldError
        async with self._questions:
            ahead = partial(is_ahead, self.state, package.name)
            await self.steps.check(self._planned(package), Versions(self.state), ahead)

    async def _release(self, package: PackageState) -> None:
        if package.status in FINAL:
            return
        await self._publish(package)
        await self._verify(package)

    async def _requirements(self, package: PackageState) -> None:
        for required in package.requires:
            if required in self._settled:
                await self._settled[required].wait()
            if self.state[required].status not in FINAL:
                raise _HeldError

    async def _publish(self, package: PackageState) -> None:
        async with self._turn(package, self._to_send):
            await self._move(package.start_publishing)
            sending = partial(self._sending, package.name)
            await self.steps.publish(self._planned(package), package.artifacts, sending)
        await self._move(package.start_verifying)

    @contextlib.contextmanager
    def _sending(self, name: str) -> Iterator[None]:
        """Spare an upload while it lasts; if the run is asked to stop and it fails, it is not tried again."""
        self._may_begin()  # it has waited: for the index's answer, perhaps for others that were sent
        self._uploading.add(name)
        try:
            yield
        except StepError:
            if self.interrupted:
                self._tasks[name].cancel()
            raise
        finally:
            self._uploading.discard(name)

    async def _verify(self, package: PackageState) -> None:
        if self.interrupted:
            raise _HeldError
        planned = self._planned(package)
        await self.steps.verify(planned, package.artifacts, planned.settings.verify_timeout)
        await self._move(package.confirm)

    async def _confirm_again(self, package: PackageState) -> None:
        if self.interrupted:
            raise _HeldError
        planned = self._planned(package)
        timeout = min(planned.settings.verify_timeout, CONFIRM_TIMEOUT)
        try:
            async with self._questions:  # the deadline of what waits for its turn does not run
                await self.steps.verify(planned, package.artifacts, timeout)
        except StepError as error:
            lost = isinstance(error, NotShownError | ConflictError)
            raise ReleaseKitError(
                E.PUBLISHED_MISSING if isinstance(error, NotShownError) else error.code,
                f"{package.name!r} was published by an earlier process of this run, but now {error.message}",
                LOST if lost else error.hint,
            ) from error

    def _planned(self, package: PackageState) -> Package:
        """Give the workspace's package; if only a build could tell its version, with the one that it told."""
        planned = self.packages[package.name]
        return replace(planned, version=package.version) if planned.dynamic else planned

    async def _move(self, trigger: Callable[..., None], *carried: object) -> None:
        """Fire a trigger and return when that is durable: only then may its effect follow."""
        trigger(*carried)
        await self.store.acommit()

    def _longest_first(
        self, statuses: Iterable[PackageStatus], requires: Mapping[str, Iterable[str]] | None = None
    ) -> list[str]:
        return longest_path_first(self.state, self.work, statuses, requires)

    def _building(self) -> Mapping[str, Iterable[str]]:
        return {name: package.build_requires for name, package in self.packages.items()}

    def _built(self) -> list[str]:
        """Choose those that a build has just made ready; a conflict may have been found instead."""
        return [name for name in self._longest_first(SENDING) if self.state[name].status is PackageStatus.BUILDING]

    def _failures(self) -> set[str]:
        """Name what failed in this process: a conflict of an earlier one waits for a person, and nobody for it."""
        return set(self.state.failed_packages()) - self._failed_before

    def _undecided(self) -> set[str]:
        """Name what was built, and waits for a person."""
        return {name for name in self.state.failed_packages() if code_of(self.state[name].error) in UNDECIDED}

    @contextlib.asynccontextmanager
    async def _turn(self, package: PackageState, turns: Turns) -> AsyncIterator[None]:
        """Wait for a turn, unless nothing new may begin."""
        async with turns.turn(self._rank[package.name]):
            self._may_begin()
            yield

    def _may_begin(self) -> None:
        if self.interrupted or (self.fail_fast and self._failures()):
            raise _HeldError


def _first(errors: BaseExceptionGroup[ReleaseKitError]) -> BaseException:
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
