"""Whether what is released is what is committed: uncommitted changes are refused, also in submodules.

Ignored files don't count, nor do our own: those of the run, of an index on this machine, and what a build leaves in the
sources.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import git

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

_BUILT: Final = {"build", "dist", ".eggs"}
"""Directories, besides ``*.egg-info``, that build backends make in a package's directory."""

_DISTRIBUTIONS: Final = (".whl", ".tar.gz")
_SHOWN: Final = 5  # files of many


def refuse_changed(root: Path, directories: Sequence[Path], index: Path | None, allowed: Iterable[Path] = ()) -> None:
    """Refuse uncommitted changes in what is released: a commit would be said to be what it is not.

    Ignored files don't count, nor do our own: those of the run, of an index on this machine, and what a build
    leaves in the sources. A package may be in a submodule: another commit of it than the recorded one counts too.

    Args:
        root: The workspace.
        directories: Where the packages are; links are followed.
        index: The directory that is published to, if it is one.
        allowed: Where packages are that may have uncommitted changes: what is in one of these and in none of
            `directories` below it is not looked at.

    Raises:
        ReleaseKitError: There are some (`E.GIT_DIRTY`).
    """
    top = git.top(root.resolve()) if directories else root
    may_be = {each.resolve() for each in allowed}
    packages = {each.resolve() for each in directories} | may_be
    found = (path for path in uncommitted(root, directories, index) if innermost(path, packages) not in may_be)
    if changed := [os.path.relpath(path, top) for path in found]:
        shown = ", ".join(changed[:_SHOWN]) + (f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")
        raise ReleaseKitError(
            E.GIT_DIRTY,
            f"what would be released is not what is committed: {shown}",
            "commit or undo the changes, or release them all the same with --allow-dirty",
        )


def uncommitted(root: Path, directories: Sequence[Path], index: Path | None = None) -> list[Path]:
    """Find uncommitted changes in what is released, sorted; what `refuse_changed` does not count is not among them.

    Args:
        root: The workspace.
        directories: Where the packages are; links are followed.
        index: The directory that is published to, if it is one.

    Raises:
        ReleaseKitError: git could not tell (`E.GIT_FAILED`).
    """
    if not directories:
        return []
    packages = {directory.resolve() for directory in directories}
    around = {
        each for directory in directories for each in (directory, *directory.parents) if each.is_relative_to(root)
    }
    links = {each.parent.resolve() / each.name for each in around - {root} if each.is_symlink()}
    root, index = root.resolve(), index and index.resolve()
    top, repositories = git.top(root), git.repositories(packages | links)
    found = {change for repository, places in repositories.items() for change in _changes(repository, places)}
    found.update(_other_commits(repositories, top))
    return sorted(
        path
        for path, untracked in found
        if not (_is_ours(path, root, index) or (untracked and _is_built(path, packages)))
    )


def innermost(path: Path, directories: Container[Path]) -> Path | None:
    """Tell which of some directories a path is in or is, the one that is below the others; None if it is in none."""
    return next((each for each in (path, *path.parents) if each in directories), None)


class _Change(NamedTuple):
    path: Path
    untracked: bool


def _changes(repository: Path, places: Iterable[Path]) -> Iterator[_Change]:
    """Find what is changed in some places of a repository, and in its submodules there."""
    for change in _status(repository, places, ignoring="none"):
        if change.path.is_symlink() or not change.path.is_dir():
            yield change
        elif change in _status(repository, [change.path], ignoring="dirty"):
            yield change  # a repository that is new, or has another commit
        else:
            yield from _changes(change.path, [change.path])


def _other_commits(repositories: Iterable[Path], top: Path) -> Iterator[_Change]:
    """Find which repositories have another commit than the one around them says, up to the workspace's own."""
    for repository in repositories:
        inner = repository
        while inner != top and inner.is_relative_to(top):
            outer = git.top(inner.parent)
            yield from _status(outer, [inner], ignoring="dirty")
            inner = outer


def _status(repository: Path, places: Iterable[Path], *, ignoring: str) -> list[_Change]:
    """Ask for changes.

    Args:
        repository: The top of its work tree.
        places: What to look at.
        ignoring: Of submodules: none, or dirty, which leaves only commits.
    """
    literal = [f":(literal){os.path.relpath(place, repository)}" for place in places]
    asked = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", f"--ignore-submodules={ignoring}")
    entries = git.ask(repository, *asked, "--", *literal).split("\0")
    return [_Change(repository / entry[3:], entry.startswith("??")) for entry in entries if entry]


def _is_ours(path: Path, root: Path, index: Path | None) -> bool:
    """Tell whether a path is a file of the run, or one that a release puts into an index on this machine."""
    if (
        path.is_relative_to(root)
        and path.relative_to(root).parts[:1]
        and path.relative_to(root).parts[0].startswith(git.OURS)
    ):
        return True
    return path.parent == index and (path.name.endswith(_DISTRIBUTIONS) or path.name.startswith(git.OURS))


def _is_built(path: Path, packages: Container[Path]) -> bool:
    """Tell whether an untracked path is what a build leaves in the directory of its package."""
    package = innermost(path, packages)
    *directories, _ = path.relative_to(package).parts if package else ("",)
    if "__pycache__" in directories:
        return True
    if directories[:1] == ["src"]:  # where setuptools puts it
        return any(name.endswith(".egg-info") for name in directories[1:2])
    return any(name in _BUILT or name.endswith(".egg-info") for name in directories[:1])
