"""What `publish` and `plan` are told alike, and where each value comes from.

All that `publish` takes can also stand in the root's pyproject.toml, under `[tool.releasekit]` and by the same name:
what is given on the command line wins. What is for one call only (`--fresh`, `--dry-run`, `--json`) can't.
"""

from __future__ import annotations

import os
from functools import wraps
from math import isinf, isnan
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click
from click.core import ParameterSource

from releasekit.redaction import redact
from releasekit.workspace import Selection
from releasekit.workspace.pyproject import FILENAME
from releasekit.workspace.settings import ALLOW_DIRTY, COMMAND_LINE, DEFAULT, FOR_EVERY_PACKAGE, SECONDS, attribute
from releasekit.workspace.tool_table import FOR_ONE_CALL, invalid, read_root_table, require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from releasekit.workspace.settings import Settings, Values

F = TypeVar("F", bound="Callable[..., Any]")

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


def package_options(function: F) -> F:
    """Give a command the options that hold for every package, together as its argument `said`: what was really said.

    What is not said there may be said of a package in its pyproject.toml.
    """

    @wraps(function)
    def with_said(**others: Any) -> Any:  # noqa: ANN401  # the command's
        context = click.get_current_context()
        given = {key: others.pop(attribute(key)) for key in FOR_EVERY_PACKAGE}
        said = {key: value for key, value in given.items() if _is_said(context, attribute(key))}
        return function(said=said, **others)

    dirty = click.option(f"--{ALLOW_DIRTY}", is_flag=True, help="Release packages that have uncommitted changes too.")
    with_said = dirty(with_said)
    for key, (default, least, text) in reversed([*SECONDS.items()]):
        with_said = seconds(f"--{key}", default, text, least)(with_said)
    return cast("F", with_said)


def seconds(name: str, default: float, text: str, least: float) -> Callable[[F], F]:
    """Make an option that takes seconds."""
    kind = click.FloatRange(min=least)
    return click.option(name, type=kind, default=default, show_default=True, callback=_number, metavar="SECONDS",
                        help=text)  # fmt: skip


def _number(_context: click.Context, _option: click.Parameter, value: float) -> float:
    if isnan(value):  # it is neither too small nor too large
        raise click.BadParameter("nan is not a number of seconds")
    return value


def read_defaults(context: click.Context, workspace: Path, command: click.Command) -> None:
    """Have a command take from a workspace's pyproject.toml what it is not told on the command line.

    Args:
        context: Of the command that is called.
        workspace: The directory.
        command: `publish`, whose options are the keys; of those, another command takes the ones that it has.

    Raises:
        ReleaseKitError: The table has an unknown key, or a value of the wrong type (`E.CONFIG_INVALID`).
    """
    table = read_root_table(workspace)
    known = {name_of(option): option for option in command.params if isinstance(option, click.Option)}
    defaults = {attribute(key): value for key, value in table.of_packages.items() if key in known}
    for key, value in table.of_the_run.items():
        defaults[str(known[key].name)] = _converted(workspace / FILENAME, key, value, known[key], context)
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
        if _is_said(context, name):
            value, source = context.params[name], COMMAND_LINE
        elif name in defaults:
            value, source = defaults[name], FILENAME
        else:
            value, source = by_default[name], DEFAULT
        found[name_of(option)] = _told(value, source)
    return found


def told(settings: Settings) -> dict[str, dict[str, Any]]:
    """Tell what holds for a package, and where that was said."""
    return {key: _told(value, source) for key, value, source in settings.told()}


def _told(value: object, source: str) -> dict[str, Any]:
    """Tell a value as JSON has it: of what has no number there, the word that the option takes."""
    if isinstance(value, float) and isinf(value):
        value = str(value)
    elif isinstance(value, str):
        value = redact(value)
    elif isinstance(value, list | tuple):
        value = [redact(each) for each in value]
    return {"value": value, "source": source}


def as_words(said: Values) -> list[str]:
    """Write what was said of every package as it can be said again."""
    return [word for key, value in said.items() for word in (f"--{key}", *([] if value is True else [str(value)]))]


def name_of(option: click.Option) -> str:
    """Tell how an option is called, without its dashes."""
    return option.opts[0].removeprefix("--")


def _is_said(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _converted(path: Path, key: str, value: Any, option: click.Option, context: click.Context) -> Any:  # noqa: ANN401  # as TOML has it
    require(path, key, value, _kind(option))
    if option.multiple and isinstance(value, str):
        value = [value]
    if _names_a_place(key, value, option):
        value = os.path.join(path.parent, value)  # noqa: PTH118  # it keeps the ./ of an index; not where somebody happens to be
    try:
        option.type_cast_value(context, value)
    except click.BadParameter as error:
        raise invalid(path, key, error.message.rstrip(".")) from None
    return value


def _kind(option: click.Option) -> str:
    if option.is_flag:
        return "flag"
    if option.multiple:
        return "several"
    return {"integer range": "integer", "float range": "number"}.get(option.type.name, "text")


def _names_a_place(key: str, value: object, option: click.Option) -> bool:
    if isinstance(option.type, click.Path):
        return True
    return key == "index" and isinstance(value, str) and value.startswith(("./", "../"))
