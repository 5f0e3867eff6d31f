"""What a runner of GitHub Actions gets to read, in the files that it names and in the log."""

from __future__ import annotations

import html
import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
from structlog.testing import capture_logs
from tests.cli.helpers import NAMES, OUT, break_package
from tests.hostile import HOSTILE, commands, unescaped

from releasekit import PackageStatus, ReleaseKitError, RunState
from releasekit.cli.watching import Watching
from releasekit.diagrams import run_mermaid
from releasekit.errors import E
from releasekit.escape import in_one_line
from releasekit.report import github
from releasekit.report.table import View
from releasekit.report.timeline import Timeline
from releasekit.state import STATE_FILENAME
from releasekit.store import RunStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Workspace


class Command(NamedTuple):
    """A command, as a runner reads it."""

    name: str
    properties: dict[str, str]
    data: str


def decoded(text: str, *codes: tuple[str, str]) -> str:
    for code, character in (*codes, ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def obeyed(log: str) -> list[Command]:
    """Read the commands of a log as a runner does."""
    found = []
    for line in re.split(r"\r\n|\n|\r", log):
        if command := re.match(r"\s*::([a-z-]+)(?: ([^:]*))?::(.*)$", line):
            name, properties, data = command.groups()
            pairs = (pair.partition("=")[::2] for pair in (properties or "").split(",") if pair)
            values = {key: decoded(value, ("%3A", ":"), ("%2C", ",")) for key, value in pairs}
            found.append(Command(name, values, decoded(data)))
    return found


def failed_run(*names: str) -> RunState:
    state = RunState("0" * 40, index="local")
    for name in names:
        package = state.init_package(name, version=name)
        package.start_building()
        package.fail(f"{E.BUILD_FAILED}: {name}")
    return state


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_an_annotation_is_one_command_and_says_what_it_was_given(name: str) -> None:
    told = github.errors_of(failed_run(name))

    (command,) = obeyed(told)
    assert commands(told) == [told.removesuffix("\n")]
    assert command.name == "error"
    assert unescaped(command.properties["title"]) == f"✗ {name} {name}: {E.BUILD_FAILED}"
    assert unescaped(command.data) == name  # the title has the code


def test_there_are_ten_annotations_at_most_and_what_stopped_the_run_is_the_first() -> None:
    state = failed_run(*(f"p{number:02}" for number in range(30)))

    assert len(obeyed(github.errors_of(state))) == 10
    stopped = obeyed(github.errors_of(state, ReleaseKitError(E.STATE_NOT_DURABLE, "no space", "make some")))
    assert len(stopped) == 10
    assert stopped[0].properties["title"] == E.STATE_NOT_DURABLE
    assert stopped[0].data == "no space\n  hint: make some"
    assert github.errors_of(RunState("")) == ""


def test_a_long_error_is_cut() -> None:
    (command,) = obeyed(github.annotation("x", "y" * 100_000))

    assert command.data.endswith("y …")
    assert len(command.data) < 5000


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_the_moves_of_a_package_are_one_group_when_it_ends(name: str) -> None:
    state, timeline, written = RunState("0" * 40), Timeline(), list[str]()
    github.Groups(state, timeline, written.append)
    package, other = state.init_package(name, version=name), state.init_package("other")
    other.start_building()
    package.start_building()
    package.record_artifacts({"f": "0" * 64})
    assert written == []
    package.fail(f"it broke\n{name}")

    (text,) = written
    begin, end = obeyed(text)
    assert (begin.name, end.name) == ("group", "endgroup")
    assert len(commands(text)) == 2
    assert unescaped(begin.data) == f"✗ {name} {name} failed"
    lines = text.splitlines()
    assert lines[1].startswith("start_building: pending → building, ")
    assert lines[3].split() == ["0" * 64, "f"]
    assert lines[5] == "it broke"


def test_each_end_is_a_group_of_what_happened_since_the_last() -> None:
    state, written = RunState("0" * 40), list[str]()
    github.Groups(state, Timeline(), written.append)
    package = state.init_package("a")
    package.start_building()
    package.fail("it broke")
    package.retry()
    package.skip("not wanted")

    assert [obeyed(text)[0].data for text in written] == ["✗ a failed", "⊘ a skipped"]
    assert "start_building" not in written[1]
    assert "not wanted" in written[1].splitlines()


def test_a_move_says_how_long_the_package_stood_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    state, timeline, written = RunState("0" * 40), Timeline(), list[str]()
    github.Groups(state, timeline, written.append)
    state.listen(timeline.hear)
    package = state.init_package("a")
    for trigger in ("start_building", "start_publishing", "start_verifying", "confirm"):
        getattr(package, trigger)()
        now[0] += 20

    assert [line.rpartition(", ")[2] for line in written[0].splitlines()[2:-1]] == ["20 s"] * 3


def test_what_has_not_ended_is_a_group_at_the_end() -> None:
    state, written = RunState("0" * 40), list[str]()
    groups = github.Groups(state, Timeline(), written.append)
    state.init_package("a").start_building()
    state.init_package("b")
    state["a"].recover()
    assert written == []

    groups.close()

    (text,) = written
    assert obeyed(text)[0].data == "○ a pending"
    assert [line.partition(":")[0] for line in text.splitlines()[1:3]] == ["start_building", "recover"]


def parsed(text: str) -> dict[str, str]:
    """Read outputs as a runner does, which also knows `name<<delimiter`."""
    lines = text.split("\n")
    assert lines.pop() == ""
    assert not [line for line in lines if "<<" in line.partition("=")[0]]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_outputs_are_three_whatever_the_names_are() -> None:
    hostile = [*HOSTILE, "x\ncomplete=true", "y\rz=1", "a<<EOF\nb\nEOF"]
    state = failed_run(*hostile)
    for name in HOSTILE:
        state[name].retry()
        state[name].skip("no")

    told = parsed(github.outputs(state, complete=False))

    assert list(told) == ["published", "failed", "complete"]
    assert json.loads(told["published"]) == []
    assert json.loads(told["failed"]) == sorted(set(hostile) - set(HOSTILE))
    assert told["complete"] == "false"
    assert github.outputs(state, complete=True).isascii()


def summary(state: RunState, size: int = github.SUMMARY_SIZE) -> str:
    return github.summary(View(state), "next: `nothing`", run_mermaid(state.packages.values()), size)


def table_rows(text: str) -> list[list[str]]:
    return [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")][2:]


def test_a_summary_has_every_package_with_its_error_and_the_graph() -> None:
    state = failed_run("a")
    state.init_package("b", version="1.0", requires=["a"])

    text = summary(state)

    assert text.startswith("### releasekit: 2 packages&#58; 1 pending&#44; 1 failed\n")
    assert [row[1] for row in table_rows(text)] == ["<code>a</code>", "<code>b</code>"]
    assert "blocked by a" in text
    assert "\n```mermaid\nflowchart LR\n" in text
    assert "next&#58; &#96;nothing&#96;" in text


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_or_an_error_is_a_cell_of_a_summary(name: str) -> None:
    text = summary(failed_run(name))

    ((glyph, shown, version, status, took, note),) = table_rows(text)
    assert unescaped(html.unescape(re.sub("</?code>", "", shown))) == name
    assert shown == version
    assert (glyph, status, took) == ("✗", "failed", "")
    assert not re.search(r"[<>&`*_\[\]()|#@:!\\](?!#?\w+;)", note.replace("&#", ""))
    assert text.count("```") == 2


@pytest.mark.parametrize("count", [0, 1, 300, 3_000])
@pytest.mark.parametrize("size", [0, 500, 2_000, 100_000, github.SUMMARY_SIZE])
def test_a_summary_keeps_within_its_size_and_counts_what_it_leaves_out(count: int, size: int) -> None:
    state = RunState("0" * 40)
    for number in range(count):
        package = state.init_package(f"包裹-{number:05}", version="1.0|", requires=[*state][-3:])
        if number % 100 == 99:
            package.start_building()
            package.fail("`" * 16_000)

    text = summary(state, size)

    assert len(text.encode()) <= size
    if text:
        left_out = re.search(r"^and (\d+) more", text, re.MULTILINE)
        shown = table_rows(text)
        assert len(shown) + int(left_out[1] if left_out else 0) == count
        failed = [row[3] == "failed" for row in shown]
        assert failed == sorted(failed, reverse=True)


def test_what_a_step_has_written_already_counts(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    file.write_text("x" * 1000)
    sizes = list[int]()

    def make(there: int) -> str:
        sizes.append(there)
        return "more\udcff"

    github.append("V", make, {"V": str(file)})

    assert sizes == [1000]
    assert file.read_text() == "x" * 1000 + "more\\udcff"


@pytest.mark.parametrize(
    "kind", ["unset", "empty", "directory", "no directory", "pipe", "pipe that is read", "what can not be made"]
)
def test_a_file_that_can_not_be_written_is_a_warning(kind: str, tmp_path: Path) -> None:
    pipe, written = tmp_path / "pipe", tmp_path / "written"
    os.mkfifo(pipe)
    files = {"empty": "", "directory": tmp_path, "no directory": tmp_path / "no" / "file", "pipe": pipe}
    files |= {"pipe that is read": pipe, "what can not be made": written}
    environ = {"V": str(files[kind])} if kind in files else {}
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) if kind == "pipe that is read" else None

    def make(_: int) -> str:
        return "x" if kind != "what can not be made" else str(1 // 0)

    with capture_logs() as logs:
        github.append("V", make, environ)
    if reader is not None:
        os.close(reader)

    assert [(log["event"], log["log_level"], log["variable"]) for log in logs] == [
        ("releasekit.ci_file_failed", "warning", "V")
    ]


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The variables that a runner sets."""
    files = {name: tmp_path / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for file in files.values():
        file.touch()
    return {"GITHUB_ACTIONS": "true", "CI": "true"} | {name: str(file) for name, file in files.items()}


def read(runner: dict[str, str], variable: str) -> str:
    with open(runner[variable], encoding="utf-8") as file:  # noqa: PTH123  # as it stands in the variable
        return file.read()


def test_a_release_tells_the_runner_that_it_is_complete(workspace: Workspace, runner: dict[str, str]) -> None:
    done = workspace.releasekit(*OUT, environ=runner)

    assert done.returncode == 0, done.stderr
    outputs = parsed(read(runner, "GITHUB_OUTPUT"))
    assert json.loads(outputs["published"]) == sorted(NAMES)
    assert (outputs["failed"], outputs["complete"]) == ("[]", "true")
    assert len(table_rows(read(runner, "GITHUB_STEP_SUMMARY"))) == 8
    told = obeyed(done.stderr)
    assert [command.name for command in told] == ["group", "endgroup"] * 8
    assert {command.data.split()[1] for command in told[::2]} == NAMES
    assert commands(done.stdout) == []
    assert "package_moved" not in done.stderr  # each move stands in its group
    assert done.stderr.count("start_verifying: ") == 8


def test_a_release_that_fails_is_annotated_once_a_package(workspace: Workspace, runner: dict[str, str]) -> None:
    break_package(workspace, "aurora-http")

    failed = workspace.releasekit(*OUT, "--no-gate", "--json", environ=runner)

    assert failed.returncode == 3
    outputs = parsed(read(runner, "GITHUB_OUTPUT"))
    assert json.loads(outputs["failed"]) == ["aurora-http"]
    assert len(json.loads(outputs["published"])) == 5
    assert outputs["complete"] == "false"
    errors = [command for command in obeyed(failed.stderr) if command.name == "error"]
    assert [error.properties["title"] for error in errors] == [f"✗ aurora-http 0.7.5: {E.BUILD_FAILED}"]
    assert json.loads(failed.stdout)["exit_code"] == 3
    summary = read(runner, "GITHUB_STEP_SUMMARY")
    assert table_rows(summary)[0][1] == "<code>aurora-http</code>"
    assert "blocked by aurora-http" in summary


@pytest.mark.parametrize("kind", ["refused", "no file", "dry"])
def test_a_release_that_can_not_begin_tells_the_runner_why(
    workspace: Workspace, runner: dict[str, str], kind: str
) -> None:
    if kind == "no file":
        (workspace.root / STATE_FILENAME).mkdir()
    index = "./out" if kind == "no file" else "nowhere"
    dry = ["--dry-run"] if kind == "dry" else []

    refused = workspace.releasekit("publish", "--index", index, *dry, environ=runner)

    assert refused.returncode == 1
    (command,) = obeyed(refused.stderr)
    code = E.FILE_FAILED if kind == "no file" else E.INDEX_UNKNOWN
    assert command.properties["title"] == code
    assert code not in command.data
    summary, outputs = read(runner, "GITHUB_STEP_SUMMARY"), parsed(read(runner, "GITHUB_OUTPUT") or "\n")
    if dry:
        assert (summary, outputs) == ("", {"": ""})
    else:
        assert outputs == {"published": "[]", "failed": "[]", "complete": "false"}
        assert summary.startswith(f"### releasekit: {code}\n\nStopped: {code}&#58; ")
        assert ("hint" in summary) == (kind == "refused")


def test_a_release_whose_end_can_not_be_written_tells_what_it_did(
    monkeypatch: pytest.MonkeyPatch, runner: dict[str, str], tmp_path: Path
) -> None:
    for name, value in runner.items():
        monkeypatch.setenv(name, value)
    watching = Watching(log_json=True, as_json=True)
    lost = ReleaseKitError(E.STATE_NOT_DURABLE, "no space", "make some")
    state = failed_run("a")
    state.init_package("b")
    for trigger in ("start_building", "start_publishing", "start_verifying", "confirm"):
        getattr(state["b"], trigger)()

    with (
        RunStore.create(tmp_path / STATE_FILENAME, state) as store,
        pytest.raises(ReleaseKitError),
        watching.telling_errors(dry_run=False),
        watching.over(store),
    ):
        raise lost

    outputs = {"published": '["b"]', "failed": '["a"]', "complete": "false"}
    assert parsed(read(runner, "GITHUB_OUTPUT")) == outputs
    assert "no space<br>  hint&#58; make some" in read(runner, "GITHUB_STEP_SUMMARY")
    with pytest.raises(ReleaseKitError), watching.telling_errors(dry_run=False):
        raise lost
    assert parsed(read(runner, "GITHUB_OUTPUT")) == outputs
    assert read(runner, "GITHUB_OUTPUT").count("complete") == 1


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_an_error_is_one_line_of_a_summary_whatever_it_says(name: str) -> None:
    error = ReleaseKitError(E.GIT_DIRTY, name)

    text = github.refusal(error)

    assert html.unescape(text.replace("<br>", "")).startswith(
        f"### releasekit: {E.GIT_DIRTY}\n\nStopped: {E.GIT_DIRTY}: "
    )
    assert len(text.splitlines()) == 3
    assert commands(text) == []
    assert not re.search(r"[<>&`*_\[\]()|@!\\](?!#?\w+;)", text.replace("<br>", "").replace("&#", ""))
    assert github.refusal(error, 20) == ""


def test_a_log_for_machines_has_no_groups(workspace: Workspace, runner: dict[str, str]) -> None:
    done = workspace.releasekit(*OUT, "--log-json", environ=runner)

    assert done.returncode == 0
    assert all(json.loads(line)["event"] for line in done.stderr.splitlines())
    assert read(runner, "GITHUB_OUTPUT")


def test_files_that_are_missing_do_not_fail_a_release(workspace: Workspace, tmp_path: Path) -> None:
    done = workspace.releasekit(
        *OUT, environ={"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(tmp_path / "no" / "file")}
    )

    assert done.returncode == 0
    assert done.stderr.count("releasekit.ci_file_failed") == 2
    assert set(workspace.statuses().values()) == {PackageStatus.PUBLISHED}


def test_elsewhere_nothing_is_told(workspace: Workspace, runner: dict[str, str]) -> None:
    done = workspace.releasekit(*OUT, environ=runner | {"GITHUB_ACTIONS": "false"})

    assert obeyed(done.stderr) == []
    assert read(runner, "GITHUB_OUTPUT") == read(runner, "GITHUB_STEP_SUMMARY") == ""


def test_a_secret_is_in_nothing_that_the_runner_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "canary-token")
    state, written = RunState("0" * 40), list[str]()
    github.Groups(state, Timeline(), written.append)
    package = state.init_package("a")
    package.start_building()
    package.fail("it said canary-token")

    assert "canary" not in "".join(written) + github.errors_of(state)
    assert in_one_line("[redacted]") in github.errors_of(state)
