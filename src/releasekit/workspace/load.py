"""A workspace, ready to be released: every member with its version, its requirements and its level."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from releasekit.persistence.garbage import uncollected
from releasekit.workspace.backend import uv_that_builds
from releasekit.workspace.discover import find_members, read_root
from releasekit.workspace.dynamic import reads_git
from releasekit.workspace.edges import connect, hard_edges
from releasekit.workspace.graph import CycleError
from releasekit.workspace.indexes import read_indexes
from releasekit.workspace.knowledge import know, refuse_unknown
from releasekit.workspace.notes import Note, NoteKind, named
from releasekit.workspace.pyproject import FILENAME, UV_FILENAME, InvalidWorkspaceError
from releasekit.workspace.select import REASONS
from releasekit.workspace.settings import Settings
from releasekit.workspace.tool_table import check_member_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from releasekit.workspace.discover import Member
    from releasekit.workspace.edges import Edges
    from releasekit.workspace.indexes import Index
    from releasekit.workspace.requirements import Requirements, Wanted

_PRIVATE: Final = "Private ::"
_NO_PACKAGE: Final = "tool.uv.package is false"
_HAS_CLASSIFIER: Final = "it has the classifier"
BY_PACKAGE_JSON: Final = "its package.json "
"""How the reasons begin for which a package.json says that a package is not to be released."""

_NOT_BUILT: Final = "it has no [build-system], so uv does not build it"
EXCLUDES_ITSELF: Final = "tool.releasekit.exclude is true"


@dataclass(frozen=True, slots=True)
class Package:
    """One member of a workspace.

    Attributes:
        name: Its canonical name.
        version: Its normalised version; empty if only its build tells, and for a skipped one that has none.
        directory: Where it is, absolute.
        requires: The members that are published before it, sorted: those that it requires at run time or to be built,
            and those that its extras and groups ask for, unless that would close a cycle.
        level: How many packages deep its longest chain of requirements is, from 0.
        skip_reason: Why it is not to be released; empty if it is.
        build_requires: The members that are built before it, sorted: those that it requires to be built, and what these
            require at run time.
        dynamic: Whether only its build tells the version.
        reads_git: What takes that version from git: see `dynamic.reads_git`; empty if nothing does.
        settings: What its `[tool.releasekit]` says; of the root's own package nothing, since its table speaks of all.
        built_by_uv: Which uv builds it by itself: see `backend.uv_that_builds`.
    """

    name: str
    version: str
    directory: Path
    requires: tuple[str, ...] = ()
    level: int = 0
    skip_reason: str = ""
    build_requires: tuple[str, ...] = ()
    dynamic: bool = False
    reads_git: str = ""
    settings: Settings = field(default_factory=Settings)
    built_by_uv: str | None = ""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A uv workspace.

    Attributes:
        root: Its directory, absolute.
        packages: Name → member, requirements first: in the order of level and name.
        indexes: Name → index.
        index_file: The file of the root where they are declared, as uv looks them up: its uv.toml if it has one, and
            then nowhere else.
        notes: What else is worth knowing of it.
    """

    root: Path
    packages: Mapping[str, Package]
    indexes: Mapping[str, Index]
    index_file: str = FILENAME
    notes: tuple[Note, ...] = ()

    @property
    def index_table(self) -> str:
        """What an index is declared with in that file."""
        return "[[index]]" if self.index_file == UV_FILENAME else "[[tool.uv.index]]"


def load_workspace(root: Path, choose: Callable[[Workspace], Workspace] | None = None) -> Workspace:
    """Read a workspace.

    Args:
        root: The directory of its pyproject.toml.
        choose: Gives packages a reason not to be released. Where packages require each other, it is shown them in no
            order, and what each requires includes that: what is left may have an order.

    Raises:
        ReleaseKitError: There is no workspace (`E.WORKSPACE_NOT_FOUND`), it can't be released as it is written
            (`E.WORKSPACE_INVALID`), or those of its packages that are to be released require each other
            (`E.WORKSPACE_CYCLE`).
    """
    with uncollected():  # which saves a fifth of the time
        return _load(absolute(root), choose)


def directories_of(root: Path) -> dict[str, Path]:
    """Tell where each member of a workspace is, whether it can be released or not.

    Raises:
        ReleaseKitError: There is no workspace (`E.WORKSPACE_NOT_FOUND`), or it is unreadable (`E.WORKSPACE_INVALID`).
    """
    root = absolute(root)
    return {name: member.directory for name, member in _by_name(find_members(root, read_root(root))).items()}


