from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from tests.cli.helpers import OUT, break_package
from tests.hostile import HOSTILE
from tests.schemas import checked

from releasekit import PackageStatus, RunState
from releasekit.persistence import atomic
from releasekit.pipeline.aside import SUMMARY_FILENAME
from releasekit.report import summary
from releasekit.report.timeline import Timeline
from releasekit.state import STATE_FILENAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Workspace


def completed() -> RunState:
    state = RunState("0" * 40, index="local")
    for name in HOSTILE:
        package = state.init_package(name, version=name)
        for trigger in ("start_building", "start_publishing", "start_verifying", "confirm"):
            getattr(package, trigger)()
    state.init_package("private", status=PackageStatus.SKIPPED, reason="marked\nprivate")
    return state


def test_a_summary_is_of_its_schema_whatever_the_names_are(tmp_path: Path) -> None:
    state = completed()

    summary.write(tmp_path / STATE_FILENAME, state, Timeline())

    told = checked("summary", (tmp_path / SUMMARY_FILENAME).read_text("utf-8"))
    assert set(told["published"]) == set(HOSTILE)
    assert told["skipped"] == {"private": {"version": "", "reason": "marked\nprivate"}}
    assert told["ended_at"] is None
    assert [path.name for path in tmp_path.iterdir()] == [SUMMARY_FILENAME]


def test_it_is_removed_durably_whether_it_is_there_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = list[object]()
    monkeypatch.setattr(atomic, "flush_directory", flushed.append)
    file = tmp_path / SUMMARY_FILENAME
    file.write_text("of an earlier run")

    for _ in range(2):
        summary.remove(tmp_path / STATE_FILENAME)
        assert not file.exists()
    assert flushed == [tmp_path]

    summary.remove(tmp_path / ("x" * 5000) / STATE_FILENAME)


def test_it_lies_where_the_state_file_really_is(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / STATE_FILENAME).touch()
    (tmp_path / STATE_FILENAME).symlink_to(elsewhere / STATE_FILENAME)

    summary.write(tmp_path / STATE_FILENAME, completed(), Timeline())

    assert (elsewhere / SUMMARY_FILENAME).exists()


def test_a_summary_that_can_not_be_written_or_removed_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / SUMMARY_FILENAME).mkdir()

    with capture_logs() as logs:
        summary.write(tmp_path / STATE_FILENAME, completed(), Timeline())
        summary.remove(tmp_path / STATE_FILENAME)

    assert [log["event"] for log in logs] == ["releasekit.summary_failed"] * 2


def test_it_is_written_durably_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / SUMMARY_FILENAME
    file.write_text("the old one")

    def flush(_fd: int) -> None:
        raise OSError(5, "the disk is broken")

    monkeypatch.setattr(atomic, "flush", flush)
    with capture_logs() as logs:
        summary.write(tmp_path / STATE_FILENAME, completed(), Timeline())

    assert logs[0]["error"] == f"[Errno 5] the disk is broken: {str(file)!r}"
    assert file.read_text() == "the old one"
    assert len([*tmp_path.iterdir()]) == 1


def test_it_is_there_exactly_after_a_run_that_is_complete(workspace: Workspace) -> None:
    file = workspace.root / SUMMARY_FILENAME
    assert workspace.releasekit(*OUT).returncode == 0
    first = file.read_bytes()
    assert workspace.releasekit(*OUT).returncode == 0
    assert file.read_bytes() == first

    workspace.edit("packages/aurora/pyproject.toml", '"3.0.0"', '"3.1.0"')
    break_package(workspace, "aurora")
    assert workspace.releasekit(*OUT).returncode == 1
    assert not file.exists()
    assert not [*workspace.root.glob(f"{SUMMARY_FILENAME}.*")]  # the run itself is put aside


@pytest.mark.parametrize("refused", ["dirty", "no such index", "no git"])
def test_a_publish_that_is_refused_leaves_none_of_an_earlier_one(workspace: Workspace, refused: str) -> None:
    file = workspace.root / SUMMARY_FILENAME
    assert workspace.releasekit(*OUT).returncode == 0
    workspace.edit("packages/aurora/pyproject.toml", '"3.0.0"', '"3.1.0"')
    if refused == "no git":
        (workspace.root / ".git").rename(workspace.root / "git-of-old")
    assert workspace.releasekit(*OUT, "--dry-run").returncode == 1
    assert file.exists()

    again = workspace.releasekit("publish", "--index", "nope" if refused == "no such index" else "./out")

    assert again.returncode == 1
    assert not file.exists()


def test_a_publish_that_is_killed_before_its_run_begins_leaves_none(workspace: Workspace) -> None:
    assert workspace.releasekit(*OUT).returncode == 0
    workspace.edit("packages/aurora/pyproject.toml", '"3.0.0"', '"3.1.0"')
    workspace.commit()
    script = (
        "import os, signal, sys\n"
        "from releasekit import cli\n"
        "from releasekit.pipeline.directory_index import DirectoryIndex\n"
        "DirectoryIndex.files = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.argv[1:] = ['publish', '--index', './out']\n"
        "sys.exit(cli.main())\n"
    )

    assert workspace.python("-c", script).returncode == -signal.SIGKILL
    assert not (workspace.root / SUMMARY_FILENAME).exists()


def test_a_run_that_can_not_be_confirmed_any_more_is_not_complete(workspace: Workspace) -> None:
    workspace.killed_at("published", 0, *OUT, "--jobs", "1")
    published = next(name for name, status in workspace.statuses().items() if status == "published")
    next((workspace.root / "out").glob(f"{published.replace('-', '_')}-*.tar.gz")).unlink()

    assert workspace.releasekit(*OUT, "--verify-timeout", "2").returncode == 4
    assert not (workspace.root / SUMMARY_FILENAME).exists()
