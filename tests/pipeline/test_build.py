from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from tests import archives
from tests.pipeline.doubles import make_package
from tests.support import Workspace, digests

from releasekit.cli import demo_workspace
from releasekit.errors import E
from releasekit.pipeline.build import DIST_DIRECTORY, Builder, keep_whole
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python import Python
from releasekit.pipeline.python.names import Release
from releasekit.pipeline.python.release_files import version_of
from releasekit.workspace import load_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.pipeline.ecosystem import Build
    from releasekit.workspace import Package

FILES = ["aurora_core-1.4.0-py3-none-any.whl", "aurora_core-1.4.0.tar.gz"]
COMMIT_TIME = 1_700_000_000
PATIENCE = 60.0  # seconds for a build, or for a thread to get its turn


def core_of(workspace: Workspace) -> Package:
    return load_workspace(workspace.root).packages["aurora-core"]


def build(workspace: Workspace, package: Package | None = None) -> Mapping[str, str]:
    return asyncio.run(Builder(workspace.root, COMMIT_TIME, Python()).build(package or core_of(workspace))).artifacts


def kept(workspace: Workspace) -> Path:
    return workspace.root / DIST_DIRECTORY / "aurora-core"


def nothing_else_is_left(workspace: Workspace) -> bool:
    return [path.name for path in (workspace.root / DIST_DIRECTORY).iterdir()] == ["aurora-core"]


def test_a_build_keeps_one_sdist_and_one_wheel(workspace: Workspace) -> None:
    artifacts = build(workspace)

    assert sorted(artifacts) == FILES
    assert artifacts == digests(kept(workspace))
    assert sorted(path.name for path in kept(workspace).iterdir()) == FILES
    assert nothing_else_is_left(workspace)
    assert asyncio.run(Builder(workspace.root, COMMIT_TIME, Python()).kept("aurora-core")) == artifacts


def test_the_same_commit_gives_the_same_bytes_and_replaces_the_files(workspace: Workspace) -> None:
    first = build(workspace)
    (kept(workspace) / "older-1.0.tar.gz").write_text("of an earlier build")

    assert build(workspace) == first
    assert digests(kept(workspace)) == first


