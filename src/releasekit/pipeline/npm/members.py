"""Which directories are packages of an npm workspace: the root, if it has a name, and what its patterns find.

The files are read here, since npm and pnpm would list only what is installed. A link that leads out of the workspace
is refused, as is a workspace within a workspace.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.npm import names, patterns
from releasekit.pipeline.npm.package_json import FILENAME, PNPM_FILENAME, read, read_pnpm
from releasekit.workspace.globs import is_within
from releasekit.workspace.pyproject import InvalidWorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from releasekit.pipeline.npm.package_json import PackageJson


class Member(NamedTuple):
    """A directory of the workspace that is a package.

    Attributes:
        path: Its package.json.
        content: What that holds.
    """

    path: Path
    content: PackageJson


def is_workspace(root: Path) -> bool:
    """Tell whether a directory has an npm workspace or package, or something that was meant to be one."""
    try:
        content = read(root / FILENAME)
    except (FileNotFoundError, NotADirectoryError):
        return uses_pnpm(root)
    except InvalidWorkspaceError:
        return True
    return content.patterns is not None or bool(content.name and content.version) or uses_pnpm(root)


def uses_pnpm(root: Path) -> bool:
    """Tell whether a workspace is pnpm's."""
    return (root / PNPM_FILENAME).is_file()


def find_members(root: Path) -> dict[str, Member]:
    """Find the packages of a workspace, by name.

    Args:
        root: The directory, absolute.

    Raises:
        ReleaseKitError: There is no workspace (`E.WORKSPACE_NOT_FOUND`), or it can't be released as it is written
            (`E.WORKSPACE_INVALID`).
    """
    path = root / FILENAME
    try:
        content = read(path)
    except (FileNotFoundError, NotADirectoryError):
        hint = "name the directory of the workspace's package.json"
        raise ReleaseKitError(E.WORKSPACE_NOT_FOUND, f"{path} does not exist", hint) from None
    declared = _declared(root, content)
    if declared is None:
        _refuse_a_member(root)
    members = [Member(path, content)] if content.name else []
    members += _matching(root, declared) if declared else []
    if not members:
        hint = f"check the patterns of the workspace, in {declared[0].name if declared else FILENAME}"
        raise InvalidWorkspaceError(path, "", "has no name, and no members", hint)
    return _by_name(members)


class _Declared(NamedTuple):
    """Where a workspace says what its members are: the file, the key, the patterns, and whether they are npm's."""

    path: Path
    place: str
    patterns: list[str]
    of_npm: bool


def _declared(root: Path, content: PackageJson | None) -> _Declared | None:
    if pnpm := read_pnpm(root):
        return _Declared(root / PNPM_FILENAME, "packages", pnpm.packages or [], of_npm=False)
    if content and content.patterns is not None:
        return _Declared(root / FILENAME, "workspaces", content.patterns, of_npm=True)
    return None


def _found(root: Path, declared: _Declared) -> list[str]:
    try:
        return patterns.find(str(root), declared.patterns, of_npm=declared.of_npm)
    except patterns.PatternError as error:
        raise InvalidWorkspaceError(declared.path, declared.place, f"has the pattern {error}") from None
    except OSError as error:
        problem = f"can't be followed: {error.filename}: {error.strerror}"
        raise InvalidWorkspaceError(declared.path, declared.place, problem) from error


def _matching(root: Path, declared: _Declared) -> Iterator[Member]:
    real_root = os.path.realpath(root)
    for match in _found(root, declared):
        path = root / match / FILENAME
        for place in (match, f"{match}/{FILENAME}"):
            real = os.path.realpath(root / place)
            if not is_within(real, real_root):
                problem = f"finds {place}, a link to {real}, which is outside the workspace"
                hint = f"move it inside, or exclude it: !{match}"
                raise InvalidWorkspaceError(declared.path, declared.place, problem, hint)
        try:
            content = read(path)
        except FileNotFoundError:
            raise InvalidWorkspaceError(path, "", "is a link to nowhere", f"remove it, or exclude !{match}") from None
        if content.patterns is not None:
            raise InvalidWorkspaceError(path, "workspaces", "makes a workspace within a workspace")
        yield Member(path, content)


def _by_name(members: list[Member]) -> dict[str, Member]:
    named: dict[str, Member] = {}
    spelled: dict[str, str] = {}
    for member in members:
        name = member.content.name
        if name is None:
            if member.content.private:
                continue  # nobody can require it
            hint = 'give it a name, or "private": true if it is not to be published'
            raise InvalidWorkspaceError(member.path, "name", "is missing", hint)
        if not names.is_name(name):
            raise InvalidWorkspaceError(member.path, "name", f"is {name!r:.200}, no package name for npm")
        other = spelled.setdefault(name.lower(), name)
        if name in named or other != name:
            where = f"in {named[other].path}"
            problem = f"is {name!r}, as {where}" if name in named else f"is {name!r}, and {other!r} stands {where}"
            raise InvalidWorkspaceError(member.path, "name", problem, "rename or exclude one of them")
        named[name] = member
    return named


def _refuse_a_member(root: Path) -> None:
    """Refuse to take one member of a workspace for the whole: it would be released without what it requires."""
    for above in root.parents:
        try:
            content = read(above / FILENAME) if (above / FILENAME).is_file() else None
            declared = _declared(above, content)
            is_member = declared is not None and root.relative_to(above).as_posix() in _found(above, declared)
        except InvalidWorkspaceError:
            continue  # somebody else's
        if is_member:
            message = f"{root} is a member of the workspace {above}, not a workspace itself"
            raise ReleaseKitError(E.WORKSPACE_NOT_FOUND, message, f"name {above} instead")
