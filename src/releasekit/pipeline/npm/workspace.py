"""An npm workspace, ready to be released: every package with its version, its requirements and its level.

`dependencies` are hard edges. `peerDependencies` and `optionalDependencies`, and after them `devDependencies`, order
packages too, but for those that would close a cycle: a plugin and what it plugs into ask for each other every day.
What a package's scripts make when it is packed may need what those of the others have made: so one with such scripts
is built after all that it waits for.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from releasekit.pipeline.npm import names
from releasekit.pipeline.npm.members import find_members
from releasekit.workspace import Note, NoteKind, Package, Workspace
from releasekit.workspace.edges import connect
from releasekit.workspace.graph import CycleError
from releasekit.workspace.load import BY_PACKAGE_JSON
from releasekit.workspace.notes import named
from releasekit.workspace.pyproject import InvalidWorkspaceError
from releasekit.workspace.requirements import Requirements, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from releasekit.pipeline.npm.members import Member
    from releasekit.pipeline.npm.package_json import PackageJson
    from releasekit.workspace.edges import Edges

CONFIG_FILENAME: Final = ".npmrc"

PACKING: Final = ("prepublishOnly", "prepack", "prepare")
"""The scripts that run before a package is packed, in their order."""

_PRIVATE: Final = f"{BY_PACKAGE_JSON}says that it is private"
_NO_VERSION: Final = f"{BY_PACKAGE_JSON}has no version"


def load_workspace(root: Path) -> Workspace:
    """Read a workspace of npm or pnpm, or a single package.

    Args:
        root: The directory of its package.json.

    Raises:
        ReleaseKitError: There is no workspace (`E.WORKSPACE_NOT_FOUND`), it can't be released as it is written
            (`E.WORKSPACE_INVALID`), or its packages require each other (`E.WORKSPACE_CYCLE`).
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100  # resolve() would rename what the user named
    members = find_members(root)
    reasons = {name: _skip_reason(member.content) for name, member in members.items()}
    wanted = {name: _requirements(member.content) for name, member in members.items()}
    try:
        edges = connect(wanted, {}, [name for name, reason in reasons.items() if not reason])
    except CycleError as error:
        error.hint = (
            "take one of these out of `dependencies`, or make it one of `peerDependencies` or `devDependencies`: one "
            "of those that closes a cycle is not waited for"
        )
        raise
    packages = [
        Package(
            name,
            _version(members[name], reasons[name]),
            members[name].path.parent,
            tuple(sorted(edges.requires[name])),
            edges.levels[name],
            reasons[name],
            tuple(sorted(_reach(name, edges.requires))) if _has_scripts(members[name].content) else (),
        )
        for name in sorted(members, key=lambda name: (edges.levels[name], name))
    ]
    by_name = MappingProxyType({package.name: package for package in packages})
    return Workspace(root, by_name, MappingProxyType({}), CONFIG_FILENAME, tuple(_dropped(edges)))


def _skip_reason(content: PackageJson) -> str:
    if content.private:
        return _PRIVATE
    return "" if content.version else _NO_VERSION


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


def _reach(name: str, requires: Mapping[str, AbstractSet[str]]) -> Iterable[str]:
    """Name all that a package waits for, over any number of steps."""
    found = dict.fromkeys(requires[name])
    for each in (queue := list(found)):
        new = [required for required in requires[each] if required not in found]
        found |= dict.fromkeys(new)
        queue += new
    return found


def _dropped(edges: Edges) -> Iterator[Note]:
    for name, dropped in edges.dropped.items():
        keys = named({reason.rpartition(" ")[2] for reason in dropped.values()})
        text = f"does not wait for {named(dropped)}, asked for by its {keys}: that would close a cycle"
        yield Note(NoteKind.REQUIREMENTS_DROPPED, name, tuple(sorted(dropped)), text)
