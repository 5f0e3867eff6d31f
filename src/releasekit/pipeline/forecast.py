"""What a release would do, from what the disk and the index really have. Nothing is touched."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.errors import E, code_of, headline
from releasekit.lifecycle import PackageStatus
from releasekit.pipeline.build import Builder
from releasekit.pipeline.call import require_programs
from releasekit.pipeline.orchestrator import CONFIRM_TIMEOUT
from releasekit.pipeline.outcome import ConflictError, NotShownError
from releasekit.pipeline.patience import in_turns
from releasekit.pipeline.reconcile import Decision, decide, to_send
from releasekit.pipeline.release import make_plan
from releasekit.pipeline.resume import goes_on, skip_complete
from releasekit.pipeline.sent import find_kept, remember
from releasekit.pipeline.steps import IndexSteps, ask
from releasekit.state import RunState, there_is_a_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from releasekit.pipeline.release import Plan, Request
    from releasekit.state import PackageState


class Action(StrEnum):
    """What would be done with a package."""

    BUILD = "build and send"
    SEND = "send what was built"
    VERIFY = "verify what was sent"
    NOTHING = "nothing"
    HELD = "wait"
    CONFLICT = "stop: a conflict"
    LOST = "stop: it was published, and the index does not show it"


_BUILD_TELLS: Final = "its build tells the version, and then the index whether it is there already"

STOPS: Final = {Action.CONFLICT, Action.LOST}
"""What a person must decide before it goes on."""


class Forecast(NamedTuple):
    """What would be done with one package.

    Attributes:
        package: The package.
        version: Its version.
        action: What would be done.
        files: What would be sent of what is built already, or what the index does not show.
        why: The reason, if there is more to say.
    """

    package: str
    version: str
    action: Action
    files: tuple[str, ...] = ()
    why: str = ""


async def forecast(request: Request) -> list[Forecast]:
    """Say what `release` would do, in its order. It takes no lock and writes nothing, neither here nor there.

    Raises:
        ReleaseKitError: The release would be refused, for the same reason.
    """
    plan = make_plan(request, look_only=True)
    plan.ecosystem.require_tools(plan.workspace.root)
    async with contextlib.aclosing(plan.index):
        run = plan.run
        begins = request.fresh or not there_is_a_run(plan.path)
        if not begins:
            there = RunState.load(plan.path)
            begins = not goes_on(there, plan.run, plan.path)
            run = plan.run if begins else there
        if begins:
            remember(plan.path, run, plan.index)
        plan.wheels.refuse_others(run, None if begins else plan.workspace.root)
        if begins:
            await skip_complete(run, plan.index, plan.patience, plan.wheels.given)
        require_programs(plan.workspace.packages, run)
        packages = sorted(run.packages.values(), key=lambda package: (package.level, package.name))
        told = await in_turns(partial(_of, package, plan) for package in packages)
        return [*_with_what_waits(told, run)]


async def _of(package: PackageState, plan: Plan) -> Forecast:
    if package.status is PackageStatus.SKIPPED:
        return Forecast(package.name, package.version, Action.NOTHING, why=package.reason)
    if code_of(package.error) is E.INDEX_CONFLICT:  # no resume tries it again
        return Forecast(package.name, package.version, Action.CONFLICT, why=headline(package.error))
    try:
        if package.status is PackageStatus.PUBLISHED:
            return await _confirmed(package, plan)
        patience = plan.workspace.packages[package.name].settings.retry_budget
        known = bool(package.version)  # else nothing of it was built yet
        shown = await ask(plan.index, package, patience) if known else {}
        missing = to_send(package.artifacts, shown, plan.index.name)
        is_kept = await asyncio.to_thread(find_kept, plan.path, package.name, package.artifacts)
        kept = package.artifacts if is_kept else {}
        if decide(package.artifacts, kept, shown, plan.index.name) is Decision.BUILD:
            return Forecast(package.name, package.version, Action.BUILD, why="" if known else _BUILD_TELLS)
        action = Action.SEND if missing else Action.VERIFY
        return Forecast(package.name, package.version, action, tuple(missing))
    except ConflictError as error:
        files = (error.filename,) if error.filename else ()
        return Forecast(package.name, package.version, Action.CONFLICT, files, error.message)


async def _confirmed(package: PackageState, plan: Plan) -> Forecast:
    """Wait, as the release would, for the index to show again what it has shown to an earlier process."""
    steps = IndexSteps(Builder(plan.workspace.root, plan.head.time, plan.ecosystem), plan.index)
    try:
        planned = replace(plan.workspace.packages[package.name], version=package.version)
        patience = min(planned.settings.verify_timeout, CONFIRM_TIMEOUT)
        await steps.verify(planned, package.artifacts, patience)
    except NotShownError as error:
        return Forecast(package.name, package.version, Action.LOST, tuple(error.missing))
    shown = f"is published, and {plan.index.name} shows it"
    return Forecast(package.name, package.version, Action.NOTHING, why=shown)


def _with_what_waits(told: Iterable[Forecast], run: RunState) -> Iterator[Forecast]:
    """Say who waits for a person's decision: who requires what stops; everybody, if what was published is lost.

    Args:
        told: What would be done with each package by itself, each after what it requires.
        run: Who requires whom.
    """
    alone = [*told]
    lost = [each.package for each in alone if each.action is Action.LOST]
    stopped: set[str] = set()
    for each in alone:
        causes = lost or [name for name in run[each.package].requires if name in stopped]
        if each.action in STOPS:
            stopped.add(each.package)
            yield each
        elif causes and each.action is not Action.NOTHING:
            stopped.add(each.package)
            yield each._replace(action=Action.HELD, files=(), why=f"for {', '.join(causes)}")
        else:
            yield each
