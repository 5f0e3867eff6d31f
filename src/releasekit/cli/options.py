"""What `publish` and `plan` are told alike, and where each value comes from.

All that `publish` takes can also stand in the root's pyproject.toml, under `[tool.releasekit]` and by the same name:
what is given on the command line wins. What is for one call only (`--fresh`, `--dry-run`, `--json`) can't.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click
from click.core import ParameterSource

from releasekit.errors import E, ReleaseKitError
from releasekit.redaction import redact
from releasekit.workspace import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

F = TypeVar("F", bound="Callable[..., Any]")

FILENAME: Final = "pyproject.toml"
TABLE: Final = "tool.releasekit"
FOR_ONE_CALL: Final = frozenset({"help", "fresh", "dry-run", "json"})

_DEFAULTS: Final = "releasekit.defaults"


def selection_options(function: F) -> F:
    """Give a command --only, --exclude and --since, together as its argument `selection`."""

    @wraps(function)
    def with_selection(*, only: tuple[str, ...], exclude: tuple[str, ...], since: str, **others: Any) -> Any:  # noqa: ANN401  # the command's
        return function(selection=Selection(only=only, exclude=exclude, since=since), **others)

    for option in (
        click.option("--since", metavar="REF", default="",
                     help="Release only what has changed since that commit, and what requires it."),
        click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out what matches; repeatable."),
        click.option("--only", multiple=True, metavar="PATTERN", help="Release only what matches; repeatable."),
    ):  # fmt: skip
        with_selection = option(with_selection)
    return cast("F", with_selection)


def allow_dirty_option(function: F) -> F:
    """Give a command the flag --allow-dirty."""
    text = "Release packages that have uncommitted changes too."
    return click.option("--allow-dirty", is_flag=True, help=text)(function)


def read_defaults(context: click.Context, workspace: Path, command: click.Command) -> None:
    """Have a command take from a workspace's pyproject.toml what it is not told on the command line.

    Args:
        context: Of the command that is called.
        workspace: The directory.
        command: `publish`, whose options are the keys; of those, another command takes the ones that it has.

    Raises:
        ReleaseKitError: The table has an unknown key, or a value of the wrong type (`E.CONFIG_INVALID`).
    """
    path = workspace / FILENAME
    known = {name_of(option): option for option in command.params if isinstance(option, click.Option)}
    defaults = {}
    for key, value in _table(path).items():
        if key in FOR_ONE_CALL:
            raise _invalid(path, key, f"is for one call only: say --{key} on the command line")
        if key not in known:
            close = difflib.get_close_matches(key, known.keys() - FOR_ONE_CALL, 1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            raise _invalid(path, key, f"is not known{meant}")
        option = known[key]
        defaults[str(option.name)] = _converted(path, key, value, option, context)
    context.meta[_DEFAULTS] = defaults
    # Which index `publish` goes to is no reason for another command to use the network.
    context.default_map = defaults if context.command is command else {**defaults, "index_name": None}


def resolved(context: click.Context, command: click.Command) -> dict[str, dict[str, Any]]:
    """Tell which value each option of `publish` would have, and where that comes from.

    Args:
        context: Of the command that is called, which may have some of the options itself.
        command: `publish`.
    """
    found = {}
    by_default = command.make_context("publish", [], resilient_parsing=True).params
    for option in command.params:
        if not isinstance(option, click.Option) or name_of(option) in FOR_ONE_CALL:
            continue
        name, defaults = str(option.name), context.meta[_DEFAULTS]
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            value, source = context.params[name], "command line"
        elif name in defaults:
            value, source = defaults[name], FILENAME
        else:
            value, source = by_default[name], "default"
        found[name_of(option)] = {"value": redact(value) if isinstance(value, str) else value, "source": source}
    return found


def name_of(option: click.Option) -> str:
    """Tell how an option is called, without its dashes."""
    return option.opts[0].removeprefix("--")


def _table(path: Path) -> Mapping[str, Any]:
    """Read the table; a file that can't be read is complained of by who reads the workspace."""
    try:
        content: Any = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    for name in TABLE.split("."):
        content = content.get(name, {})
        if not isinstance(content, dict):
            raise _invalid(path, "", "is not a table")
    return content  # type: ignore[no-any-return]  # a dict


def _converted(path: Path, key: str, value: Any, option: click.Option, context: click.Context) -> Any:  # noqa: ANN401  # as TOML has it
    expected, is_right = _EXPECTED[_kind(option)]
    if not is_right(value):
        raise _invalid(path, key, f"is {value!r:.100}, not {expected}")
    if option.multiple and isinstance(value, str):
        value = [value]
    if _names_a_place(key, value, option):
        value = os.path.join(path.parent, value)  # noqa: PTH118  # it keeps the ./ of an index; not where somebody happens to be
    try:
        option.type_cast_value(context, value)
    except click.BadParameter as error:
        raise _invalid(path, key, error.message.rstrip(".")) from None
    return value


def _kind(option: click.Option) -> str:
    if option.is_flag:
        return "flag"
    if option.multiple:
        return "several"
    return {"integer range": "integer", "float range": "number"}.get(option.type.name, "text")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value  # which no name of a file or a commit can have


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_EXPECTED: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "flag": ("true or false", lambda value: isinstance(value, bool)),
    "several": (
        "a string or a list of strings",
        lambda value: _is_text(value) or (isinstance(value, list) and all(map(_is_text, value))),
    ),
    "integer": ("an integer", _is_integer),
    "number": ("a number", lambda value: isinstance(value, float) or _is_integer(value)),
    "text": ("a string", _is_text),
}


def _names_a_place(key: str, value: object, option: click.Option) -> bool:
    if isinstance(option.type, click.Path):
        return True
    return key == "index" and isinstance(value, str) and value.startswith(("./", "../"))


def _invalid(path: Path, key: str, problem: str) -> ReleaseKitError:
    place = f"{TABLE}.{key}" if key else TABLE
    return ReleaseKitError(
        E.CONFIG_INVALID,
        f"{path}: {place} {problem}",
        f"[{TABLE}] takes what `releasekit publish --help` lists, without the dashes",
    )
