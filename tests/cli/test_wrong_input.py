from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.helpers import OUT
from tests.hostile import HOSTILE, commands
from tests.schemas import checked

from releasekit.cli import demo_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Workspace


STATE, LOCK = ".releasekit-state.json", ".releasekit-state.lock"


def nothing(_root: Path) -> None:
    pass


def remove_git(root: Path) -> None:
    (root / ".git").rename(root.parent / "git-of-old")


def remove_commits(root: Path) -> None:
    remove_git(root)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)  # whichever git there is


def write(name: str, text: str) -> Callable[[Path], None]:
    def accident(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(os.fsencode(text))

    return accident


def make_directory(name: str) -> Callable[[Path], None]:
    def accident(root: Path) -> None:
        (root / name).mkdir()

    return accident


def link_to_nowhere(root: Path) -> None:
    (root / STATE).symlink_to("no/such/directory")


UNFINISHED = write(
    STATE, '{"git_sha":"","packages":{"a":{"name":"a","status":"pending","version":"","error":"","level":0}}}'
)
DEEP = "{" + '"a":{' * 100_000
WRONG = {
    "no such command": (nothing, ("pubish",), 2, "No such command"),
    "no index": (nothing, ("publish",), 2, "--index"),
    "a number that is none": (nothing, (*OUT, "--jobs", "many"), 2, "--jobs"),
    "no jobs": (nothing, (*OUT, "--jobs", "0"), 2, "--jobs"),
    "no patience": (nothing, (*OUT, "--verify-timeout", "nan"), 2, "--verify-timeout"),
    "an unknown option": (nothing, (*OUT, "--forse"), 2, "--forse"),
    "two workspaces": (nothing, (*OUT, "one", "two"), 2, "two"),
    "a missing workspace": (nothing, (*OUT, "nowhere"), 1, "RK-WORKSPACE-NOT-FOUND"),
    "a missing workspace to plan": (nothing, ("plan", "nowhere"), 1, "RK-WORKSPACE-NOT-FOUND"),
    "a missing workspace to look at": (nothing, ("status", "nowhere"), 1, "RK-STATE-NOT-FOUND"),
    "a missing workspace to clean": (nothing, ("clean", "nowhere"), 1, "RK-STATE-NOT-FOUND"),
    "a missing workspace to draw": (nothing, ("diagram", "nowhere"), 1, "RK-STATE-NOT-FOUND"),
    "a missing workspace to retry": (nothing, ("retry", "--workspace", "nowhere"), 1, "RK-STATE-NOT-FOUND"),
    "a missing workspace to skip in": (nothing, ("skip", "a", "--workspace", "nowhere"), 1, "RK-STATE-NOT-FOUND"),
    "a file as the workspace": (nothing, (*OUT, "pyproject.toml"), 2, "is a file"),
    "a name that is too long": (nothing, (*OUT, "x" * 5000), 1, "too long"),
    "a name that is no text": (nothing, (*OUT, os.fsdecode(b"\xff\xfe")), 1, "RK-WORKSPACE-NOT-FOUND"),
    "a member as the workspace": (nothing, (*OUT, "packages/aurora"), 1, "RK-WORKSPACE-NOT-FOUND"),
    "no git repository": (remove_git, OUT, 1, "RK-GIT-FAILED"),
    "no commit": (remove_commits, OUT, 1, "RK-GIT-FAILED"),
    "a broken pyproject.toml": (write("pyproject.toml", "[tool"), OUT, 1, "RK-WORKSPACE-INVALID"),
    "a pyproject.toml that is no text": (write("pyproject.toml", "\udcff"), ("plan",), 1, "RK-WORKSPACE-INVALID"),
    "a broken member": (write("packages/aurora/pyproject.toml", "project = 1"), OUT, 1, "RK-WORKSPACE-INVALID"),
    "an unknown index": (nothing, ("publish", "--index", "pipy"), 1, "RK-INDEX-UNKNOWN"),
    "an empty index": (nothing, ("publish", "--index", ""), 1, "RK-INDEX-UNKNOWN"),
    "an empty index to plan for": (nothing, ("plan", "--index", ""), 1, "RK-INDEX-UNKNOWN"),
    "nobody's home": (nothing, ("publish", "--index", "~nobody-of-this-name/out"), 1, "RK-INDEX-UNKNOWN"),
    "an index of hostile name": (nothing, ("publish", "--index", "x\x1b[2J"), 1, "RK-INDEX-UNKNOWN"),
    "an index name that is no text": (nothing, ("publish", "--index", os.fsdecode(b"./\xff")), 1, "surrogate"),
    "a file as the index": (nothing, ("publish", "--index", "./pyproject.toml"), 1, "RK-INDEX-UNREADABLE"),
    "a corrupt state": (write(STATE, "{"), OUT, 1, "RK-STATE-CORRUPTED"),
    "a corrupt state to look at": (write(STATE, DEEP), ("status",), 1, "RK-STATE-CORRUPTED"),
    "a corrupt state to draw": (write(STATE, "[]"), ("diagram",), 1, "RK-STATE-CORRUPTED"),
    "a corrupt state to retry": (write(STATE, ""), ("retry",), 1, "RK-STATE-CORRUPTED"),
    "a directory as the state": (make_directory(STATE), OUT, 1, "Is a directory"),
    "a directory as the state to look at": (make_directory(STATE), ("status",), 1, "Is a directory"),
    "a directory as the lock": (make_directory(LOCK), OUT, 1, "Is a directory"),
    "a state that leads nowhere": (link_to_nowhere, OUT, 1, "error:"),
    "a file in the way of the built files": (write(".releasekit-dist", "x"), OUT, 1, "RK-FILE-FAILED"),
    "an unknown package to skip": (write(STATE, '{"git_sha":"","packages":{}}'), ("skip", "a"), 1, "RK-STATE-UNKNOWN"),
    "an unknown package to retry": (write(STATE, '{"git_sha":"","packages":{}}'), ("retry", "a"), 1, "RK-STATE-UNKN"),
    "an unknown package to draw": (
        write(STATE, '{"git_sha":"","packages":{}}'),
        ("diagram", "--package", "a"),
        1,
        "RK-S",
    ),
    "a package and the lifecycle": (nothing, ("diagram", "--package", "a", "--lifecycle"), 2, "leave it or --package"),
    "a summary of no run": (nothing, ("history", "--summary"), 1, "RK-STATE-NOT-FOUND"),
    "a summary of one package": (nothing, ("history", "--summary", "--package", "a"), 2, "leave --package out"),
    "a picture in no directory": (nothing, ("diagram", "--lifecycle", "-o", "no/such.svg"), 1, "No such file"),
    "a picture over a directory": (nothing, ("diagram", "--lifecycle", "-o", "packages"), 2, "is a directory"),
    "an unknown format": (nothing, ("diagram", "--lifecycle", "-o", "law.bmp"), 1, "RK-DIAGRAM-FORMAT"),
    "no format": (nothing, ("diagram", "--lifecycle", "-o", "law"), 1, "RK-DIAGRAM-FORMAT"),
    "a demo in a full directory": (nothing, ("demo", "--to", "."), 1, "RK-DEMO-DIRECTORY"),
    "an unfinished run to clean": (UNFINISHED, ("clean", "--json"), 1, "RK-STATE-UNFINISHED"),
    "a demo in a file": (nothing, ("demo", "--to", "pyproject.toml"), 2, "is a file"),
    "a demo below a file": (nothing, ("demo", "--to", "pyproject.toml/x"), 1, "error:"),
}


@pytest.mark.parametrize(("accident", "arguments", "code", "said"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_answered_by_a_message(
    workspace: Workspace, accident: Callable[[Path], None], arguments: tuple[str, ...], code: int, said: str
) -> None:
    accident(workspace.root)

    done = workspace.releasekit(*arguments)

    assert "Traceback" not in done.stdout + done.stderr
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr)
    assert not (workspace.root / "out").exists()


@pytest.mark.parametrize("arguments", [OUT, ("demo", "--to", "place")], ids=["publish", "demo"])
def test_without_uv_nothing_begins(workspace: Workspace, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        if (Path(directory) / "git").exists():
            (programs / "git").symlink_to(Path(directory) / "git")
            break

    refused = workspace.releasekit(*arguments, environ={"PATH": str(programs), "UV": ""})

    assert refused.returncode == 1
    assert "RK-UV-MISSING" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (workspace.root / "place").exists()
    assert list(workspace.root.glob(".releasekit-*")) == []


def test_a_uv_that_can_not_be_run_fails_every_build(workspace: Workspace) -> None:
    failed = workspace.releasekit(*OUT, environ={"UV": "/no/such/uv"})

    assert failed.returncode == 1
    assert "/no/such/uv could not be run" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    "environ",
    [
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"TERM": "dumb", "COLUMNS": "1"},
    ],
    ids=str,
)
def test_a_poor_terminal_gets_escapes_instead_of_a_crash(workspace: Workspace, environ: dict[str, str]) -> None:
    for arguments in (OUT, ("status",), ("diagram",)):
        done = workspace.releasekit(*arguments, environ=environ)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", ["status", "diagram --lifecycle", "--help", "bogus"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_is_no_crash(workspace: Workspace, arguments: str, stream: str) -> None:
    (workspace.root / STATE).write_text('{"git_sha": "", "packages": {}}')
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "releasekit", *arguments.split()]
    kept = "stderr" if stream == "stdout" else "stdout"
    try:
        done = subprocess.run(
            command,
            cwd=workspace.root,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            **{stream: write_end, kept: subprocess.PIPE},  # type: ignore[call-overload]  # mypy does not see through
        )
    finally:
        os.close(write_end)

    assert done.returncode in {0, 1, 2}
    assert "Traceback" not in (done.stdout or "") + (done.stderr or "")
    assert "Exception ignored" not in (done.stdout or "") + (done.stderr or "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "--json"),
        ("retry",),
        ("diagram",),
        ("diagram", "--format", "mermaid"),
        ("diagram", "--format", "svg"),
        ("diagram", "--package", "\n::error::"),
        ("diagram", "--package", "\n::error::", "--format", "mermaid"),
        ("clean",),
        ("skip", "safe"),
    ],
    ids=" ".join,
)
def test_a_state_file_can_not_steer_the_terminal_or_the_ci_runner(
    workspace: Workspace, arguments: tuple[str, ...]
) -> None:
    packages = {
        text: {"name": text, "status": "failed", "version": text, "error": text, "level": 0} for text in HOSTILE
    }
    packages["\n::error::"] = packages[HOSTILE[0]] | {"name": "\n::error::"}
    packages["safe"] = {"name": "safe", "status": "pending", "version": "", "error": "", "level": 0}
    state = {"git_sha": "\n::error::", "created_at": "\x1b[2J", "index": "##[error]", "packages": packages}
    (workspace.root / STATE).write_text(json.dumps(state))

    done = workspace.releasekit(*arguments)

    assert done.returncode == (1 if arguments == ("clean",) else 0), done.stderr
    printed = done.stdout + done.stderr
    assert commands(printed) == []
    if arguments[0] == "diagram":  # its source is indented by tabs, and has word joiners, which take no room
        printed = re.sub(r"[\t\u2060]", "", printed)
    assert printed.replace("\n", "").isprintable()


