from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from tests.cli.helpers import NAMES, OUT, StuckPackage, break_package, running
from tests.support import INDEX, dies, digests

from releasekit import ReleaseKitError, RunState
from releasekit.cli import unless_gone
from releasekit.cli.publish import CONFLICT, DONE, NOTHING_PUBLISHED, PARTLY_PUBLISHED, exit_code
from releasekit.errors import E
from releasekit.pipeline import Outcome
from releasekit.pipeline.aside import SUMMARY_FILENAME

if TYPE_CHECKING:
    from tests.support import Workspace

TO_SERVER = ("publish", "--index", INDEX, "--verify-timeout", "20")


def test_a_directory_gets_every_file_once(workspace: Workspace) -> None:
    done = workspace.releasekit(*OUT)

    assert done.returncode == 0, done.stderr
    assert set(workspace.statuses().values()) == {"published"}
    assert digests(workspace.root / "out") == workspace.recorded()
    assert len(workspace.recorded()) == 16
    assert "8 packages: 8 published" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("next: nothing.")
    assert "releasekit.package_moved" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_time_there_is_nothing_to_do(workspace: Workspace) -> None:
    workspace.releasekit(*OUT)
    before = {path: path.stat().st_mtime_ns for path in (workspace.root / "out").iterdir()}

    again = workspace.releasekit(*OUT)

    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1].startswith("next: nothing.")
    assert "package_moved" not in again.stderr
    assert {path: path.stat().st_mtime_ns for path in (workspace.root / "out").iterdir()} == before


def test_the_result_is_one_json_document_on_stdout(workspace: Workspace) -> None:
    done = workspace.releasekit(*OUT, "--json", "--log-json")

    result = json.loads(done.stdout)
    assert (result["exit_code"], result["finished"], result["error"]) == (0, True, "")
    assert result["packages"].keys() == NAMES
    assert result["packages"]["aurora"]["artifacts"].items() <= digests(workspace.root / "out").items()
    assert all(json.loads(line)["event"] for line in done.stderr.splitlines())


def test_the_module_is_the_command(workspace: Workspace) -> None:
    program = shutil.which("releasekit", path=os.path.dirname(sys.executable))  # noqa: PTH120  # not its target
    assert program
    installed = subprocess.run([program, "--help"], check=False, capture_output=True, text=True)

    assert installed.returncode == 0
    assert "Publish the packages of a monorepo" in installed.stdout
    assert installed.stdout.replace("releasekit", "python -m releasekit", 1) == workspace.releasekit("--help").stdout


def test_a_failing_build_means_that_nothing_is_uploaded(workspace: Workspace) -> None:
    break_package(workspace, "aurora-http")

    failed = workspace.releasekit(*OUT)

    assert failed.returncode == NOTHING_PUBLISHED
    assert not (workspace.root / "out").exists()
    assert workspace.statuses() == dict.fromkeys(NAMES, "pending") | {"aurora-http": "failed"}
    assert "blocked by aurora-http" in failed.stdout
    (row,) = [line for line in failed.stdout.splitlines() if " aurora-core " in line]
    assert row.endswith("built; waits for what failed, unless --no-gate")
    last = failed.stdout.splitlines()[-1]
    assert last.startswith("next: mend the errors of aurora-http")
    assert "--fresh" in last
    assert "resume: releasekit publish --index ./out" in failed.stderr


def test_without_the_gate_a_failing_build_leaves_the_run_partly_published(workspace: Workspace) -> None:
    break_package(workspace, "aurora-http")

    failed = workspace.releasekit(*OUT, "--no-gate")

    assert failed.returncode == PARTLY_PUBLISHED
    waiting = {"aurora-api": "pending", "aurora": "pending"}
    assert workspace.statuses() == dict.fromkeys(NAMES, "published") | {"aurora-http": "failed"} | waiting
    assert digests(workspace.root / "out").items() <= workspace.recorded().items()


def test_after_a_mend_in_a_new_commit_fresh_publishes_only_the_rest(workspace: Workspace) -> None:
    break_package(workspace, "aurora-http")
    workspace.releasekit(*OUT, "--no-gate")
    before = digests(workspace.root / "out")
    module = workspace.root / "packages/aurora-http/src/aurora_http"
    module.mkdir(parents=True)
    (module / "__init__.py").touch()
    workspace.commit("Mend it")

    refused = workspace.releasekit(*OUT)
    assert refused.returncode == 1
    assert "RK-STATE-SHA-MISMATCH" in refused.stderr
    assert "--fresh" in refused.stderr

    done = workspace.releasekit(*OUT, "--fresh")
    assert done.returncode == 0, done.stderr
    assert sorted(name for name, status in workspace.statuses().items() if status == "published") == [
        "aurora",
        "aurora-api",
        "aurora-http",
    ]
    assert before.items() <= digests(workspace.root / "out").items()
    assert len(digests(workspace.root / "out")) == 16
    assert len(list(workspace.root.glob(".releasekit-state.json.*"))) == 2  # the journal too


