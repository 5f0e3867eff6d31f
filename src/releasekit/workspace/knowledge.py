"""What members ask for, from the pyproject files and uv.lock: which of them is believed, and where they differ.

What stands in `project.dependencies` is what a build writes into the package's metadata, so it is believed, also where
an old lock says otherwise: that is told, since whoever tested the workspace by the lock tested something else. What is
dynamic is known only after a build; uv did that when it locked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from releasekit.workspace.notes import Note, NoteKind, named
from releasekit.workspace.pyproject import InvalidWorkspaceError
from releasekit.workspace.requirements import read_build_requirements, read_requirements
from releasekit.workspace.select import UNCHANGED
from releasekit.workspace.uv_lock import LOCK_FILENAME, RELOCK, read_lock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from releasekit.workspace.discover import Member
    from releasekit.workspace.load import Package
    from releasekit.workspace.requirements import Requirements, Wanted
    from releasekit.workspace.uv_lock import Lock

_DEPENDENCIES = "dependencies"
_EXTRAS = "optional-dependencies"


class Knowledge(NamedTuple):
    """What is known of a workspace's members.

    Attributes:
        wanted: Member → what it asks for.
        to_build: Member → what it asks for to be built.
        notes: Where the lock differs, and what it says that matters to users.
        unknown: Member → why it is not known what it asks for, and is taken for nothing: see `refuse_unknown`.
    """

    wanted: Mapping[str, Requirements]
    to_build: Mapping[str, tuple[Wanted, ...]]
    notes: tuple[Note, ...]
    unknown: Mapping[str, InvalidWorkspaceError]


def know(root: Path, members: Mapping[str, Member], released: Collection[str]) -> Knowledge:
    """Find out what every member asks for.

    Args:
        root: The workspace's directory.
        members: Name → member.
        released: The members that are to be released; of others nothing is noted, and what can't be known is left out.

    Raises:
        InvalidWorkspaceError: Something can't be read.
    """
    lock = read_lock(root)
    wanted, notes, unknown = {}, [], {}
    for name, member in members.items():
        stated = read_requirements(member)
        place = member.directory.relative_to(root).as_posix()
        locked = lock.requirements(name, place) if lock else None
        wanted[name] = _choose(member, stated, locked)
        if locked is None and name in released and _DEPENDENCIES in member.project.dynamic:
            unknown[name] = _not_known(member, has_lock=lock is not None)
        if lock and name in released:
            differences = "; ".join(_differences(name, member, stated, locked, members))
            if differences:
                notes.append(_differs(name, f"differs from {LOCK_FILENAME}: {differences}"))
            notes += _from_elsewhere(name, wanted[name], members, lock)
    if lock:
        notes += (
            _differs(name, f"is a member in {LOCK_FILENAME}, but not in the workspace")
            for name in sorted(lock.members - members.keys())
        )
    to_build = {name: read_build_requirements(members[name]) for name in released}
    return Knowledge(wanted, to_build, tuple(notes), unknown)


def refuse_unknown(unknown: Mapping[str, InvalidWorkspaceError], packages: Mapping[str, Package]) -> None:
    """Refuse to go on without knowing what a package asks for, unless that matters to nobody.

    It matters if the package is to be released; and if it is asked what requires that which has changed.

    Args:
        unknown: See `Knowledge`.
        packages: Those of the workspace, of which what is not chosen has a reason.

    Raises:
        InvalidWorkspaceError: It matters.
    """
    by_change = any(package.skip_reason.startswith(UNCHANGED) for package in packages.values())
    for name, error in unknown.items():
        if by_change or not packages[name].skip_reason:
            raise error


def _choose(member: Member, stated: Requirements, locked: Requirements | None) -> Requirements:
    dynamic = member.project.dynamic
    if not locked:
        return stated
    return replace(
        stated,
        runtime=locked.runtime if _DEPENDENCIES in dynamic else stated.runtime,
        extras=locked.extras if _EXTRAS in dynamic else stated.extras,
    )


def _not_known(member: Member, *, has_lock: bool) -> InvalidWorkspaceError:
    where = f"{LOCK_FILENAME} does not have the package" if has_lock else f"there is no {LOCK_FILENAME}"
    return InvalidWorkspaceError(
        member.path,
        "project.dynamic",
        f"has {_DEPENDENCIES!r}, which is known only after a build, and {where}",
        f"run `{RELOCK}`, which finds them out, or write them down as project.{_DEPENDENCIES}; or leave the package "
        "out, with --exclude",
    )


def _differences(
    name: str, member: Member, stated: Requirements, locked: Requirements | None, members: Collection[str]
) -> Iterator[str]:
    """Say what the lock has otherwise than a pyproject.toml, of what is written down there."""
    if locked is None:
        yield "it is missing there, or in another directory"
        return
    kinds = {
        "": (_DEPENDENCIES, stated.runtime, locked.runtime),
        " for extras": (_EXTRAS, _all(stated.extras), _all(locked.extras)),
        " for groups": ("", _all(stated.groups), _all(locked.groups)),
    }
    for kind, (key, ours, theirs) in kinds.items():
        if key in member.project.dynamic:
            continue
        here, there = (_members_of(name, some, members) for some in (ours, theirs))
        if more := there - here:
            yield f"it requires {named(more)}{kind} there, and not here"
        if less := here - there:
            yield f"it does not require {named(less)}{kind} there, but here"


def _from_elsewhere(name: str, wanted: Requirements, members: Collection[str], lock: Lock) -> Iterator[Note]:
    """Say which requirements are directories on this machine, but no members: users will not find them there."""
    required = {each.name for each in (*wanted.runtime, *_all(wanted.extras))}
    for other in sorted(required.difference(members)):
        if place := lock.place_of(other):
            text = f"requires {other}, which is {place} here and no member of the workspace: it is not released with it"
            hint = f"have {other} on the index before, or make it a member"
            yield Note(NoteKind.PATH_DEPENDENCY, name, (other,), text, hint)


def _differs(name: str, text: str) -> Note:
    return Note(NoteKind.LOCK_DIFFERS, name, (), text, f"run `{RELOCK}` and commit {LOCK_FILENAME}")


def _all(lists: Mapping[str, Iterable[Wanted]]) -> list[Wanted]:
    return [wanted for some in lists.values() for wanted in some]


def _members_of(name: str, wanted: Iterable[Wanted], members: Collection[str]) -> set[str]:
    return {each.name for each in wanted if each.name in members} - {name}