def test_a_killed_planning_ends_without_a_traceback(workspace: Workspace) -> None:
    script = (
        "import os, signal, sys\n"
        "from releasekit import cli\n"
        "import releasekit.pipeline\n"
        "module = sys.modules['releasekit.pipeline.release']\n"
        "load = module.load_selected\n"
        "module.load_selected = lambda *asked, **_: os.kill(os.getpid(), signal.SIGINT) or load(*asked)\n"
        "sys.argv[1:] = ['publish', '--index', './out']\n"
        "sys.exit(cli.main())\n"
    )
    done = workspace.python("-c", script)

    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "interrupted" in done.stderr


def test_a_workspace_whose_name_is_no_text_is_no_crash(tmp_path: Path) -> None:
    """uv itself takes no such name, so nothing can be built there."""
    root = tmp_path / os.fsdecode(b"\xff\xfe")
    demo_workspace.make_workspace(root)
    for code, arguments in ((1, OUT), (0, ("status", "--json")), (0, ("clean", "--force", "--json"))):
        command = [sys.executable, "-m", "releasekit", *arguments]
        done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stderr


def test_with_json_an_error_is_a_document_too(workspace: Workspace) -> None:
    refused = workspace.releasekit("status", "--json")

    assert refused.returncode == 1
    document = json.loads(refused.stdout)
    assert document["code"] == "RK-STATE-NOT-FOUND"
    assert set(document) == {"error", "code", "hint"}