def test_every_backend_is_told_the_time_of_the_commit(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv_build itself has no time stamps, so another backend is asked what it was told."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    monkeypatch.setenv("VIRTUAL_ENV", str(workspace.root / "no-such-environment"))
    tell(workspace, "os.environ['SOURCE_DATE_EPOCH']")

    with pytest.raises(StepError, match=f"told {COMMIT_TIME}"):
        build(workspace)


def test_a_backend_is_not_shown_what_may_publish(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"UV_PUBLISH_{part}", "canary")
    tell(workspace, "sorted(name for name in os.environ if name.startswith('UV_PUBLISH'))")

    with pytest.raises(StepError, match=r"told \[\]"):
        build(workspace)


@pytest.mark.parametrize("variable", ["UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY"])
def test_no_variable_sends_a_build_to_another_directory(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    tell(workspace, f"os.environ.get({variable!r})")

    with pytest.raises(StepError, match="told None"):
        build(workspace)


def test_a_workspace_whose_path_looks_like_a_pattern_is_built(tmp_path: Path) -> None:
    root = tmp_path / "we[ird]*?"
    demo_workspace.make_workspace(root)

    assert sorted(build(Workspace(root))) == FILES


def tell(workspace: Workspace, expression: str) -> None:
    """Have a package's build fail, and say what an expression is there."""
    member = "packages/aurora-core"
    workspace.edit(f"{member}/pyproject.toml", '["uv_build>=0.8,<1"]', "[]")
    workspace.edit(f"{member}/pyproject.toml", '"uv_build"', '"telling"\nbackend-path = ["."]')
    telling = f"import os, sys\n\ndef build_sdist(*_):\n    sys.exit('told ' + str({expression}))\n"
    (workspace.root / member / "telling.py").write_text(telling)


def test_nothing_is_kept_before_it_is_built(workspace: Workspace) -> None:
    assert asyncio.run(Builder(workspace.root, COMMIT_TIME, Python()).kept("aurora-core")) == {}


def test_another_version_than_the_plan_has_is_incomplete(workspace: Workspace) -> None:
    planned = core_of(workspace)
    build(workspace)
    workspace.edit("packages/aurora-core/pyproject.toml", '"1.4.0"', '"1.4.1"')

    with pytest.raises(StepError, match=r"aurora_core-1\.4\.1\.tar\.gz, not one sdist .* of version 1\.4\.0") as caught:
        build(workspace, planned)

    assert caught.value.code is E.BUILD_INCOMPLETE
    assert sorted(digests(kept(workspace))) == FILES  # the earlier ones
    assert nothing_else_is_left(workspace)


def test_a_failing_backend_is_heard(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / "packages/aurora-core/src")

    with pytest.raises(StepError, match=r"Expected a Python module at") as caught:
        build(workspace)

    assert caught.value.code is E.BUILD_FAILED
    assert "--fresh" in caught.value.hint
    assert not any((workspace.root / DIST_DIRECTORY).iterdir())


def test_a_cancelled_build_leaves_nothing(workspace: Workspace) -> None:
    async def cancel() -> None:
        task = asyncio.create_task(Builder(workspace.root, COMMIT_TIME, Python()).build(core_of(workspace)))
        while not list(workspace.root.glob(f"{DIST_DIRECTORY}/*")):  # noqa: ASYNC110  # the task makes it
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())

    assert not any((workspace.root / DIST_DIRECTORY).iterdir())


def test_a_build_that_is_cancelled_as_its_files_are_kept_ends_after_that(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = Event(), Event()

    def keep_slowly(fresh: Path, final: Path) -> None:
        began.set()
        assert go_on.wait(PATIENCE)
        keep_whole(fresh, final)

    async def cancel() -> None:
        monkeypatch.setattr("releasekit.pipeline.build.keep_whole", keep_slowly)
        building = asyncio.create_task(Builder(workspace.root, COMMIT_TIME, Python()).build(core_of(workspace)))
        assert await asyncio.to_thread(began.wait, PATIENCE)
        for _ in range(3):
            building.cancel()
            await asyncio.sleep(0.01)
        assert not building.done()  # or they would be kept when the run is no longer ours
        go_on.set()
        await asyncio.wait([building])
        assert building.cancelled()

    asyncio.run(cancel())
    assert sorted(path.name for path in kept(workspace).iterdir()) == FILES
    assert nothing_else_is_left(workspace)


def test_a_file_in_the_way_is_an_error_of_storing(workspace: Workspace) -> None:
    (workspace.root / DIST_DIRECTORY).write_text("in the way")

    with pytest.raises(StepError, match="could not be stored") as caught:
        build(workspace)

    assert caught.value.code is E.FILE_FAILED


def test_kept_files_that_can_not_be_read_are_an_error_not_a_crash(workspace: Workspace) -> None:
    (kept(workspace) / "a-directory.whl").mkdir(parents=True)

    with pytest.raises(StepError, match="can't be read") as caught:
        asyncio.run(Builder(workspace.root, COMMIT_TIME, Python()).kept("aurora-core"))

    assert caught.value.code is E.FILE_FAILED


# what was built is looked at before it is kept


class Giving(Python):
    """Gives files that were made without a build."""

    def __init__(self, name: str, said: bytes, *, wheel: bool) -> None:
        self.names = (name, said)
        self.wheel = wheel

    async def build(self, build: Build) -> None:
        """See `Ecosystem.build`."""
        self._give(build.package, build.target)

    def _give(self, package: Package, target: Path) -> None:
        archives.release(target, package.name, "1.4.0")
        name, said = self.names
        for old in target.glob("*.whl" if self.wheel else "*.gz"):
            old.unlink()
        (archives.wheel if self.wheel else archives.sdist)(target / name, said)


def giving(root: Path, ecosystem: Giving) -> Builder:
    return Builder(root, COMMIT_TIME, ecosystem)


CORE = Release("aurora-core", Version("1.4.0"))


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("wheel", [False, True], ids=["sdist", "wheel"])
@pytest.mark.parametrize(
    ("name", "version", "code", "problem"),
    [
        ("aurora-core", "1.4.0", "", ""),
        ("Aurora.Core", "1.4", "", ""),
        ("aurora-core", "1.4.1", E.BUILD_MISMATCH, "is of aurora-core 1.4.1 by its metadata, and should be of {core}"),
        ("aurora-text", "1.4.0", E.BUILD_MISMATCH, "is of aurora-text 1.4.0 by its metadata, and should be of {core}"),
        ("aurora-core", "none", E.BUILD_MISMATCH, "has metadata with the version 'none', which is none"),
        ("", "1.4.0", E.BUILD_MISMATCH, "has metadata without a name"),
    ],
)
def test_every_file_says_what_its_name_and_the_plan_say(  # noqa: PLR0913  # a matrix
    tmp_path: Path, name: str, version: str, code: str, problem: str, *, wheel: bool, dynamic: bool
) -> None:
    file = FILES[0] if wheel else FILES[1]
    builder = giving(tmp_path, Giving(file, archives.core_metadata(name, version), wheel=wheel))
    package = replace(make_package("aurora-core", tmp_path, version="" if dynamic else "1.4.0"), dynamic=dynamic)
    if not code:
        built = asyncio.run(builder.build(package))
        assert (built.version, sorted(built.artifacts)) == ("1.4.0", FILES)
        return
    with pytest.raises(StepError) as caught:
        asyncio.run(builder.build(package))
    assert (caught.value.code, caught.value.message) == (code, f"{file} {problem.format(core=CORE)}")
    assert "build backend" in caught.value.hint
    assert not any((tmp_path / DIST_DIRECTORY).iterdir())


def test_files_of_a_dynamic_package_that_are_of_two_versions_are_incomplete(tmp_path: Path) -> None:
    file = "aurora_core-1.4.1-py3-none-any.whl"
    builder = giving(tmp_path, Giving(file, archives.core_metadata("aurora-core", "1.4.1"), wheel=True))
    package = replace(make_package("aurora-core", tmp_path, version=""), dynamic=True)
    with pytest.raises(StepError, match="at least one wheel of one version") as caught:
        asyncio.run(builder.build(package))
    assert caught.value.code is E.BUILD_INCOMPLETE


def test_a_dynamic_version_that_was_recorded_binds_the_next_build(tmp_path: Path) -> None:
    builder = giving(tmp_path, Giving(FILES[0], archives.core_metadata("aurora-core", "1.4.0"), wheel=True))
    package = replace(make_package("aurora-core", tmp_path, version="1.4.0.dev3"), dynamic=True)
    with pytest.raises(StepError, match=r"of version 1\.4\.0\.dev3") as caught:
        asyncio.run(builder.build(package))
    assert "tags have changed" in caught.value.hint


def test_nothing_at_all_is_incomplete_for_a_dynamic_package_too(tmp_path: Path) -> None:
    package = replace(make_package("aurora-core", tmp_path, version=""), dynamic=True)
    with pytest.raises(StepError, match="gave nothing, not one sdist"):
        version_of(package, tmp_path, {})
