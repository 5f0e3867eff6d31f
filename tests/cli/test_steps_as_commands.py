"""A release of packages that are none of Python's, by a user's own commands, from the command line to the registry."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.support import Workspace, digests

from releasekit.cli import demo_workspace
from releasekit.pipeline.build import DIST_DIRECTORY
from releasekit.state import STATE_FILENAME

if TYPE_CHECKING:
    from pathlib import Path

PUBLISH = ("publish", "--index", "crates")
ROOT = """\
[tool.uv.workspace]
members = ["base", "top"]

[tool.releasekit.steps]
build = ["sh", "{root}/build.sh"]
publish = ["sh", "{root}/publish.sh", "{index}", "{files}"]
verify = ["sh", "{root}/verify.sh", "{files}"]
"""
MEMBER = """\
[project]
name = "{name}"
version = "1.0"
dependencies = [{requires}]

[build-system]
requires = []
"""
BUILD = """\
echo "$RELEASEKIT_PACKAGE $(date +%s%N)" > "$RELEASEKIT_OUT/$RELEASEKIT_PACKAGE-$RELEASEKIT_VERSION.crate"
"""
PUBLISHING = """\
shift
for file in "$@"; do
    echo "$(basename "$file")" >> "$RELEASEKIT_ROOT/.sent"
    cp "$file" "$RELEASEKIT_ROOT/.registry/"
done
"""
VERIFYING = """\
for file in "$@"; do
    there="$RELEASEKIT_ROOT/.registry/$(basename "$file")"
    [ -e "$there" ] || exit 1
    [ "$(sha256sum < "$there" | cut -c-64)" = \\
        "$(printf %s "$RELEASEKIT_ARTIFACTS" | sed 's/.*: "\\([0-9a-f]*\\)".*/\\1/')" ] || exit 4
