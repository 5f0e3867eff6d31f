"""A workspace, ready to be released: every member with its version, its requirements and its level."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from releasekit.redaction import keep_secret
from releasekit.workspace.discover import find_members, read_root
from releasekit.workspace.dynamic import reads_git
from releasekit.workspace.graph import assign_levels
from releasekit.workspace.pyproject import FILENAME, UV_FILENAME, InvalidWorkspaceError, read_uv_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from releasekit.workspace.discover import Member
    from releasekit.workspace.pyproject import PyProject, UvIndex

_PRIVATE: Final = "Private ::"
_NO_PACKAGE: Final = "tool.uv.package is false"
_HAS_CLASSIFIER: Final = "it has the classifier"
_NOT_BUILT: Final = "it has no [build-system], so uv does not build it"
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_EXTRA: Final = re.compile(r"\bextras?\b")


@dataclass(frozen=True, slots=True)
class Package:
    """One member of a workspace.

    Attributes:
        name: Its canonical name.
        version: Its normalised version; empty if only its build tells, and for a skipped one that has none.
        directory: Where it is, absolute.
        requires: The members that it requires at run time, sorted.
        level: How many packages deep its longest chain of requirements is, from 0.
        skip_reason: Why it is not to be released; empty if it is.
        dynamic: Whether only its build tells the version.
        reads_git: What takes that version from git: see `dynamic.reads_git`; empty if nothing does.
    """

    name: str
    version: str
    directory: Path
    requires: tuple[str, ...]
    level: int
    skip_reason: str = ""
    dynamic: bool = False
    reads_git: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """A package index that the workspace declares.

    Attributes:
        name: What it is called there.
        url: Where packages are found.
        publish_url: Where packages are uploaded; empty when the workspace does not say.
    """

    name: str
    url: str
    publish_url: str


@dataclass(frozen=True, slots=True)
class Workspace:
    """A uv workspace.

    Attributes:
        root: Its directory, absolute.
        packages: Name → member, requirements first: in the order of level and name.
        indexes: Name → index.
        index_file: The file of the root where they are declared, as uv looks them up: its uv.toml if it has one, and
            then nowhere else.
    """

    root: Path
    packages: Mapping[str, Package]
    indexes: Mapping[str, Index]
    index_file: str = FILENAME

    @property
    def index_table(self) -> str:
        """What an index is declared with in that file."""
        return "[[index]]" if self.index_file == UV_FILENAME else "[[tool.uv.index]]"


def load_workspace(root: Path) -> Workspace:
    """Read a workspace.

    Args:
        root: The directory of its pyproject.toml.

    Raises:
        ReleaseKitError: There is no workspace (`E.WORKSPACE_NOT_FOUND`), it can't be released as it is written
            (`E.WORKSPACE_INVALID`), or its packages require each other (`E.WORKSPACE_CYCLE`).
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100  # resolve() would rename what the user named
    content = read_root(root)
    members = _by_name(find_members(root, content))
    requires = {name: _requires(name, member, members.keys()) for name, member in members.items()}
    levels = assign_levels(requires)
    packages = [
        _package(name, members[name], requires[name], levels[name])
        for name in sorted(members, key=lambda name: (levels[name], name))
    ]
    return Workspace(
        root,
        MappingProxyType({package.name: package for package in packages}),
        *_indexes(root, content),
    )


def _by_name(members: Iterable[Member]) -> dict[str, Member]:
    named: dict[str, Member] = {}
    for member in members:
        given = member.project.name
        if given is None:
            raise InvalidWorkspaceError(member.path, "project.name", "is missing")
        try:
            name = canonicalize_name(given, validate=True)
        except InvalidName:
            raise InvalidWorkspaceError(member.path, "project.name", f"is {given!r:.200}, no package name") from None
        if name in named:
            problem = f"is {name!r}, as in {named[name].path}"
            raise InvalidWorkspaceError(member.path, "project.name", problem, "rename or exclude one of them")
        named[name] = member
    return named


