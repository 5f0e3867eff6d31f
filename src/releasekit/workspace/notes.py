"""What is worth knowing of a workspace that can be released all the same."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMED: Final = 10


class NoteKind(StrEnum):
    """What a note is about."""

    LOCK_DIFFERS = "lock_differs"
    PATH_DEPENDENCY = "path_dependency_found"
    REQUIREMENTS_DROPPED = "requirements_dropped"


class Note(NamedTuple):
    """Something about one package.

    Attributes:
        kind: What it is about.
        package: Which package.
        requires: The other packages that it is about, sorted.
        text: What there is to say, in a line.
        hint: What to do about it; empty if nothing need be done.
    """

    kind: NoteKind
    package: str
    requires: tuple[str, ...]
    text: str
    hint: str = ""


def named(names: Iterable[str]) -> str:
    """List names in a line, of many only the first ones."""
    ordered = sorted(names)
    more = len(ordered) - _NAMED
    return ", ".join(ordered[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def log_notes(notes: Iterable[Note]) -> None:
    """Log each note: what needs to be done something about as a warning."""
    log = get_logger(__name__)
    for note in notes:
        (log.warning if note.hint else log.info)(
            f"releasekit.{note.kind}",
            **{key: value for key, value in note._asdict().items() if value and key != "kind"},
        )
