"""How sdists and wheels are called, and which release their names say that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


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


def is_whole(filenames: Collection[str], package: str, version: str) -> bool:
    """Tell whether files are one sdist and at least one wheel of one version of a package, and nothing else."""
    return is_complete(filenames) and all(belongs(filename, package, version) for filename in filenames)


def is_complete(filenames: Collection[str]) -> bool:
    """Tell whether one sdist and at least one wheel are among some files."""
    wheels = sum(filename.endswith(".whl") for filename in filenames)
    return 1 <= wheels == len(filenames) - 1