def absolute(root: Path) -> Path:
    """Make a path absolute, and leave its links: a user named it so."""
    return Path(os.path.abspath(root))  # noqa: PTH100  # resolve() would rename it


def _load(root: Path, choose: Callable[[Workspace], Workspace] | None) -> Workspace:
    content = read_root(root)
    members = _by_name(find_members(root, content))
    packages = {name: _package(name, member, _settings(root, member)) for name, member in members.items()}
    workspace = Workspace(root, MappingProxyType(packages), *read_indexes(root, content))
    known = know(root, members, _released(workspace))
    workspace = replace(workspace, notes=known.notes)
    workspace = arrange(workspace, known.wanted, known.to_build, choose)
    refuse_unknown(known.unknown, workspace.packages)
    return workspace


def arrange(
    workspace: Workspace,
    wanted: Mapping[str, Requirements],
    to_build: Mapping[str, tuple[Wanted, ...]],
    choose: Callable[[Workspace], Workspace] | None,
) -> Workspace:
    """Put the packages of a workspace in order, and leave out what is not chosen.

    Args:
        workspace: The packages, of which it is not known yet who waits for whom.
        wanted: Package → what it asks for.
        to_build: Package → what it asks for to be built.
        choose: See `load_workspace`.

    Raises:
        CycleError: Those that are to be released require each other.
    """
    released = _released(workspace)
    try:
        ordered = _ordered(workspace, connect(wanted, to_build, released))
    except CycleError:
        if choose is None:
            raise
        hard = hard_edges(wanted, to_build)
        tangled = {
            name: replace(package, requires=tuple(sorted(hard[name]))) for name, package in workspace.packages.items()
        }
        chosen = choose(replace(workspace, packages=MappingProxyType(tangled)))
        return _ordered(chosen, connect(wanted, to_build, _released(chosen)))
    return choose(ordered) if choose else ordered


def _released(workspace: Workspace) -> list[str]:
    return [name for name, package in workspace.packages.items() if not package.skip_reason]


def _ordered(workspace: Workspace, edges: Edges) -> Workspace:
    """Have the packages wait for each other, requirements first."""
    packages = {
        name: replace(
            workspace.packages[name],
            requires=tuple(sorted(edges.requires[name])),
            level=edges.levels[name],
            build_requires=tuple(sorted(edges.building[name])),
        )
        for name in sorted(workspace.packages, key=lambda name: (edges.levels[name], name))
    }
    notes = (*workspace.notes, *_dropped(edges))
    return replace(workspace, packages=MappingProxyType(packages), notes=notes)


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


def _settings(root: Path, member: Member) -> Settings:
    if member.directory == root:
        return Settings()
    values = check_member_table(member.path, member.content.tool.releasekit)
    return Settings().overlaid(values, member.path.relative_to(root).as_posix())


def _package(name: str, member: Member, settings: Settings) -> Package:
    """Say what can be said of a package before it is known who waits for whom."""
    reason = _skip_reason(member, settings)
    if not reason:
        _refuse_dynamic(member)
    dynamic = not reason and "version" in member.project.dynamic
    return Package(
        name,
        _version(member, optional=dynamic or bool(reason)),
        member.directory,
        skip_reason=reason,
        dynamic=dynamic,
        reads_git=reads_git(member.content) if dynamic else "",
        settings=settings,
        built_by_uv=uv_that_builds(member.content),
    )


def _dropped(edges: Edges) -> Iterator[Note]:
    for name, dropped in edges.dropped.items():
        askers = named(set(dropped.values()))
        text = f"does not wait for {named(dropped)}, asked for by its {askers}: that would close a cycle"
        yield Note(NoteKind.REQUIREMENTS_DROPPED, name, tuple(sorted(dropped)), text)


def _skip_reason(member: Member, settings: Settings) -> str:
    is_package = member.content.tool.uv.package
    if is_package is False:
        return _NO_PACKAGE
    private = next((c for c in member.project.classifiers if c.startswith(_PRIVATE)), "")
    if private:
        return f"{_HAS_CLASSIFIER} {private!r}"
    if is_package is None and member.content.build_system is None:
        return _NOT_BUILT
    return EXCLUDES_ITSELF if settings.exclude else ""


def is_left_out(reason: str) -> bool:
    """Tell whether a package was skipped by what is asked for or its pyproject.toml says, not by hand or the index."""
    return reason.startswith((_NO_PACKAGE, _HAS_CLASSIFIER, _NOT_BUILT, EXCLUDES_ITSELF, BY_PACKAGE_JSON, *REASONS))


def _refuse_dynamic(member: Member) -> None:
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
