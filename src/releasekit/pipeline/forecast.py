"""What a release would do, from what the disk and the index really have. Nothing is touched."""

from __future__ import annotations

import asyncio
import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from releasekit.lifecycle import PackageStatus
from releasekit.pipeline.build import Builder
from releasekit.pipeline.outcome import ConflictError
from releasekit.pipeline.reconcile import Decision, decide, to_send
from releasekit.pipeline.release import make_plan
from releasekit.pipeline.resume import goes_on, skip_complete
from releasekit.pipeline.steps import ask
from releasekit.state import RunState, there_is_a_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.pipeline.index import Index
    from releasekit.pipeline.release import Request
    from releasekit.state import PackageState


class Action(StrEnum):
    """What would be done with a package."""

    BUILD = "build and send"
    SEND = "send what was built"
    VERIFY = "verify what was sent"
    NOTHING = "nothing"
    CONFLICT = "stop: a conflict"
    LOST = "stop: it was published, and the index does not show it"


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
    async with contextlib.aclosing(plan.index):
        run = plan.run
        begins = request.fresh or not there_is_a_run(plan.path)
        if not begins:
            there = RunState.load(plan.path)
            begins = not goes_on(there, plan.run, plan.path)
            run = plan.run if begins else there
        if begins:
            await skip_complete(run, plan.index, request.retry_budget)
        builder = Builder(plan.workspace.root, plan.head.time)
        packages = sorted(run.packages.values(), key=lambda package: (package.level, package.name))
        return await asyncio.gather(*(_of(package, builder, plan.index, request.retry_budget) for package in packages))


async def _of(package: PackageState, builder: Builder, index: Index, patience: float) -> Forecast:
    if package.status is PackageStatus.SKIPPED:
        return Forecast(package.name, package.version, Action.NOTHING, why=package.reason)
    shown = await ask(index, package.name, package.version, patience)
    kept = await builder.kept(package.name)
    try:
        action, files = _compare(package, kept, shown, index.name)
    except ConflictError as error:
        return Forecast(package.name, package.version, Action.CONFLICT, (error.filename,), error.message)
    why = f"is published, and {index.name} shows it" if action is Action.NOTHING else ""
    return Forecast(package.name, package.version, action, tuple(files), why)


def _compare(
    package: PackageState, kept: Mapping[str, str], shown: Mapping[str, str], index: str
) -> tuple[Action, list[str]]:
    missing = to_send(package.artifacts, shown, index)
    if package.status is PackageStatus.PUBLISHED:
        return (Action.LOST if missing else Action.NOTHING), missing
    if decide(package.artifacts, kept, shown, index) is Decision.BUILD:
        return Action.BUILD, []
    return (Action.SEND if missing else Action.VERIFY), missing
