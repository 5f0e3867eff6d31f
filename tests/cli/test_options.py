"""What is chosen on the command line or in pyproject.toml, and that a run goes on only with the same choice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.helpers import NAMES
from tests.support import run_python

if TYPE_CHECKING:
    from tests.support import Workspace

TABLE = "[tool.uv.workspace]"


def configure(workspace: Workspace, *lines: str) -> None:
    """Put a table [tool.releasekit] into the root's pyproject.toml."""
    text = "\n".join(("[tool.releasekit]", *lines, "", TABLE))
    workspace.edit("pyproject.toml", TABLE, text)
    workspace.commit("Configure")


def plan(workspace: Workspace, *arguments: str) -> dict[str, Any]:
    done = workspace.releasekit("plan", "--json", *arguments)
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def wanted(workspace: Workspace, *arguments: str) -> set[str]:
    """Name what a plan has to be published."""
    return {each["name"] for each in plan(workspace, *arguments)["packages"] if each["status"] == "pending"}


def test_publish_takes_its_options_from_pyproject(workspace: Workspace) -> None:
    configure(workspace, 'index = "./out"', 'exclude = "aurora"', "jobs = 1", "log-json = true")

    done = workspace.releasekit("publish")

    assert done.returncode == 0, done.stderr
    assert set(workspace.statuses().values()) == {"published", "skipped"}
    assert workspace.run()["aurora"].reason == "it is excluded by aurora"
    assert len(list((workspace.root / "out").glob("*.whl"))) == len(NAMES) - 1
    assert json.loads(done.stderr.splitlines()[0])["event"] == "releasekit.package_moved"


def test_a_place_in_pyproject_is_below_the_workspace_wherever_one_is(workspace: Workspace) -> None:
    configure(workspace, 'index = "./out"', 'report = "report.html"', "log-level = 'error'")
    elsewhere = workspace.root / "packages"

    done = run_python("-m", "releasekit", "publish", "..", cwd=elsewhere, environ=workspace.environ())
    assert done.returncode == 0, done.stderr
    assert (workspace.root / "out").is_dir()
    assert (workspace.root / "report.html").is_file()
    assert not (elsewhere / "out").exists()


def test_the_command_line_wins_and_plan_says_where_each_value_comes_from(workspace: Workspace) -> None:
    configure(workspace, 'only = ["aurora-c*", "aurora-n*"]', "jobs = 3", "grace = 5", 'index = "nowhere"')

    options = plan(workspace, "--only", "aurora-core")["options"]

    assert options["only"] == {"value": ["aurora-core"], "source": "command line"}
    assert options["jobs"] == {"value": 3, "source": "pyproject.toml"}
    assert options["grace"] == {"value": 5, "source": "pyproject.toml"}
    assert options["index"] == {"value": "nowhere", "source": "pyproject.toml"}  # and it was not asked
    assert options["no-gate"] == {"value": False, "source": "default"}
    assert options["build-timeout"] == {"value": 1800.0, "source": "default"}
    assert not {"fresh", "dry-run", "json"} & options.keys()
    assert wanted(workspace) == {"aurora-core", "aurora-net"}
    assert wanted(workspace, "--only", "aurora-core") == {"aurora-core"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("jobz = 3", "tool.releasekit.jobz is not known; did you mean 'jobs'?"),
        ("xyzzy = 3", "tool.releasekit.xyzzy is not known"),
        ("build_timeout = 3", "tool.releasekit.build_timeout is not known; did you mean 'build-timeout'?"),
        ('jobs = "3"', "tool.releasekit.jobs is '3', not an integer"),
        ("jobs = true", "tool.releasekit.jobs is True, not an integer"),
        ("jobs = 0", "tool.releasekit.jobs 0 is not in the range"),
        ("grace = true", "tool.releasekit.grace is True, not a number"),
        ("build-timeout = 0", "tool.releasekit.build-timeout is 0, not 0.1 or more"),
        ("only = 3", "tool.releasekit.only is 3, not a string or a list of strings"),
        ("only = [3]", "tool.releasekit.only is [3], not a string or a list of strings"),
        ("no-gate = 'yes'", "tool.releasekit.no-gate is 'yes', not true or false"),
        ("index = 3", "tool.releasekit.index is 3, not a string"),
        ("log-level = 'loud'", "tool.releasekit.log-level 'loud' is not one of"),
        ("fresh = true", "tool.releasekit.fresh is for one call only: say --fresh on the command line"),
        ('since = "v1\\u0000"', r"tool.releasekit.since is 'v1\x00', not a string"),
        ('report = "x\\u0000y"', r"tool.releasekit.report is 'x\x00y', not a string"),
        ('index = "./x\\u0000y"', r"tool.releasekit.index is './x\x00y', not a string"),
        ('only = ["x\\u0000y"]', "not a string or a list of strings"),
        ("report = '.releasekit-state.json'", "is a file of releasekit's own"),
    ],
)
def test_a_wrong_table_is_refused_with_the_key(workspace: Workspace, line: str, said: str) -> None:
    configure(workspace, line)
    for command in (("publish", "--index", "./out"), ("plan",)):
        refused = workspace.releasekit(*command)
        assert refused.returncode == 1
        assert refused.stderr.startswith("error: RK-CONFIG-INVALID: ")
        assert said in refused.stderr
    assert not (workspace.root / ".releasekit-state.json").exists()


