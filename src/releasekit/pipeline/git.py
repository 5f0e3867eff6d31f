"""What git knows: which commit is released, when it was made, and whether it tracks a file."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from pathlib import Path


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
    return done.stdout.strip()
