"""Have a build use the very files that are to be published of the members that it requires.

uv itself would install a member from its directory, once for each package that it builds, if `tool.uv.sources` says
``workspace = true``, and refuse to build otherwise. So uv is told to look where the built files are kept, to take the
version that is there, since an index may have a newer one, and to leave that source aside. This only works if all that
is needed was built: what is left out of the run, uv finds as it always does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from releasekit.workspace import Package

CONSTRAINTS_FILENAME: Final = "build-constraints.txt"
"""What is written beside the files that are being built, to be taken away when they are."""

_NO_SOURCES: Final = "UV_NO_SOURCES_PACKAGE"  # an option would stop a uv that is too old to know it
_CONSTRAINTS: Final = "UV_BUILD_CONSTRAINT"  # files, separated by spaces; uv forgets it where there is an option


class Offer(NamedTuple):
    """What `uv build` is given.

    Attributes:
        arguments: Options.
        environ: Variables.
    """

    arguments: Sequence[str] = ()
    environ: Mapping[str, str] = {}


def offer_built(package: Package, directory: Callable[[str], Path], scratch: Path) -> Offer:
    """Offer a build what was built of the members that it requires.

    Args:
        package: What is to be built.
        directory: Says where the built files of a package are kept.
        scratch: A directory for `CONSTRAINTS_FILENAME`.

    Raises:
        OSError: It can't be written.
    """
    versions = {name: _built_version(directory(name)) for name in package.build_requires}
    if not versions or not all(versions.values()):
        return Offer()
    constraints = scratch / CONSTRAINTS_FILENAME
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
    links = [argument for name in versions for argument in ("--find-links", str(directory(name)))]
    theirs = [f"--build-constraints={file}" for file in os.environ.get(_CONSTRAINTS, "").split(" ") if file]
    without = " ".join((os.environ.get(_NO_SOURCES, ""), *versions)).strip()
    return Offer([*links, "--build-constraints", str(constraints), *theirs], {_NO_SOURCES: without})


def _built_version(directory: Path) -> str:
    """Tell the version of the wheels that are kept; empty if there are none."""
    for wheel in sorted(directory.glob("*.whl")):
        try:
            return str(parse_wheel_filename(wheel.name)[1])
        except InvalidWheelFilename:  # not one that was built
            continue
    return ""
