"""What git knows: which commit is released and when it was made, what it tracks, and what is not committed.

git is only asked, so it writes nothing, not even its index; about the repository that a directory is in, whatever a
hook has set; and in a session of its own, since Ctrl-C in a terminal is meant for us.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_OURS: Final = ".releasekit-"
_BUILT: Final = {"build", "dist", ".eggs"}
"""Directories, besides ``*.egg-info``, that build backends make in a package's directory."""

_DISTRIBUTIONS: Final = (".whl", ".tar.gz")
_SHOWN: Final = 5  # files of many

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
    sha, time = _git(directory, "log", "-1", "--format=%H %ct").split()
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
        if target != path.parent.resolve() / path.name and _marked(target.parent):
            names[target.parent].add(target.name)
    for directory, files in names.items():
        places = [f":(literal){file}" for file in sorted(files)]
        if tracked := [*filter(None, _git(directory, "ls-files", "-z", "--", *places).split("\0"))]:
            raise ReleaseKitError(
                E.STATE_TRACKED,
                f"{' '.join(tracked)} in {directory} is tracked by git, so a commit could mark packages as published",
                f"run `git rm --cached {shlex.join(tracked)}` and add `.releasekit-*` to .gitignore",
            )


def is_tracked(file: Path) -> bool:
    """Tell whether git tracks a file, in whatever repository it is; where there is none, no.

    Raises:
        ReleaseKitError: There is no git, or it could not tell (`E.GIT_FAILED`).
    """
    directory = file.parent
    if not directory.is_dir() or not _marked(directory.resolve()):
        return False
    return bool(_git(directory, "ls-files", "-z", "--", f":(literal){file.name}"))


