"""Which packages are to be released: what the user has chosen, and what has changed by what git says of the files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from releasekit.errors import E, ReleaseKitError
from releasekit.logging import get_logger
from releasekit.pipeline import dirty, git
from releasekit.pipeline.ecosystem import ecosystem_of, others_in
from releasekit.workspace import select
from releasekit.workspace.notes import named
from releasekit.workspace.pyproject import FILENAME
from releasekit.workspace.settings import COMMAND_LINE, VERIFY
from releasekit.workspace.tool_table import TABLE, read_root_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from releasekit.workspace import Package, Selection, Workspace
    from releasekit.workspace.settings import Values


def load_selected(root: Path, selection: Selection, said: Values = MappingProxyType({})) -> Workspace:
    """Read a workspace, of which what is not chosen is to be skipped, with the settings that hold for each package.

    Args:
        root: The directory of its pyproject.toml.
        selection: What is chosen.
        said: What the command line says of every package.

    Raises:
        ReleaseKitError: It can't be released as it is written, see `Ecosystem.load`, or as `[tool.releasekit]` says
            (`E.CONFIG_INVALID`); a pattern matches nothing (`E.SELECTION_EMPTY`); or git does not know the commit
            (`E.GIT_FAILED`).
    """
    ecosystem = ecosystem_of(root)

    def choose(workspace: Workspace) -> Workspace:
        workspace = _resolved(workspace, said)
        since = selection.since
        changed = changed_since(workspace.root, since, workspace.packages) if since else ()
        return select(workspace, selection, changed, ecosystem.spell)

    selected = ecosystem.load(root, choose)
    _refuse_untold_versions(selected.packages.values())
    for other, packages in others_in(root).items():
        get_logger(__name__).warning(
            "releasekit.workspace_ignored",
            ecosystem=other,
            packages=named(packages),
            hint=f"of a directory one workspace is released, here that of {ecosystem.name}: give the other one its own",
        )
    return selected


def _resolved(workspace: Workspace, said: Values) -> Workspace:
    """Give each package the settings that hold for it: see `workspace.settings`."""
    root = read_root_table(workspace.root).of_packages
    if not root and not said:
        return workspace
    packages = {
        name: replace(package, settings=package.settings.underlaid(root, FILENAME).overlaid(said, COMMAND_LINE))
        for name, package in workspace.packages.items()
    }
    return replace(workspace, packages=MappingProxyType(packages))


def _refuse_untold_versions(packages: Iterable[Package]) -> None:
    """Refuse packages whose version nobody tells: of what a command verifies, the files need not say anything."""
    for package in packages:
        if package.dynamic and package.settings.commands.verify and not package.skip_reason:
            source = package.settings.sources.get(VERIFY, FILENAME)
            raise ReleaseKitError(
                E.CONFIG_INVALID,
                f"{package.directory / FILENAME}: the version is dynamic, and {source} has a command that verifies "
                f"{package.name!r}, so that its files need not tell it",
                f"write it down as project.version, or leave {TABLE}.{VERIFY} out",
            )


def changed_since(root: Path, ref: str, packages: Mapping[str, Package]) -> set[str]:
    """Name the packages of which a file was added, changed or removed between a commit and HEAD.

    A file belongs to the innermost package whose directory it is in, so what is in a member is no change of a package
    in the root; of a submodule with another commit every package in it counts. Of a package that may be released with
    uncommitted changes these count too, as in `dirty`. What requires them is not looked at.

    Args:
        root: The workspace.
        ref: The commit, by any name that git knows.
        packages: Those of the workspace.

    Raises:
        ReleaseKitError: git does not know that commit (`E.GIT_FAILED`).
    """
    owners = {package.directory.resolve(): name for name, package in packages.items()}
    allowed = {name for name, package in packages.items() if package.settings.allow_dirty}
    uncommitted = dirty.uncommitted(root, [packages[name].directory for name in packages if name in allowed])
    return _with(git.changed_since(root, ref), owners) | (_with(uncommitted, owners) & allowed)


def _with(files: Iterable[Path], owners: Mapping[Path, str]) -> set[str]:
    """Name the packages that some files are of: the innermost of each, and those in what is a submodule."""
    inside: defaultdict[Path, set[str]] = defaultdict(set)
    for place, name in owners.items():
        for around in place.parents:
            inside[around].add(name)
    found: set[str] = set()
    for file in files:
        owner = dirty.innermost(file, owners)
        found |= {owners[owner]} if owner else set()
        found |= inside.get(file, set())
    return found
