from __future__ import annotations

import json
import signal
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from tests.cli.helpers import NAMES, OUT
from tests.schemas import checked

from releasekit import RunState
from releasekit.cli import COMMANDS, releasekit
from releasekit.cli.explain import EXPLANATIONS
from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import declare
from releasekit.pipeline.git import head
from releasekit.state import STATE_FILENAME
from releasekit.store import RunStore
from releasekit.workspace import load_workspace

if TYPE_CHECKING:
    from tests.support import Workspace


@pytest.fixture
def begun(workspace: Workspace) -> Workspace:
    """A workspace with a run in which aurora-http failed and nothing is published."""
    state = declare(load_workspace(workspace.root), head(workspace.root).sha, "./out")
    state["aurora-http"].start_building()
    state["aurora-http"].fail(str(ReleaseKitError(E.BUILD_FAILED, "it has no module")))
    state.save(workspace.root / STATE_FILENAME)
    return workspace


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_a_command_is_the_first_line_of_its_help(name: str) -> None:
    command = import_module(f"releasekit.cli.{name}").command

    assert command.name == name
    assert (command.help or "").strip().splitlines()[0] == COMMANDS[name]


def test_help_lists_every_command_and_every_exit_code(workspace: Workspace) -> None:
    shown = workspace.releasekit("-h")

    assert shown.returncode == 0
    assert all(f"\n  {name} " in shown.stdout for name in COMMANDS)
    assert all(f"\n    {code}  " in shown.stdout for code in (0, 1, 2, 3, 4, 130))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    shown = CliRunner().invoke(releasekit, [name, "-h"])

    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"Usage: releasekit {name} ")
    assert COMMANDS[name] in shown.stdout
    assert "\\b" not in shown.stdout


def test_the_version_is_that_of_the_distribution(workspace: Workspace) -> None:
    assert workspace.releasekit("--version").stdout.split()[-1] == "0.1.0"


def test_a_plan_names_levels_and_requirements_and_writes_nothing(workspace: Workspace) -> None:
    before = sorted(workspace.root.iterdir())
    shown = workspace.releasekit("plan")

    assert shown.returncode == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["0", "aurora-core", "1.4.0"] in lines
    assert ["4", "aurora", "3.0.0", "after", "aurora-api,", "aurora-store"] in lines
    assert "8 of 8 to be published." in shown.stdout
    assert sorted(workspace.root.iterdir()) == before


def test_a_plan_says_only_of_what_is_to_be_published_what_it_waits_for(workspace: Workspace) -> None:
    shown = workspace.releasekit("plan", "--only", "aurora-api", "--only", "aurora-store", "--only", "aurora")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["4", "aurora", "3.0.0", "after", "aurora-api,", "aurora-store"] in lines
    assert ["3", "aurora-api", "1.0.2", "after", "aurora-store"] in lines
    assert ["2", "aurora-store", "1.1.0"] in lines


def test_a_plan_for_an_index_leaves_out_what_is_there(workspace: Workspace) -> None:
    workspace.releasekit(*OUT)
    for path in (workspace.root / "out").glob("aurora_net-*"):
        path.unlink()

    shown = workspace.releasekit("plan", "--index", "./out", "--json")

    packages = json.loads(shown.stdout)["packages"]
    assert {package["name"]: package["status"] for package in packages} == dict.fromkeys(NAMES, "skipped") | {
        "aurora-net": "pending"
    }
    assert "1 of 8 to be published" in workspace.releasekit("plan", "--index", "./out").stdout


def test_status_shows_the_run_for_people_and_machines(begun: Workspace) -> None:
    shown = begun.releasekit("status")
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"commit {begun.state()['git_sha'][:12]}, index ./out, begun 20")
    assert "8 packages: 7 pending, 1 failed" in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith("next: mend the errors of aurora-http")

    result = json.loads(begun.releasekit("status", "--json").stdout)
    assert result["packages"]["aurora-http"]["status"] == "failed"
    assert "RK-BUILD-FAILED" in result["packages"]["aurora-http"]["error"]
    assert result["blocked"] == {"aurora": ["aurora-http"], "aurora-api": ["aurora-http"]}


def test_status_of_a_killed_run_says_how_to_go_on(workspace: Workspace) -> None:
    killed = workspace.killed_at("publishing", 0, *OUT)
    assert killed.returncode == -signal.SIGKILL

    shown = workspace.releasekit("status")

    assert "publishing" in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith("next: run the same `releasekit publish` command again")


def test_a_failed_package_can_be_retried_by_name_or_with_all(begun: Workspace) -> None:
    shown = begun.releasekit("retry", "aurora-http", "aurora-http")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("pending again: aurora-http\n")
    assert set(begun.statuses().values()) == {"pending"}

    assert begun.releasekit("retry").stdout.startswith("nothing had failed\n")
    assert json.loads(begun.releasekit("retry", "--json").stdout)["retried"] == []


@pytest.mark.parametrize("wrong", ["aurora-core", "no-such"])
def test_of_several_packages_all_are_retried_or_none(begun: Workspace, wrong: str) -> None:
    refused = begun.releasekit("retry", "aurora-http", wrong)

    assert refused.returncode == 1
    assert wrong in refused.stderr
    assert begun.statuses()["aurora-http"] == "failed"


