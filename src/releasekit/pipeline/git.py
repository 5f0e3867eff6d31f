"""What git knows: which commit is released and when it was made, what it tracks, and what is not committed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Sequence

_OURS: Final = ".releasekit-"
_BUILT: Final = {"build", "dist", "__pycache__", ".eggs"}
"""Directories, besides ``*.egg-info``, that build backends and Python make in the sources."""

_SHOWN: Final = 5  # files of many


class Head(NamedTuple):
    """The commit that is checked out.

    Attributes:
        sha: Its name, in hex.
        time: When it was committed, in seconds since 1970.
    """

    sha: str
    time: int


def head(directory: Path) -> Head:
    """Read HEAD of the repository that a directory is in.

    Raises:
        ReleaseKitError: There is no git, no repository or no commit (`E.GIT_FAILED`).
    """
    sha, time = _git(directory, "log", "-1", "--format=%H %ct").split()
    return Head(sha, int(time))


def refuse_tracked(*paths: Path) -> None:
    """Refuse files of a run that git tracks: a commit could then mark packages as published.

    Args:
        paths: The files, all in one directory.

    Raises:
        ReleaseKitError: It is tracked (`E.STATE_TRACKED`).
    """
    directory = paths[0].parent
    if tracked := _git(directory, "ls-files", "--", *(path.name for path in paths)).split():
        names = " ".join(tracked)
        raise ReleaseKitError(
            E.STATE_TRACKED,
            f"{names} in {directory} is tracked by git, so a commit could mark packages as published",
            f"run `git rm --cached {names}` and add `.releasekit-*` to .gitignore",
        )


def refuse_changed(root: Path, directories: Sequence[Path], *own: Path | None) -> None:
    """Refuse uncommitted changes in what is released: a commit would be said to be what it is not.

    Ignored files don't count, nor do our own: those of the run, those named, and what a build leaves in the sources.

    Args:
        root: The workspace.
        directories: Where the packages are.
        own: What a release itself writes: the directory that is published to, if it is one, and a report.

    Raises:
        ReleaseKitError: There are some (`E.GIT_DIRTY`).
    """
    places = [f":(literal){os.path.relpath(directory, root)}" for directory in directories]
    if not places:
        return
    top = Path(_git(root, "rev-parse", "--show-toplevel"))
    told = _git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *places)
    changed = [entry[3:] for entry in told.split("\0") if entry and not _is_ours(entry, top, root.resolve(), own)]
    if changed:
        shown = ", ".join(changed[:_SHOWN]) + (f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")
        raise ReleaseKitError(
            E.GIT_DIRTY,
            f"what would be released is not what is committed: {shown}",
            "commit or undo the changes, or release them all the same with --allow-dirty",
        )


def _is_ours(entry: str, top: Path, root: Path, own: Sequence[Path | None]) -> bool:
    """Tell whether one entry of `git status`, as ``?? path``, is a file that a release has made."""
    path = top / entry[3:]
    if path.is_relative_to(root) and path.relative_to(root).parts[0].startswith(_OURS):
        return True
    if any(place and path.is_relative_to(place) for place in own):
        return True
    parts = PurePosixPath(entry[3:]).parts
    return entry.startswith("??") and any(part in _BUILT or part.endswith(".egg-info") for part in parts)


def unignored(directory: Path) -> list[str]:
    """Name our own files in a directory that git does not ignore: a commit or an sdist could take them in."""
    return _git(directory, "ls-files", "--others", "--exclude-standard", "--", ":(glob).releasekit-*").splitlines()


def _git(directory: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments, no shell
            ["git", "-c", "log.showSignature=false", *arguments],  # noqa: S607  # whichever git the user has
            cwd=directory,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except FileNotFoundError:
        raise ReleaseKitError(E.GIT_FAILED, "the program git is not on PATH", "install git") from None
    if done.returncode:
        said = done.stderr.strip() or f"git ended with status {done.returncode}"
        hint = "a release belongs to a commit: run `git init` and commit what is to be released"
        raise ReleaseKitError(E.GIT_FAILED, f"git could not tell the commit of {directory}: {said}", hint)
    return done.stdout.strip("\n")
