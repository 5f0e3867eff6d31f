"""What git knows: which commit is released and when it was made, what it tracks, and what is not committed.

git is only asked, so it writes nothing, not even its index; about the repository that a directory is in, whatever a
hook has set; and in a session of its own, since Ctrl-C in a terminal is meant for us.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OURS: Final = ".releasekit-"
"""How the names of our own files begin."""

TIMEOUT: Final = 600.0
"""Seconds that an answer may take, of the largest repository: git may wait for a hook, or for a network, for ever."""

_LEADING_ASTRAY: Final = frozenset(
    (
        *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"),
        *("GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
        *("GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_REPLACE_REF_BASE"),
        *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
    )
)
"""Variables that name another repository than the one a directory is in, as hooks have them, or change what a path
means. GIT_CONFIG_* stay, as git itself keeps them for a submodule: a runner may trust a repository by them."""


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
    sha, time = ask(directory, "log", "-1", "--format=%H %ct").split()
    return Head(sha, int(time))


def refuse_tracked(*paths: Path) -> None:
    """Refuse files of a run that git tracks: a commit could then mark packages as published.

    Args:
        paths: The files. Of a link both it and what it leads to may not be tracked.

    Raises:
        ReleaseKitError: It is tracked (`E.STATE_TRACKED`).
    """
    names = defaultdict(set)
    for path in paths:
        names[path.parent].add(path.name)
        target = path.resolve()
        if target != path.parent.resolve() / path.name and marked(target.parent):
            names[target.parent].add(target.name)
    for directory, files in names.items():
        places = [f":(literal){file}" for file in sorted(files)]
        if tracked := [*filter(None, ask(directory, "ls-files", "-z", "--", *places).split("\0"))]:
            # All of ours at once: who tracks these tracks the built files too.
            ours = shlex.join([*(name for name in tracked if not name.startswith(OURS)), f"{OURS}*"])
            raise ReleaseKitError(
                E.STATE_TRACKED,
                f"{' '.join(tracked)} in {directory} is tracked by git, so a commit could mark packages as published",
                f"run `git rm -r --cached --ignore-unmatch {ours}` and add `{OURS}*` to .gitignore",
            )


def is_tracked(file: Path) -> bool:
    """Tell whether git tracks a file, in whatever repository it is; where there is none, no.

    Raises:
        ReleaseKitError: There is no git, or it could not tell (`E.GIT_FAILED`).
    """
    directory = file.parent
    if not directory.is_dir() or not marked(directory.resolve()):
        return False
    return bool(ask(directory, "ls-files", "-z", "--", f":(literal){file.name}"))


def shallow_repositories(directories: Iterable[Path]) -> dict[Path, list[Path]]:
    """Find which repositories of some directories lack history; a package may be in a submodule.

    Args:
        directories: Where the packages are; links are followed.

    Returns:
        The top of a shallow repository's work tree → which of the directories are in it.

    Raises:
        ReleaseKitError: git could not tell (`E.GIT_FAILED`).
    """
    found = repositories(directory.resolve() for directory in directories)
    return {top: inside for top, inside in found.items() if ask(top, "rev-parse", "--is-shallow-repository") == "true"}


def unignored(directory: Path) -> list[str]:
    """Name what is ours in a directory and git does not ignore: a commit or an sdist could take it in."""
    ours = (f":(glob){OURS}*", f":(glob){OURS}*/**")
    asked = ("ls-files", "--others", "--exclude-standard", "--directory", "--no-empty-directory")
    return ask(directory, *asked, "--", *ours).splitlines()


def is_ignored_by(file: Path, place: Path) -> bool:
    """Tell whether it is a certain .gitignore by which git ignores a place: not all that build archives know others.

    Args:
        file: The .gitignore.
        place: What it is about, in the same directory or below; it need not be there.
    """
    try:
        why = ask(file.parent, "check-ignore", "--verbose", "--", str(place.relative_to(file.parent)))
    except ReleaseKitError:  # it does not
        return False
    source, _, pattern = why.split("\t", maxsplit=1)[0].split(":", maxsplit=2)
    same = top(file.parent) / source == file.parent.resolve() / file.name  # git names it from the top
    return same and not pattern.startswith("!")  # which says that it is not ignored


def changed_since(directory: Path, ref: str) -> list[Path]:
    """List the files that are not in HEAD as they are in another commit, whatever their repository's directory.

    A submodule with another commit is listed as its directory. A file that was moved is listed twice.

    Raises:
        ReleaseKitError: git does not know that commit (`E.GIT_FAILED`).
    """
    try:
        commit = ask(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except ReleaseKitError as error:
        message = f"git does not know the commit {ref!r} in {directory}"
        hint = "check its name; in a shallow clone fetch it first: `git fetch --unshallow --tags`"
        raise ReleaseKitError(E.GIT_FAILED, message, hint) from error
    above = top(directory)
    asked = ("diff", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=none", "-z", commit, "HEAD")
    return [above / name for name in ask(above, *asked).split("\0") if name]


def repositories(places: Iterable[Path]) -> dict[Path, list[Path]]:
    """Group places by the repository that each is in, or lies in if it is a link."""
    found: defaultdict[Path, list[Path]] = defaultdict(list)
    for place in sorted(places):
        directory = place.parent if place.is_symlink() else place
        found[marked(directory) or directory].append(place)
    return {top(directory): inside for directory, inside in found.items()}


def marked(directory: Path) -> Path | None:
    """Find the directory with `.git` in it that git would come to; asking it for each of many would take long."""
    return next((each for each in (directory, *directory.parents) if os.path.lexists(each / ".git")), None)


def top(directory: Path) -> Path:
    """Tell the top of the work tree that a directory is in."""
    return (directory / ask(directory, "rev-parse", "--show-cdup")).resolve()


def ask(directory: Path, *arguments: str) -> str:
    """Ask git about the repository that a directory is in.

    Args:
        directory: Where to ask.
        arguments: Of a command that only reads.

    Returns:
        What it prints, without the newlines around it.

    Raises:
        ReleaseKitError: There is no git, or it could not tell, or not in time (`E.GIT_FAILED`).
    """
    environ = {name: value for name, value in os.environ.items() if name not in _LEADING_ASTRAY}
    try:
        asked = subprocess.Popen(  # noqa: S603  # fixed arguments, no shell
            ["git", "-c", "log.showSignature=false", *arguments],  # noqa: S607  # whichever git the user has
            cwd=directory,
            env=environ | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",  # as Python has the names of files
            start_new_session=True,
        )
    except FileNotFoundError:
        raise ReleaseKitError(E.GIT_FAILED, "the program git is not on PATH", "install git") from None
    with asked:
        try:
            printed, complaint = asked.communicate(timeout=TIMEOUT)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # as for other processes of ours
                os.killpg(asked.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            message = f"git did not answer within {TIMEOUT:g} s about {directory}: {shlex.join(arguments)}"
            hint = "find out what it waits for (a core.fsmonitor hook, a network?), then run the same command again"
            raise ReleaseKitError(E.GIT_FAILED, message, hint) from None
    if asked.returncode:
        said, hint = _explain(directory, asked.returncode, complaint.strip())
        raise ReleaseKitError(E.GIT_FAILED, f"git could not tell about {directory}: {said}", hint)
    return printed.strip("\n")


def _explain(directory: Path, status: int, said: str) -> tuple[str, str]:
    """Say what went wrong, and what to do about it."""
    if status < 0:
        name = next((each.name for each in signal.Signals if each == -status), f"signal {-status}")
        return f"it was killed by {name}", "run the same command again"
    trust = next((line.strip() for line in said.splitlines() if "safe.directory " in line), "")
    if trust:
        return said.splitlines()[0], f"if you trust who owns it, run `{trust}`"
    if not marked(directory.resolve()):
        return said, "a release belongs to a commit: run `git init` and commit what is to be released"
    return said or f"it ended with status {status}", "a release belongs to a commit: see what `git status` says there"