def refuse_changed(root: Path, directories: Sequence[Path], index: Path | None) -> None:
    """Refuse uncommitted changes in what is released: a commit would be said to be what it is not.

    Ignored files don't count, nor do our own: those of the run, of an index on this machine, and what a build
    leaves in the sources. A package may be in a submodule: another commit of it than the recorded one counts too.

    Args:
        root: The workspace.
        directories: Where the packages are; links are followed.
        index: The directory that is published to, if it is one.

    Raises:
        ReleaseKitError: There are some (`E.GIT_DIRTY`).
    """
    if not directories:
        return
    packages = {directory.resolve() for directory in directories}
    around = {
        each for directory in directories for each in (directory, *directory.parents) if each.is_relative_to(root)
    }
    links = {each.parent.resolve() / each.name for each in around - {root} if each.is_symlink()}
    root, index = root.resolve(), index and index.resolve()
    top, repositories = _top(root), _repositories(packages | links)
    found = {change for repository, places in repositories.items() for change in _changes(repository, places)}
    found.update(_other_commits(repositories, top))
    changed = sorted(
        os.path.relpath(path, top)
        for path, untracked in found
        if not (_is_ours(path, root, index) or (untracked and _is_built(path, packages)))
    )
    if changed:
        shown = ", ".join(changed[:_SHOWN]) + (f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")
        raise ReleaseKitError(
            E.GIT_DIRTY,
            f"what would be released is not what is committed: {shown}",
            "commit or undo the changes, or release them all the same with --allow-dirty",
        )


def shallow_repositories(directories: Iterable[Path]) -> dict[Path, list[Path]]:
    """Find which repositories of some directories lack history; a package may be in a submodule.

    Args:
        directories: Where the packages are; links are followed.

    Returns:
        The top of a shallow repository's work tree → which of the directories are in it.

    Raises:
        ReleaseKitError: git could not tell (`E.GIT_FAILED`).
    """
    found = _repositories(directory.resolve() for directory in directories)
    return {top: inside for top, inside in found.items() if _git(top, "rev-parse", "--is-shallow-repository") == "true"}


def unignored(directory: Path) -> list[str]:
    """Name our own files in a directory that git does not ignore: a commit or an sdist could take them in."""
    return _git(directory, "ls-files", "--others", "--exclude-standard", "--", ":(glob).releasekit-*").splitlines()


def changed_since(directory: Path, ref: str) -> list[Path]:
    """List the files that are not in HEAD as they are in another commit, whatever their repository's directory.

    A submodule with another commit is listed as its directory. A file that was moved is listed twice.

    Raises:
        ReleaseKitError: git does not know that commit (`E.GIT_FAILED`).
    """
    try:
        commit = _git(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except ReleaseKitError as error:
        message = f"git does not know the commit {ref!r} in {directory}"
        hint = "check its name; in a shallow clone fetch it first: `git fetch --unshallow --tags`"
        raise ReleaseKitError(E.GIT_FAILED, message, hint) from error
    top = _top(directory)
    asked = ("diff", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=none", "-z", commit, "HEAD")
    return [top / name for name in _git(top, *asked).split("\0") if name]


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
            outer = _top(inner.parent)
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
    entries = _git(repository, *asked, "--", *literal).split("\0")
    return [_Change(repository / entry[3:], entry.startswith("??")) for entry in entries if entry]


def _repositories(places: Iterable[Path]) -> dict[Path, list[Path]]:
    """Group places by the repository that each is in, or lies in if it is a link."""
    marked = defaultdict(list)
    for place in sorted(places):
        directory = place.parent if place.is_symlink() else place
        marked[_marked(directory) or directory].append(place)
    return {_top(directory): inside for directory, inside in marked.items()}


def _marked(directory: Path) -> Path | None:
    """Find the directory with `.git` in it that git would come to; asking it for each of many would take long."""
    return next((each for each in (directory, *directory.parents) if os.path.lexists(each / ".git")), None)


def _top(directory: Path) -> Path:
    """Tell the top of the work tree that a directory is in."""
    return (directory / _git(directory, "rev-parse", "--show-cdup")).resolve()


def _is_ours(path: Path, root: Path, index: Path | None) -> bool:
    """Tell whether a path is a file of the run, or one that a release puts into an index on this machine."""
    if (
        path.is_relative_to(root)
        and path.relative_to(root).parts[:1]
        and path.relative_to(root).parts[0].startswith(_OURS)
    ):
        return True
    return path.parent == index and (path.name.endswith(_DISTRIBUTIONS) or path.name.startswith(_OURS))


def _is_built(path: Path, packages: Iterable[Path]) -> bool:
    """Tell whether an untracked path is what a build leaves in the directory of its package."""
    package = max(
        (each for each in packages if path.is_relative_to(each)), key=lambda each: len(each.parts), default=None
    )
    *directories, _ = path.relative_to(package).parts if package else ("",)
    if "__pycache__" in directories:
        return True
    if directories[:1] == ["src"]:  # where setuptools puts it
        return any(name.endswith(".egg-info") for name in directories[1:2])
    return any(name in _BUILT or name.endswith(".egg-info") for name in directories[:1])


def _git(directory: Path, *arguments: str) -> str:
    environ = {name: value for name, value in os.environ.items() if name not in _LEADING_ASTRAY}
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments, no shell
            ["git", "-c", "log.showSignature=false", *arguments],  # noqa: S607  # whichever git the user has
            cwd=directory,
            env=environ | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",  # as Python has the names of files
            start_new_session=True,
        )
    except FileNotFoundError:
        raise ReleaseKitError(E.GIT_FAILED, "the program git is not on PATH", "install git") from None
    if done.returncode:
        said, hint = _explain(directory, done.returncode, done.stderr.strip())
        raise ReleaseKitError(E.GIT_FAILED, f"git could not tell about {directory}: {said}", hint)
    return done.stdout.strip("\n")


def _explain(directory: Path, status: int, said: str) -> tuple[str, str]:
    """Say what went wrong, and what to do about it."""
    if status < 0:
        name = next((each.name for each in signal.Signals if each == -status), f"signal {-status}")
        return f"it was killed by {name}", "run the same command again"
    trust = next((line.strip() for line in said.splitlines() if "safe.directory " in line), "")
    if trust:
        return said.splitlines()[0], f"if you trust who owns it, run `{trust}`"
    if not _marked(directory.resolve()):
        return said, "a release belongs to a commit: run `git init` and commit what is to be released"
    return said or f"it ended with status {status}", "a release belongs to a commit: see what `git status` says there"
