"""Begin a run, go on with one, or refuse: a run belongs to one commit, one plan and one index."""

from __future__ import annotations

import contextlib
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError, code_of
from releasekit.lifecycle import PackageStatus
from releasekit.pipeline.aside import set_aside, summary_path
from releasekit.pipeline.patience import START_BUDGET, in_turns
from releasekit.pipeline.scratch import remove_leftovers
from releasekit.pipeline.sent import bring_back, remember
from releasekit.pipeline.steps import ask
from releasekit.pipeline.threads import to_its_end
from releasekit.pipeline.wheels import Wheels
from releasekit.state import STATE_FILENAME, RunState, no_run, there_is_a_run
from releasekit.store import RunStore
from releasekit.workspace import is_left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from releasekit.pipeline.index import Index
    from releasekit.workspace import Workspace

_SHOWN: Final = 10  # changes of many


async def open_run(  # noqa: PLR0913  # its options, by keyword
    path: Path,
    plan: RunState,
    index: Index,
    *,
    fresh: bool = False,
    patience: Mapping[str, float] = MappingProxyType({}),
    wheels: Wheels | None = None,
    require: Callable[[RunState], object] = bool,
) -> RunStore:
    """Open the run that a plan asks for.

    Args:
        path: The state file.
        plan: The run as it would begin now: see `declare`.
        index: What it publishes to; asked only when a run begins, for what is complete there already.
        fresh: Begin anew, whatever is there; the old files are kept aside.
        patience: Package → seconds that it is tried to ask the index about it, if that is less than usual.
        wheels: Files that were built elsewhere; those of packages that have nothing recorded yet become the run's own.
        require: Refuses, with an error, a run that could not come to its end.

    Returns:
        The open run: what was in flight is recovered, what failed is to be tried again.

    Raises:
        ReleaseKitError: The run there is another one and not finished (`E.STATE_SHA_MISMATCH`,
            `E.STATE_PLAN_MISMATCH`), can't be trusted (`E.STATE_CORRUPTED`), or is at work (`E.STATE_LOCKED`).
        StepError: The index could not be asked.
    """
    wheels = wheels or Wheels(None, {})
    there, left = there_is_a_run(path), summary_path(path).exists()
    if there and not fresh:
        store = RunStore.open(path)
        try:
            if goes_on(store.state, plan, path):
                remove_leftovers(path.parent)
                wheels.refuse_others(store.state, path.parent)
                require(store.state)
                resumed = _resume(store)
                await to_its_end(wheels.keep, resumed.state, path.parent, anew=False)
                return resumed
        except BaseException:
            store.close()
            raise
        store.close()
    remember(path, plan, index)
    wheels.refuse_others(plan)
    await skip_complete(plan, index, patience, wheels.given)  # first: if it fails, the old run is still in its place
    require(plan)
    if there or fresh or left:  # a summary tells of a completed run, not of this one
        set_aside(path, unfinished=fresh)

    def prepare() -> None:
        remove_leftovers(path.parent)
        bring_back(path, plan)
        wheels.keep(plan, path.parent, anew=True)

    return RunStore.create(path, plan, prepare=prepare)  # under the lock: another process may begin at this moment


@contextlib.contextmanager
def open_for_change(directory: Path) -> Iterator[RunStore]:
    """Open the run of a workspace to change it by hand: what a crash left in flight is recovered first.

    Raises:
        ReleaseKitError: There is none (`E.STATE_NOT_FOUND`), it can't be trusted, or it is at work.
    """
    path = directory / STATE_FILENAME
    if not there_is_a_run(path):
        raise no_run(directory)
    with RunStore.open(path) as store:
        store.state.recover()
        yield store


def goes_on(run: RunState, plan: RunState, path: Path) -> bool:
    """Tell whether a run goes on as a plan has it, or makes way for it, since it is finished.

    Raises:
        ReleaseKitError: Neither: it is another one (`E.STATE_SHA_MISMATCH`, `E.STATE_PLAN_MISMATCH`).
    """
    changes = plan_changes(run, plan)
    if run.is_finished() and (changes or run.git_sha != plan.git_sha):
        return False
    run.validate_sha(plan.git_sha)
    if changes:
        more = f"; and {len(changes) - _SHOWN} more changes" if len(changes) > _SHOWN else ""
        raise ReleaseKitError(
            E.STATE_PLAN_MISMATCH,
            f"the unfinished run in {path} has another plan: {'; '.join(changes[:_SHOWN])}{more}",
            "undo the change to finish that run, or start over with `releasekit publish --fresh`",
        )
    return True


def _resume(store: RunStore) -> RunStore:
    store.state.recover()
    for name in store.state.failed_packages():
        if code_of(store.state[name].error) is not E.INDEX_CONFLICT:  # a person decides, and says so: `retry`
            store.state[name].retry()
    store.commit()
    return store


def declare(workspace: Workspace, git_sha: str, index: str) -> RunState:
    """Make the run of a workspace as it would begin now, in memory."""
    plan = RunState(git_sha, index=index)
    for package in workspace.packages.values():
        plan.init_package(
            package.name,
            version=package.version,
            level=package.level,
            requires=package.requires,
            status=PackageStatus.SKIPPED if package.skip_reason else PackageStatus.PENDING,
            reason=package.skip_reason,
        )
    return plan


async def skip_complete(
    plan: RunState,
    index: Index,
    patience: Mapping[str, float] = MappingProxyType({}),
    given: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> None:
    """Skip what the index has already, a whole release of that version.

    A version with other content than what is recorded or given is not skipped: that is a conflict. Nor is one that
    lacks some of that: it is completed.

    Args:
        plan: The run that begins.
        index: Where to.
        patience: Package → seconds that it is tried to ask the index about it, if that is less than usual.
        given: Files that were built elsewhere: see `Wheels.given`.

    Raises:
        StepError: The index could not be asked.
    """
    names = [name for name in plan.pending_packages() if plan[name].version]  # of others, their build tells it
    shown = await in_turns(partial(ask, index, plan[name], patience.get(name, START_BUDGET)) for name in names)
    for name, files in zip(names, shown, strict=True):
        wanted = {*plan[name].artifacts.items(), *given.get(name, {}).items()}
        if index.is_whole(files, name, plan[name].version) and wanted <= files.items():
            plan[name].skip(f"version {plan[name].version} is already on {index.name}")


def plan_changes(old: RunState, new: RunState) -> list[str]:
    """Say what is different between the plans of two runs; an empty list if nothing is."""
    changes = [f"the index was {old.index!r} and is {new.index!r}"] if old.index != new.index else []
    for name in sorted({*old, *new}):
        if name not in new:
            changes.append(f"{name} is gone")
        elif name not in old:
            changes.append(f"{name} is new")
        elif new[name].status == PackageStatus.SKIPPED != old[name].status:
            changes.append(f"{name} is to be skipped: {new[name].reason}")
        elif new[name].status == PackageStatus.PENDING and is_left_out(old[name].reason):
            changes.append(f"{name} was to be skipped, since {old[name].reason}, and is not now")
        elif new[name].version not in {"", old[name].version}:  # what only a build tells is compared when it does
            changes.append(f"{name} was {old[name].version or 'dynamic'} and is {new[name].version}")
        elif set(old[name].requires) != set(new[name].requires):
            changes.append(f"{name} requires {', '.join(new[name].requires) or 'nothing'} now")
    return changes
