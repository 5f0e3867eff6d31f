"""The table `[tool.releasekit]`, of a workspace's root and of its members: read and checked.

The root's speaks of the whole run, and of every package; it takes all that `publish` takes. Which values the options
of the run take is known to the command line and checked there; that a key is one of them is checked here, so that who
calls the library is told too. If the root is a package itself, its table is still the workspace's: nothing can be said
there of that package alone, but that its name may be among `exclude`. A member's table speaks of that package.
"""

from __future__ import annotations

import difflib
import re
from math import isnan
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct, field

from releasekit.errors import E, ReleaseKitError
from releasekit.workspace.placeholders import problem_of
from releasekit.workspace.pyproject import FILENAME, InvalidWorkspaceError, read, read_toml
from releasekit.workspace.settings import ALLOW_DIRTY, EXCLUDE, SECONDS, STEPS, Commands

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from releasekit.workspace.settings import Values

TABLE: Final = "tool.releasekit"

FOR_ONE_CALL: Final = frozenset({"help", "fresh", "dry-run", "json"})
"""What can be said on the command line only."""

OF_THE_RUN: Final = frozenset(
    ("index", "since", "only", "jobs", "no-gate", "fail-fast", "grace", "wheels", "report", "log-level", "log-json")
)
"""What only the root can say; its `exclude`, which are patterns, besides."""

_OF_A_PACKAGE: Final = (*SECONDS, ALLOW_DIRTY, EXCLUDE, STEPS)
_ROOT_HINT: Final = f"[{TABLE}] takes what `releasekit publish --help` lists, without the dashes, and the table {STEPS}"
_MEMBER_HINT: Final = f"[{TABLE}] of a package takes {', '.join(_OF_A_PACKAGE)}"
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class RootTable(NamedTuple):
    """What the root's table says, by key.

    Attributes:
        of_packages: What holds for every package that says nothing else.
        of_the_run: What `publish` has options for besides; the values are not checked.
    """

    of_packages: Values = MappingProxyType({})
    of_the_run: Values = MappingProxyType({})


def read_root_table(root: Path) -> RootTable:
    """Read the table of a workspace's root; a file that can't be read is complained of by who reads the workspace.

    Args:
        root: The directory.

    Raises:
        ReleaseKitError: It has an unknown key, or a value of the wrong type (`E.CONFIG_INVALID`).
    """
    path = root / FILENAME
    try:
        table = read(path).tool.releasekit
    except (OSError, InvalidWorkspaceError):
        return RootTable()
    of_packages: dict[str, Any] = {}
    of_the_run: dict[str, Any] = {}
    for key, value in _entries(path, table, _ROOT_HINT):
        if key in OF_THE_RUN or key == EXCLUDE:
            of_the_run[key] = value
        elif key in _OF_A_PACKAGE:
            of_packages.update(_checked(path, key, value, _ROOT_HINT))
        else:
            raise _unknown(path, key, {*OF_THE_RUN, *_OF_A_PACKAGE}, _ROOT_HINT)
    return RootTable(MappingProxyType(of_packages), MappingProxyType(of_the_run))


class _Tool(Struct):
    releasekit: Any = {}


class _Tables(Struct):
    """Of a pyproject.toml what matters here: the rest may be of a project that is no member."""

    tool: _Tool = field(default_factory=_Tool)


def read_member_table(path: Path) -> Values:
    """Read the table of a member that is none of uv's: its pyproject.toml need not be there.

    Args:
        path: That file.

    Raises:
        ReleaseKitError: It can't be read (`E.WORKSPACE_INVALID`), or says what a member can't: see
            `check_member_table`.
    """
    try:
        table = read_toml(path, _Tables).tool.releasekit
    except (FileNotFoundError, NotADirectoryError):
        return MappingProxyType({})
    return check_member_table(path, table)


