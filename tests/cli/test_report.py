"""`releasekit report` and `releasekit publish --report`, as a user calls them."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest
from tests.cli.helpers import NAMES, OUT, StuckPackage, break_package, running, wait_for
from tests.support import run_python

from releasekit import RunStore
from releasekit.cli.output import REPORT_FILENAME
from releasekit.state import STATE_FILENAME, RunState, there_is_a_run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Workspace


_WITHOUT_ROOM = """
import resource, signal, sys
from releasekit.cli import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
sys.argv = ["releasekit", "report", "-o", "out.html"]
sys.exit(main())
"""


def test_a_report_of_a_release_that_failed_goes_into_the_workspace(workspace: Workspace) -> None:
    break_package(workspace, "aurora-http")
    workspace.releasekit(*OUT)

    shown = workspace.releasekit("report")

    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "wrote .releasekit-report.html\n", "")
    told = (workspace.root / ".releasekit-report.html").read_text("utf-8")
    assert all(f'<th role="rowheader" scope="row" data-search>{name}</th>' in told for name in NAMES)
    assert "Release of workspace" in told
    assert "RK-BUILD-FAILED" in told
    assert '<svg width="' in told
    assert workspace.releasekit("clean", "--force").returncode == 0
    assert not (workspace.root / ".releasekit-report.html").exists()


def test_a_report_goes_where_it_is_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    workspace.releasekit(*OUT)
    file = tmp_path / "elsewhere.html"

    shown = workspace.releasekit("report", ".", "-o", str(file))

    assert (shown.returncode, shown.stdout) == (0, f"wrote {file}\n")
    assert "8</b> published" in file.read_text("utf-8")


@pytest.mark.parametrize("command", [("report", "-o"), ("diagram", "-o"), (*OUT, "--report")])
def test_no_file_is_called_as_others_call_stdout(workspace: Workspace, command: tuple[str, ...]) -> None:
    RunState("0" * 40).save(workspace.root / STATE_FILENAME)
    before = {*workspace.root.iterdir()}

    shown = workspace.releasekit(*command, "-")

    assert (shown.returncode, shown.stdout) == (2, "")
    assert "'-' names no file" in shown.stderr
    assert {*workspace.root.iterdir()} == before


def test_a_report_for_which_there_is_no_room_says_which_file_it_is(workspace: Workspace) -> None:
    RunState("0" * 40).save(workspace.root / STATE_FILENAME)
    program = workspace.root.parent / "without_room.py"
    program.write_text(_WITHOUT_ROOM)

    shown = run_python(str(program), cwd=workspace.root, environ=workspace.environ())

    assert shown.returncode == 1
    assert re.search(r"error: \[Errno \d+\] [^:]+: 'out.html'", shown.stderr)


def test_a_hostile_name_of_the_file_is_told_as_text(workspace: Workspace) -> None:
    RunState("0" * 40).save(workspace.root / STATE_FILENAME)

    shown = workspace.releasekit("report", "-o", "a\x1b[2J\n::error::b")

    assert shown.stdout == "wrote a\\x1b[2J\\n::error::b\n"
    assert (workspace.root / "a\x1b[2J\n::error::b").exists()


def test_what_is_wrong_is_a_message(workspace: Workspace) -> None:
    shown = workspace.releasekit("report")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "RK-STATE-NOT-FOUND" in shown.stderr

    workspace.releasekit(*OUT)
    shown = workspace.releasekit("report", "-o", "no/such/directory/x.html")
    assert shown.returncode == 1
    assert "No such file or directory" in shown.stderr
    assert "Traceback" not in shown.stderr

    (workspace.root / ".releasekit-state.journal").write_text("nonsense")
    shown = workspace.releasekit("report")
    assert "RK-STATE-CORRUPTED" in shown.stderr


def test_publish_keeps_a_report_fresh_and_an_interrupt_does_not_leave_it_behind(workspace: Workspace) -> None:
    stuck = StuckPackage(workspace, "aurora-http")
    file = workspace.root / "report.html"
    with running(workspace, *OUT, "--report", "report.html") as child:
        stuck.wait(child)
        wait_for(file, child)
        assert "while the run was at work" in file.read_text("utf-8")
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130

    told = file.read_text("utf-8")
    assert "while the run was at work" not in told
    assert "Run the same `releasekit publish` command again" in told
    assert "8</b> pending" in told


def test_a_release_ends_as_it_would_without_its_report(workspace: Workspace) -> None:
    shown = workspace.releasekit(*OUT, "--report", "no/such/directory/report.html")

    assert shown.returncode == 0
    assert set(workspace.statuses().values()) == {"published"}
    assert shown.stderr.count("releasekit.report_failed") == 1
    assert "the release goes on without" in shown.stderr


def test_a_finished_release_has_its_report_too(workspace: Workspace) -> None:
    assert workspace.releasekit(*OUT, "--report", "report.html").returncode == 0
    told = (workspace.root / "report.html").read_text("utf-8")
    assert "8</b> published" in told
    assert "Nothing. Everything is published or skipped" in told


def test_a_report_among_what_is_released_is_refused_before_anything_begins(workspace: Workspace) -> None:
    """It would be published in the package's sdist."""
    (workspace.root / "link.html").symlink_to("packages/aurora-core/src/report.html")
    (workspace.root / "packages/aurora-core/out.html").symlink_to(workspace.root / "report.html")
    workspace.commit("Add links")
    for file in ("packages/aurora-core/report.html", "link.html", "packages/aurora-core/out.html"):
        shown = workspace.releasekit(*OUT, "--report", file)

        assert (shown.returncode, shown.stdout) == (2, "")
        assert f"{file} is in the directory of the package aurora-core" in " ".join(shown.stderr.split())
    assert not there_is_a_run(workspace.root / STATE_FILENAME)
    assert not (workspace.root / "packages/aurora-core/src/report.html").exists()


