"""What is said of one package in its pyproject.toml: that it is kept to, and that `plan` tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest
from tests.cli.helpers import NAMES, OUT, StuckPackage
from tests.schemas import checked

from releasekit.cli import plan, publish
from releasekit.cli.options import name_of
from releasekit.workspace.settings import FOR_EVERY_PACKAGE
from releasekit.workspace.tool_table import FOR_ONE_CALL, OF_THE_RUN

if TYPE_CHECKING:
    from tests.support import Workspace

CORE, NET = "aurora-core", "aurora-net"
OF_CORE = f"packages/{CORE}/pyproject.toml"


def say(workspace: Workspace, name: str, *lines: str) -> None:
    """Give a member a table of its own, or the root for an empty name."""
    path = f"packages/{name}/pyproject.toml" if name else "pyproject.toml"
    with (workspace.root / path).open("a", encoding="utf-8") as file:
        file.write("\n".join(("", "[tool.releasekit]", *lines, "")))
    workspace.commit("Configure")


def settings(workspace: Workspace, *arguments: str) -> dict[str, dict[str, Any]]:
    """What `plan --json` tells of each package's settings."""
    told = checked("plan", workspace.releasekit("plan", "--json", *arguments).stdout)
    return {package["name"]: package["settings"] for package in told["packages"]}


def test_the_tables_keys_are_the_options_of_publish_and_nothing_else() -> None:
    options = {name_of(option) for option in publish.command.params if isinstance(option, click.Option)}
    assert options == {*OF_THE_RUN, *FOR_EVERY_PACKAGE, "exclude", *FOR_ONE_CALL} - {"help"}
    assert set(FOR_EVERY_PACKAGE) <= {name_of(each) for each in plan.command.params if isinstance(each, click.Option)}


def test_a_plan_tells_each_value_and_where_it_was_said(workspace: Workspace) -> None:
    say(workspace, "", "build-timeout = 10", "upload-timeout = 10.5", "steps.verify = ['look', '{package}']")
    say(workspace, CORE, "build-timeout = 20", "retry-budget = inf", "exclude = true", "steps.build = ['make']")

    found = settings(workspace, "--verify-timeout", "5")

    assert found[CORE] == {
        "build-timeout": {"value": 20, "source": OF_CORE},
        "upload-timeout": {"value": 10.5, "source": "pyproject.toml"},
        "verify-timeout": {"value": 5.0, "source": "command line"},
        "retry-budget": {"value": "inf", "source": OF_CORE},
        "allow-dirty": {"value": False, "source": "default"},
        "exclude": {"value": True, "source": OF_CORE},
        "steps.build": {"value": ["make"], "source": OF_CORE},
        "steps.publish": {"value": [], "source": "default"},
        "steps.verify": {"value": ["look", "{package}"], "source": "pyproject.toml"},
    }
    assert found[NET]["build-timeout"] == {"value": 10, "source": "pyproject.toml"}
    assert found[NET]["exclude"] == {"value": False, "source": "default"}


def test_what_has_no_number_in_json_is_told_as_the_option_takes_it(workspace: Workspace) -> None:
    say(workspace, "", "grace = inf", "build-timeout = inf")
    told = checked("plan", workspace.releasekit("plan", "--json").stdout)
    assert told["options"]["grace"] == {"value": "inf", "source": "pyproject.toml"}
    assert told["options"]["build-timeout"] == {"value": "inf", "source": "pyproject.toml"}


def test_a_plan_tells_no_secret_of_a_command(workspace: Workspace) -> None:
    say(workspace, CORE, "steps.publish = ['send', 'https://user:s3cret@127.0.0.1/', '--as=canary-password']")
    for arguments in ((), ("--json",)):
        shown = workspace.releasekit("plan", *arguments).stdout
        assert "s3cret" not in shown
        assert "canary-password" not in shown


def test_a_plan_for_people_says_who_has_settings_of_its_own(workspace: Workspace) -> None:
    assert "note:" not in workspace.releasekit("plan").stdout
    say(workspace, "", "build-timeout = 10")
    say(workspace, CORE, "build-timeout = 20", "allow-dirty = true")
    say(workspace, NET, "exclude = true")

    lines = workspace.releasekit("plan").stdout.splitlines()
    assert [line for line in lines if line.startswith("note: ")] == [
        f"note: {CORE} has its own build-timeout, allow-dirty ({OF_CORE})"
    ]
    lines = workspace.releasekit("plan", "--build-timeout", "3.25", "--allow-dirty").stdout.splitlines()
    assert not [line for line in lines if line.startswith("note: ")]
    assert lines[-1] == "next: `releasekit publish . --index NAME --build-timeout 3.25 --allow-dirty`"


