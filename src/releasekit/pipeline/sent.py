"""What may have been sent. An index can lag: what it shows is not all that it has, so a run remembers for it.

One name has one content for ever, also across runs. A new run is given the files of the runs before it that may have
been sent as the same version to the same index, and what a person must decide: it sends those, or finds them there,
or stops.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from releasekit.errors import E, ReleaseKitError, code_of
from releasekit.lifecycle import PackageStatus, Trigger
from releasekit.logging import get_logger
from releasekit.pipeline.aside import earlier_runs, kept_directories
from releasekit.pipeline.build import DIST_DIRECTORY, digests_in, keep_whole
from releasekit.pipeline.outcome import PERHAPS, UNDECIDED
from releasekit.pipeline.scratch import new_scratch
from releasekit.state.beside import directory_name
from releasekit.state.history import read_history

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from releasekit.pipeline.index import Index
    from releasekit.state import RunState


def may_be_sent(path: Path) -> frozenset[str]:
    """Name the packages whose recorded files may have been sent, as far as the journal of a run tells.

    Args:
        path: The state file.

    Raises:
        OSError: The run could not be read.
        ReleaseKitError: It can't be trusted (`E.STATE_CORRUPTED`).
    """
    return _bound(path)[1]


def has_arrived(path: Path) -> bool:
    """Tell whether anything of a run may be on the index, by its journal: taken whole, in part, or perhaps.

    Args:
        path: The state file. What can't be read may tell anything.
    """
    try:
        events = read_history(path).events
    except (OSError, ReleaseKitError):
        return True
    return any(
        event.trigger is Trigger.START_VERIFYING
        or (event.source is PackageStatus.PUBLISHING and event.trigger is Trigger.RECOVER)
        or (event.source is PackageStatus.PUBLISHING and code_of(event.carried.get("error", "")) in PERHAPS)
        for event in events
    )


def remember(path: Path, plan: RunState, index: Index) -> None:
    """Record in a run that is about to begin what earlier ones may have sent, or left to a person to decide.

    Args:
        path: The state file: of the run that makes way, if there is one. Those put aside lie beside it.
        plan: The new run. Packages of the same version, to the same index, get the artifacts that were recorded. Of
            those whose version only a build tells, `Earlier` knows when that has told it.
        index: Where to; not asked.
    """
    known = _releases((*earlier_runs(path), path), index)
    for name in plan.pending_packages():
        if artifacts := known.get((name, plan[name].version)):
            plan[name].start_building()
            plan[name].record_artifacts(artifacts)
            plan[name].recover()


class Earlier:
    """What the runs before this one may have sent, for packages whose version was not known when it began.

    Args:
        path: The state file of this run.
        index: What it publishes to; not asked.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self.path = path
        self.index = index
        self._known: dict[tuple[str, str], Mapping[str, str]] | None = None

    def files(self, package: str, version: str) -> Mapping[str, str]:
        """Tell what may have been sent as a version of a package: file name → sha256; nothing if nothing was."""
        if self._known is None:
            self._known = _releases(earlier_runs(self.path), self.index)
        return self._known.get((package, version), {})

    def bring_back(self, package: str, artifacts: Mapping[str, str]) -> bool:
        """Copy a package's files from where they were put aside to where they are kept; False if they are lost.

        Raises:
            OSError: They could not be copied.
        """
        return _copy(self.path, package, artifacts)


def find_kept(path: Path, package: str, artifacts: Mapping[str, str]) -> Path | None:
    """Find the directory that has a package's recorded files, of this run or of one that was put aside."""
    if not artifacts:
        return None
    directories = kept_directories(path, package)
    return next((place for place in directories if artifacts.items() <= digests_in(place).items()), None)


def bring_back(path: Path, plan: RunState) -> None:
    """Copy what a new run remembers, and has still to send, from where it was put aside to where it is kept.

    Whoever calls it holds the run's lock: what lies there may be of another process's run.

    Args:
        path: The state file, beside which built files are kept.
        plan: The new run.

    Raises:
        ReleaseKitError: It could not be copied (`E.FILE_FAILED`).
    """
    try:
        for name in plan.pending_packages():
            _copy(path, name, plan[name].artifacts)
    except OSError as error:
        message = f"the built files of an earlier run could not be copied to {path.parent / DIST_DIRECTORY}: {error}"
        raise ReleaseKitError(
            E.FILE_FAILED, message, "mend the disk (space? permissions?) and run the same command again"
        ) from error


def _copy(path: Path, package: str, artifacts: Mapping[str, str]) -> bool:
    final = path.parent / DIST_DIRECTORY / directory_name(package)
    found = find_kept(path, package, artifacts)
    if found is None or found == Path(os.path.realpath(final)):
        return found is not None
    fresh = new_scratch(path.parent, "copy")
    try:
        shutil.copytree(found, fresh)
        keep_whole(fresh, final)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return True


def _releases(state_files: Iterable[Path], index: Index) -> dict[tuple[str, str], Mapping[str, str]]:
    """Read what runs have bound for an index: package and version → artifacts, as the last of them has it."""
    known: dict[tuple[str, str], Mapping[str, str]] = {}
    for state_file in state_files:
        try:
            run, bound = _bound(state_file)
        except FileNotFoundError:
            continue
        except (OSError, ReleaseKitError) as error:
            get_logger(__name__).warning("releasekit.earlier_run_ignored", file=str(state_file), error=str(error))
            continue
        if run.index == index.identity:
            packages = map(run.__getitem__, bound)
            known |= {
                (package.name, package.version): package.artifacts
                for package in packages
                if index.is_whole(package.artifacts, package.name, package.version)
            }
    return known


def _bound(path: Path) -> tuple[RunState, frozenset[str]]:
    """Read a run, and name the packages whose recorded files may have been sent or are a conflict."""
    run, events = read_history(path)
    sent = {event.package for event in events if event.trigger is Trigger.START_PUBLISHING}
    recorded = {event.package for event in events if event.trigger is Trigger.RECORD_ARTIFACTS}
    # What the journal does not know where it is from is from before there was one.
    before = {name for name, package in run.packages.items() if package.artifacts} - recorded
    undecided = {name for name in run.failed_packages() if code_of(run[name].error) in UNDECIDED}
    return run, frozenset(sent | before | undecided)
