"""Whether a packed file is what it should be, and what the package.json in it says."""

from __future__ import annotations

import errno
import tarfile
from typing import TYPE_CHECKING, Final

from releasekit.errors import E
from releasekit.pipeline.archives import BROKEN, MAX_MEMBERS, MAX_METADATA, MAX_UNPACKED, MetadataError, SmallReads
from releasekit.pipeline.npm import names
from releasekit.pipeline.npm.package_json import FILENAME, parse
from releasekit.pipeline.outcome import StepError
from releasekit.workspace.pyproject import InvalidWorkspaceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.pipeline.npm.package_json import PackageJson
    from releasekit.workspace import Package

_INSIDE: Final = f"package/{FILENAME}"
_OURS: Final = "package/.releasekit-"


def version_of(package: Package, directory: Path, artifacts: Mapping[str, str]) -> str:
    """Make sure that a file is a package's, by its name and by what it says of itself.

    Args:
        package: The package.
        directory: Where the file is.
        artifacts: Its name, with its sha256.

    Returns:
        Its version.

    Raises:
        StepError: There is not exactly this file (`E.BUILD_INCOMPLETE`), or its package.json says something else
            (`E.BUILD_MISMATCH`).
        OSError: It could not be read.
    """
    wanted = names.tarball_name(package.name, package.version)
    if set(artifacts) != {wanted}:
        raise StepError(
            E.BUILD_INCOMPLETE,
            f"packing {package.name!r} gave {', '.join(artifacts) or 'nothing'}, not {wanted}",
            "look whether a script changes the name or the version in its package.json",
        )
    content = read_packed(directory / wanted)
    if (content.name, content.version) != (package.name, package.version):
        raise StepError(
            E.BUILD_MISMATCH,
            f"{wanted} is of {content.name!r:.300} {content.version!r:.100} by its package.json, and should be of "
            f"{package.name!r} {package.version}",
            "look whether a script changes the name or the version in its package.json",
        )
    return package.version


def read_packed(tarball: Path) -> PackageJson:
    """Read the package.json of a packed file.

    Raises:
        StepError: It has none that can be read, or files of a release (`E.BUILD_MISMATCH`).
        OSError: It could not be read.
    """
    try:
        return parse(tarball, _read(tarball))
    except InvalidWorkspaceError as error:
        problem = f"has a {FILENAME} that can't be read: {error.args[1]} {error.args[2]}"
    except MetadataError as error:
        problem = str(error)
    except (*BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:  # a seek to before its beginning
            raise
        problem = f"can't be read: {str(error) or type(error).__name__}"
    raise StepError(
        E.BUILD_MISMATCH, f"{tarball.name} {problem}", "look what npm, or pnpm, packs: `npm pack --dry-run`"
    )


def _read(tarball: Path) -> bytes:
    """Read the one package.json, and look at the names of everything else."""
    found: list[bytes] = []
    with SmallReads(tarball) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as archive:
        seen = 0
        while member := archive.next():
            seen += 1
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep all that it has seen
            if seen > MAX_MEMBERS or not 0 <= member.size <= MAX_UNPACKED - member.offset_data:
                raise MetadataError(f"has more than {MAX_MEMBERS} files or {MAX_UNPACKED >> 20} MiB")
            if member.name.startswith(_OURS):
                raise MetadataError(
                    f"has {member.name:.200} in it, which is releasekit's own: keep that out, by `files` in "
                    f"{FILENAME}, or with .releasekit-* in .npmignore or, if there is none, in .gitignore"
                )
            if member.name == _INSIDE:
                stream = archive.extractfile(member) if member.isreg() else None
                found.append(stream.read(MAX_METADATA + 1) if stream else b"")
                if len(found[-1]) > MAX_METADATA:
                    raise MetadataError(f"has a {FILENAME} of more than {MAX_METADATA} bytes")
    if len(found) != 1:
        raise MetadataError(f"has {len(found) or 'no'} files called {_INSIDE}")
    return found[0]
