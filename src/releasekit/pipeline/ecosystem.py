"""One way to package software: what a workspace holds, how files are made of it, and where they go.

Everything else of a release is the same for all of them. Each has a folder of its own beside this module, whose
`ECOSYSTEM` is found by the folder's name.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import process
from releasekit.pipeline.call import printed, to_mend
from releasekit.pipeline.commands import ByCommands
from releasekit.pipeline.outcome import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from releasekit.pipeline.index import Index
    from releasekit.workspace import Package, Workspace


FOLDERS: Final[Mapping[str, Collection[str]]] = MappingProxyType(
    {"python": ("pyproject.toml",), "npm": ("package.json", "pnpm-workspace.yaml")}
)
"""The ecosystems there are, with the files of which one is in the root of each workspace.

Of a directory that has a workspace of several, the first is taken.
"""


class Build(NamedTuple):
    """One build.

    Attributes:
        package: What is built; if its version is empty, the build tells it.
        root: The workspace.
        target: A directory that the files are to be made in, and nothing else is to be left in.
        given: The names of those that are in it already, since they were built elsewhere.
        kept: Says where the built files of a package are kept.
        source_date_epoch: The time of the commit that is released, in seconds since 1970.
        timeout: Seconds that it may take.
    """

    package: Package
    root: Path
    target: Path
    given: Collection[str]
    kept: Callable[[str], Path]
    source_date_epoch: int
    timeout: float

    def error(self, shown: str, error: process.CommandError) -> StepError:
        """Tell how the program that was to do it went wrong.

        Args:
            shown: What was run, as its user would say it.
            error: How it ended.
        """
        what = f"{shown} of {self.package.name!r}"
        if isinstance(error, process.CommandTimeoutError):
            message = f"{what} did not end within {self.timeout:g} s{printed(error)}"
            hint = "find out what it waits for, or allow for more with --build-timeout; the same command goes on"
            return StepError(E.BUILD_TIMEOUT, message, hint)
        message = f"{what} in {self.package.directory} failed{printed(error)}"
        return StepError(E.BUILD_FAILED, message, to_mend("the package", error))


class Ecosystem(Protocol):
    """What must be known of one way to package software.

    Attributes:
        name: What it is called, for messages.
        takes_wheels: Whether files that were built elsewhere can be given to a release: see `wheels`.
    """

    name: str
    takes_wheels: bool

    def is_in(self, root: Path) -> bool:
        """Tell whether a directory has a workspace of this kind, or something that was meant to be one."""

    def load(self, root: Path, choose: Callable[[Workspace], Workspace] | None = None) -> Workspace:
        """Read the workspace in a directory.

        Args:
            root: The directory.
            choose: Gives packages a reason not to be released, before it is known for good who waits for whom.

        Raises:
            ReleaseKitError: There is none, or it can't be released as it is written.
        """

    def directories(self, root: Path) -> Mapping[str, Path]:
        """Tell where each package of a workspace is that may be published some day, whether it can be now or not.

        Raises:
            ReleaseKitError: There is no workspace, or it is unreadable.
        """

    def choose_index(self, name: str, workspace: Workspace, *, look_only: bool = False) -> Index:
        """Find the index that the user named; with `look_only`, one that leaves everything there as it is.

        Raises:
            ReleaseKitError: There is none of that name, or it can't be published to (`E.INDEX_UNKNOWN`).
        """

    def spell(self, pattern: str) -> str:
        """Write a pattern of packages' names as they themselves are written in a `Workspace`."""

    def require_tools(self, root: Path) -> None:
        """Make sure that the programs are there that will be needed for a workspace.

        Raises:
            ReleaseKitError: One is missing.
        """

    def withheld(self, root: Path) -> Mapping[str, None]:
        """Name the variables by which something may be published, to be taken away: see `process.run`.

        Builds run other people's code, whoever starts them: it is not shown these.
        """

    async def build(self, build: Build) -> None:
        """Make a package's files.

        Raises:
            StepError: It failed (`E.BUILD_FAILED`), or took too long (`E.BUILD_TIMEOUT`).
            OSError: They could not be stored.
        """

    def version_of(self, package: Package, directory: Path, artifacts: Mapping[str, str]) -> str:
        """Make sure that files are one release of a package, by their names and by what they say of themselves.

        Args:
            package: The package; if its version is empty, the files tell it.
            directory: Where the files are.
            artifacts: Their names, with their sha256.

        Returns:
            Their version.

        Raises:
            StepError: They are not all that a release is (`E.BUILD_INCOMPLETE`), or say something else of themselves
                than their names (`E.BUILD_MISMATCH`).
            OSError: One could not be read.
        """

    async def check(
        self,
        package: Package,
        kept: Path,
        versions: Mapping[str, str],
        is_ahead: Callable[[str], bool],
        index: Index,
    ) -> None:
        """Look, before anything is sent, whether what was built could be installed.

        Args:
            package: The package.
            kept: Where its files are kept; there are none if it was adopted from the index.
            versions: The version of each package of the workspace that this run publishes, and "" for the others.
            is_ahead: Tells of each whether it can't be published after this one.
            index: Where it is going.

        Raises:
            StepError: It could not (`E.REQUIREMENT_MISSING`), or that can't be told.
        """


def ecosystem_of(root: Path) -> Ecosystem:
    """Tell how the packages of a directory's workspace are made and sent; the first way if it has none of any kind."""
    return ByCommands(next(_all_in(root), None) or _in(next(iter(FOLDERS))))


def others_in(root: Path) -> Mapping[str, Collection[str]]:
    """Name what a directory has besides, of which nothing is released: ecosystem → packages that might be.

    What is unreadable in it is nobody's concern.
    """
    found = {}
    for ecosystem in islice(_all_in(root), 1, None):
        with suppress(ReleaseKitError):
            found[ecosystem.name] = sorted(ecosystem.directories(root))
    return {name: packages for name, packages in found.items() if packages}


def _all_in(root: Path) -> Iterator[Ecosystem]:
    for folder, files in FOLDERS.items():  # imports no more than it must
        there = any(os.path.exists(root / file) for file in files)  # noqa: PTH110  # that of Path raises
        if there and (ecosystem := _in(folder)).is_in(root):
            yield ecosystem


def _in(folder: str) -> Ecosystem:
    return cast("Ecosystem", import_module(f"releasekit.pipeline.{folder}").ECOSYSTEM)