def test_a_waiting_package_can_be_skipped_with_a_reason(begun: Workspace) -> None:
    shown = begun.releasekit("skip", "aurora", "--reason", "not today\x1b[2J", "--workspace", ".")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("skipped: aurora (not today\\x1b[2J)\n")
    assert begun.statuses()["aurora"] == "skipped"

    refused = begun.releasekit("skip", "aurora-http")
    assert refused.returncode == 1
    assert "RK-STATE-ILLEGAL-TRANSITION" in refused.stderr
    assert "retry" in refused.stderr


def test_a_skipped_failure_lets_the_rest_go_on(begun: Workspace) -> None:
    begun.releasekit("retry")
    begun.releasekit("skip", "aurora-http")

    refused = begun.releasekit(*OUT)  # nobody could install what requires it
    assert refused.returncode == 1
    assert "'aurora-api' requires 'aurora-http', and this run does not publish aurora-http" in refused.stdout
    assert set(begun.statuses().values()) == {"pending", "failed", "skipped"}

    (begun.root / "out").mkdir(exist_ok=True)
    (begun.root / "out" / "aurora_http-0.9.tar.gz").touch()
    done = begun.releasekit(*OUT)

    assert done.returncode == 0, done.stderr
    assert begun.statuses() == dict.fromkeys(NAMES, "published") | {"aurora-http": "skipped"}


