"""Which packages are to be released: what the user has chosen, and what has changed by what git says of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.pipeline import dirty, git
from releasekit.pipeline.ecosystem import ecosystem_of
from releasekit.workspace import select

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.workspace import Package, Selection, Workspace


def load_selected(root: Path, selection: Selection, *, uncommitted: bool = False) -> Workspace:
    """Read a workspace, of which what is not chosen is to be skipped.

    Args:
        root: The directory of its pyproject.toml.
        selection: What is chosen.
        uncommitted: What is not committed is to be released too, so that it counts as changed.

    Raises:
        ReleaseKitError: It can't be released as it is written, see `Ecosystem.load`; a pattern matches nothing
            (`E.SELECTION_EMPTY`); or git does not know the commit (`E.GIT_FAILED`).
    """
    workspace = ecosystem_of(root).load(root)
    since, packages = selection.since, workspace.packages
    changed = changed_since(workspace.root, since, packages, uncommitted=uncommitted) if since else ()
    return select(workspace, selection, changed)


def changed_since(root: Path, ref: str, packages: Mapping[str, Package], *, uncommitted: bool = False) -> set[str]:
    """Name the packages of which a file was added, changed or removed between a commit and HEAD.

    A file belongs to the innermost package whose directory it is in, so what is in a member is no change of a package
    in the root; of a submodule with another commit every package in it counts. What requires them is not looked at.

    Args:
        root: The workspace.
        ref: The commit, by any name that git knows.
        packages: Those of the workspace.
        uncommitted: What differs from HEAD in the work tree counts too, as in `dirty`.

    Raises:
        ReleaseKitError: git does not know that commit (`E.GIT_FAILED`).
    """
    owners = {package.directory.resolve(): name for name, package in packages.items()}
    found: set[str] = set()
    more = dirty.uncommitted(root, [each.directory for each in packages.values()]) if uncommitted else []
    for file in (*git.changed_since(root, ref), *more):
        owner = next((owners[place] for place in (file, *file.parents) if place in owners), None)
        found |= {owner} if owner else set()
        found |= {name for place, name in owners.items() if file in place.parents}  # those in a submodule
    return found
