"""The patterns of `[tool.uv.workspace]`, in uv's dialect.

``*``, ``?`` and ``[abc]`` match hidden names too, a whole component ``**`` stands for any number of
directories, braces are literal. Members are found by walking, so there ``*`` stays within a component.
Excludes are matched as text, so there ``*`` also crosses ``/``: that is how uv does it.

A pattern can't leave the workspace's root. Below ``**`` a symbolic link is followed once, and neither out of
the root nor back to a directory above it, so that a walk ends.
"""

from __future__ import annotations

import fnmatch
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLASS: Final = re.compile(r"\[(?:!.|[^!])[^\]]*\]", re.DOTALL)
_WILD: Final = re.compile(r"[*?\[]")
_ANY_DEPTH: Final = "**"


class PatternError(ValueError):
    """A pattern that uv would refuse, or that leaves the workspace."""


def parse(pattern: str) -> tuple[str, ...]:
    """Split a pattern into its components; none for the root itself.

    Raises:
        PatternError: It is malformed, absolute, or leads out of the root.
    """
    if "\0" in pattern:
        msg = "holds a null character"
        raise PatternError(msg)
    if pattern.startswith("/"):
        msg = "is absolute, but must be relative to the workspace's root"
        raise PatternError(msg)
    parts = tuple(part for part in os.path.normpath(pattern).split("/") if part != ".")
    if ".." in parts:
        msg = "leads out of the workspace's root"
        raise PatternError(msg)
    for part in parts:
        plain = _CLASS.sub("", part)
        if "[" in plain:
            msg = "has a '[' that is never closed"
            raise PatternError(msg)
        if _ANY_DEPTH in plain and part != _ANY_DEPTH:
            msg = "has '**' beside other characters, but it must be a component of its own"
            raise PatternError(msg)
    return parts


def matches(path: str, parts: tuple[str, ...]) -> bool:
    """Tell whether an exclude pattern matches a path relative to the root; the path `.` is the root."""
    return _exclude_regex(parts).fullmatch(path) is not None


def expand(root: str, parts: tuple[str, ...]) -> Iterator[str]:
    """Find what a members pattern matches: files and directories, as paths relative to the root.

    Raises:
        OSError: A directory can't be searched.
    """
    if parts and parts[-1] == _ANY_DEPTH:
        parts = (*parts, "*")  # what is below, not the place itself
    found = ["."]
    for part in parts:
        found = list(dict.fromkeys(path for base in found for path in _step(root, base, part)))
    yield from found


def _step(root: str, base: str, part: str) -> Iterator[str]:
    directory = f"{root}/{base}"
    if part == _ANY_DEPTH:
        yield from _descend(root, base)
    elif _WILD.search(part):
        name = re.compile(fnmatch.translate(part))
        yield from (_join(base, entry.name) for entry in _entries(directory) if name.match(entry.name))
    elif os.path.lexists(f"{directory}/{part}"):
        yield _join(base, part)


def _descend(root: str, base: str) -> Iterator[str]:
    real_root = os.path.realpath(root)
    followed: set[str] = set()
    stack = [base]
    while stack:
        path = stack.pop()
        yield path
        directory = f"{root}/{path}"
        for entry in _entries(directory):
            if entry.is_symlink():
                target = os.path.realpath(entry.path)
                here = os.path.realpath(directory)
                if target in followed or is_within(here, target) or not is_within(target, real_root):
                    continue
                followed.add(target)
            if entry.is_dir():
                stack.append(_join(path, entry.name))


def is_within(path: str, directory: str) -> bool:
    """Tell whether a real path is a directory or lies below it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _join(base: str, name: str) -> str:
    return name if base == "." else f"{base}/{name}"


@lru_cache(maxsize=256)
def _exclude_regex(parts: tuple[str, ...]) -> re.Pattern[str]:
    *above, last = parts or (".",)
    regex = "".join("(?:.*/)?" if part == _ANY_DEPTH else fnmatch.translate(part)[:-2] + "/" for part in above)
    return re.compile(regex + fnmatch.translate(last), re.DOTALL)