done
"""
CRATES = ["base-1.0.crate", "top-1.0.crate"]


@pytest.fixture
def crates(tmp_path: Path) -> Workspace:
    """Two packages, built, sent and seen by scripts; no build gives the same bytes twice."""
    root = tmp_path / "ws"
    for name, requires in (("base", ""), ("top", '"base"')):
        (root / name).mkdir(parents=True)
        (root / name / "pyproject.toml").write_text(MEMBER.format(name=name, requires=requires))
    (root / "pyproject.toml").write_text(ROOT)
    (root / ".gitignore").write_text(".releasekit-*\n.sent\n.registry\n")
    for name, script in (("build", BUILD), ("publish", PUBLISHING), ("verify", VERIFYING)):
        (root / f"{name}.sh").write_text(script)
    (root / ".registry").mkdir()
    demo_workspace.commit_all(root, "Two crates")
    return Workspace(root)


def linked(program: Path, to: str) -> Path:
    program.parent.mkdir()
    program.symlink_to(to)
    return program


def sent(workspace: Workspace) -> list[str]:
    return (workspace.root / ".sent").read_text().split()


def test_everything_is_published_once_in_order_and_said_so(crates: Workspace) -> None:
    ended = crates.releasekit(*PUBLISH)

    assert ended.returncode == 0, ended.stderr
    assert sent(crates) == CRATES
    assert crates.recorded() == digests(crates.root / ".registry")
    assert crates.state()["index"] == "crates, by commands"
    again = crates.releasekit(*PUBLISH)
    assert again.returncode == 0
    assert sent(crates) == CRATES


@pytest.mark.parametrize("status", ["building", "publishing", "verifying", "published"])
def test_what_was_built_first_is_what_is_sent_whenever_it_is_killed(crates: Workspace, status: str) -> None:
    crates.killed_at(status, 0, *PUBLISH)
    built = crates.recorded()

    ended = crates.releasekit(*PUBLISH)

    assert ended.returncode == 0, ended.stderr
    assert crates.recorded() == digests(crates.root / ".registry")
    assert built.items() <= crates.recorded().items()
    assert sorted(set(sent(crates))) == CRATES


def test_a_new_run_finds_what_is_there(crates: Workspace) -> None:
    assert crates.releasekit(*PUBLISH).returncode == 0

    ended = crates.releasekit(*PUBLISH, "--fresh", "--json")

    assert ended.returncode == 0, ended.stderr
    packages = json.loads(ended.stdout)["packages"]
    assert {each["reason"] for each in packages.values()} == {"version 1.0 is already on crates"}
    assert sent(crates) == CRATES


def test_other_content_in_the_registry_stops_with_a_conflict(crates: Workspace) -> None:
    (crates.root / ".registry" / CRATES[0]).write_text("somebody else's")

    ended = crates.releasekit(*PUBLISH)

    assert ended.returncode == 4
    assert "the verify command of 'base' ended with status 4" in ended.stderr
    assert not (crates.root / ".sent").exists()
    dry = crates.releasekit(*PUBLISH, "--dry-run")
    assert dry.returncode == 4
    assert "conflict" in dry.stdout


def test_a_dry_run_and_a_plan_send_nothing(crates: Workspace) -> None:
    for arguments in ((*PUBLISH, "--dry-run"), ("plan",), ("plan", "--index", "crates")):
        ended = crates.releasekit(*arguments)
        assert ended.returncode == 0, ended.stderr
    assert not (crates.root / ".sent").exists()


def test_a_command_that_fails_says_what_it_printed_and_what_to_do(crates: Workspace) -> None:
    crates.edit("publish.sh", "shift", "echo out of luck; exit 7")
    crates.commit()

    ended = crates.releasekit(*PUBLISH)

    assert ended.returncode == 1  # since verify says that nothing is there
    assert "the publish command of 'base' ended with status 7" in ended.stderr
    assert "out of luck" in ended.stderr
    assert crates.statuses() == {"base": "failed", "top": "pending"}


@pytest.mark.parametrize(
    "printed",
    [
        "cp: error writing 'a': No space left on device",
        "npm error ENOSPC: no space left on device, write",
        "write /a: disk quota exceeded",
    ],
)
def test_a_build_that_fails_for_want_of_room_says_to_make_some_however_it_is_written(
    crates: Workspace, printed: str
) -> None:
    (crates.root / "build.sh").write_text(f'echo "{printed}"; exit 1\n')
    crates.commit()

    ended = crates.releasekit(*PUBLISH)

    assert "hint: make room on the disk" in ended.stdout


@pytest.mark.parametrize("step", ["build", "publish", "verify"])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_program_that_is_missing_is_missed_before_anything_is_built(
    crates: Workspace, step: str, dry: tuple[str, ...]
) -> None:
    crates.edit("pyproject.toml", f'{step} = ["sh"', f'{step} = ["no-such-program"')
    crates.commit()

    ended = crates.releasekit(*PUBLISH, *dry)

    assert ended.returncode == 1
    assert f"RK-CONFIG-INVALID: the {step} command of 'base' can't begin" in ended.stderr
    assert "no-such-program is not on PATH" in ended.stderr
    assert f"put it on PATH, or mend what pyproject.toml has as steps.{step}" in ended.stderr
    assert not (crates.root / STATE_FILENAME).exists()  # so no run is bound to what is to be mended
    assert not (crates.root / DIST_DIRECTORY).exists()


def test_a_program_that_is_missing_later_keeps_a_run_from_going_on(crates: Workspace, tmp_path: Path) -> None:
    crates.edit("pyproject.toml", 'publish = ["sh"', 'publish = ["send-a-crate"')
    crates.commit()
    program = linked(tmp_path / "bin" / "send-a-crate", "/bin/false")
    path = f"{program.parent}:{os.environ['PATH']}"
    there = crates.releasekit(*PUBLISH, environ={"PATH": path})
    assert "the publish command of 'base' ended with status 1" in there.stderr

    for dry in ((), ("--dry-run",)):
        missed = crates.releasekit(*PUBLISH, *dry)
        assert missed.returncode == 1
        assert "send-a-crate is not on PATH" in missed.stderr
    assert crates.statuses() == {"base": "failed", "top": "pending"}  # nothing is tried again, so nothing forgotten
    program.unlink()
    program.write_text("#!/bin/sh\n" + PUBLISHING.replace("shift\n", "shift 2\n"))
    program.chmod(0o755)
    ended = crates.releasekit(*PUBLISH, environ={"PATH": path})
    assert ended.returncode == 0, ended.stderr
    assert sent(crates) == CRATES


def test_a_program_that_built_is_not_missed_once_all_is_built(crates: Workspace, tmp_path: Path) -> None:
    crates.edit("pyproject.toml", 'build = ["sh"', 'build = ["build-a-crate"')
    crates.commit()
    program = linked(tmp_path / "bin" / "build-a-crate", "/bin/sh")
    path = os.environ["PATH"]
    crates.edit("publish.sh", "shift", "exit 75")
    crates.commit()
    there = crates.releasekit(*PUBLISH, "--retry-budget=0", environ={"PATH": f"{program.parent}:{path}"})
    assert "RK-PUBLISH-FAILED" in there.stderr
    crates.edit("publish.sh", "exit 75", "shift")

    ended = crates.releasekit(*PUBLISH, "--allow-dirty")

    assert ended.returncode == 0, ended.stderr
    assert sent(crates) == CRATES


@pytest.mark.parametrize("program", ["{root}/make-it", "{package}", "./make-it", "make}}it"])
def test_a_program_that_may_be_there_in_time_is_not_missed_before(crates: Workspace, program: str) -> None:
    crates.edit("pyproject.toml", 'publish = ["sh"', f'publish = ["{program}"')
    crates.commit()

    ended = crates.releasekit(*PUBLISH)

    assert "RK-PUBLISH-FAILED" in ended.stderr
    assert crates.recorded()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ('build = "make all"', "tool.releasekit.steps.build"),
        ("build = []", "tool.releasekit.steps.build"),
        ('biuld = ["make"]', "did you mean 'build'"),
        ('build = ["make", "{pakage}"]', "did you mean {package}?"),
        ('build = ["make", "{files}x"]', "alone"),
        ("build = [1]", "tool.releasekit.steps.build"),
    ],
)
def test_what_is_no_command_is_refused_with_its_place(crates: Workspace, steps: str, said: str) -> None:
    crates.edit("pyproject.toml", 'build = ["sh", "{root}/build.sh"]', steps)
    for command in (PUBLISH, ("plan",)):
        ended = crates.releasekit(*command)
        assert ended.returncode == 1
        assert "RK-CONFIG-INVALID" in ended.stderr
        assert said in ended.stderr
        assert "pyproject.toml" in ended.stderr