def test_a_conflict_stops_one_package_and_what_requires_it(indexed: Workspace, served: tuple[str, Path]) -> None:
    theirs = served[1] / "aurora_text-1.2.1.tar.gz"
    theirs.write_bytes(b"published by somebody else")

    stopped = indexed.releasekit(*TO_SERVER)

    assert stopped.returncode == CONFLICT, stopped.stderr
    ours = indexed.recorded()[theirs.name]
    error = indexed.state()["packages"]["aurora-text"]["error"]
    assert ours in error
    assert digests(served[1])[theirs.name] in error
    assert theirs.read_bytes() == b"published by somebody else"
    published = dict.fromkeys(("aurora-core", "aurora-net", "aurora-http"), "published")
    assert indexed.statuses() == dict.fromkeys(NAMES, "pending") | published | {"aurora-text": "failed"}
    assert stopped.stdout.count("blocked by aurora-text") == 4
    assert stopped.stdout.splitlines()[-1].startswith("next: decide about aurora-text")

    again = indexed.releasekit(*TO_SERVER, "--json")
    assert again.returncode == CONFLICT
    assert json.loads(again.stdout)["conflicts"] == ["aurora-text"]
    assert json.loads(again.stdout)["blocked"].keys() == {"aurora", "aurora-api", "aurora-parse", "aurora-store"}


def test_a_published_file_that_is_gone_is_for_a_person_to_decide(workspace: Workspace) -> None:
    """At the start of a resume; once nothing is left to do, only a dry run asks."""
    workspace.killed_at("published", 0, *OUT, "--jobs", "1")
    published = next(name for name, status in workspace.statuses().items() if status == "published")
    gone = next((workspace.root / "out").glob(f"{published.replace('-', '_')}-*.tar.gz"))
    kept = gone.read_bytes()
    gone.unlink()

    stopped = workspace.releasekit(*OUT, "--verify-timeout", "2")

    assert stopped.returncode == CONFLICT
    assert gone.name in stopped.stderr
    assert "RK-PUBLISHED-MISSING" in stopped.stderr

    gone.write_bytes(kept)
    assert workspace.releasekit(*OUT).returncode == 0
    gone.unlink()
    assert workspace.releasekit(*OUT).returncode == 0
    asked = workspace.releasekit(*OUT, "--dry-run", "--verify-timeout", "2")
    assert asked.returncode == CONFLICT
    assert gone.name in asked.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_clean_and_the_same_command_finishes_it(workspace: Workspace, number: int) -> None:
    stuck = StuckPackage(workspace, "aurora-store")
    with running(workspace, *OUT, "--jobs", "8") as child:
        build = stuck.wait(child)
        child.send_signal(number)
        stdout, stderr = child.communicate()

    assert child.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "resume: releasekit publish --index ./out" in stderr
    assert stdout.splitlines()[-1].startswith("next: run the same")
    assert dies(build)
    assert set(workspace.statuses().values()) == {"pending"}

    stuck.mend()
    done = workspace.releasekit(*OUT, "--allow-dirty")
    assert done.returncode == 0, done.stderr
    assert digests(workspace.root / "out") == workspace.recorded()


def test_a_second_process_is_told_who_is_at_work(workspace: Workspace) -> None:
    stuck = StuckPackage(workspace, "aurora-core")
    with running(workspace, *OUT) as child:
        stuck.wait(child)
        for arguments in (OUT, (*OUT, "--fresh"), ("retry",), ("skip", "aurora"), ("clean", "--force")):
            second = workspace.releasekit(*arguments)
            assert second.returncode == 1
            assert "RK-STATE-LOCKED" in second.stderr
            assert f"process {child.pid} " in second.stderr
        looking = workspace.releasekit("status")
        assert looking.returncode == 0
        assert looking.stdout.splitlines()[-1].startswith("next: wait.")
        child.send_signal(signal.SIGTERM)
        child.communicate()


def test_a_run_of_another_commit_is_refused_until_fresh(workspace: Workspace) -> None:
    break_package(workspace, "aurora-core")
    workspace.releasekit(*OUT)
    (workspace.root / "README").touch()
    workspace.commit("Another")

    refused = workspace.releasekit(*OUT)

    assert refused.returncode == 1
    assert "RK-STATE-SHA-MISMATCH" in refused.stderr
    assert workspace.releasekit(*OUT, "--fresh").stdout.count("failed") >= 1


def test_a_finished_run_of_an_older_commit_makes_way(workspace: Workspace) -> None:
    workspace.releasekit(*OUT)
    workspace.edit("packages/aurora/pyproject.toml", '"3.0.0"', '"3.1.0"')
    workspace.commit("The next release")

    done = workspace.releasekit(*OUT)

    assert done.returncode == 0, done.stderr
    assert workspace.statuses() == dict.fromkeys(NAMES, "skipped") | {"aurora": "published"}
    assert len(digests(workspace.root / "out")) == 18


def test_a_state_file_that_git_tracks_is_refused(workspace: Workspace) -> None:
    (workspace.root / ".gitignore").unlink()
    (workspace.root / ".releasekit-state.json").write_text("{}")
    workspace.commit("By mistake")

    refused = workspace.releasekit(*OUT)

    assert refused.returncode == 1
    assert "RK-STATE-TRACKED" in refused.stderr
    assert "git rm -r --cached" in refused.stderr