def test_a_wrong_table_of_a_member_is_refused_with_its_file(workspace: Workspace) -> None:
    say(workspace, CORE, "jobs = 2")
    for command in (OUT, ("plan",)):
        refused = workspace.releasekit(*command)
        assert refused.returncode == 1
        place = f"{OF_CORE}: tool.releasekit.jobs is of the whole run, not of one package"
        assert refused.stderr.startswith("error: RK-CONFIG-INVALID: ")
        assert place in refused.stderr
    assert not (workspace.root / ".releasekit-state.json").exists()


def test_a_plan_counts_uncommitted_changes_where_they_may_be_released(workspace: Workspace) -> None:
    say(workspace, "aurora-api", "allow-dirty = true")
    for name in ("aurora-api", CORE):
        (workspace.root / "packages" / name / "new.txt").touch()

    def chosen(*arguments: str) -> set[str]:
        told = checked("plan", workspace.releasekit("plan", "--since", "HEAD", "--json", *arguments).stdout)
        return {package["name"] for package in told["packages"] if package["status"] == "pending"}

    assert chosen() == {"aurora-api", "aurora"}
    assert CORE in chosen("--allow-dirty")


@pytest.mark.parametrize("whose", ["", CORE])
def test_a_hung_build_ends_when_pyproject_says(workspace: Workspace, whose: str) -> None:
    StuckPackage(workspace, CORE)
    if whose:
        say(workspace, "", "build-timeout = 500")
    say(workspace, whose, "build-timeout = 1")

    done = workspace.releasekit(*OUT)

    assert done.returncode == 1
    assert workspace.run()[CORE].error.startswith(f"RK-BUILD-TIMEOUT: uv build of '{CORE}' did not end within 1 s")


def test_the_command_line_wins_over_what_a_package_says(workspace: Workspace) -> None:
    StuckPackage(workspace, CORE)
    say(workspace, CORE, "build-timeout = 500")

    workspace.releasekit(*OUT, "--build-timeout", "1")

    assert "did not end within 1 s" in workspace.run()[CORE].error


def test_a_package_that_leaves_itself_out_is_skipped_and_a_run_goes_on_only_like_that(workspace: Workspace) -> None:
    say(workspace, "aurora", "exclude = true")
    killed = workspace.killed_at("publishing", 0, *OUT)
    assert killed.returncode == -9
    assert workspace.run()["aurora"].reason == "tool.releasekit.exclude is true"

    file = "packages/aurora/pyproject.toml"
    workspace.edit(file, "exclude = true", "exclude = false")
    other = workspace.releasekit(*OUT, "--allow-dirty")
    assert other.returncode == 1
    assert "aurora was to be skipped, since tool.releasekit.exclude is true, and is not now" in other.stderr
    workspace.edit(file, "exclude = false", "exclude = true")
    done = workspace.releasekit(*OUT)
    assert done.returncode == 0, done.stderr
    assert set(workspace.statuses().values()) == {"published", "skipped"}


COMMANDS = """
[tool.releasekit.steps]
build = ["sh", "-c", 'echo "$0" > "$1/$0.crate"', "{package}", "{out}"]
publish = ["sh", "-c", 'mkdir -p "$0" && cp "$@" "$0"', "{root}/registry", "{files}"]
verify = ["sh", "-c", 'for at in "$@"; do cmp -s "$at" "$0/${{at##*/}}" || exit 1; done', "{root}/registry", "{files}"]
"""


def test_commands_of_the_root_do_the_steps_of_every_package_but_where_one_has_its_own(workspace: Workspace) -> None:
    with (workspace.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(COMMANDS)
    say(workspace, CORE, "steps.build = ['cp', 'pyproject.toml', '{out}/{package}.crate']")
    (workspace.root / ".gitignore").write_text(".releasekit-*\nregistry/\n")
    workspace.commit()
    assert workspace.releasekit("plan", "--index", "anywhere").returncode == 0

    done = workspace.releasekit("publish", "--index", "anywhere")

    assert done.returncode == 0, done.stderr
    assert set(workspace.statuses().values()) == {"published"}
    registry = workspace.root / "registry"
    assert {file.name for file in registry.iterdir()} == {f"{name}.crate" for name in NAMES}
    assert (registry / f"{NET}.crate").read_text() == f"{NET}\n"
    assert (registry / f"{CORE}.crate").read_text() == (workspace.root / OF_CORE).read_text()


@pytest.mark.parametrize("whose", ["", CORE])
def test_a_version_that_nobody_would_tell_is_refused(workspace: Workspace, whose: str) -> None:
    workspace.edit(OF_CORE, 'version = "1.4.0"', 'dynamic = ["version"]')
    say(workspace, whose, "steps.verify = ['true']")

    for command in (OUT, ("plan",)):
        refused = workspace.releasekit(*command)
        assert refused.returncode == 1
        source = f"packages/{whose}/pyproject.toml" if whose else "pyproject.toml"
        said = f"the version is dynamic, and {source} has a command that verifies '{CORE}'"
        assert refused.stderr.startswith(f"error: RK-CONFIG-INVALID: {workspace.root.resolve() / OF_CORE}: {said}")
    assert workspace.releasekit("plan", "--exclude", CORE).returncode == 0
