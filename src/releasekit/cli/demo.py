"""`releasekit demo`: a real release, killed half-way and finished anyway. Nothing in it is played."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from releasekit import diagrams
from releasekit.cli import demo_workspace, output
from releasekit.errors import E, ReleaseKitError
from releasekit.escape import in_one_line
from releasekit.lifecycle import PackageStatus, Trigger
from releasekit.logging import configure
from releasekit.palette import PALETTE
from releasekit.pipeline import Request, process, release
from releasekit.pipeline.directory_index import sha256
from releasekit.report.columns import columns
from releasekit.state import STATE_FILENAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from releasekit.pipeline import Orchestrator
    from releasekit.state import RunState, Transition

HALF: Final = len(demo_workspace.MEMBERS) // 2


@click.command("demo")
@click.option(
    "--to",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="A new or empty directory for everything.  [default: a new one among the temporary files]",
)
def command(*, directory: Path | None) -> None:
    """Watch a real release being killed half-way and finished anyway.

    Makes a git repository with a uv workspace of eight packages, publishes it to a directory that serves as the
    index, kills the publishing process with SIGKILL, resumes, checks every file, installs the topmost package
    from that index and imports it, and draws what happened. Takes some seconds and no network.
    """
    process.find_uv()  # now, rather than in the middle
    place = _make_place(directory)
    workspace, index = place / "workspace", place / "index"

    _say(1, f"Make a workspace of {len(demo_workspace.MEMBERS)} packages in a git repository")
    demo_workspace.make_workspace(workspace)
    _releasekit("plan", str(workspace))

    _say(2, f"Publish it, and kill the process with SIGKILL when {HALF} packages are on the index")
    ended = _watch([sys.executable, "-m", __name__, str(workspace), str(index)])
    _check(ended == -signal.SIGKILL, f"the publishing process ended with {ended}, not by SIGKILL")
    click.secho("   killed", fg="red", bold=True)

    _say(3, "Look at what it left")
    _releasekit("status", str(workspace))
    before = _written(index)

    _say(4, "Run the same command again")
    arguments = ["publish", str(workspace), "--index", str(index), "--log-json"]
    ended = _watch([sys.executable, "-m", "releasekit", *arguments])
    _check(ended == 0, f"the resumed release ended with {ended}")

    _say(5, "Check every file, install the topmost package from the index, import it")
    state = output.load_run(workspace)
    _check_files(state, index, before)
    click.echo(f"   every file is there once, with the recorded sha256; {len(before)} were not touched again")
    _install(place / "venv", index)

    _say(6, "Draw it")
    pictures = _draw(state, place)

    _say(7, "Look around")
    rows = [
        ("workspace", str(workspace)),
        ("index", f"{index}  ({len(_written(index))} files)"),
        ("state file", str(workspace / STATE_FILENAME)),
        *(("picture", str(picture)) for picture in pictures),
    ]
    for line in columns(rows):
        click.echo(f"   {in_one_line(line)}")
    again = in_one_line(output.command_line("status", str(workspace)))
    click.echo(f"\nnext: {again}, or publish a workspace of your own.")


def _make_place(directory: Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="releasekit-demo-"))
    if directory.exists() and any(directory.iterdir()):
        raise ReleaseKitError(
            E.DEMO_DIRECTORY,
            f"{directory} is not empty, and the demo would mix its files with yours",
            "name a new directory, or leave --to out",
        )
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()


def _say(number: int, text: str) -> None:
    click.secho(f"\n{number}. {text}", bold=True)


def _environ() -> dict[str, str]:
    """Take a CI job's variables away: what the demo's releases tell is not the outcome of that job's step."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}


def _check(held: bool, problem: str) -> None:  # noqa: FBT001  # reads like an assertion
    if not held:
        raise ReleaseKitError(E.DEMO_FAILED, problem, "please report it, with everything that was printed")


