"""An npm workspace, ready to be released: every package with its version, its requirements and its level.

`dependencies` are hard edges. `peerDependencies` and `optionalDependencies`, and after them `devDependencies`, order
packages too, but for those that would close a cycle: a plugin and what it plugs into ask for each other every day.
What a package's scripts make when it is packed may need what those of the others have made: so one with such scripts
is built after all that it waits for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from releasekit.pipeline.npm import names
from releasekit.pipeline.npm.members import find_members
from releasekit.workspace import Package, Workspace
from releasekit.workspace.graph import CycleError
from releasekit.workspace.load import BY_PACKAGE_JSON, EXCLUDES_ITSELF, absolute, arrange
from releasekit.workspace.pyproject import FILENAME as SETTINGS_FILENAME
from releasekit.workspace.pyproject import InvalidWorkspaceError
from releasekit.workspace.requirements import Requirements, Wanted
from releasekit.workspace.settings import Settings
from releasekit.workspace.tool_table import read_member_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from releasekit.pipeline.npm.members import Member
    from releasekit.pipeline.npm.package_json import PackageJson

CONFIG_FILENAME: Final = ".npmrc"

PACKING: Final = ("prepublishOnly", "prepack", "prepare")
"""The scripts that run before a package is packed, in their order."""

_KIND: Final = re.compile(r"\b(?:extra|group) (?=\w+Dependencies\b)")
_PRIVATE: Final = f"{BY_PACKAGE_JSON}says that it is private"
_NO_VERSION: Final = f"{BY_PACKAGE_JSON}has no version"


def load_workspace(root: Path, choose: Callable[[Workspace], Workspace] | None = None) -> Workspace:
    """Read a workspace of npm or pnpm, or a single package.

    Args:
        root: The directory of its package.json.
        choose: See `releasekit.workspace.load_workspace`.

    Raises:
        ReleaseKitError: There is no workspace (`E.WORKSPACE_NOT_FOUND`), it can't be released as it is written
            (`E.WORKSPACE_INVALID`) or as a member's `[tool.releasekit]` says (`E.CONFIG_INVALID`), or those of its
            packages that are to be released require each other (`E.WORKSPACE_CYCLE`).
    """
    root = absolute(root)
    members = find_members(root)
    packages = MappingProxyType({name: _package(root, name, member) for name, member in members.items()})
    wanted = {name: _requirements(member.content) for name, member in members.items()}
    try:
        workspace = Workspace(root, packages, MappingProxyType({}), CONFIG_FILENAME)
        workspace = arrange(workspace, wanted, {}, choose)
    except CycleError as error:
        error.hint = (
            "take one of these out of `dependencies`, or make it one of `peerDependencies` or `devDependencies`: one "
            "of those that closes a cycle is not waited for; or release some of these without the others, with "
            "--exclude"
        )
        raise
    requires = {name: package.requires for name, package in workspace.packages.items()}
    built = {
        name: replace(package, build_requires=tuple(sorted(_reach(name, requires))))
        if _has_scripts(members[name].content)
        else package
        for name, package in workspace.packages.items()
    }
    notes = tuple(note._replace(text=_KIND.sub("", note.text)) for note in workspace.notes)
    return replace(workspace, packages=MappingProxyType(built), notes=notes)


def _package(root: Path, name: str, member: Member) -> Package:
    settings = _settings(root, member.path.parent)
    reason = _skip_reason(member.content, settings)
    return Package(name, _version(member, reason), member.path.parent, skip_reason=reason, settings=settings)


def _settings(root: Path, directory: Path) -> Settings:
    if directory == root:
        return Settings()  # its table speaks of all
    path = directory / SETTINGS_FILENAME
    return Settings().overlaid(read_member_table(path), path.relative_to(root).as_posix())


def _skip_reason(content: PackageJson, settings: Settings) -> str:
    if content.private:
        return _PRIVATE
    if not content.version:
        return _NO_VERSION
    return EXCLUDES_ITSELF if settings.exclude else ""


def _version(member: Member, reason: str) -> str:
    given = member.content.version or ""
    if reason or names.is_version(given):
        return given
    hint = "write it as npm does, like 1.2.3 or 1.2.3-rc.1; what is behind a + is dropped by npm"
    raise InvalidWorkspaceError(member.path, "version", f"is {given!r:.200}, no version for npm", hint)


def _requirements(content: PackageJson) -> Requirements:
    return Requirements(
        _wanted(content.required),
        {
            "peerDependencies": _wanted(content.peer_dependencies),
            "optionalDependencies": _wanted(content.optional_dependencies),
        },
        {"devDependencies": _wanted(content.dev_dependencies)},
    )


def _wanted(dependencies: Mapping[str, str] | None) -> tuple[Wanted, ...]:
    return tuple(Wanted(names.target_of(name, wanted)[0]) for name, wanted in (dependencies or {}).items())


def _has_scripts(content: PackageJson) -> bool:
    return bool(content.scripts) and not set(PACKING).isdisjoint(content.scripts or {})


def _reach(name: str, requires: Mapping[str, Iterable[str]]) -> Iterable[str]:
    """Name all that a package waits for, over any number of steps."""
    found = dict.fromkeys(requires[name])
    for each in (queue := list(found)):
        new = [required for required in requires[each] if required not in found]
        found |= dict.fromkeys(new)
        queue += new
    return found