def check_member_table(path: Path, table: object) -> Values:
    """Check the table of a member.

    Args:
        path: Its pyproject.toml.
        table: What stands there.

    Returns:
        What it says of its package.

    Raises:
        ReleaseKitError: It has an unknown key or one that is the root's to say, or a value of the wrong type
            (`E.CONFIG_INVALID`).
    """
    values: dict[str, Any] = {}
    for key, value in _entries(path, table, _MEMBER_HINT):
        if key in OF_THE_RUN:
            hint = "say it in the pyproject.toml of the workspace's root, or on the command line"
            raise invalid(path, key, "is of the whole run, not of one package", hint)
        if key not in _OF_A_PACKAGE:
            raise _unknown(path, key, _OF_A_PACKAGE, _MEMBER_HINT)
        hint = "patterns of names are for the root's" if key == EXCLUDE else _MEMBER_HINT
        values.update(_checked(path, key, value, hint))
    return values


def invalid(path: Path, key: str, problem: str, hint: str = _ROOT_HINT) -> ReleaseKitError:
    """Make the error about a key of a table; without a key, about the table."""
    place = ".".join(filter(None, (TABLE, key)))
    return ReleaseKitError(E.CONFIG_INVALID, f"{path}: {place} {problem}", hint)


def _entries(path: Path, table: object, hint: str, below: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(table, dict):
        raise invalid(path, below, "is not a table", hint)
    for key, value in table.items():
        if not below and key in FOR_ONE_CALL:
            raise invalid(path, key, f"is for one call only: say --{key} on the command line", hint)
        yield key, value


def _unknown(path: Path, key: str, known: Collection[str], hint: str, below: str = "") -> ReleaseKitError:
    """Make the error about a key that is none, and name the one that may be meant."""
    close = difflib.get_close_matches(key, sorted(known), 1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    written = key if _BARE.fullmatch(key) else repr(key)
    return invalid(path, f"{below}{written:.100}", f"is not known{meant}", hint)


def _checked(path: Path, key: str, value: Any, hint: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # as TOML has it
    if key == STEPS:
        yield from _checked_steps(path, value, hint)
    elif key in SECONDS:
        require(path, key, value, "number", hint)
        least = SECONDS[key].least
        if not value >= least:  # nan is neither too small nor too large
            raise invalid(path, key, f"is {value!r:.100}, not {least:g} or more", hint)
        yield key, value
    else:
        require(path, key, value, "flag", hint)
        yield key, value


def _checked_steps(path: Path, table: object, hint: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    steps = tuple(Commands.__dataclass_fields__)
    for step, command in _entries(path, table, hint, STEPS):
        if step not in steps:
            raise _unknown(path, step, steps, f"[{TABLE}.{STEPS}] takes {', '.join(steps)}", f"{STEPS}.")
        key = f"{STEPS}.{step}"
        if not isinstance(command, list) or not all(map(_is_text, command)):
            how = 'no shell splits it: write each argument as a string of its own, like ["make", "dist"]'
            raise invalid(path, key, f"is {command!r:.100}, not a list of strings", how)
        if not command or not command[0]:
            how = f"leave {step} out to have releasekit do it"
            raise invalid(path, key, f"is {command!r:.100}, which names no program", how)
        if problem := next(filter(None, map(problem_of, command)), ""):
            raise invalid(path, key, f"is wrong: {problem}", "the README has what the arguments of a command may name")
        yield key, tuple(command)


def require(path: Path, key: str, value: object, kind: str, hint: str = _ROOT_HINT) -> None:
    """Refuse a value that is of another kind than the key takes.

    Args:
        path: The file.
        key: The key in its table.
        value: What stands there.
        kind: Of flag, several, integer, number and text.
        hint: What to do about it.

    Raises:
        ReleaseKitError: It is (`E.CONFIG_INVALID`).
    """
    expected, is_right = _KINDS[kind]
    if not is_right(value):
        raise invalid(path, key, f"is {value!r:.100}, not {expected}", hint)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value  # which no name of a file or a commit can have


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return (isinstance(value, float) and not isnan(value)) or (_is_integer(value) and abs(value) < _TOO_MANY)  # type: ignore[arg-type]  # an int


_TOO_MANY: Final = 2**63  # more seconds than any clock has; a float has not all integers

_KINDS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "flag": ("true or false", lambda value: isinstance(value, bool)),
    "several": (
        "a string or a list of strings",
        lambda value: _is_text(value) or (isinstance(value, list) and all(map(_is_text, value))),
    ),
    "integer": ("an integer", _is_integer),
    "number": ("a number", _is_number),
    "text": ("a string", _is_text),
}
