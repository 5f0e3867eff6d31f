"""`releasekit history`, as a user calls it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.cli.helpers import NAMES, OUT, StuckPackage, running

from releasekit.state import STATE_FILENAME, RunState

if TYPE_CHECKING:
    from tests.support import Workspace


def test_the_history_of_a_release_tells_every_trigger_and_how_long_each_status_took(workspace: Workspace) -> None:
    assert workspace.releasekit(*OUT).returncode == 0
    shown = workspace.releasekit("history")

    assert shown.returncode == 0
    assert shown.stderr == ""
    lines = shown.stdout.splitlines()
    assert re.match(r"commit [0-9a-f]{12}, index \./out, begun 20", lines[0])
    assert lines[2].split() == ["time", "(UTC)", "package", "trigger", "status", "took"]
    moves = [re.split(r"  +", line) for line in lines[3:] if line.startswith("20")]
    of_one = [(trigger, status) for _, name, trigger, status, *_ in moves if name == "aurora-http"]
    assert of_one == [
        ("joined", "pending"),
        ("start_building", "pending → building"),
        ("record_artifacts", "building"),
        ("start_publishing", "building → publishing"),
        ("start_verifying", "publishing → verifying"),
        ("confirm", "verifying → published"),
    ]
    summary = lines.index("") + 1
    summary = lines.index("", summary) + 1
    assert lines[summary].split() == ["package", "pending", "building", "publishing", "verifying", "attempts", "now"]
    assert {line.split()[0] for line in lines[summary + 1 :]} == NAMES
    assert all(re.search(r"^\S+( +\d+\.\d{3} s){4} +1 +published$", line) for line in lines[summary + 1 :])


def test_one_package_can_be_asked_for_also_as_json(workspace: Workspace) -> None:
    workspace.releasekit(*OUT)
    shown = workspace.releasekit("history", "--package", "Aurora_HTTP", "--package", "aurora", "--json")

    document = json.loads(shown.stdout)
    assert set(document) == {"run_id", "git_sha", "index", "created_at", "events", "durations"}
    assert document["run_id"] == workspace.run().run_id
    assert {event["package"] for event in document["events"]} == {"aurora-http", "aurora"} == set(document["durations"])
    built = next(event for event in document["events"] if event["trigger"] == "record_artifacts")
    assert built["artifacts"] == dict(workspace.run()[built["package"]].artifacts)
    assert document["durations"]["aurora"]["building"] > 0
    begun = next(event for event in document["events"] if event["trigger"] == "start_building")
    assert (begun["from"], begun["to"]) == ("pending", "building")
    assert begun["seconds"] >= 0


def test_an_error_is_told_in_one_line(workspace: Workspace) -> None:
    state = RunState("abc", index="./out")
    state.init_package("core")
    path = workspace.root / STATE_FILENAME
    state.save(path)
    workspace.python("-c", _FAIL, str(path))

    shown = workspace.releasekit("history")

    failed = next(line for line in shown.stdout.splitlines() if " fail " in line)
    assert failed.endswith(r"RK-BUILD-FAILED: error: a \x1b[2J screen")
    assert "\x1b" not in shown.stdout


_FAIL = r"""
import sys
from releasekit import RunStore
with RunStore.open(sys.argv[1]) as store:
    store.state["core"].start_building()
    store.state["core"].fail("RK-BUILD-FAILED: core did not build\nerror: a \x1b[2J screen\n  hint: mend it")
"""


def test_status_history_and_diagram_work_while_a_run_is_at_work_and_agree(workspace: Workspace) -> None:
    stuck = StuckPackage(workspace, "aurora-http")
    with running(workspace, *OUT) as child:
        stuck.wait(child)
        shown = {command: workspace.releasekit(command) for command in ("status", "history", "diagram")}
        assert child.poll() is None

    assert {command: (run.returncode, run.stderr) for command, run in shown.items()} == dict.fromkeys(shown, (0, ""))
    assert re.search("aurora-http .* building", shown["status"].stdout)
    assert re.search("aurora-http .* start_building +pending → building", shown["history"].stdout)
    assert "building" in shown["diagram"].stdout


def test_a_history_that_is_not_there_is_a_message(workspace: Workspace) -> None:
    assert "RK-STATE-NOT-FOUND" in workspace.releasekit("history").stderr
    RunState("abc").save(workspace.root / STATE_FILENAME)
    assert "RK-STATE-NO-HISTORY" in workspace.releasekit("history").stderr
    workspace.releasekit(*OUT, "--fresh")
    assert "RK-STATE-UNKNOWN-PACKAGE" in workspace.releasekit("history", "--package", "nobody").stderr


def test_a_torn_end_is_warned_of_on_stderr_and_leaves_json_alone(workspace: Workspace) -> None:
    workspace.releasekit(*OUT)
    journal = workspace.root / ".releasekit-state.journal"
    journal.write_bytes(journal.read_bytes()[:-5])
    for command in ("status", "history"):
        shown = workspace.releasekit(command, "--json")
        assert json.loads(shown.stdout)["run_id"]
        assert "level=warning event=releasekit.journal_torn" in shown.stderr

    again = workspace.releasekit(*OUT)

    assert again.returncode == 0
    assert "releasekit.journal_torn" in again.stderr
    assert set(workspace.statuses().values()) == {"published"}
    assert workspace.releasekit("status").stderr == ""