def test_with_json_a_refusal_to_clean_is_a_document(workspace: Workspace) -> None:
    UNFINISHED(workspace.root)

    refused = workspace.releasekit("clean", "--json")

    assert refused.returncode == 1
    document = checked("error", refused.stdout)
    assert document["code"] == "RK-STATE-UNFINISHED"
    assert "--force" in document["hint"]
    assert (workspace.root / STATE).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("publish", "--json"), "Missing option '--index'"),
        (("status", "--json", "--canary-password"), "No such option"),
        (("retry", "--json", "--\x1b[2J"), "No such option"),
        (("no-such", "--json"), "No such command 'no-such'"),
        (("history", "--json", "--summary", "--package", "a"), "--summary is about the whole run"),
    ],
    ids=ascii,
)
def test_with_json_a_wrong_command_line_is_a_document_too(
    workspace: Workspace, arguments: tuple[str, ...], said: str
) -> None:
    refused = workspace.releasekit(*arguments)

    assert refused.returncode == 2
    document = checked("error", refused.stdout)
    assert document["error"].startswith(said)
    assert document["code"] == ""
    assert "--help" in document["hint"]
    assert "canary" not in refused.stdout + refused.stderr
    assert "\x1b" not in refused.stdout + refused.stderr
    assert "Usage:" in refused.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", ["lifecycle", "status --json", "status --bogus --json", "diagram --lifecycle"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_can_not_be_told_is_no_traceback(workspace: Workspace, arguments: str, stream: str) -> None:
    command = [sys.executable, "-m", "releasekit", *arguments.split()]
    kept = "stderr" if stream == "stdout" else "stdout"
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        files = {stream: full, kept: subprocess.PIPE}
        done = subprocess.run(command, cwd=workspace.root, check=False, text=True, **files)  # type: ignore[call-overload]

    assert done.returncode in {0, 1, 2}
    assert "Traceback" not in (done.stdout or "") + (done.stderr or "")


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(workspace: Workspace, environ: dict[str, str]) -> None:
    code = "import sys; sys.stderr.isatty = lambda: True; from releasekit.cli import main; sys.exit(main())"

    assert "\x1b" in workspace.python("-c", code, "status", environ={"TERM": "xterm", "NO_COLOR": ""}).stderr
    assert "\x1b" not in workspace.python("-c", code, "status", environ=environ).stderr