def test_a_table_that_is_none_is_refused(workspace: Workspace) -> None:
    workspace.edit("pyproject.toml", TABLE, f"[tool]\nreleasekit = 3\n{TABLE}")
    assert "tool.releasekit is not a table" in workspace.releasekit("plan").stderr


def test_what_is_not_committed_is_left_out_unless_it_may_be_released(workspace: Workspace) -> None:
    (workspace.root / "packages" / "aurora-api" / "new.txt").write_text("")
    publish = ("publish", "--index", "./out", "--dry-run", "--since", "HEAD", "--json")

    def sent(*more: str) -> set[str]:
        packages = json.loads(workspace.releasekit(*publish, *more).stdout)["packages"]
        return {each["package"] for each in packages if each["action"] != "nothing"}

    assert sent() == set()
    assert "aurora-api" in sent("--allow-dirty")
    assert "aurora-core" not in sent("--allow-dirty")
    assert wanted(workspace, "--since", "HEAD") == set()
    assert wanted(workspace, "--since", "HEAD", "--allow-dirty") == sent("--allow-dirty")
    shown = workspace.releasekit("plan", "--since", "HEAD", "--allow-dirty").stdout
    assert shown.endswith("next: `releasekit publish . --index NAME --allow-dirty --since HEAD`\n")


def test_what_has_not_changed_since_a_commit_is_left_out(workspace: Workspace) -> None:
    (workspace.root / "packages" / "aurora-api" / "new.txt").write_text("")
    workspace.commit()

    chosen = wanted(workspace, "--since", "HEAD~1")

    packages = {each["name"]: each for each in plan(workspace)["packages"]}
    assert chosen == {name for name in packages if name == "aurora-api" or "aurora-api" in packages[name]["requires"]}
    assert "git does not know the commit 'nosuch'" in workspace.releasekit("plan", "--since", "nosuch").stderr


def test_a_run_goes_on_only_with_the_choice_that_it_began_with(workspace: Workspace) -> None:
    killed = workspace.killed_at("publishing", 0, "publish", "--index", "./out", "--exclude", "aurora")
    assert killed.returncode == -9

    other = workspace.releasekit("publish", "--index", "./out")
    assert other.returncode == 1
    assert "aurora was to be skipped, since it is excluded by aurora, and is not now" in other.stderr
    narrower = workspace.releasekit("publish", "--index", "./out", "--only", "aurora-core")
    assert "is to be skipped: it is not among --only aurora-core" in narrower.stderr
    assert workspace.releasekit("publish", "--index", "./out", "--exclude", "aurora").returncode == 0


def test_a_plan_tells_no_password_and_goes_on_with_the_same_choice(workspace: Workspace) -> None:
    configure(workspace, 'index = "https://user:s3cret@127.0.0.1/simple"')
    assert "s3cret" not in workspace.releasekit("plan", "--json").stdout

    shown = workspace.releasekit("plan", "--only", "aurora-c*", "--only", "aurora-net", "--since", "HEAD~1").stdout
    words = "--since 'HEAD~1' --only 'aurora-c*' --only aurora-net"
    assert f"publish . --index NAME {words}" in shown or "next: nothing to do." in shown
    shown = workspace.releasekit("plan", "--only", "aurora-c*", "--exclude", "aurora-net").stdout
    assert shown.endswith("next: `releasekit publish . --index NAME --only 'aurora-c*' --exclude aurora-net`\n")
