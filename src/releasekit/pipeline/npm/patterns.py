"""Which directories the patterns of a workspace find, as npm and pnpm find them.

Both know ``*``, ``**``, ``[abc]``, ``{a,b}`` and ``@(a|b)``, leave out node_modules and, for a wildcard, names that
begin with a dot, and take only directories that have a package.json. For npm a pattern with a ``!`` takes away what the
ones before it have found; for pnpm it takes away in any case. Links are followed, but not below ``**``, so that a walk
ends; nor is anything entered that no pattern can find.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from wcmatch import glob

from releasekit.pipeline.npm.package_json import FILENAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_FLAGS: Final = glob.GLOBSTAR | glob.EXTGLOB
_MAGIC: Final = re.compile(r"[*?\[]|[!@+]\(")
_ANY_DEPTH: Final = "**"
_NEVER: Final = {"node_modules", "bower_components", ".git"}


class PatternError(ValueError):
    """A pattern that is malformed or leaves the workspace."""


def find(root: str, patterns: Iterable[str], *, in_order: bool) -> list[str]:
    """Find directories that have a package.json.

    Args:
        root: The workspace.
        patterns: Which ones.
        in_order: Whether a pattern with a ``!`` takes away only what those before it have found, as npm has it.

    Returns:
        Their paths, relative to the root, in the order in which they are found; the root itself is never among them.

    Raises:
        PatternError: A pattern is malformed, or leads out of the root; its text begins with the pattern.
        OSError: A directory can't be searched.
    """
    given = [_parse(pattern) for pattern in patterns]
    if not in_order:
        given.sort(key=lambda each: each[0])  # those that take away come last
    found: dict[str, None] = {}
    for takes_away, alternatives in given:
        if takes_away:
            matching = [path for path in found if any(_matches(path, parts) for parts in alternatives)]
            for path in matching:
                del found[path]
        else:
            found |= dict.fromkeys(path for parts in alternatives for path in _expand(root, parts))
    found.pop(".", None)
    return [*found]


def _parse(pattern: str) -> tuple[bool, list[tuple[str, ...]]]:
    """Tell whether a pattern takes away, and split each of its alternatives into components."""
    import bracex  # noqa: PLC0415  # comes with wcmatch

    text = pattern.lstrip("!")
    takes_away = (len(pattern) - len(text)) % 2 == 1
    if "\0" in text:
        raise PatternError(f"{pattern!r:.200}, which holds a null character")
    try:
        alternatives = [_split(pattern, each) for each in bracex.expand(text)]
    except bracex.ExpansionLimitException:
        raise PatternError(f"{pattern!r:.200}, which stands for more than a thousand others") from None
    return takes_away, alternatives


def _split(pattern: str, text: str) -> tuple[str, ...]:
    # npm takes a slash at the beginning for the root of the workspace.
    parts = tuple(part for part in os.path.normpath(text.lstrip("/") or ".").split("/") if part != ".")
    if ".." in parts:
        raise PatternError(f"{pattern!r:.200}, which leads out of the workspace's root")
    return parts


def _matches(path: str, parts: Sequence[str]) -> bool:
    # With the file's name, since what is below a directory is not the directory, and for `x/**` both count.
    return bool(glob.globmatch(f"{path}/{FILENAME}", "/".join((*parts, FILENAME)), flags=_FLAGS))


def _expand(root: str, parts: tuple[str, ...]) -> Iterator[str]:
    plain = next((place for place, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    base, rest = "/".join(parts[:plain]) or ".", parts[plain:]
    deep = any(_ANY_DEPTH in part for part in rest)
    stack = [(base, 0)]
    while stack:
        path, depth = stack.pop()
        if (deep or depth == len(rest)) and _has_package_json(root, path) and _matches(_normal(path), parts):
            yield _normal(path)
        if deep or depth < len(rest):
            below = _directories(f"{root}/{path}", follow=not deep)
            stack += [(f"{path}/{name}", depth + 1) for name in reversed(below)]


def _normal(path: str) -> str:
    return path.removeprefix("./")


def _has_package_json(root: str, path: str) -> bool:
    return os.path.lexists(f"{root}/{path}/{FILENAME}")


def _directories(directory: str, *, follow: bool) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=follow)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in found if name not in _NEVER)