@pytest.mark.parametrize("what", [(), ("--lifecycle",)], ids=["run", "lifecycle"])
def test_a_diagram_goes_to_stdout_or_into_a_file_of_any_format(begun: Workspace, what: tuple[str, ...]) -> None:
    word = "retry" if what else "aurora-http"
    assert word in begun.releasekit("diagram", *what).stdout
    assert begun.releasekit("diagram", *what).stdout.lstrip("/ \n").startswith(("digraph", "strict digraph"))
    assert word in begun.releasekit("diagram", *what, "--format", "mermaid").stdout

    for suffix in ("dot", "mmd", "svg", "png"):
        written = begun.releasekit("diagram", *what, "-o", f"picture.{suffix}")
        assert written.returncode == 0, written.stderr
        assert (written.stdout, written.stderr) == ("", f"wrote picture.{suffix}\n")
    ET.parse(begun.root / "picture.svg")  # noqa: S314  # our own output
    assert (begun.root / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_format_that_can_not_be_drawn_leaves_the_file_that_is_there(begun: Workspace) -> None:
    old = begun.root / "picture.bmp"
    old.write_text("precious")

    refused = begun.releasekit("diagram", "-o", "picture.bmp")

    assert refused.returncode == 1
    assert "RK-DIAGRAM-FORMAT" in refused.stderr
    assert old.read_text() == "precious"


def test_the_lifecycle_needs_no_run(workspace: Workspace) -> None:
    assert workspace.releasekit("diagram", "--lifecycle").returncode == 0
    assert "RK-STATE-NOT-FOUND" in workspace.releasekit("diagram").stderr


def test_every_error_code_is_explained() -> None:
    assert EXPLANATIONS.keys() == set(E)
    assert all(text.endswith(".") for text in EXPLANATIONS.values())


@pytest.mark.parametrize("spelling", ["RK-STATE-LOCKED", "rk-state-locked", "STATE_LOCKED", "E.STATE_LOCKED"])
def test_a_code_may_be_spelled_in_any_way_it_is_seen(workspace: Workspace, spelling: str) -> None:
    shown = workspace.releasekit("explain", spelling)

    assert shown.returncode == 0
    assert shown.stdout.startswith("RK-STATE-LOCKED\n")
    assert "lock" in shown.stdout


def test_without_a_code_all_are_listed_and_an_unknown_one_is_refused(workspace: Workspace) -> None:
    listed = workspace.releasekit("explain").stdout.splitlines()
    assert [line for line in listed if not line.startswith(" ")] == list(E)

    refused = workspace.releasekit("explain", "RK-NO-SUCH\x1b[2J")
    assert refused.returncode == 2
    assert "releasekit explain" in refused.stderr
    assert "\x1b" not in refused.stderr


def test_an_unfinished_run_is_cleaned_only_by_force(begun: Workspace) -> None:
    refused = begun.releasekit("clean")
    assert refused.returncode == 1
    assert "RK-STATE-UNFINISHED" in refused.stderr
    assert "--force" in refused.stderr
    assert begun.statuses()["aurora-http"] == "failed"

    done = begun.releasekit("clean", "--force")
    assert done.returncode == 0
    assert [path.name for path in begun.root.glob(".releasekit-*")] == [".releasekit-state.lock"]


def test_cleaning_a_finished_run_removes_also_what_was_put_aside(workspace: Workspace) -> None:
    workspace.releasekit(*OUT)
    workspace.releasekit(*OUT, "--fresh")
    done = workspace.releasekit("clean", "--json")

    removed = [Path(path).name for path in json.loads(done.stdout)["removed"]]
    assert {".releasekit-state.json", ".releasekit-state.journal"} < set(removed)
    assert sum(name.startswith(".releasekit-state.json.") for name in removed) == 2
    assert any(name.startswith(".releasekit-dist.") for name in removed)
    assert [path.name for path in workspace.root.glob(".releasekit-*")] == [".releasekit-state.lock"]
    assert len(list((workspace.root / "out").iterdir())) == 16

    assert "nothing to remove" in workspace.releasekit("clean").stdout


def test_a_run_of_which_only_the_journal_is_left_is_cleaned_only_by_force(workspace: Workspace) -> None:
    with RunStore.create(workspace.root / STATE_FILENAME, declare(load_workspace(workspace.root), "abc", "./out")):
        pass
    (workspace.root / STATE_FILENAME).unlink()

    assert "is not finished" in workspace.releasekit("clean").stderr
    assert workspace.releasekit("clean", "--force").returncode == 0
    assert [path.name for path in workspace.root.glob(".releasekit-*")] == [".releasekit-state.lock"]


def test_cleaning_where_no_run_ever_was_leaves_nothing_behind(workspace: Workspace) -> None:
    assert workspace.releasekit("clean").returncode == 0
    assert list(workspace.root.glob(".releasekit-*")) == []


def test_a_corrupt_run_is_cleaned_only_by_force(workspace: Workspace) -> None:
    (workspace.root / ".releasekit-state.json").write_text("{")

    assert "RK-STATE-CORRUPTED" in workspace.releasekit("clean").stderr
    assert workspace.releasekit("clean", "--force").returncode == 0


@pytest.mark.parametrize("code", [E.BUILD_FAILED, E.BUILD_INCOMPLETE, E.PUBLISH_FAILED])
def test_what_every_kind_of_package_can_meet_is_explained_of_each(code: E) -> None:
    assert "npm" in EXPLANATIONS[code]
    assert "command" in EXPLANATIONS[code]


def test_what_is_explained_names_every_way_there_is() -> None:
    assert "--format" in EXPLANATIONS[E.DIAGRAM_FORMAT]
    assert "uv.toml" in EXPLANATIONS[E.INDEX_UNKNOWN]
    assert "unless it exists" in EXPLANATIONS[E.INDEX_UNKNOWN]
    assert "Nothing was uploaded" not in EXPLANATIONS[E.BUILD_FAILED]  # an earlier process may have


@pytest.mark.parametrize("command", [("skip",), ("retry",), ("diagram", "--package"), ("history", "--package")])
def test_an_unknown_package_is_told_how_many_there_are(workspace: Workspace, command: tuple[str, ...]) -> None:
    state = RunState("0" * 40)
    for number in range(60):
        state.init_package(f"p{number:02}")
    RunStore.create(workspace.root / STATE_FILENAME, state).close()

    refused = workspace.releasekit(*command, "nobody")

    assert refused.returncode == 1
    assert "RK-STATE-UNKNOWN-PACKAGE: there is no package 'nobody'" in refused.stderr
    assert "p18, p19 and 40 more" in refused.stderr


def test_a_plan_and_the_log_of_a_release_note_what_a_lock_has_otherwise_and_what_is_not_waited_for(
    workspace: Workspace,
) -> None:
    lock = workspace.root / "uv.lock"
    package = 'name = "aurora-net"\nversion = "0.9.3"\nsource = { editable = "packages/aurora-net" }\n'
    lock.write_text(f"version = 1\n[[package]]\n{package}")
    core = workspace.root / "packages" / "aurora-core" / "pyproject.toml"
    text = core.read_text()
    core.write_text(
        text.replace("[build-system]", '[dependency-groups]\ndev = ["aurora", "aurora-net"]\n[build-system]')
    )
    workspace.commit()

    lines = workspace.releasekit("plan").stdout.splitlines()
    differs = "differs from uv.lock: it does not require aurora-core there, but here"
    dropped = "does not wait for aurora, aurora-net, asked for by its group dev: that would close a cycle"
    assert f"note: aurora-net {differs} (run `uv lock` and commit uv.lock)" in lines
    assert f"note: aurora-core {dropped}" in lines
    plan = checked("plan", workspace.releasekit("plan", "--json").stdout)
    (note,) = (note for note in plan["notes"] if note["kind"] == "requirements_dropped")
    assert (note["package"], note["requires"], note["hint"]) == ("aurora-core", ["aurora", "aurora-net"], "")
    assert [package["level"] for package in plan["packages"]] == [0, 1, 1, 2, 2, 2, 3, 4]

    for arguments in (("--dry-run",), ("--log-level", "info")):
        log = workspace.releasekit(*OUT, "--log-json", *arguments).stderr.splitlines()
        events = {(event["event"], event["package"]): event for event in map(json.loads, log) if "package" in event}
        assert events["releasekit.lock_differs", "aurora-net"]["level"] == "warning"
        assert events["releasekit.lock_differs", "aurora-net"]["text"] == differs
        assert events["releasekit.requirements_dropped", "aurora-core"]["requires"] == ["aurora", "aurora-net"]
