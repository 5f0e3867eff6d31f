"""Where packages are published: what every kind of index can do, and which one the user means."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from releasekit.errors import E, ReleaseKitError
from releasekit.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from releasekit.workspace import Workspace


class Index(Protocol):
    """A place that files are published to and can be read back from.

    Attributes:
        name: How the user names it, for messages.
        identity: Its name and whatever else tells it from others, without secrets: what a run is bound to.
    """

    name: str
    identity: str

    @property
    def directory(self) -> Path | None:
        """Where its files are, if they are on this machine."""

    async def files(self, package: str, version: str) -> Mapping[str, str]:
        """Ask what is there of one version of a package.

        Returns:
            File name → sha256 in hex; nothing for a package or a version that is not there.

        Raises:
            StepError: The index could not be read.
        """

    async def versions(self, package: str) -> set[Version]:
        """Ask which versions of a package are there.

        Raises:
            StepError: The index could not be read.
        """

    async def upload(self, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109  # not by cancelling
        """Send files, none of which was there when it was last asked, within so many seconds.

        Raises:
            StepError: Not all of them were accepted.
        """

    async def aclose(self) -> None:
        """Give back what it holds, connections perhaps."""


def choose_index(name: str, workspace: Workspace, *, look_only: bool = False) -> Index:
    """Find the index that the user named.

    Args:
        name: An index that the workspace declares, ``pypi`` for uv's default, or a directory, written with a
            slash or existing already, so that a mistyped name does not become a directory.
        workspace: Where the names are looked up.
        look_only: Leave everything there as it is, also what a killed process has left.

    Raises:
        ReleaseKitError: Nothing of that name, or it can't be published to (`E.INDEX_UNKNOWN`).
    """
    from releasekit.pipeline.directory_index import DirectoryIndex  # noqa: PLC0415  # they import this module
    from releasekit.pipeline.package_index import PYPI, PackageIndex  # noqa: PLC0415  # likewise

    file, table = workspace.root / workspace.index_file, workspace.index_table
    if "://" in name:
        hint = f"add it to {file} as an {table} with name, url and publish-url, and give its name"
        raise ReleaseKitError(E.INDEX_UNKNOWN, f"{redact(name)!r} is an address, not the name of an index", hint)
    known = workspace.indexes.get(name)
    if known and not known.publish_url:
        raise ReleaseKitError(
            E.INDEX_UNKNOWN,
            f"the index {name!r} of {file} has no publish-url",
            f'add publish-url = "…" to its {table}',
        )
    if known:
        return PackageIndex(name, workspace.root, url=known.url, publish_url=known.publish_url)
    if name == PYPI:
        return PackageIndex(name, workspace.root)
    given = os.path.expanduser(name)  # noqa: PTH111  # Path's raises for ~nobody
    directory = Path.cwd() / given
    if given and not given.startswith("~") and (os.sep in given or given in {".", ".."} or directory.is_dir()):
        directory, root = directory.resolve(), workspace.root.resolve()
        inside = directory.is_relative_to(root)
        owner = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
        shown = f"./{directory.relative_to(root)}" if inside else str(directory)
        return DirectoryIndex(shown, directory, owner, look_only=look_only)
    names = ", ".join(sorted({*workspace.indexes, PYPI}))
    raise ReleaseKitError(
        E.INDEX_UNKNOWN,
        f"there is no index {name!r} in {file}",
        f"choose one of {names}, add an {table}, or write ./{name} for a directory",
    )


class Release(NamedTuple):
    """One version of a package.

    Attributes:
        name: The package, its canonical name.
        version: Its version.
    """

    name: str
    version: Version

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def release_of(filename: str) -> Release | None:
    """Tell which release an sdist or a wheel is of, by its name; None if that is the name of neither."""
    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
        return None
    return Release(name, version)


def versions_in(filenames: Iterable[str], package: str) -> set[Version]:
    """Tell which versions of a package there are files of."""
    name = canonicalize_name(package)
    return {release.version for each in filenames if (release := release_of(each)) and release.name == name}


def belongs(filename: str, package: str, version: str) -> bool:
    """Tell whether a file is an sdist or a wheel of one version of a package, by its name."""
    try:
        return release_of(filename) == (canonicalize_name(package), Version(version))
    except InvalidVersion:
        return False


def is_complete(filenames: Mapping[str, str]) -> bool:
    """Tell whether one sdist and at least one wheel are among some files."""
    wheels = sum(filename.endswith(".whl") for filename in filenames)
    return 1 <= wheels == len(filenames) - 1
