"""How npm packages, their versions, what they require and their files are written.

A file is called after its package and version, and which of the two a part of its name is of can't always be told: so
it is never taken apart, only compared with what it should be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from semantic_version import NpmSpec, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MAX_NAME: Final = 214
"""Characters, for npm."""

_NAME: Final = re.compile(r"(?:@[A-Za-z0-9~-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*", re.ASCII)
_RESERVED: Final = {"node_modules", "favicon.ico"}
_SUFFIX: Final = ".tgz"
_LOCAL: Final = re.compile(r"(?:workspace|catalog|file|link|portal|patch):|[.~]{0,2}/|\.{1,2}$", re.IGNORECASE)
_ALIAS: Final = re.compile(r"(npm:|workspace:(?=@?[^@]+@))(@?[^@]+)(?:@(.*))?", re.DOTALL)
_AFTER_OPERATOR: Final = re.compile(r"([<>=~^]+)\s+")


def is_name(name: str) -> bool:
    """Tell whether npm takes this for the name of a package that can be published."""
    return len(name) <= MAX_NAME and bool(_NAME.fullmatch(name)) and name.lower() not in _RESERVED


def is_version(version: str) -> bool:
    """Tell whether this is a version as npm writes it: it drops what follows a +, and cleans others up."""
    return "+" not in version and _version(version) is not None


def is_prerelease(version: str) -> bool:
    """Tell whether this is a version that npm gives no tag by itself."""
    parsed = _version(version)
    return bool(parsed and parsed.prerelease)


def scope_of(package: str) -> str:
    """Tell the scope of a package, with its @; empty if it has none."""
    return package.partition("/")[0] if package.startswith("@") else ""


def tarball_name(package: str, version: str) -> str:
    """Tell how npm and pnpm call the file that they pack a version of a package into."""
    return f"{_stem(package)}{version}{_SUFFIX}"


def belongs(filename: str, package: str, version: str) -> bool:
    """Tell whether a file is the one of a version of a package, by its name."""
    return filename == tarball_name(package, version)


def is_whole(filenames: Collection[str], package: str, version: str) -> bool:
    """Tell whether files are the one of a version of a package, and nothing else."""
    return set(filenames) == {tarball_name(package, version)}


def versions_in(filenames: Iterable[str], package: str) -> set[str]:
    """Tell which versions of a package there are files of; one of another package may look like one."""
    stem = _stem(package)
    found = (name[len(stem) : -len(_SUFFIX)] for name in filenames if name.startswith(stem) and name.endswith(_SUFFIX))
    return {version for version in found if is_version(version)}


def target_of(name: str, wanted: str) -> tuple[str, str]:
    """Tell which package a dependency is on, and in which range: one may be an alias, as in ``npm:core@^1``."""
    if not (found := _ALIAS.fullmatch(wanted.strip())):
        return name, wanted
    prefix, target, its = found.groups()
    return target, f"{prefix if prefix != 'npm:' else ''}{its or ''}"


def is_local(wanted: str) -> bool:
    """Tell whether only this workspace can say what a dependency is: a directory, or what a packer was to replace."""
    return bool(_LOCAL.match(wanted.strip()))


def range_of(wanted: str) -> NpmSpec | None:
    """Read a range of versions; None for what is none: a tag, an address, or a way to write one that is not known."""
    try:
        return NpmSpec(" ".join(_AFTER_OPERATOR.sub(r"\1", wanted).split()))
    except ValueError:
        return None


def fits(version: str, wanted: NpmSpec) -> bool:
    """Tell whether a version is in a range. ``*`` takes everything, also what has only versions before a release."""
    return str(wanted) in {"", "*", "x", "X"} or wanted.match(Version(version))


def is_exact(wanted: str) -> bool:
    """Tell whether this asks for one version alone."""
    return _version(wanted.strip().lstrip("=v ")) is not None


def _stem(package: str) -> str:
    return package.removeprefix("@").replace("/", "-") + "-"


def _version(version: str) -> Version | None:
    try:
        return Version(version)
    except ValueError:
        return None