def _package(name: str, member: Member, requires: tuple[str, ...], level: int) -> Package:
    reason = _skip_reason(member)
    if not reason:
        _refuse_dynamic(member)
    dynamic = not reason and "version" in member.project.dynamic
    version = _version(member, optional=dynamic or bool(reason))
    source = reads_git(member.content) if dynamic else ""
    return Package(name, version, member.directory, requires, level, reason, dynamic, source)


def _skip_reason(member: Member) -> str:
    is_package = member.content.tool.uv.package
    if is_package is False:
        return _NO_PACKAGE
    private = next((c for c in member.project.classifiers if c.startswith(_PRIVATE)), "")
    if private:
        return f"{_HAS_CLASSIFIER} {private!r}"
    if is_package is None and member.content.build_system is None:
        return _NOT_BUILT
    return ""


def is_left_out(reason: str) -> bool:
    """Tell whether a package was skipped by what its pyproject.toml says, rather than by hand or by the index."""
    return reason.startswith((_NO_PACKAGE, _HAS_CLASSIFIER, _NOT_BUILT))


def _refuse_dynamic(member: Member) -> None:
    if "dependencies" in member.project.dynamic:
        raise InvalidWorkspaceError(
            member.path,
            "project.dynamic",
            "has 'dependencies', which are known only after a build",
            "write them down as project.dependencies; a package that is not released may set tool.uv.package = false",
        )
    if "version" in member.project.dynamic and member.project.version is not None:
        problem = f"is {member.project.version!r:.200}, and project.dynamic has 'version'"
        raise InvalidWorkspaceError(member.path, "project.version", problem, "remove one of them")


def _version(member: Member, *, optional: bool) -> str:
    given = member.project.version
    if given is None:
        if optional:
            return ""
        hint = "write it down, or have project.dynamic say that the build tells it"
        raise InvalidWorkspaceError(member.path, "project.version", "is missing", hint)
    try:
        return str(Version(given))
    except InvalidVersion:
        raise InvalidWorkspaceError(member.path, "project.version", f"is {given!r:.200}, no version") from None


def _requires(name: str, member: Member, members: Iterable[str]) -> tuple[str, ...]:
    required = set()
    for position, line in enumerate(member.project.dependencies):
        try:
            required.add(_hard_requirement(line))
        except InvalidRequirement as error:
            problem = f"is {line!r:.200}, no requirement: {str(error).partition(chr(10))[0]}"
            raise InvalidWorkspaceError(member.path, f"project.dependencies[{position}]", problem) from None
    return tuple(sorted(required.intersection(members) - {name}))


@lru_cache(maxsize=65_536)  # members of one workspace tend to require the same things
def _hard_requirement(line: str) -> str:
    """Name what a requirement asks for; nothing if it only holds when an extra is asked for."""
    requirement = Requirement(line)
    if requirement.marker and _EXTRA.search(_QUOTED.sub("", str(requirement.marker))):
        return ""
    return canonicalize_name(requirement.name)


def _indexes(root: Path, content: PyProject) -> tuple[Mapping[str, Index], str]:
    """Look where uv looks: a uv.toml hides the indexes of the pyproject.toml beside it, even if it has none."""
    hiding = read_uv_toml(root)
    if hiding:
        return _by_index_name(root / UV_FILENAME, "index", hiding.index), UV_FILENAME
    return _by_index_name(root / FILENAME, "tool.uv.index", content.tool.uv.index), FILENAME


def _by_index_name(path: Path, place: str, given: Iterable[UvIndex]) -> Mapping[str, Index]:
    indexes: dict[str, Index] = {}
    for index in given:
        keep_secret(index.url, index.publish_url)  # before anything can be said of them
        if index.name in indexes:
            raise InvalidWorkspaceError(path, place, f"has the name {index.name!r} twice")
        if index.name:  # others can't be asked for
            indexes[index.name] = Index(index.name, index.url, index.publish_url)
    return MappingProxyType(indexes)
