"""What uv is told that may make an environment differ from that of an isolated build."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from releasekit.errors import ReleaseKitError
from releasekit.pipeline.python.uv_settings import read_uv_toml, why_not_alike

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Places where a user or a machine may have a uv.toml; nothing is set but what a test sets."""
    for name in os.environ:
        if name.startswith("UV_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}")
    directories = {
        "home": tmp_path / "home" / ".config" / "uv",
        "one": tmp_path / "one" / "uv",
        "two": tmp_path / "two" / "uv",
    }
    for directory in directories.values():
        directory.mkdir(parents=True)
    return directories


@pytest.mark.parametrize(
    "name",
    [
        *("UV_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_EXCLUDE", "UV_NO_BINARY", "UV_NO_BUILD", "UV_NO_BUILD_ISOLATION"),
        *("UV_NO_BUILD_ISOLATION_PACKAGE", "UV_OVERRIDE", "UV_PRERELEASE", "UV_PREVIEW", "UV_REQUIRE_HASHES"),
        *("UV_RESOLUTION", "UV_SYSTEM_PYTHON", "UV_TARGET", "UV_TORCH_BACKEND", "UV_VENV_SEED", "UV_OF_TOMORROW"),
    ],
)
def test_a_variable_that_only_one_of_them_obeys_or_nobody_knows_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert why_not_alike([]) == ""
    monkeypatch.setenv(name, "")
    assert why_not_alike([]) == f"{name} is set"


@pytest.mark.parametrize(
    "name",
    [
        *("UV", "UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_DEFAULT_INDEX", "UV_EXCLUDE_NEWER", "UV_INDEX", "UV_LINK_MODE"),
        *("UV_INDEX_LOCAL_PASSWORD", "UV_INDEX_LOCAL_USERNAME", "UV_OFFLINE", "UV_PUBLISH_TOKEN", "UV_PYTHON"),
        *("UV_RUN_RECURSION_DEPTH", "UV_TOOL_DIR", "VIRTUAL_ENV"),
    ],
)
def test_a_variable_that_both_obey_or_none_is_no_reason(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    assert why_not_alike([]) == ""


@pytest.mark.parametrize(
    "key",
    [
        *("build-constraint-dependencies", "config-settings", "config-settings-package", "constraint-dependencies"),
        *("dependency-groups", "dependency-metadata", "exclude-dependencies", "extra-build-dependencies"),
        *("extra-build-variables", "no-binary", "no-binary-package", "no-build", "no-build-isolation"),
        *("no-build-isolation-package", "no-build-package", "no-sources", "override-dependencies", "pip", "prerelease"),
        *("preview", "reinstall", "require-build-hashes", "resolution", "torch-backend", "upgrade", "of-tomorrow"),
    ],
)
def test_a_key_that_only_one_of_them_obeys_or_nobody_knows_is_a_reason(tmp_path: Path, key: str) -> None:
    fine = {"index": [], "workspace": {}, "sources": {}, "dev-dependencies": [], "link-mode": "copy", "package": True}
    assert why_not_alike([(tmp_path, fine), (tmp_path, {})]) == ""
    assert why_not_alike([(tmp_path, fine), (tmp_path / "uv.toml", {key: []})]) == f"{tmp_path / 'uv.toml'} sets {key}"


@pytest.mark.parametrize("place", ["home", "one", "two"])
def test_the_uv_toml_of_a_user_and_of_a_machine_is_read_too(places: dict[str, Path], place: str) -> None:
    file = places[place] / "uv.toml"
    file.write_text('link-mode = "copy"\n[[index]]\nurl = "https://127.0.0.1/"\n')
    assert why_not_alike([]) == ""
    file.write_text('[pip]\nresolution = "lowest"\n')
    assert why_not_alike([]) == f"{file} sets pip"


def test_so_is_one_that_is_named(tmp_path: Path, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    del places
    file = tmp_path / "named.toml"
    file.write_text('resolution = "lowest"\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(file))
    assert why_not_alike([]) == f"{file} sets resolution"

    moved = tmp_path / "moved" / "uv"
    moved.mkdir(parents=True)
    file.rename(moved / "uv.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(moved.parent))
    assert why_not_alike([]) == f"{moved / 'uv.toml'} sets resolution"


@pytest.mark.parametrize("variable", ["UV_CONFIG_FILE", "XDG_CONFIG_DIRS"])
def test_a_relative_path_to_one_starts_where_uv_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    file = tmp_path / "root" / "settings" / "uv" / "uv.toml"
    file.parent.mkdir(parents=True)
    file.write_text('resolution = "lowest"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "settings/uv/uv.toml" if variable == "UV_CONFIG_FILE" else "settings")
    assert why_not_alike([], tmp_path / "root") == f"{file} sets resolution"


def test_a_relative_home_of_settings_is_passed_over_as_uv_does(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = places["home"] / "uv.toml"
    file.write_text('resolution = "lowest"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", "settings")
    assert why_not_alike([]) == f"{file} sets resolution"


def test_a_user_without_a_home_has_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # as where a container runs as a user that it does not know
    assert why_not_alike([]) == ""


def test_one_that_is_unreadable_is_a_reason_too(places: dict[str, Path]) -> None:
    file = places["home"] / "uv.toml"
    file.write_text("resolution =")
    assert "is not TOML" in why_not_alike([])


def test_there_need_not_be_a_uv_toml(tmp_path: Path) -> None:
    assert read_uv_toml(tmp_path / "uv.toml") == {}
    tmp_path.joinpath("file").touch()
    assert read_uv_toml(tmp_path / "file" / "uv.toml") == {}
    tmp_path.joinpath("uv.toml").mkdir()
    with pytest.raises(ReleaseKitError):
        read_uv_toml(tmp_path / "uv.toml")
