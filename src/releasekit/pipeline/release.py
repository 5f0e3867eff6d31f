"""A release from beginning to end: read the workspace, open the run, drive it, say how it ended."""

from __future__ import annotations

import contextlib
import os
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from releasekit.errors import E, ReleaseKitError
from releasekit.logging import get_logger
from releasekit.pipeline import dirty, git
from releasekit.pipeline.build import Builder, given_directory
from releasekit.pipeline.call import require_programs
from releasekit.pipeline.carrier import COMPANY, TakesCompany
from releasekit.pipeline.ceiling import jobs_with_room
from releasekit.pipeline.chosen import load_selected
from releasekit.pipeline.ecosystem import ecosystem_of
from releasekit.pipeline.environments import Environments
from releasekit.pipeline.learned import refuse_shallow
from releasekit.pipeline.orchestrator import GRACE, Orchestrator
from releasekit.pipeline.order import last_work
from releasekit.pipeline.resume import declare, open_run
from releasekit.pipeline.sent import Earlier, has_arrived, may_be_sent
from releasekit.pipeline.steps import IndexSteps
from releasekit.pipeline.together import AllBuilds, Together
from releasekit.pipeline.wheels import Wheels
from releasekit.state import STATE_FILENAME, journal_path
from releasekit.workspace import Selection, log_notes
from releasekit.workspace.settings import FOR_EVERY_PACKAGE, attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from releasekit.pipeline.ecosystem import Ecosystem
    from releasekit.pipeline.index import Index
    from releasekit.state import RunState
    from releasekit.store import RunStore
    from releasekit.workspace import Workspace
    from releasekit.workspace.settings import Values


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be released, and how.

    What is None is as each package's pyproject.toml has it, or else the root's; what could be and is not holds for all.

    Attributes:
        workspace: The directory of the workspace's pyproject.toml.
        index: Where to, as `Ecosystem.choose_index` takes it.
        jobs: How many builds, and how many uploads, go on at a time.
        fresh: Begin anew, whatever run is there.
        gate: Upload nothing before everything is built.
        fail_fast: Begin nothing new once a package has failed.
        build_timeout: Seconds that one build may take.
        upload_timeout: Seconds that one upload may take.
        verify_timeout: Seconds that the index may take to show what was sent.
        retry_budget: Seconds that the transient errors of one package may take.
        grace: Seconds that running uploads have left when the release is asked to stop.
        allow_dirty: Release packages with uncommitted changes too.
        selection: Which packages.
        wheels: A directory of files that were built elsewhere, to be published like our own; None for none.
    """

    workspace: Path
    index: str
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    fresh: bool = False
    gate: bool = True
    fail_fast: bool = False
    build_timeout: float | None = None
    upload_timeout: float | None = None
    verify_timeout: float | None = None
    retry_budget: float | None = None
    grace: float = GRACE
    allow_dirty: bool | None = None
    selection: Selection = field(default_factory=Selection)
    wheels: Path | None = None

    @property
    def said(self) -> Values:
        """What it says of every package, by key."""
        said = {key: getattr(self, attribute(key)) for key in FOR_EVERY_PACKAGE}
        return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True)
class Plan:
    """What a request comes to before anything is touched.

    Attributes:
        workspace: Its packages, each with the settings that hold for it.
        path: The state file, which need not be there.
        head: The commit that is released.
        index: Where to.
        ecosystem: How its files are made and sent.
        run: The run as it would begin now.
        wheels: The files that were built elsewhere, which were looked at.
    """

    workspace: Workspace
    path: Path
    head: git.Head
    index: Index
    ecosystem: Ecosystem
    run: RunState
    wheels: Wheels

    @property
    def patience(self) -> Mapping[str, float]:
        """Package → seconds that its transient errors may take."""
        return {name: package.settings.retry_budget for name, package in self.workspace.packages.items()}


class Outcome(NamedTuple):
    """How a release ended.

    Attributes:
        state: The run, closed.
        interrupted: Whether it was asked to stop.
        error: What stopped the whole of it, if anything did; a package's own error is in its state.
        arrived: Whether anything of the run may be on the index.
    """

    state: RunState
    interrupted: bool
    error: ReleaseKitError | None
    arrived: bool


async def release(
    request: Request, watching: Callable[[Orchestrator], AbstractContextManager[object]] = nullcontext
) -> Outcome:
    """Publish what is not published yet, and go on with a run that was begun.

    Args:
        request: What and how.
        watching: Called with the orchestrator before it starts; its context lasts while it works.

    Raises:
        ReleaseKitError: The release could not begin, and nothing was built or sent; or its end could not be written
            (`E.STATE_NOT_DURABLE`).
    """
    plan = make_plan(request)
    plan.ecosystem.require_tools(plan.workspace.root)  # now, rather than in the middle
    async with contextlib.aclosing(plan.index):
        with await open_run(
            plan.path,
            plan.run,
            plan.index,
            fresh=request.fresh,
            patience=plan.patience,
            wheels=plan.wheels,
            require=partial(require_programs, plan.workspace.packages),
        ) as store:
            if unignored := git.unignored(plan.workspace.root):
                get_logger(__name__).warning(
                    "releasekit.files_not_ignored", files=unignored, hint="add .releasekit-* to .gitignore"
                )
            orchestrator = _orchestrator(request, plan, store)
            stopped: ReleaseKitError | None = None
            with watching(orchestrator):
                try:
                    await orchestrator.run()
                except ReleaseKitError as error:
                    stopped = error
            arrived = bool(store.state.published_packages()) or has_arrived(plan.path)
            return Outcome(store.state, orchestrator.interrupted, stopped, arrived)


def make_plan(request: Request, *, look_only: bool = False) -> Plan:
    """Find out what a request means, and that it may be done. Nothing is written, no index is asked.

    Args:
        request: What is wanted.
        look_only: Have the index left as it is.

    Raises:
        ReleaseKitError: It may not, or can't.
    """
    workspace = load_selected(request.workspace, request.selection, request.said)
    log_notes(workspace.notes)
    path = workspace.root / STATE_FILENAME
    head = git.head(workspace.root)
    git.refuse_tracked(path, journal_path(path))
    ecosystem = ecosystem_of(workspace.root)
    if request.wheels and not ecosystem.takes_wheels:
        message = f"--wheels is for Python packages, and {workspace.root} has a workspace of {ecosystem.name}"
        raise ReleaseKitError(E.WHEELS_REFUSED, message, "leave it out: every package is built here")
    index = ecosystem.choose_index(request.index, workspace, look_only=look_only)
    run = declare(workspace, head.sha, index.identity)
    released = [workspace.packages[name] for name in run.pending_packages()]
    dirty.refuse_changed(
        workspace.root,
        [package.directory for package in released if not package.settings.allow_dirty],
        index.directory,
        [package.directory for package in workspace.packages.values() if package.settings.allow_dirty],
    )
    refuse_shallow(released)
    return Plan(workspace, path, head, index, ecosystem, run, Wheels(request.wheels, workspace.packages))


def _orchestrator(request: Request, plan: Plan, store: RunStore) -> Orchestrator:
    root, packages = plan.workspace.root, plan.workspace.packages
    unbuilt = [name for name in store.state.pending_packages() if not store.state[name].artifacts]
    wanted = [name for name in unbuilt if not given_directory(root, name).is_dir()]
    jobs = jobs_with_room(request.jobs)
    patience = max((packages[name].settings.build_timeout for name in wanted), default=0.0)
    together = Together(plan.ecosystem, packages, wanted, AllBuilds(root, root, plan.head.time, patience))
    environments = Environments(plan.ecosystem, root, packages, wanted)
    steps = IndexSteps(
        Builder(root, plan.head.time, plan.ecosystem, together=together, environments=environments),
        plan.index,
        sent=partial(may_be_sent, plan.path),
        earlier=Earlier(plan.path, plan.index),
        uploads=jobs,
    )
    return Orchestrator(
        store,
        packages,
        steps,
        jobs=jobs,
        uploads=jobs * (COMPANY if isinstance(plan.index, TakesCompany) else 1),
        gate=request.gate,
        fail_fast=request.fail_fast,
        grace=request.grace,
        work=last_work(plan.path),
    )
