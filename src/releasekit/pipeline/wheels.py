"""Files that were built elsewhere and are given to a release: wheels for other platforms, perhaps an sdist.

They are looked at before anything else happens. Before a run begins, and under its lock, they are copied, durably, to
where its built files are kept: from then on they are its own, and the directory that they came from is not needed any
more.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final, NoReturn

from packaging.version import Version

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import PackageStatus
from releasekit.pipeline.build import DIST_DIRECTORY, digests_in, given_directory, keep_whole
from releasekit.pipeline.directory_index import sha256
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python.names import release_of
from releasekit.pipeline.python.release_files import require_release
from releasekit.pipeline.scratch import new_scratch
from releasekit.pipeline.sent import may_be_sent
from releasekit.state import STATE_FILENAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.pipeline.python.names import Release
    from releasekit.state import RunState
    from releasekit.workspace import Package

_KEPT: Final = (
    "leave --wheels out, since the run keeps what it was given first; or start over with `releasekit publish --fresh`"
)
_STAYS: Final = (  # to start over would not help: what may have been sent binds every run that the disk knows
    "leave --wheels out, since what was sent first stays: other bytes take a new version; what that version lacks is "
    "sent by the same command after `releasekit clean`, once the run is finished"
)


class Wheels:
    """What a directory has for the packages of a release.

    Args:
        directory: Where the files are; None for no directory, which has nothing.
        packages: The workspace's packages by name.

    Attributes:
        given: Package → file name → sha256, of the packages that are to be released.

    Raises:
        ReleaseKitError: A file is no wheel or sdist of a package of the workspace, is not of the version in the plan,
            says that it is something else than its name says, or is no regular file (`E.WHEELS_REFUSED`).
    """

    def __init__(self, directory: Path | None, packages: Mapping[str, Package]) -> None:
        self.directory = directory
        self.given: dict[str, dict[str, str]] = {}
        releases: dict[str, Release] = {}
        for file in _visible(directory) if directory else ():
            found = release_of(file.name)
            package = packages.get(found.name) if found else None
            if not found or not package:
                _refuse(f"{file} is {'of no package of the workspace' if found else 'neither a wheel nor an sdist'}")
            if package.skip_reason:
                continue
            self._check(file, found, releases.setdefault(found.name, found), package)
            self.given.setdefault(found.name, {})[file.name] = _digest(file)

    def refuse_others(self, run: RunState, root: Path | None = None) -> None:
        """Refuse files that are not those which a run has recorded, or has been given before.

        Args:
            run: The run, as it would begin or go on.
            root: The workspace, of a run that goes on: what it was given lies there.

        Raises:
            ReleaseKitError: There are some (`E.WHEELS_REFUSED`); nothing was changed.
        """
        for name, given in self.given.items():
            if name not in run or run[name].status is PackageStatus.SKIPPED:
                continue
            known = dict(run[name].artifacts) or (digests_in(given_directory(root, name)) if root else {})
            others = sorted(file for file in given if known and known.get(file) != given[file])
            if others:
                bound = not root or name in may_be_sent(root / STATE_FILENAME)
                what = "may have been sent" if bound else "this run has"
                _refuse(
                    f"{', '.join(others)} in {self.directory} {'is' if len(others) == 1 else 'are'} not what {what} "
                    f"of {name!r} {run[name].version}".rstrip(),
                    _STAYS if bound else _KEPT,
                )

    def keep(self, run: RunState, root: Path, *, anew: bool) -> None:
        """Copy what a run does not have yet, of packages that are not finished, to where its built files are kept.

        What it has recorded may have been lost since: then it is taken again from what is given again.
        Whoever calls it holds the run's lock: what lies there may be of another process's run.

        Args:
            run: The run.
            root: The workspace.
            anew: Whether the run begins: then what lies there is of one that was killed before it had begun.

        Raises:
            ReleaseKitError: A file could not be copied (`E.FILE_FAILED`), or was replaced meanwhile
                (`E.WHEELS_REFUSED`).
        """
        for leftover in (root / DIST_DIRECTORY).glob("*.given") if anew else ():
            shutil.rmtree(leftover, ignore_errors=True)
        for name in (*run.pending_packages(), *run.failed_packages()):
            if self.directory and (given := self.given.get(name)):
                _copy(self.directory, given, given_directory(root, name), new_scratch(root, "given"))

    def _check(self, file: Path, found: Release, first: Release, package: Package) -> None:
        if package.version and found.version != Version(package.version):
            _refuse(f"{file} is of version {found.version}, and the plan has {package.name} {package.version}")
        if found != first:
            _refuse(f"{file} is of version {found.version}, and another file of {package.name} is of {first.version}")
        try:
            if not file.is_file():  # to open a pipe would last for ever
                _refuse(f"{file} is not a regular file")
            require_release(file, found)
        except StepError as error:
            _refuse(f"{file.parent}: {error.message}")
        except OSError as error:
            _refuse(f"{file} can't be read: {error.strerror or error}")


def _visible(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError as error:
        _refuse(f"{directory} can't be read: {error.strerror or error}", "name the directory that has the wheels")


def _digest(file: Path) -> str:
    try:
        return sha256(file)
    except OSError as error:
        _refuse(f"{file} can't be read: {error.strerror or error}")


def _refuse(problem: str, hint: str = "") -> NoReturn:
    raise ReleaseKitError(
        E.WHEELS_REFUSED,
        problem,
        hint or "--wheels takes a directory with nothing in it but the wheels and sdists of this workspace's packages",
    )


def _copy(directory: Path, given: Mapping[str, str], final: Path, fresh: Path) -> None:
    """Copy files to others that were given before, of which some may be lost."""
    try:
        before = digests_in(final)
        if given.items() <= before.items():
            return
        fresh.mkdir(parents=True)
        for name in before.keys() - given.keys():
            shutil.copyfile(final / name, fresh / name)
        for name in given:
            shutil.copyfile(directory / name, fresh / name)
        if digests_in(fresh) != {**before, **given}:
            _refuse(f"the files in {directory} have changed since they were looked at")
        keep_whole(fresh, final)
    except OSError as error:
        message = f"the files in {directory} could not be copied to {final.parent}: {error}"
        hint = "mend the disk (space? permissions?) and run the same command again"
        raise ReleaseKitError(E.FILE_FAILED, message, hint) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