def test_no_password_stands_in_any_output_or_file(indexed: Workspace) -> None:
    done = indexed.releasekit(*TO_SERVER, "--log-level", "debug")

    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stdout + done.stderr
    assert all(b"canary" not in path.read_bytes() for path in indexed.root.glob(".releasekit-*") if path.is_file())


@pytest.mark.parametrize("reader", ["stdout", "stderr", "both"])
def test_a_release_does_not_depend_on_who_reads_its_output(workspace: Workspace, reader: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    broken = {"stdout": write_end, "stderr": write_end} if reader == "both" else {reader: write_end}
    try:
        with running(workspace, *OUT, **broken) as child:
            stdout, stderr = child.communicate()
    finally:
        os.close(write_end)

    assert child.returncode == 0, stderr
    assert "Traceback" not in (stdout or "") + (stderr or "")
    assert set(workspace.statuses().values()) == {"published"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["table", "json"])
def test_a_full_device_behind_an_output_changes_nothing(
    workspace: Workspace, tmp_path: Path, stream: str, arguments: tuple[str, ...]
) -> None:
    outputs = tmp_path / "outputs"
    environ = workspace.environ() | {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(outputs)}
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        options = {stream: full, "env": environ}
        with running(workspace, *OUT, *arguments, **options) as child:
            stdout, stderr = child.communicate()

    assert child.returncode == 0, stderr
    assert "Traceback" not in (stdout or "") + (stderr or "")
    assert "Exception ignored" not in (stdout or "") + (stderr or "")
    assert set(workspace.statuses().values()) == {"published"}
    assert (workspace.root / SUMMARY_FILENAME).exists()
    assert "complete=true" in outputs.read_text()
    if stream == "stdout":
        assert "releasekit.output_lost" in stderr


@pytest.mark.parametrize(
    "closed", [BrokenPipeError(), OSError(28, "No space left on device"), ValueError("closed file")]
)
def test_a_stream_that_takes_no_more_stops_nothing(closed: Exception) -> None:
    class Stream(StringIO):  # it has no descriptor either
        name = "a stream"

    def write() -> None:
        raise closed

    with capture_logs() as logs, unless_gone(Stream()):
        write()

    told = [] if isinstance(closed, BrokenPipeError) else ["releasekit.output_lost"]
    assert [log["event"] for log in logs] == told


def test_closed_streams_do_not_matter_either(workspace: Workspace) -> None:
    command = f'exec "{sys.executable}" -m releasekit publish --index ./out <&- >&- 2>&-'
    done = subprocess.run(["/bin/sh", "-c", command], cwd=workspace.root, env=workspace.environ(), check=False)

    assert done.returncode == 0
    assert set(workspace.statuses().values()) == {"published"}


def test_a_workspace_may_be_published_from_elsewhere(workspace: Workspace, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "releasekit", "publish", "workspace", "--index", "./out"]
    done = subprocess.run(command, cwd=tmp_path, env=workspace.environ(), check=False, capture_output=True)

    assert done.returncode == 0
    assert len(digests(tmp_path / "out")) == 16


def outcome(*statuses: str, error: ReleaseKitError | None = None, interrupted: bool = False) -> Outcome:
    state = RunState("0" * 40)
    for number, status in enumerate(statuses):
        package = state.init_package(f"p{number}")
        package.start_building()
        if status == "published":
            package.start_publishing()
            package.start_verifying()
            package.confirm()
        elif status == "pending":
            package.recover()
        else:
            package.fail(status)
    return Outcome(state, interrupted, error, arrived="published" in statuses)


CONFLICTING = "RK-INDEX-CONFLICT: it is there with other content"
BROKEN = "RK-BUILD-FAILED: it broke"
FULL = ReleaseKitError(E.STATE_NOT_DURABLE, "no space")


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (outcome(), DONE),
        (outcome("published"), DONE),
        (outcome("published", interrupted=True), DONE),
        (outcome("pending", interrupted=True), 130),
        (outcome("published", CONFLICTING, interrupted=True), 130),
        (outcome(BROKEN, "pending"), NOTHING_PUBLISHED),
        (outcome(BROKEN, "published"), PARTLY_PUBLISHED),
        (outcome("pending", error=FULL), NOTHING_PUBLISHED),
        (outcome("published", error=FULL), PARTLY_PUBLISHED),
        (outcome("published", "pending", error=ReleaseKitError(E.INDEX_UNREADABLE, "down")), PARTLY_PUBLISHED),
        (outcome(CONFLICTING), CONFLICT),
        (outcome(CONFLICTING, BROKEN, "published"), CONFLICT),
        (outcome("published", error=ReleaseKitError(E.INDEX_CONFLICT, "changed")), CONFLICT),
        (outcome("published", error=ReleaseKitError(E.PUBLISHED_MISSING, "gone")), CONFLICT),
    ],
)
def test_the_exit_code_tells_how_it_ended(ended: Outcome, code: int) -> None:
    assert exit_code(ended) == code
