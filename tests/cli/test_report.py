"""`releasekit report` and `releasekit publish --report`, as a user calls them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.cli.helpers import NAMES, OUT, StuckPackage, break_package, running, wait_for

from releasekit.state import STATE_FILENAME, RunState

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Workspace


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


def test_a_report_in_a_package_is_no_uncommitted_change_of_it(workspace: Workspace) -> None:
    break_package(workspace, "aurora-http")
    report = ("--report", "packages/aurora-core/report.html")
    workspace.releasekit(*OUT, *report)
    assert (workspace.root / report[1]).exists()

    again = workspace.releasekit(*OUT, *report)

    assert "RK-GIT-DIRTY" not in again.stderr
    assert again.returncode in {1, 3}
    assert "RK-GIT-DIRTY" in workspace.releasekit(*OUT).stderr


def test_a_dry_run_writes_no_report(workspace: Workspace) -> None:
    assert workspace.releasekit(*OUT, "--dry-run", "--report", "report.html").returncode == 0
    assert not (workspace.root / "report.html").exists()
    assert not (workspace.root / STATE_FILENAME).exists()


def test_what_stopped_the_whole_release_is_in_its_report(workspace: Workspace) -> None:
    break_package(workspace, "aurora")
    workspace.releasekit(*OUT, "--no-gate")
    for file in (workspace.root / "out").glob("aurora_core-*"):
        file.unlink()

    stopped = workspace.releasekit(*OUT, "--no-gate", "--verify-timeout", "0.1", "--report", "report.html")

    assert "RK-PUBLISHED-MISSING" in stopped.stderr
    told = (workspace.root / "report.html").read_text("utf-8")
    assert "RK-PUBLISHED-MISSING" in told
    assert told.index("RK-PUBLISHED-MISSING") < told.index('id="graph-heading"')
