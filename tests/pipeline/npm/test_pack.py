"""A package is packed by npm, or by pnpm, with its scripts, and without what may publish."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.npm_trees import member, package, write

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.ecosystem import Build
from releasekit.pipeline.npm import Npm
from releasekit.pipeline.outcome import StepError
from releasekit.redaction import REDACTED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.npm_trees import FakeNpm


def build(root: Path, content: dict[str, Any], timeout: float = 30) -> Path:
    directory = write(root, {"package.json": {}, "core/package.json": member("core") | content}) / "core"
    target = root / "target"
    target.mkdir()
    kept = root.joinpath
    asyncio.run(Npm().build(Build(package("core", directory=directory), root, target, (), kept, 1234, timeout)))
    return target


def test_npm_packs_in_the_packages_directory_into_the_one_that_is_meant(npm: FakeNpm, tmp_path: Path) -> None:
    npm.answer({"pack": {"files": {"core-1.0.0.tgz": "x"}}})
    target = build(tmp_path / "w", {"scripts": {"prepack": "x"}})
    (call,) = npm.calls
    assert call.argv == ["pack", f"--pack-destination={target}"]
    assert call.cwd == str(tmp_path / "w/core")
    assert call.environ["SOURCE_DATE_EPOCH"] == "1234"
    assert [path.name for path in target.iterdir()] == ["core-1.0.0.tgz"]


def test_pnpm_packs_where_the_workspace_is_its(npm: FakeNpm, tmp_path: Path) -> None:
    npm.directory.joinpath("npm").unlink()
    write(tmp_path / "w", {"pnpm-workspace.yaml": ""})
    build(tmp_path / "w", {})
    assert [call.argv[0] for call in npm.calls] == ["pack"]


def test_what_may_publish_is_not_shown_to_scripts(
    npm: FakeNpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NPM_TOKEN", "NODE_AUTH_TOKEN", "npm_config__auth", "npm_config_dry_run"):
        monkeypatch.setenv(name, "canary-1")
    build(tmp_path / "w", {"scripts": {"prepublishOnly": "x"}})
    assert [call.argv[0] for call in npm.calls] == ["config", "run", "pack"]
    assert not any("canary-1" in call.environ.values() for call in npm.calls)


def test_the_script_that_packing_leaves_out_runs_before_it(npm: FakeNpm, tmp_path: Path) -> None:
    build(tmp_path / "w", {"scripts": {"prepublishOnly": "x"}})
    assert [call.argv[:2] for call in npm.calls][1] == ["run", "prepublishOnly"]


def test_it_does_not_where_scripts_are_not_to_run(npm: FakeNpm, tmp_path: Path) -> None:
    npm.answer({"config": {"stdout": "true\n"}})
    build(tmp_path / "w", {"scripts": {"prepublishOnly": "x"}})
    assert [call.argv[0] for call in npm.calls] == ["config", "pack"]


@pytest.mark.parametrize(("command", "shown"), [("pack", "npm pack"), ("run", "npm run prepublishOnly")])
def test_one_that_fails_is_told_with_what_it_printed(
    npm: FakeNpm, tmp_path: Path, command: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "canary-secret")
    npm.answer({command: {"code": 1, "stderr": "tsc: broken canary-secret"}})
    with pytest.raises(StepError) as caught:
        build(tmp_path / "w", {"scripts": {"prepublishOnly": "x"}})
    assert caught.value.code is E.BUILD_FAILED
    assert caught.value.message == f"{shown} of 'core' in {tmp_path / 'w/core'} failed:\ntsc: broken {REDACTED}"


@pytest.mark.usefixtures("npm")
def test_one_that_lasts_too_long_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"npm pack of 'core' did not end within 0 s") as caught:
        build(tmp_path / "w", {}, 0.0)
    assert caught.value.code is E.BUILD_TIMEOUT


def test_tools_that_are_missing_are_told_before_anything_happens(npm: FakeNpm, tmp_path: Path) -> None:
    ecosystem = Npm()
    ecosystem.require_tools(tmp_path)
    npm.directory.joinpath("pnpm").unlink()
    ecosystem.require_tools(tmp_path)
    write(tmp_path, {"pnpm-workspace.yaml": ""})
    with pytest.raises(ReleaseKitError, match="pnpm is not on PATH") as caught:
        ecosystem.require_tools(tmp_path)
    assert caught.value.code is E.NPM_MISSING
