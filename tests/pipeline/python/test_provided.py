"""Whether what is required of the own workspace can be installed, before anything is sent."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from tests import archives, tiny_backend
from tests.pipeline.doubles import DIAMOND, MemoryIndex, Run, failure, make_package
from tests.support import INDEX, Workspace, digests
from tests.workspace.trees import Tree, uv
from uv import find_uv_bin

from releasekit.errors import E
from releasekit.pipeline.build import Builder, digests_in
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python import Python
from releasekit.pipeline.python.provided import refuse_missing
from releasekit.pipeline.steps import IndexSteps

if TYPE_CHECKING:
    from collections.abc import Collection

OURS = {"top": "1.0", "core": "2.0", "private": "", "someone-else": ""}
THERE = {"core-1.0.tar.gz": "", "core-1.5-py3-none-any.whl": "", "private-1.0.tar.gz": "", "core_tools-9.tar.gz": ""}
OWN = '[build-system]\nrequires = []\nbuild-backend = "tiny"\nbackend-path = ["src"]\n'
B_IS_A_MEMBER = "[tool.uv.sources]\nb = { workspace = true }\n"


def refusal(*requirements: str, later: Collection[str] = ()) -> StepError | None:
    wanted = [*map(Requirement, requirements)]
    try:
        asyncio.run(refuse_missing("top", wanted, OURS, lambda name: name not in later, MemoryIndex(THERE)))
    except StepError as error:
        return error
    return None


@pytest.mark.parametrize(
    "requirement",
    [
        "core",
        "core>=2",
        "core==2.0",
        "core==2.*",
        "Core[extra] >= 2",
        "core<2",  # the index has it
        "core==1.0; python_version < '3'",  # for others, and the index has it
        "core==1.*",
        "private",
        "Private==1.0",
        "elsewhere>99",  # of another project
        "top==9",  # itself
        "core==9; extra == 'x'",
    ],
)
def test_what_the_run_or_the_index_provides_is_no_obstacle(requirement: str) -> None:
    assert refusal(requirement) is None


@pytest.mark.parametrize(
    ("requirement", "why"),
    [
        ("core>2", "this run publishes core 2.0, nor has memory such a version"),
        ("core==1.0", "this run publishes core 2.0"),
        ("core===1.5", "this run publishes core 2.0"),
        ("private>1", "this run does not publish private, nor has memory such a version"),
        ("someone_else", "this run does not publish someone-else, nor has memory such a version"),
    ],
)
def test_what_nothing_provides_is_refused_with_the_requirement(requirement: str, why: str) -> None:
    error = refusal("core", requirement)
    assert error is not None
    assert error.code is E.REQUIREMENT_MISSING
    assert error.message == f"'top' requires {requirement!r}, and {why}"


def test_the_index_is_asked_only_for_what_the_run_does_not_provide() -> None:
    index = MemoryIndex(THERE)
    wanted = [Requirement("core>=2"), Requirement("core==2.0")]
    asyncio.run(refuse_missing("top", wanted, OURS, lambda _: True, index))
    assert index.asked == 0


@pytest.mark.parametrize("requirement", ["core", "Core[x]>=2", "core==2.0; python_version > '3'"])
def test_what_this_run_may_publish_only_later_is_refused(requirement: str) -> None:
    error = refusal(requirement, later=["core"])
    assert error is not None
    assert error.code is E.REQUIREMENT_MISSING
    assert error.message == (
        f"'top' requires {str(Requirement(requirement))!r} in its built metadata, which was not known when the run "
        "began: 'top' could be published before core"
    )
    assert "`uv lock --refresh-package top`" in error.hint
    assert "--fresh" in error.hint


def test_what_has_no_version_yet_can_not_be_said_to_be_on_the_index() -> None:
    error = refusal("private", later=["private"])
    assert error is not None
    assert "could be published before private" in error.message


@pytest.mark.parametrize("requirement", ["core<2", "core; extra == 'x'", "top==1.0"])
def test_what_is_not_of_this_run_may_come_at_any_time(requirement: str) -> None:
    assert refusal(requirement, later=["core", "top"]) is None


def test_a_package_knows_what_goes_ahead_of_it_over_any_number_of_steps(tmp_path: Path) -> None:
    run = Run(tmp_path, DIAMOND | {"alone": ""})
    run.go()
    assert run.steps.ahead == {
        "core": {"core"},
        "alone": {"alone"},
        "left": {"left", "core"},
        "right": {"right", "core"},
        "top": {"top", "left", "right", "core"},
    }


def test_a_requirement_that_an_old_lock_does_not_know_stops_the_run(tmp_path: Path) -> None:
    """Else the packages would be published side by side, and the one that is required might never arrive."""
    tree = Tree(tmp_path)
    for name, body, more in (("a", "dynamic = ['dependencies']\n", B_IS_A_MEMBER), ("b", "", "")):
        tree.member(f"packages/{name}", 'requires-python = ">=3.11"\n' + body, more=OWN + more)
        tree.file(f"packages/{name}/src/tiny/__init__.py", Path(tiny_backend.__file__).read_text("utf-8"))
    tree.file("packages/a/requires.txt")
    tree.file(".gitignore", ".releasekit-*\nout\n")
    assert uv(tree, "lock").returncode == 0
    subprocess.run(["git", "init", "--quiet"], cwd=tree.root, check=True)  # noqa: S607
    tree.file("packages/a/requires.txt", "b==1.0\n")
    workspace = Workspace(tree.root)
    workspace.commit()
    publish = ("publish", "--index", "./out")

    refused = workspace.releasekit(*publish, environ={"UV_OFFLINE": "1"})

    assert refused.returncode == 1, refused.stderr
    assert "'a' could be published before b" in refused.stdout
    assert not list(tmp_path.glob("out/*.whl"))

    anew = [find_uv_bin(), "lock", "--quiet", "--refresh-package", "a"]  # as the hint has it; nothing is fetched
    subprocess.run(anew, cwd=tree.root, check=True)
    workspace.commit()
    assert workspace.releasekit(*publish, "--fresh", environ={"UV_OFFLINE": "1"}).returncode == 0
    assert workspace.statuses() == {"a": "published", "b": "published"}


def test_everything_is_looked_at_before_anything_is_sent(tmp_path: Path) -> None:
    run = Run(tmp_path, DIAMOND)
    run.steps.errors["check", "top"] = failure(code=E.REQUIREMENT_MISSING)
    run.go()
    assert sorted(run.steps.names("check")) == sorted(DIAMOND)
    assert run.steps.names("publish") == []
    assert run.steps.versions == dict.fromkeys(DIAMOND, "1.0")


@pytest.mark.parametrize("shown", ["nothing", "the wheel", "all"])
def test_what_the_index_has_already_is_not_refused_for_what_it_requires(tmp_path: Path, shown: str) -> None:
    """What another commit released may have the exact pin of that time: it is not sent again."""
    builder = Builder(tmp_path, 0, Python())
    directory = builder.directory("top")
    directory.mkdir(parents=True)
    metadata = archives.core_metadata("top", "1.0").replace(b"\n\n", b"\nRequires-Dist: core==1.0\n\n", 1)
    archives.wheel(directory / "top-1.0-py3-none-any.whl", metadata)
    (directory / "top-1.0.tar.gz").write_bytes(b"")
    kept = digests_in(directory)
    there = {"nothing": {}, "the wheel": {name: kept[name] for name in kept if "whl" in name}, "all": kept}[shown]
    checked = IndexSteps(builder, MemoryIndex(there)).check(make_package("top", tmp_path), OURS, lambda _: True)
    if shown == "all":
        asyncio.run(checked)
    else:
        with pytest.raises(StepError, match="this run publishes core") as caught:
            asyncio.run(checked)
        assert "allow core 2.0" in caught.value.hint


def test_without_the_gate_a_package_is_looked_at_before_it_is_sent(tmp_path: Path) -> None:
    run = Run(tmp_path, DIAMOND, gate=False)
    run.steps.errors["check", "left"] = failure(code=E.REQUIREMENT_MISSING)
    run.go()
    assert sorted(run.steps.names("publish")) == ["core", "right"]


def test_a_release_whose_requirement_is_left_out_and_not_on_the_index_sends_nothing(
    indexed: Workspace, served: tuple[str, Path]
) -> None:
    _, files = served
    arguments = ("publish", "--index", INDEX, "--verify-timeout", "20")

    refused = indexed.releasekit(*arguments, "--exclude", "aurora-core")
    assert refused.returncode == 1
    assert "requires 'aurora-core" in refused.stdout
    assert f"this run does not publish aurora-core, nor has {INDEX} such a version" in refused.stdout
    assert digests(files) == {}

    assert indexed.releasekit(*arguments, "--only", "aurora-core", "--fresh").returncode == 0
    assert indexed.releasekit(*arguments, "--exclude", "aurora-core").returncode == 0
    assert len(digests(files)) == 16
