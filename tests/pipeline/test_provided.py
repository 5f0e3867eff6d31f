"""Whether what is required of the own workspace can be installed, before anything is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from tests.pipeline.doubles import DIAMOND, MemoryIndex, Run, failure
from tests.support import INDEX, digests

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.provided import refuse_missing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Workspace

OURS = {"top": "1.0", "core": "2.0", "private": "", "someone-else": ""}
THERE = {"core-1.0.tar.gz": "", "core-1.5-py3-none-any.whl": "", "private-1.0.tar.gz": "", "core_tools-9.tar.gz": ""}


def refusal(*requirements: str) -> StepError | None:
    try:
        asyncio.run(refuse_missing("top", map(Requirement, requirements), OURS, MemoryIndex(THERE)))
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
    asyncio.run(refuse_missing("top", [Requirement("core>=2"), Requirement("core==2.0")], OURS, index))
    assert index.asked == 0


def test_everything_is_looked_at_before_anything_is_sent(tmp_path: Path) -> None:
    run = Run(tmp_path, DIAMOND)
    run.steps.errors["check", "top"] = failure(code=E.REQUIREMENT_MISSING)
    run.go()
    assert sorted(run.steps.names("check")) == sorted(DIAMOND)
    assert run.steps.names("publish") == []
    assert run.steps.versions == dict.fromkeys(DIAMOND, "1.0")


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
