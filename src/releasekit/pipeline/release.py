"""A release from beginning to end: read the workspace, open the run, drive it, say how it ended."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from releasekit.errors import ReleaseKitError
from releasekit.logging import get_logger
from releasekit.pipeline import git, process
from releasekit.pipeline.build import Builder
from releasekit.pipeline.index import choose_index
from releasekit.pipeline.orchestrator import Orchestrator
from releasekit.pipeline.resume import declare, open_run
from releasekit.pipeline.steps import VERIFY_TIMEOUT, UvSteps
from releasekit.state import STATE_FILENAME, journal_path
from releasekit.workspace import load_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from releasekit.state import RunState


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be released, and how.

    Attributes:
        workspace: The directory of the workspace's pyproject.toml.
        index: Where to, as `choose_index` takes it.
        jobs: How many builds, and how many uploads, go on at a time.
        fresh: Begin anew, whatever run is there.
        gate: Upload nothing before everything is built.
        fail_fast: Begin nothing new once a package has failed.
        verify_timeout: Seconds that the index may take to show what was sent.
    """

    workspace: Path
    index: str
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    fresh: bool = False
    gate: bool = True
    fail_fast: bool = False
    verify_timeout: float = VERIFY_TIMEOUT


class Outcome(NamedTuple):
    """How a release ended.

    Attributes:
        state: The run, closed.
        interrupted: Whether it was asked to stop.
        error: What stopped the whole of it, if anything did; a package's own error is in its state.
    """

    state: RunState
    interrupted: bool
    error: ReleaseKitError | None


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
    workspace = load_workspace(request.workspace)
    path = workspace.root / STATE_FILENAME
    head = git.head(workspace.root)
    git.refuse_tracked(path, journal_path(path))
    index = choose_index(request.index, workspace)
    process.find_uv()  # now, rather than in the middle
    plan = declare(workspace, head.sha, index.name)
    with await open_run(path, plan, index, fresh=request.fresh) as store:
        if unignored := git.unignored(workspace.root):
            get_logger(__name__).warning(
                "releasekit.files_not_ignored", files=unignored, hint="add .releasekit-* to .gitignore"
            )
        orchestrator = Orchestrator(
            store,
            workspace.packages,
            UvSteps(Builder(workspace.root, head.time), index),
            jobs=request.jobs,
            gate=request.gate,
            fail_fast=request.fail_fast,
            verify_timeout=request.verify_timeout,
        )
        with watching(orchestrator):
            try:
                await orchestrator.run()
            except ReleaseKitError as error:
                return Outcome(store.state, orchestrator.interrupted, error)
        return Outcome(store.state, orchestrator.interrupted, None)
