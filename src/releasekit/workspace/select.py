"""Which packages a user wants to release: patterns of names, and what has changed.

A pattern is a name with ``*``, ``?`` and ``[abc]``, as in a shell; where names have a canonical form, they are compared
in that. Pure: who asks git which packages have changed is `pipeline.chosen`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from releasekit.workspace.load import Package, Workspace

_NOT_AMONG: Final = "it is not among --only "
_EXCLUDED: Final = "it is excluded by "
UNCHANGED: Final = "it has not changed since "
REASONS: Final = (_NOT_AMONG, _EXCLUDED, UNCHANGED)
"""How the reasons begin for which this module leaves a package out."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a user has chosen; nothing chosen means everything.

    Attributes:
        only: Patterns; nothing else is released.
        exclude: Patterns; what matches is not released, whatever else is chosen.
        since: A commit, by any name that git knows; what has not changed since, and requires nothing that has, is
            not released.
    """

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: str = ""


def canonical_pattern(pattern: str) -> str:
    """Write a pattern of names of Python packages in their canonical form."""
    return re.sub(r"[-_.]+", "-", pattern).lower()


def select(
    workspace: Workspace,
    selection: Selection,
    changed: Collection[str] = (),
    spell: Callable[[str], str] = canonical_pattern,
) -> Workspace:
    """Leave out what is not chosen, each package with the reason; what is left out anyway keeps its own.

    What is worth knowing only of what is left out is not kept.

    Args:
        workspace: The packages.
        selection: What is chosen.
        changed: With `since`, the names of the packages whose files have changed.
        spell: Writes a pattern as names are written.

    Raises:
        ReleaseKitError: A pattern matches no package (`E.SELECTION_EMPTY`): it may be mistyped, and a package that was
            to be left out would be released.
    """
    for option, patterns in (("--only", selection.only), ("--exclude", selection.exclude)):
        for pattern in patterns:
            if not any(fnmatchcase(name, spell(pattern)) for name in workspace.packages):
                raise ReleaseKitError(
                    E.SELECTION_EMPTY,
                    f"{option} {pattern!r} matches no package of {workspace.root}",
                    "`releasekit plan` lists their names; quote a pattern, or the shell may expand it",
                )
    touched = _with_requirers(workspace.packages, changed) if selection.since else ()
    packages = {
        name: package if package.skip_reason else replace(package, skip_reason=_reason(name, selection, touched, spell))
        for name, package in workspace.packages.items()
    }
    notes = tuple(
        note for note in workspace.notes if note.package not in packages or not packages[note.package].skip_reason
    )
    return replace(workspace, packages=MappingProxyType(packages), notes=notes)


def _reason(name: str, selection: Selection, touched: Collection[str], spell: Callable[[str], str]) -> str:
    if pattern := next((each for each in selection.exclude if fnmatchcase(name, spell(each))), ""):
        return f"{_EXCLUDED}{pattern}"
    if selection.only and not any(fnmatchcase(name, spell(each)) for each in selection.only):
        return f"{_NOT_AMONG}{', '.join(selection.only)}"
    if selection.since and name not in touched:
        return f"{UNCHANGED}{selection.since}"
    return ""


def _with_requirers(packages: Mapping[str, Package], changed: Collection[str]) -> set[str]:
    """Add what requires what has changed, over any number of steps."""
    found, before = set(changed), -1
    while before < len(found):  # twice, if requirements come first
        before = len(found)
        for name, package in packages.items():
            if not found.isdisjoint(package.requires):
                found.add(name)
    return found