def _releasekit(*arguments: str) -> None:
    sys.stdout.flush()
    done = subprocess.run([sys.executable, "-m", "releasekit", *arguments], env=_environ(), check=False)  # noqa: S603
    _check(done.returncode == 0, f"`{output.command_line(*arguments)}` ended with {done.returncode}")


def _watch(command_line: Sequence[str]) -> int:
    """Run a release, print each move as it is logged, and return how the process ended."""
    with subprocess.Popen(  # noqa: S603  # our own command
        command_line, env=_environ(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as child:
        for line in child.stderr or ():
            event = _logged(line)
            if not event:
                click.echo(f"   {in_one_line(line.rstrip())}")
            elif event["event"] == "releasekit.package_moved" and event["source"] != event["target"]:
                look = PALETTE[PackageStatus(event["target"])]
                name = event["package"].ljust(max(len(member.name) for member in demo_workspace.MEMBERS))
                click.secho(f"   {look.glyph} {in_one_line(name)}  {event['target']}", fg=look.style.split()[-1])
    return child.returncode


def _logged(line: str) -> dict[str, Any]:
    """Read an event that was logged; nothing if the line is something else."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and "event" in event else {}


def _written(index: Path) -> dict[str, tuple[int, int]]:
    """Tell each file of the index by what changes when it is written again: its inode and its time."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in index.glob("[!.]*")}


def _check_files(state: RunState, index: Path, before: dict[str, tuple[int, int]]) -> None:
    recorded = {name: digest for package in state.packages.values() for name, digest in package.artifacts.items()}
    found = {name: sha256(index / name) for name in _written(index)}
    _check(found == recorded, f"the index has {found}, but the run recorded {recorded}")
    _check(before.items() <= _written(index).items(), "a file that was published before the kill was written again")


def _install(environment: Path, index: Path) -> None:
    uv, python = process.find_uv(), environment / "bin" / "python"
    source = ["--offline", "--no-index", "--find-links", str(index)]
    _quietly(uv, "venv", "--quiet", "--python", sys.executable, str(environment))
    _quietly(uv, "pip", "install", "--quiet", "--python", str(python), *source, demo_workspace.TOPMOST)
    module = demo_workspace.TOPMOST
    imported = _quietly(str(python), "-c", f"import {module}; print(*sorted({module}.packages()))").split()
    _check(len(imported) == len(demo_workspace.MEMBERS), f"the installed {module} found only {imported}")
    click.echo(f"   import {module} works, and brings {len(imported)} packages with it")


def _quietly(*command_line: str) -> str:
    environ = {name: value for name, value in _environ().items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    done = subprocess.run(command_line, env=environ, check=False, capture_output=True, text=True)  # noqa: S603
    _check(done.returncode == 0, f"{' '.join(command_line)} failed: {done.stderr}")
    return done.stdout


def _draw(state: RunState, place: Path) -> list[Path]:
    for suffix in (".svg", ".dot"):
        try:
            diagrams.draw_lifecycle(place / f"lifecycle{suffix}")
            state.draw(place / f"run{suffix}")
        except ReleaseKitError as error:
            click.echo(f"   drawn as Graphviz source only: {in_one_line(error.message)}")
        else:
            return [place / f"lifecycle{suffix}", place / f"run{suffix}"]
    raise AssertionError  # source needs nothing


def _kill_own_process_half_way(orchestrator: Orchestrator) -> AbstractContextManager[object]:
    def count(moved: Transition) -> None:
        if moved.trigger is Trigger.CONFIRM and len(orchestrator.state.published_packages()) >= HALF:
            os.kill(os.getpid(), signal.SIGKILL)

    from releasekit.cli.publish import log_move  # noqa: PLC0415

    orchestrator.state.listen(log_move)
    orchestrator.state.listen(count)
    return nullcontext()


if __name__ == "__main__":
    configure(json=True)
    request = Request(workspace=Path(sys.argv[1]), index=sys.argv[2])
    asyncio.run(release(request, _kill_own_process_half_way))
