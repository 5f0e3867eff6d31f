"""Which directories the patterns of a workspace find, as npm and pnpm find them.

Both know ``*``, ``**``, ``[abc]``, ``{a,b}`` and ``@(a|b)``, leave out node_modules and, for a wildcard, names that
begin with a dot, and take only directories that have a package.json. A pattern with a ``!`` takes away in any case; but
for npm not if a later one asks for what it would take away. Links are followed, but not below ``**``, so that a walk
ends; nor is anything entered that no pattern can find.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

import bracex
from wcmatch import glob

from releasekit.pipeline.npm.package_json import FILENAME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    _Pattern = Sequence[tuple[str, ...]]  # alternatives, each in components

_FLAGS: Final = glob.GLOBSTAR | glob.EXTGLOB
_MAGIC: Final = re.compile(r"[*?\[]|[!@+]\(")
_ANY_DEPTH: Final = "**"
_NEVER: Final = frozenset({"node_modules", ".git"})
_NEVER_OF_PNPM: Final = frozenset({"bower_components"})


class PatternError(ValueError):
    """A pattern that is malformed or leaves the workspace."""


def find(root: str, patterns: Iterable[str], *, of_npm: bool) -> list[str]:
    """Find directories that have a package.json.

    Args:
        root: The workspace.
        patterns: Which ones.
        of_npm: Whether they are npm's; else pnpm's.

    Returns:
        Their paths, relative to the root, in the order in which they are found; the root itself is never among them.

    Raises:
        PatternError: A pattern is malformed, or leads out of the root; its text begins with the pattern.
        OSError: A directory can't be searched.
    """
    wanted: list[_Pattern] = []
    unwanted: list[_Pattern] = []
    for given in patterns:
        takes_away, pattern = _parse(given, of_npm=of_npm)
        if takes_away:
            unwanted.append(pattern)
            continue
        wanted.append(pattern)
        if of_npm:  # what takes it away takes nothing away any more
            unwanted = [each for each in unwanted if not any(_matches("/".join(parts), each) for parts in pattern)]
    never = _NEVER | (frozenset() if of_npm else _NEVER_OF_PNPM)
    found = dict.fromkeys(path for pattern in wanted for parts in pattern for path in _expand(root, parts, never))
    found.pop(".", None)
    return [path for path in found if not any(_matches(path, pattern) for pattern in unwanted)]


def _parse(given: str, *, of_npm: bool) -> tuple[bool, _Pattern]:
    """Tell whether a pattern takes away, and split each of its alternatives into components."""
    text = given.lstrip("!")
    takes_away = (len(given) - len(text)) % 2 == 1
    if "\0" in text:
        raise PatternError(f"{given!r:.200}, which holds a null character")
    if text.startswith("/") and not of_npm:
        raise PatternError(f"{given!r:.200}, which is absolute, so that pnpm finds nothing by it")
    try:
        return takes_away, [_split(given, each) for each in bracex.expand(text)]
    except bracex.ExpansionLimitException:
        raise PatternError(f"{given!r:.200}, which stands for more than a thousand others") from None


def _split(pattern: str, text: str) -> tuple[str, ...]:
    # npm takes a slash at the beginning for the root of the workspace.
    parts = tuple(part for part in os.path.normpath(text.lstrip("/") or ".").split("/") if part != ".")
    if ".." in parts:
        raise PatternError(f"{pattern!r:.200}, which leads out of the workspace's root")
    return parts


def _matches(path: str, pattern: _Pattern) -> bool:
    # With the file's name: what is below a directory is not the directory, and for `x/**` both count.
    return any(glob.globmatch(f"{path}/{FILENAME}", "/".join((*parts, FILENAME)), flags=_FLAGS) for parts in pattern)


def _expand(root: str, parts: tuple[str, ...], never: Collection[str]) -> Iterator[str]:
    plain = next((place for place, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    base, rest = "/".join(parts[:plain]) or ".", parts[plain:]
    deep = any(_ANY_DEPTH in part for part in rest)
    stack = [(base, 0)]
    while stack:
        path, depth = stack.pop()
        if (deep or depth == len(rest)) and _has_package_json(root, path) and _matches(_normal(path), [parts]):
            yield _normal(path)
        if deep or depth < len(rest):
            below = sorted(name for name in _directories(f"{root}/{path}", follow=not deep) if name not in never)
            stack += [(f"{path}/{name}", depth + 1) for name in reversed(below)]


def _normal(path: str) -> str:
    return path.removeprefix("./")


def _has_package_json(root: str, path: str) -> bool:
    return os.path.lexists(f"{root}/{path}/{FILENAME}")


def _directories(directory: str, *, follow: bool) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=follow)]
    except (FileNotFoundError, NotADirectoryError):
        return []
