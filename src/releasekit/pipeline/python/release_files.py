"""Whether sdists and wheels are what they should be: nothing is kept or recorded before it was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python.names import Release, is_complete, release_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.requirements import Requirement

    from releasekit.workspace import Package


def version_of(package: Package, directory: Path, artifacts: Mapping[str, str]) -> str:
    """Make sure that files are one release of a package, by their names and by what they say of themselves.

    Args:
        package: The package; its version may be empty, and then the files tell it.
        directory: Where the files are.
        artifacts: Their names, with their sha256.

    Returns:
        Their version.

    Raises:
        StepError: They are not one sdist and at least one wheel of that version (`E.BUILD_INCOMPLETE`), or their
            metadata says something else than their names (`E.BUILD_MISMATCH`).
        OSError: One could not be read.
    """
    releases = {filename: release_of(filename) for filename in artifacts}
    told = [release.version for release in releases.values() if release]
    version = Version(package.version) if package.version else max(told, default=Version("0"))
    wanted = Release(canonicalize_name(package.name), version)
    if any(release != wanted for release in releases.values()) or not is_complete(artifacts):
        expected = f"version {package.version}" if package.version else "one version"
        hint = "check the package's build backend and its version"
        if package.dynamic and package.version:
            hint += "; if tags have changed since it was first built, start over with `releasekit publish --fresh`"
        raise StepError(
            E.BUILD_INCOMPLETE,
            f"the build of {package.name!r} gave {', '.join(artifacts) or 'nothing'}, "
            f"not one sdist and at least one wheel of {expected}",
            hint,
        )
    for filename in artifacts:
        require_release(directory / filename, wanted)
    return str(version)


def bound_to_a_linux(directory: Path) -> list[str]:
    """Name the wheels in a directory that don't say which Linux they need, as `manylinux` and `musllinux` do."""
    return sorted(path.name for path in directory.glob("*-linux_*.whl"))


def requirements_in(directory: Path) -> list[Requirement]:
    """Read what the wheels in a directory require, each thing once; nothing if there are none.

    Raises:
        StepError: One says what is no requirement (`E.BUILD_MISMATCH`), or could not be read (`E.FILE_FAILED`).
    """
    from releasekit.pipeline.python.metadata import MetadataError, requirements  # noqa: PLC0415  # slow, and only after a build

    found: dict[Requirement, None] = {}
    for wheel in sorted(directory.glob("*.whl")):  # that of another platform may require more
        try:
            found |= dict.fromkeys(requirements(wheel))
        except MetadataError as error:
            hint = "look what the build backend writes as Requires-Dist"
            raise StepError(E.BUILD_MISMATCH, f"{wheel} {error}", hint) from error
        except OSError as error:
            hint = "mend or remove it and run the same command again"
            raise StepError(E.FILE_FAILED, f"{wheel} can't be read: {error}", hint) from error
    return [*found]


def require_release(file: Path, wanted: Release) -> None:
    """Make sure that a file's metadata says what its name says.

    Raises:
        StepError: It does not (`E.BUILD_MISMATCH`).
        OSError: It could not be read.
    """
    from releasekit.pipeline.python.metadata import MetadataError, identify  # noqa: PLC0415  # slow, and only after a build

    try:
        said = identify(file)
    except MetadataError as error:
        problem = str(error)
    else:
        if said == wanted:
            return
        problem = f"is of {said!s:.300} by its metadata, and should be of {wanted}"
    raise StepError(
        E.BUILD_MISMATCH,
        f"{file.name} {problem}",
        f"look where the build backend of {wanted.name!r} takes its name and its version from",
    )
