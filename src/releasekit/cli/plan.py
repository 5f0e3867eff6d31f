"""`releasekit plan`: what `publish` would do."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import click

from releasekit import pipeline
from releasekit.cli import options, output, publish
from releasekit.errors import listed
from releasekit.escape import in_one_line
from releasekit.lifecycle import PackageStatus
from releasekit.report.columns import columns
from releasekit.workspace.pyproject import FILENAME
from releasekit.workspace.settings import COMMAND_LINE, DEFAULT, EXCLUDE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from releasekit.pipeline.index import Index
    from releasekit.state import PackageState, RunState
    from releasekit.workspace import Package, Selection, Workspace
    from releasekit.workspace.settings import Values


@click.command("plan")
@output.configured_workspace_argument
@click.option("--index", "index_name", help="Also ask this index what it has already.")
@options.selection_options
@options.package_options
@output.json_option
def command(*, workspace: Path, index_name: str | None, selection: Selection, said: Values, as_json: bool) -> None:
    """Show what would be published, in which order, and what is skipped.

    A package is published after everything that it requires; those of one level are independent of each other.
    Nothing is written. Without --index no network is used.
    """
    found = pipeline.load_selected(workspace, selection, said)
    plan = pipeline.declare(found, "", "")
    if index_name is not None:
        asyncio.run(
            _skip_complete(plan, pipeline.ecosystem_of(found.root).choose_index(index_name, found, look_only=True))
        )
    packages = list(plan.packages.values())
    if as_json:
        output.print_json(
            {
                "packages": [_told(p, found) for p in packages],
                "notes": [n._asdict() for n in found.notes],
                "options": options.resolved(click.get_current_context(), publish.command),
            }
        )
        return
    rows = [[*map(in_one_line, (str(p.level), p.name, _version(p), _why(p, plan)))] for p in packages]
    for line in columns([("level", "package", "version", ""), *rows]):
        click.echo(line)
    notes = [f"{note.package} {note.text}{f' ({note.hint})' if note.hint else ''}" for note in found.notes]
    notes += [line for package in found.packages.values() for line in _of_its_own(package)]
    if notes:
        click.echo()
    for line in notes:
        click.echo(f"note: {in_one_line(line)}")
    wanted = sum(p.status != PackageStatus.SKIPPED for p in packages)
    click.echo(f"\n{wanted} of {len(packages)} to be published.")
    given = options.as_words(said)
    given += ["--since", selection.since] if selection.since else []
    for option, patterns in (("--only", selection.only), ("--exclude", selection.exclude)):
        given += [word for pattern in patterns for word in (option, pattern)]
    again = output.command_line("publish", str(workspace), "--index", index_name or "NAME", *given)
    click.echo(f"next: `{in_one_line(again)}`" if wanted else "next: nothing to do.")


def _of_its_own(package: Package) -> Iterator[str]:
    """Say what a package's own pyproject.toml says of it that holds; that it is left out stands in its line."""
    keys: dict[str, list[str]] = {}
    for key, _, source in package.settings.told():
        if source not in {COMMAND_LINE, FILENAME, DEFAULT} and key != EXCLUDE:
            keys.setdefault(source, []).append(key)
    for source, said in keys.items():
        yield f"{package.name} has its own {', '.join(said)} ({source})"


async def _skip_complete(plan: RunState, index: Index) -> None:
    async with contextlib.aclosing(index):
        await pipeline.skip_complete(plan, index)


def _told(package: PackageState, found: Workspace) -> dict[str, object]:
    fields = ("name", "version", "level", "requires", "status", "reason")
    told = {field: getattr(package, field) for field in fields}
    planned = found.packages[package.name]
    return told | {"build_requires": planned.build_requires, "settings": options.told(planned.settings)}


def _version(package: PackageState) -> str:
    return package.version or ("" if package.status == PackageStatus.SKIPPED else output.DYNAMIC)


def _why(package: PackageState, plan: RunState) -> str:
    if package.reason:
        return f"skipped: {package.reason}"
    awaited = [name for name in package.requires if plan[name].status != PackageStatus.SKIPPED]
    return f"after {listed(awaited)}" if awaited else ""
