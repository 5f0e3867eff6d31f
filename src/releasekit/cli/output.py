"""What every command prints alike: JSON for machines, tables for people, and nothing that steers a terminal."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from releasekit import escape
from releasekit.errors import E, code_of, headline
from releasekit.escape import in_one_line, printable
from releasekit.lifecycle import FINAL, IN_FLIGHT, PackageStatus
from releasekit.palette import PALETTE
from releasekit.state import STATE_FILENAME, RunState, no_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from releasekit.state import PackageState

F = TypeVar("F", bound="Callable[..., Any]")

NOTE_WIDTH: Final = 100  # characters of an error in a table
ERROR_LINES: Final = 30  # of an error below it; `--json` has all of it

_DIRECTORY: Final = click.Path(file_okay=False, path_type=Path)


def workspace_argument(function: F) -> F:
    """Give a command the optional argument WORKSPACE."""
    return click.argument("workspace", default=".", type=_DIRECTORY, metavar="[WORKSPACE]")(function)


def workspace_option(function: F) -> F:
    """Give a command, whose arguments are packages, the option --workspace."""
    help_text = "The directory of the workspace's pyproject.toml."
    option = click.option(
        "--workspace", default=".", show_default="the current directory", type=_DIRECTORY, help=help_text
    )
    return option(function)


def json_option(function: F) -> F:
    """Give a command the flag --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(function)


def print_json(document: Any) -> None:  # noqa: ANN401  # any JSON
    """Print a document for machines, which a terminal or a CI job's log may show all the same.

    It is UTF-8 whatever the terminal reads: an escape of Python's in it would not be JSON.
    """
    import msgspec  # noqa: PLC0415  # only where used

    text = json.dumps(msgspec.to_builtins(document), ensure_ascii=False, indent=2)
    click.echo(escape.in_json(text).encode())


def load_run(workspace: Path) -> RunState:
    """Read the run of a workspace without taking its lock.

    Raises:
        ReleaseKitError: There is none (`E.STATE_NOT_FOUND`), or it can't be trusted (`E.STATE_CORRUPTED`).
    """
    try:
        return RunState.load(workspace / STATE_FILENAME)
    except FileNotFoundError as error:
        raise no_run(workspace) from error


def find_package(run: RunState, name: str) -> PackageState:
    """Find a package by its name, or by another way to write that, as a user may.

    Raises:
        ReleaseKitError: There is none (`E.STATE_UNKNOWN_PACKAGE`).
    """
    from packaging.utils import canonicalize_name  # noqa: PLC0415  # only where used

    other = canonicalize_name(name)
    return run[other if name not in run and other in run else name]


def note(package: PackageState, state: RunState, blocked: dict[str, tuple[str, ...]]) -> str:
    """Say in one line why a package is where it is."""
    if package.error or package.reason:
        return shortened(headline(package.error or package.reason))
    if package.name in blocked:
        return f"blocked by {', '.join(blocked[package.name])}"
    if package.status is PackageStatus.BUILDING and package.artifacts:
        return "built"
    if package.status is PackageStatus.PENDING:
        waits = [name for name in package.requires if state[name].status not in FINAL]
        built = ["built"] if package.artifacts else []
        return "; ".join(built + ([f"waits for {', '.join(waits)}"] if waits else []))
    return ""


def shortened(line: str) -> str:
    """Cut a line that is too long for a table."""
    return line if len(line) <= NOTE_WIDTH else f"{line[:NOTE_WIDTH]} …"


def print_heading(state: RunState) -> None:
    """Print which run this is."""
    begun = f"commit {state.git_sha[:12]}, index {state.index}, begun {state.created_at}"
    click.echo(f"{in_one_line(begun)}\n")


def print_run(state: RunState) -> None:
    """Print a run as a table, and how many packages are in which status."""
    blocked = state.blocked_packages()
    ordered = sorted(state.packages.values(), key=lambda package: (package.level, package.name))
    rows = [
        [*map(in_one_line, (PALETTE[p.status].glyph, p.name, p.version, p.status.value, note(p, state, blocked)))]
        for p in ordered
    ]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line, package in zip(columns(rows), ordered, strict=True):
        *styles, colour = PALETTE[package.status].style.split()
        click.secho(line[:width], fg=colour, bold="bold" in styles)
    for name in state.failed_packages():
        click.echo(f"\n{in_one_line(name)} failed:")
        click.echo(indent("\n".join(printable(state[name].error).splitlines()[-ERROR_LINES:]), "  "))
    click.echo(f"\n{counts(state)}")


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align rows of text in columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def counts(state: RunState) -> str:
    """Count the packages by status, in the order of the lifecycle."""
    statuses = [package.status for package in state.packages.values()]
    told = [f"{statuses.count(status)} {status}" for status in PackageStatus if status in statuses]
    return f"{len(state)} package{'s' * (len(state) != 1)}: {', '.join(told) or 'none'}"


def next_step(state: RunState, *, at_rest: bool) -> str:
    """Say what to do next.

    Args:
        state: The run.
        at_rest: Whether it is known that no process is at work on it.
    """
    if state.is_finished():
        return "next: nothing. Everything is published or skipped; `releasekit clean` removes the run's files."
    if conflicts := conflicts_of(state):
        names = in_one_line(", ".join(conflicts))
        return f"next: decide about {names}: see the error above. `releasekit retry` has the next run try again."
    again = "run the same `releasekit publish` command again: it goes on from here"
    if failed := state.failed_packages():
        names = in_one_line(", ".join(failed))
        return f"next: mend the errors of {names}, then {again}. If that takes a new commit, add --fresh."
    if not at_rest and any(package.status in IN_FLIGHT for package in state.packages.values()):
        return f"next: wait. If nothing is at work here any more, {again}."
    return f"next: {again}."


def conflicts_of(state: RunState) -> list[str]:
    """Name the packages that failed of a conflict, sorted."""
    codes = {E.INDEX_CONFLICT, E.REBUILT_DIFFERS}  # a stored error begins with its code
    return [name for name in state.failed_packages() if code_of(state[name].error) in codes]


def result(state: RunState) -> dict[str, Any]:
    """Tell a run's result as JSON; see the README for its fields."""
    packages = state.packages.values()
    return {
        "run_id": state.run_id,
        "git_sha": state.git_sha,
        "index": state.index,
        "finished": state.is_finished(),
        "packages": {p.name: p.fields() | {"artifacts": dict(p.artifacts)} for p in packages},
        "blocked": state.blocked_packages(),
        "conflicts": conflicts_of(state),
    }


def command_line(*words: str) -> str:
    """Write a command as it can be pasted into a shell."""
    return shlex.join(("releasekit", *words))