def test_a_report_in_the_place_of_a_tracked_file_is_refused(workspace: Workspace) -> None:
    (workspace.root / "index.html").write_text("ours")
    workspace.commit("Add a page")

    shown = workspace.releasekit(*OUT, "--report", "index.html")

    assert (shown.returncode, shown.stdout) == (2, "")
    assert "index.html is tracked by git" in shown.stderr
    assert (workspace.root / "index.html").read_text() == "ours"
    assert not there_is_a_run(workspace.root / STATE_FILENAME)


def test_where_the_root_is_a_package_only_the_workspace_s_own_report_may_lie_in_it(workspace: Workspace) -> None:
    """That name is ours: git's look at changes passes it over, and .gitignore has it."""
    pyproject = workspace.root / "pyproject.toml"
    text = '[project]\nname = "whole"\nversion = "1"\nclassifiers = ["Private :: Do Not Upload"]\n'
    pyproject.write_text(text + pyproject.read_text())
    workspace.commit("Make the root a package")

    assert "the package whole" in workspace.releasekit(*OUT, "--report", "report.html").stderr
    assert "the package whole" in workspace.releasekit(*OUT, "--report", "pages/report.html").stderr
    dry = workspace.releasekit(*OUT, "--dry-run", "--report", REPORT_FILENAME)
    assert (dry.returncode, dry.stderr) == (0, "")


OWN = (".releasekit-state.json", ".releasekit-state.journal", ".releasekit-dist/x.svg", ".releasekit-dist.2/a/x.svg")


@pytest.mark.parametrize("file", [*OWN, "link.svg", ""])
def test_no_option_overwrites_a_file_of_the_run(workspace: Workspace, file: str) -> None:
    run = RunState("0" * 40)
    run.init_package("core")
    with RunStore.create(workspace.root / STATE_FILENAME, run):
        pass
    (workspace.root / "link.svg").symlink_to(".releasekit-state.journal")
    before = {each: each.read_bytes() for each in workspace.root.glob(".releasekit-*")}

    for command in (("diagram", "--format", "svg", "-o"), ("report", "-o"), (*OUT, "--report")):
        shown = workspace.releasekit(*command, file)

        assert (shown.returncode, shown.stdout) == (2, "")
        assert ("is a file of releasekit's own" if file else "is empty") in " ".join(shown.stderr.split())
    assert {each: each.read_bytes() for each in workspace.root.glob(".releasekit-*")} == before


def test_an_error_names_the_file_that_was_asked_for(workspace: Workspace) -> None:
    RunState("0" * 40).save(workspace.root / STATE_FILENAME)

    for command in ("report", "diagram"):
        shown = workspace.releasekit(command, "-o", "no/such/x.dot")
        assert (shown.returncode, shown.stdout) == (1, "")
        assert "'no/such/x.dot'" in shown.stderr
        assert ".tmp" not in shown.stderr


def test_a_picture_takes_its_file_s_place_whole_and_keeps_its_mode(workspace: Workspace) -> None:
    RunState("0" * 40).save(workspace.root / STATE_FILENAME)
    file = workspace.root / "x.dot"
    file.touch(0o640)
    file.chmod(0o640)
    with file.open() as before:
        assert workspace.releasekit("diagram", "-o", "x.dot").returncode == 0
        assert before.read() == ""
    assert file.read_text().startswith("digraph")
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_dry_run_writes_no_report(workspace: Workspace) -> None:
    assert workspace.releasekit(*OUT, "--dry-run", "--report", "report.html").returncode == 0
    assert not (workspace.root / "report.html").exists()
    assert not (workspace.root / STATE_FILENAME).exists()


def test_what_stopped_the_whole_release_is_in_its_report(workspace: Workspace) -> None:
    break_package(workspace, "aurora")
    workspace.releasekit(*OUT, "--no-gate")
    for file in (workspace.root / "out").glob("aurora_core-*"):
        file.unlink()

    stopped = workspace.releasekit(*OUT, "--no-gate", "--verify-timeout", "2", "--report", "report.html")

    assert "RK-PUBLISHED-MISSING" in stopped.stderr
    told = (workspace.root / "report.html").read_text("utf-8")
    assert "RK-PUBLISHED-MISSING" in told
    assert told.index("RK-PUBLISHED-MISSING") < told.index('id="graph-heading"')
