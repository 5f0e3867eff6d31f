"""Which directories are members of a workspace, by uv's rules.

The root itself, if it has a `[project]` table, and every directory that matches a members pattern and no
exclude pattern. A match without a pyproject.toml is an error, unless nobody would take it for a package: it is
hidden, or holds no file but ignored ones, as what a branch switch leaves behind. A member that is marked as
unmanaged is none. A root without `[tool.uv.workspace]` is a workspace of one.

Stricter than uv in one point: a member and its pyproject.toml must really be inside the root, also after their
symbolic links.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.errors import E, ReleaseKitError
from releasekit.workspace import globs
from releasekit.workspace.pyproject import FILENAME, InvalidWorkspaceError, UvWorkspace, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from releasekit.workspace.pyproject import Project, PyProject

GIT_TIMEOUT: Final = 600.0
"""Seconds that git may take to say which files of a directory it would not ignore: it may wait for a hook for ever."""

_MEMBERS: Final = "tool.uv.workspace.members"
_EXCLUDE: Final = "tool.uv.workspace.exclude"


class Member(NamedTuple):
    """A directory of the workspace that is a project."""

    path: Path
    content: PyProject
    project: Project

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self.path.parent


def read_root(root: Path) -> PyProject:
    """Read the pyproject.toml of a workspace's root, and make sure that it is one.

    Args:
        root: The directory, absolute.

    Raises:
        ReleaseKitError: There is no workspace (`E.WORKSPACE_NOT_FOUND`), or it is unreadable
            (`E.WORKSPACE_INVALID`).
    """
    path = root / FILENAME
    try:
        content = read(path)
    except (FileNotFoundError, NotADirectoryError):
        hint = "name the directory of the workspace's pyproject.toml"
        raise ReleaseKitError(E.WORKSPACE_NOT_FOUND, f"{path} does not exist", hint) from None
    if not content.tool.uv.managed:
        raise InvalidWorkspaceError(path, "tool.uv.managed", "is false, so uv won't touch it", "remove the key")
    if content.tool.uv.workspace is None:
        _refuse_a_member(root)
        if content.project is None:
            raise ReleaseKitError(
                E.WORKSPACE_NOT_FOUND,
                f"{path} has no members: neither [tool.uv.workspace] nor [project] is in it",
                "name the directory of the workspace's pyproject.toml",
            )
    return content


def find_members(root: Path, content: PyProject) -> list[Member]:
    """Find the members of a workspace, the root first.

    Args:
        root: The directory, absolute.
        content: What `read_root` returned for it.

    Raises:
        InvalidWorkspaceError: A pattern is malformed or leads out of the root, a match is no project, or there
            are no members at all.
    """
    path = root / FILENAME
    members = [] if content.project is None else [Member(path, content, content.project)]
    workspace = content.tool.uv.workspace or UvWorkspace()
    real_root = os.path.realpath(root)
    for match in _matches(root, workspace):
        if match == "." and members:
            continue
        member = _read_member(root, real_root, match)
        if member:
            members.append(member)
    if not members:
        hint = f"{_MEMBERS} = {workspace.members}: check the patterns"
        raise InvalidWorkspaceError(path, "", "has no members", hint)
    return members


def _matches(root: Path, workspace: UvWorkspace) -> Iterator[str]:
    path = root / FILENAME
    excludes = [_parse(path, _EXCLUDE, pattern) for pattern in workspace.exclude]
    patterns = [_parse(path, _MEMBERS, pattern) for pattern in workspace.members]
    try:
        found = dict.fromkeys(match for parts in patterns for match in globs.expand(str(root), parts))
    except OSError as error:
        problem = f"can't be followed: {error.filename}: {error.strerror}"
        raise InvalidWorkspaceError(path, _MEMBERS, problem) from error
    yield from (match for match in found if not any(globs.matches(match, parts) for parts in excludes))


def _parse(path: Path, place: str, pattern: str) -> tuple[str, ...]:
    try:
        return globs.parse(pattern)
    except globs.PatternError as error:
        raise InvalidWorkspaceError(path, place, f"has the pattern {pattern!r:.200}, which {error}") from None


def _read_member(root: Path, real_root: str, match: str) -> Member | None:
    path = root / match / FILENAME
    for place in (match, f"{match}/{FILENAME}"):
        real = os.path.realpath(root / place)
        if not globs.is_within(real, real_root):
            problem = f"finds {place}, a link to {real}, which is outside the workspace"
            raise InvalidWorkspaceError(root / FILENAME, _MEMBERS, problem, f"move it inside, or exclude {match}")
    try:
        content = read(path)
    except NotADirectoryError:
        return None
    except FileNotFoundError:
        if _is_no_package(path.parent):
            return None
        if not path.parent.exists():
            problem, hint = f"finds {match}, a link to nowhere", "remove the link, or exclude it"
        else:
            problem, hint = f"finds {match}, which has no {FILENAME}", "add one, or exclude the directory"
        raise InvalidWorkspaceError(root / FILENAME, _MEMBERS, problem, hint) from None
    if not content.tool.uv.managed:
        return None
    if content.project is None:
        raise InvalidWorkspaceError(path, "project", "is missing", "give the member a [project] table, or exclude it")
    if content.tool.uv.workspace is not None:
        hint = f"remove the table, or have tool.uv.workspace.exclude in {root / FILENAME} name {match}"
        raise InvalidWorkspaceError(path, "tool.uv.workspace", "makes a workspace within a workspace", hint)
    return Member(path, content, content.project)


def _is_no_package(directory: Path) -> bool:
    return directory.is_dir() and (directory.name.startswith(".") or not _has_files(directory))


def _has_files(directory: Path) -> bool:
    """Tell whether there is any file that git would not ignore; without git, or an answer of it, any file."""
    if not any(files for _, _, files in os.walk(directory)):
        return False
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "."]
    try:
        listing = subprocess.run(  # noqa: S603  # fixed
            command, cwd=directory, capture_output=True, check=False, timeout=GIT_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return listing.returncode != 0 or bool(listing.stdout)


def _refuse_a_member(root: Path) -> None:
    """Refuse to take one member of a workspace for the whole: it would be released without what it requires."""
    above = next((parent for parent in root.parents if (parent / FILENAME).is_file()), None)
    workspace = above and read(above / FILENAME).tool.uv.workspace
    if above and workspace and str(root.relative_to(above)) in _matches(above, workspace):
        raise ReleaseKitError(
            E.WORKSPACE_NOT_FOUND,
            f"{root} is a member of the workspace {above}, not a workspace itself",
            f"name {above} instead",
        )
