"""What every command prints alike: JSON for machines, tables for people, and nothing that steers a terminal."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from releasekit import escape
from releasekit.errors import code_of
from releasekit.escape import in_one_line, printable
from releasekit.report import words
from releasekit.report.columns import fit
from releasekit.report.table import foot, table
from releasekit.state import STATE_FILENAME, RunState, no_run
from releasekit.state.beside import DIST_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from releasekit.errors import E
    from releasekit.report.table import Line, View
    from releasekit.state import PackageState

F = TypeVar("F", bound="Callable[..., Any]")

REPORT_FILENAME: Final = ".releasekit-report.html"
"""The report of a workspace's run: the only one of our own files that a user may have written."""

DYNAMIC: Final = "dynamic"
"""What is shown as the version of a package that only its build can tell."""

ERRORS: Final = 10  # below a table; of many, most say the same
ERROR_LINES: Final = 30  # of an error below it; `--json` has all of it

_OURS: Final = ".releasekit-"
_ATTRIBUTES: Final = ("bold", "dim")
_DIRECTORY: Final = click.Path(file_okay=False, path_type=Path)


class OutputFile(click.Path):
    """The type of an option that names a file to be written: any but a run's own, which that would destroy."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ANN401  # as click has it
        """Check the file that a user names; of a link, also what it leads to."""
        if not os.fspath(value):
            self.fail("the name of the file is empty", param, ctx)
        if os.fspath(value) in {"-", b"-"}:  # many a command would write to stdout
            self.fail("'-' names no file here; one that is called so is ./-", param, ctx)
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        for place in (Path(os.path.realpath(file.parent), file.name), Path(os.path.realpath(file))):
            built = any(part.startswith(DIST_DIRECTORY) for part in place.parts)
            if built or (place.name.startswith(_OURS) and place.name != REPORT_FILENAME):
                self.fail(in_one_line(f"{file} is a file of releasekit's own: choose another name"), param, ctx)
        return file


def workspace_argument(function: F) -> F:
    """Give a command the optional argument WORKSPACE."""
    return click.argument("workspace", default=".", type=_DIRECTORY, metavar="[WORKSPACE]")(function)


def configured_workspace_argument(function: F) -> F:
    """Give a command the optional argument WORKSPACE, and what its pyproject.toml says for the options."""

    def configure(context: click.Context, _: click.Parameter, workspace: Path) -> Path:
        from releasekit.cli import options, publish  # noqa: PLC0415  # they import us

        if not context.resilient_parsing:
            options.read_defaults(context, workspace, publish.command)
        return workspace

    return click.argument(
        "workspace", default=".", type=_DIRECTORY, metavar="[WORKSPACE]", is_eager=True, callback=configure
    )(function)


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
    with needing_a_run(workspace):
        return RunState.load(workspace / STATE_FILENAME)


@contextmanager
def needing_a_run(workspace: Path) -> Iterator[None]:
    """Say that a workspace has no run, rather than that a file is missing.

    Raises:
        ReleaseKitError: It has none (`E.STATE_NOT_FOUND`).
    """
    try:
        yield
    except FileNotFoundError as error:
        raise no_run(workspace) from error


def find_package(run: RunState, name: str) -> PackageState:
    """Find a package by its name, or by another way to write that, as a user may.

    Raises:
        ReleaseKitError: There is none (`E.STATE_UNKNOWN_PACKAGE`).
    """
    from packaging.utils import canonicalize_name  # noqa: PLC0415  # only where used

    for known in (name, canonicalize_name(name)):
        if known in run:
            return run[known]
    return run[name]  # which says that there is none


def print_heading(state: RunState) -> None:
    """Print which run this is, in one line."""
    commit, index = state.git_sha[:12] or "unknown", state.index or "unknown"
    begun = in_one_line(f"commit {commit}, index {index}, begun {state.created_at}")
    width = _width()
    click.echo(f"{begun if width is None else fit(begun, width).rstrip()}\n")


def print_run(view: View) -> None:
    """Print a run as a table, what its failed packages say, and how many packages are in which status."""
    width = _width()
    print_lines(table(view, width=width))
    failed = [view.state[name] for name in view.state.failed_packages()]
    for package in failed if len(failed) <= ERRORS else _of_each_kind(failed):
        click.echo(f"\n{in_one_line(package.name)} failed:")
        click.echo(indent("\n".join(printable(package.error).splitlines()[-ERROR_LINES:]), "  "))
    if len(failed) > ERRORS:
        click.echo(f"\n{len(failed) - ERRORS} more failed: `releasekit status --json` has all that they say.")
    click.echo()
    print_lines(foot(view, width=width))


def _of_each_kind(failed: Iterable[PackageState]) -> list[PackageState]:
    """Choose a few of many failures: first one of each code, then another one of each, and so on."""
    met: Counter[E | None] = Counter()
    ranked: list[tuple[int, PackageState]] = []
    for package in failed:
        code = code_of(package.error)
        ranked.append((met[code], package))
        met[code] += 1
    chosen = sorted(ranked, key=lambda each: each[0])[:ERRORS]
    return sorted((package for _, package in chosen), key=lambda package: package.name)


def _width() -> int | None:
    """Tell how many cells a line may have: None if stdout is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_lines(lines: Sequence[Line]) -> None:
    """Print lines in their styles."""
    for text, style in lines:
        attributes = style.split()
        colour = next((word for word in attributes if word not in _ATTRIBUTES), None)
        click.secho(text, fg=colour, bold="bold" in attributes or None, dim="dim" in attributes or None)


def next_step(state: RunState, *, at_rest: bool, at_work: bool = False) -> str:
    """Say what to do next, as `words.next_step` does, on a line of its own."""
    return f"next: {words.next_step(state, at_rest=at_rest, at_work=at_work)}"


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
        "conflicts": words.conflicts_of(state),
    }


def command_line(*words: str) -> str:
    """Write a command as it can be pasted into a shell."""
    return shlex.join(("releasekit", *words))
