"""Each package keeps within its own limits, wherever these were said."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.pipeline.doubles import A, MemoryIndex, Run, make_package

from releasekit.cli import demo_workspace
from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import Request, forecast, patience, release, resume, skip_complete
from releasekit.pipeline.build import Builder
from releasekit.pipeline.chosen import load_selected
from releasekit.pipeline.orchestrator import CONFIRM_TIMEOUT
from releasekit.pipeline.outcome import StepError, TransientError
from releasekit.pipeline.python import Python
from releasekit.pipeline.release import make_plan
from releasekit.pipeline.steps import IndexSteps
from releasekit.state import RunState
from releasekit.workspace import Selection
from releasekit.workspace.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from tests.support import Workspace

    from releasekit.pipeline.ecosystem import Build
    from releasekit.state import PackageState
    from releasekit.workspace import Package

NAMES = [member.name for member in demo_workspace.MEMBERS]
CORE, NET = "aurora-core", "aurora-net"
DIRTY = "what would be released is not what is committed"


def say(workspace: Workspace, name: str, *lines: str) -> None:
    """Give a member a table of its own, or the root for an empty name."""
    path = f"packages/{name}/pyproject.toml" if name else "pyproject.toml"
    with (workspace.root / path).open("a", encoding="utf-8") as file:
        file.write("\n".join(("", "[tool.releasekit]", *lines, "")))
    workspace.commit("Configure")


def limits(workspace: Workspace, **asked: Any) -> dict[str, Settings]:  # noqa: ANN401  # of a request
    """What a release would keep to, by package."""
    packages = make_plan(Request(workspace=workspace.root, index="./out", **asked)).workspace.packages
    return {name: package.settings for name, package in packages.items()}


def test_a_request_says_it_of_all_then_a_package_of_itself_then_the_root_of_all(workspace: Workspace) -> None:
    say(workspace, "", "build-timeout = 10", "upload-timeout = 10", "verify-timeout = 10", "steps.build = ['all']")
    say(workspace, CORE, "build-timeout = 20", "upload-timeout = 20", "steps.build = ['own']")

    found = limits(workspace, build_timeout=30.0)

    assert {name: each.build_timeout for name, each in found.items()} == dict.fromkeys(found, 30)
    assert (found[CORE].upload_timeout, found[NET].upload_timeout) == (20, 10)
    assert {each.verify_timeout for each in found.values()} == {10}
    assert {each.retry_budget for each in found.values()} == {Settings().retry_budget}
    assert (found[CORE].commands.build, found[NET].commands.build) == (("own",), ("all",))
    assert dict(found[NET].sources) == dict.fromkeys(
        ("upload-timeout", "verify-timeout", "steps.build"), "pyproject.toml"
    ) | {"build-timeout": "command line"}


def test_a_wrong_table_is_refused_also_without_the_command_line(workspace: Workspace) -> None:
    say(workspace, "", "jobz = 3")
    with pytest.raises(ReleaseKitError, match="did you mean 'jobs'") as caught:
        load_selected(workspace.root, Selection())
    assert caught.value.code is E.CONFIG_INVALID


def test_a_build_has_its_packages_own_time(tmp_path: Path) -> None:
    given: dict[str, float] = {}

    class Timed(Python):
        async def build(self, build: Build) -> None:
            given[build.package.name] = build.timeout
            raise StepError(E.BUILD_FAILED, "enough")

    for seconds in (7.0, 8.0):
        package = replace(make_package(f"p{seconds:g}", tmp_path), settings=Settings(build_timeout=seconds))
        with pytest.raises(StepError, match="enough"):
            asyncio.run(Builder(tmp_path, 0, Timed()).build(package))
    assert given == {"p7": 7.0, "p8": 8.0}


def test_an_upload_has_its_packages_own_time(tmp_path: Path) -> None:
    given: dict[str, float] = {}

    class Timed(MemoryIndex):
        async def upload(self, package: str, version: str, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109  # as the protocol has it
            await super().upload(package, version, paths, timeout)
            given[package] = timeout

    builder = Builder(tmp_path, 0, Python())
    steps = IndexSteps(builder, Timed())
    for name, seconds in (("a", 7.0), ("b", 8.0)):
        package = replace(make_package(name, tmp_path), settings=Settings(upload_timeout=seconds))
        builder.directory(name).mkdir(parents=True)
        files = [builder.directory(name) / f"{name}-1.0{end}" for end in (".tar.gz", "-py3-none-any.whl")]
        for file in files:
            file.touch()
        artifacts = asyncio.run(builder.kept(name))
        asyncio.run(steps.publish(package, artifacts, nullcontext))
    assert given == {"a": 7.0, "b": 8.0}


def test_the_index_has_each_packages_own_time_to_show_it_and_to_show_it_again(tmp_path: Path) -> None:
    seconds = {"a": 7.0, "b": 800.0, "c": 9.0, "d": 900.0}
    run = Run(tmp_path, dict.fromkeys(seconds, ""))
    for name, package in run.packages.items():
        run.packages[name] = replace(package, settings=Settings(verify_timeout=seconds[name]))
    run.publish_before("c", "d")

    run.go()

    assert run.steps.patience == seconds | {"d": CONFIRM_TIMEOUT}


def test_each_package_has_a_budget_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[float] = []
    spend_on = patience.Patience.spend_on

    async def counted(self: patience.Patience, step: Any) -> Any:  # noqa: ANN401  # any
        spent.append(self.left)
        return await spend_on(self, step)

    monkeypatch.setattr(patience.Patience, "spend_on", counted)
    steps = IndexSteps(Builder(tmp_path, 0, Python()), MemoryIndex())
    for name, budget in (("a", 7.0), ("b", 0.0)):
        package = replace(make_package(name, tmp_path), settings=Settings(retry_budget=budget))
        artifacts = {f"{name}-1.0.tar.gz": A, f"{name}-1.0-py3-none-any.whl": A}
        with pytest.raises(StepError, match="is gone or not what was built"):
            asyncio.run(steps.publish(package, artifacts, nullcontext))
    assert spent == [7.0, 0.0]


def test_what_a_run_asks_before_it_begins_has_the_packages_own_budget_at_most() -> None:
    gone = TransientError(E.INDEX_UNREADABLE, "gone")
    index = MemoryIndex(gone, {})
    state = RunState("0" * 40)
    state.init_package("a", version="1.0")

    with pytest.raises(TransientError, match="gone"):
        asyncio.run(skip_complete(state, index, {"a": 0.0}))
    assert index.asked == 1
    asyncio.run(skip_complete(state, MemoryIndex(gone, {})))  # as long as usual


@pytest.mark.parametrize("what", [release, forecast])
def test_before_it_begins_a_release_asks_for_as_long_as_each_package_says(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, what: Callable[[Request], Coroutine[Any, Any, object]]
) -> None:
    say(workspace, CORE, "retry-budget = 3")
    say(workspace, "", "retry-budget = 4")
    asked: dict[str, float] = {}

    async def ask(_: object, package: PackageState, patience: float) -> Mapping[str, str]:
        asked[package.name] = patience
        if len(asked) == len(NAMES):
            raise StepError(E.INDEX_UNREADABLE, "enough")
        return {}

    monkeypatch.setattr(resume, "ask", ask)
    with pytest.raises(StepError, match="enough"):
        asyncio.run(what(Request(workspace=workspace.root, index="./out")))
    assert asked == dict.fromkeys(NAMES, 4) | {CORE: 3}


def test_a_forecast_of_a_run_that_goes_on_asks_for_as_long_as_each_package_says(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(workspace, CORE, "verify-timeout = 3")
    say(workspace, NET, "retry-budget = 5")
    request = Request(workspace=workspace.root, index="./out")
    plan = make_plan(request)
    core = plan.run[CORE]
    core.start_building()
    core.record_artifacts({f"{CORE.replace('-', '_')}-1.4.0.tar.gz": A})
    core.start_publishing()
    core.start_verifying()
    core.confirm()
    plan.run.save(plan.path)
    asked: dict[str, float] = {}

    async def ask(_: object, package: PackageState, patience: float) -> Mapping[str, str]:
        asked[package.name] = patience
        return {}

    async def verify(_: object, package: Package, artifacts: object, patience: float) -> None:
        del artifacts
        asked[package.name] = patience

    monkeypatch.setattr(sys.modules[forecast.__module__], "ask", ask)
    monkeypatch.setattr(IndexSteps, "verify", verify)
    asyncio.run(forecast(request))
    assert asked == dict.fromkeys(NAMES, Settings().retry_budget) | {CORE: 3, NET: 5}


def test_only_what_may_not_be_dirty_is_looked_at(workspace: Workspace) -> None:
    say(workspace, CORE, "allow-dirty = true")
    (workspace.root / "packages" / CORE / "new.txt").touch()
    limits(workspace)
    with pytest.raises(ReleaseKitError, match=rf"{DIRTY}: packages/{CORE}/new.txt"):
        limits(workspace, allow_dirty=False)

    (workspace.root / "packages" / NET / "new.txt").touch()
    with pytest.raises(ReleaseKitError, match=rf"{DIRTY}: packages/{NET}/new.txt"):
        limits(workspace)
    limits(workspace, allow_dirty=True)


def test_a_package_may_be_stricter_than_the_root(workspace: Workspace) -> None:
    say(workspace, "", "allow-dirty = true")
    say(workspace, CORE, "allow-dirty = false")
    (workspace.root / "packages" / NET / "new.txt").touch()
    limits(workspace)
    (workspace.root / "packages" / CORE / "new.txt").touch()
    with pytest.raises(ReleaseKitError, match=rf"{DIRTY}: packages/{CORE}/new.txt"):
        limits(workspace)


@pytest.mark.parametrize("lenient", ["outer", "inner"])
def test_a_file_is_its_innermost_packages_also_where_only_one_may_be_dirty(workspace: Workspace, lenient: str) -> None:
    text = '[project]\nname = "{}"\nversion = "1"\n[build-system]\nrequires = []\n[tool.releasekit]\nallow-dirty = {}\n'
    places = {"outer": workspace.root / "packages" / "outer", "inner": workspace.root / "packages" / "outer" / "inner"}
    for name, place in places.items():
        place.mkdir()
        (place / "pyproject.toml").write_text(text.format(name, str(name == lenient).lower()))
    workspace.edit("pyproject.toml", '"packages/*"', '"packages/*", "packages/outer/inner"')
    workspace.commit()
    for place in places.values():
        (place / "new.txt").touch()

    strict = "inner" if lenient == "outer" else "outer"
    with pytest.raises(ReleaseKitError) as caught:
        limits(workspace)

    path = (places[strict] / "new.txt").relative_to(workspace.root)
    assert caught.value.message == f"{DIRTY}: {path}"
    chosen = load_selected(workspace.root, Selection(since="HEAD")).packages.values()
    assert [package.name for package in chosen if not package.skip_reason] == [lenient]


def test_a_package_that_may_be_dirty_may_be_in_a_submodule_with_another_commit(
    workspace: Workspace, tmp_path: Path
) -> None:
    inner = tmp_path / "inner"
    (inner / "lib").mkdir(parents=True)
    text = '[project]\nname = "lib"\nversion = "1"\n[build-system]\nrequires = []\n'
    (inner / "lib" / "pyproject.toml").write_text(f"{text}[tool.releasekit]\nallow-dirty = true\n")
    demo_workspace.commit_all(inner, "First")
    add = ["git", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub"]
    subprocess.run(add, cwd=workspace.root, check=True)
    workspace.edit("pyproject.toml", '"packages/*"', '"packages/*", "sub/lib"')
    workspace.commit()
    (workspace.root / "sub" / "lib" / "new.txt").touch()
    demo_workspace.commit_all(workspace.root / "sub", "Second")

    limits(workspace)
    with pytest.raises(ReleaseKitError, match=rf"{DIRTY}: sub$|{DIRTY}: sub\n"):
        limits(workspace, allow_dirty=False)


def test_a_package_that_leaves_itself_out_holds_up_nobody(workspace: Workspace) -> None:
    say(workspace, CORE, "exclude = true")
    run = make_plan(Request(workspace=workspace.root, index="./out")).run
    assert run[CORE].reason == "tool.releasekit.exclude is true"
    assert [name for name, package in run.packages.items() if package.status == "skipped"] == [CORE]
    assert NET in run.ready_packages()
