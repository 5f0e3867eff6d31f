"""Which packages are built in an environment that others are built in too, and with which Python: the real uv."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from tests import local_backend
from tests.local_backend import built_with, shared

from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.build import DIST_DIRECTORY, Builder
from releasekit.pipeline.environments import Environments
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python import Python
from releasekit.pipeline.python.environments import UvEnvironment
from releasekit.workspace import load_workspace
from releasekit.workspace.settings import Commands, Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

NAMES: Final = ("one", "two", "three")


@pytest.fixture(autouse=True)
def _nothing_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv is set up as it comes, but for its cache."""
    for name in os.environ:
        if (name.startswith("UV_") and name != "UV_CACHE_DIR") or name == "VIRTUAL_ENV":
            monkeypatch.delenv(name)
    if "UV_CACHE_DIR" not in os.environ:
        monkeypatch.setenv("UV_CACHE_DIR", _cache())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "config"))


def _cache() -> str:
    command = [process.find_uv(), "cache", "dir"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace of three packages with the same requirements."""
    root = tmp_path / "the root"
    local_backend.make(root, *NAMES)
    return root


def build(root: Path, *names: str, wanted: Collection[str] = NAMES) -> Builder:
    packages = load_workspace(root).packages
    environments = Environments(Python(), root, packages, wanted)
    builder = Builder(root, 1_700_000_000, Python(), environments=environments)

    async def all_of_them() -> None:
        await asyncio.gather(*(builder.build(packages[name]) for name in names))

    asyncio.run(all_of_them())
    return builder


def told(root: Path, wanted: Collection[str] = NAMES) -> Mapping[str, UvEnvironment]:
    found = Python().environments(root, load_workspace(root).packages, wanted)
    return {name: each for name, each in found.items() if isinstance(each, UvEnvironment)}


def edit(root: Path, name: str, old: str, new: str) -> None:
    file = root / "packages" / name / "pyproject.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def write(root: Path, path: str, text: str = "", *, append: bool = False) -> None:
    file = root / path
    with file.open("a" if append else "w", encoding="utf-8") as opened:
        opened.write(text)


def test_packages_with_the_same_requirements_are_built_in_one_environment(root: Path) -> None:
    builder = build(root, *NAMES)
    assert shared(root, NAMES) == [*NAMES]
    assert len({built_with(root, name) for name in NAMES}) == 1
    for name in NAMES:
        kept = sorted(path.name for path in builder.directory(name).iterdir())
        assert kept == [f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.tar.gz"]
    del builder
    assert sorted(path.name for path in (root / DIST_DIRECTORY).iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("forbidden", ["", "1"])
def test_all_modules_are_compiled_only_where_builds_may_not_write_what_they_compile(
    root: Path, monkeypatch: pytest.MonkeyPatch, forbidden: str
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", forbidden)
    place = root / "place"
    place.mkdir()
    asyncio.run(told(root)["one"].make(place, 60))
    assert bool([*place.glob("venv/lib/*/site-packages/hatchling/__pycache__/build.*.pyc")]) is bool(forbidden)


def test_those_that_require_something_else_share_another_or_none(root: Path, tmp_path: Path) -> None:
    local_backend.make_wheel(tmp_path / "needed", "more")
    edit(root, "two", '"hatchling>=1"', '"hatchling>=1", "more"')
    found = told(root)
    assert found["one"] is found["three"]
    assert found["two"].requirements == ("hatchling>=1", "more")
    build(root, *NAMES)
    assert shared(root, NAMES) == ["one", "three"]


def test_one_package_has_nobody_to_share_with(root: Path) -> None:
    build(root, "one", wanted=["one"])
    assert shared(root, ["one"]) == []


ALONE: Final = {
    "a hatch.toml": ("packages/two/hatch.toml", ""),
    "a choice of Python": ("packages/two/.python-version", "3"),
    "choices of Pythons": ("packages/two/.python-versions", "3"),
}


@pytest.mark.parametrize(("path", "text"), ALONE.values(), ids=ALONE)
def test_what_lies_beside_a_pyproject_has_a_package_built_alone(root: Path, path: str, text: str) -> None:
    write(root, path, text)
    assert [*told(root)] == ["one", "three"]


TOLD: Final = {
    "another backend": ('build-backend = "hatchling.build"', 'build-backend = "hatchling.build:other"'),
    "a dependency of the build": ("[build-system]", '[tool.hatch.build]\ndependencies = ["x"]\n[build-system]'),
    "a source": ("[build-system]", '[tool.uv.sources]\nHatchling = { path = "../x" }\n[build-system]'),
    "a setting of uv's": ("[build-system]", '[tool.uv]\nno-build-package = ["x"]\n[build-system]'),
    "a requirement on a member": ('"hatchling>=1"', '"hatchling>=1", "One"'),
    "a URL": ('"hatchling>=1"', '"hatchling @ file:///nowhere/hatchling-1.0-py3-none-any.whl"'),
}


@pytest.mark.parametrize(("old", "new"), TOLD.values(), ids=TOLD)
def test_what_a_pyproject_says_may_have_a_package_built_alone(root: Path, old: str, new: str) -> None:
    edit(root, "two", old, new)
    assert [*told(root)] == ["one", "three"]


@pytest.mark.parametrize("elsewhere", ["packages", ".."])
def test_a_choice_of_python_elsewhere_than_in_the_root_has_packages_built_alone(root: Path, elsewhere: str) -> None:
    write(root, f"{elsewhere}/.python-version", "3.11\n")
    assert [*told(root)] == []
    write(root, ".python-version", "3.11\n")
    assert [*told(root)] == ([] if elsewhere == "packages" else [*NAMES]), "the nearest is what counts"


ALL_ALONE: Final = {
    "settings of uv's": ("pyproject.toml", '\n[tool.uv.pip]\nresolution = "lowest"\n'),
    "a source": ("pyproject.toml", '\n[tool.uv.sources]\nhatchling = { path = "x" }\n'),
    "a uv.toml": ("uv.toml", 'resolution = "lowest"\n'),
    "the user's uv.toml": ("../config/uv/uv.toml", 'prerelease = "allow"\n'),
}


@pytest.mark.parametrize(("path", "text"), ALL_ALONE.values(), ids=ALL_ALONE)
def test_what_uv_is_told_may_have_all_built_alone(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    write(root, path, text, append=True)
    assert [*told(root)] == []


def test_a_variable_may_have_all_built_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    build(root, *NAMES)
    assert shared(root, NAMES) == []


def test_the_package_of_the_root_shares_one_only_where_it_cant_take_it_in(root: Path) -> None:
    write(root, "pyproject.toml", local_backend.MEMBER.format(name="whole"), append=True)
    wanted = (*NAMES, "whole")
    assert sorted(told(root, wanted)) == sorted(wanted)
    write(root, ".git/info/exclude", ".releasekit-*\n")  # of which hatchling knows nothing
    write(root, ".gitignore")
    assert [*told(root, wanted)] == []
    assert [*told(root)] == [], "it may be built, though by a command or since its files are gone"
    private = (root / "pyproject.toml").read_text().replace("version =", "classifiers = ['Private :: x']\nversion =")
    write(root, "pyproject.toml", private)
    assert [*told(root)] == [*NAMES], "it is not built"


TAKES_IN: Final = {
    "what git ignores": ("pyproject.toml", "[tool.hatch.build]\nignore-vcs = true\n"),
    "some of what git ignores": ("pyproject.toml", "[tool.hatch.build.targets.sdist]\nartifacts = ['*.py']\n"),
    "what it is told elsewhere": ("hatch.toml", ""),
}


@pytest.mark.parametrize(("path", "text"), TAKES_IN.values(), ids=TAKES_IN)
def test_nothing_is_shared_where_the_package_of_the_root_could_take_it_in(root: Path, path: str, text: str) -> None:
    write(root, "pyproject.toml", local_backend.MEMBER.format(name="whole"), append=True)
    assert [*told(root)] == [*NAMES]
    write(root, path, text, append=True)
    assert [*told(root)] == []


def test_nothing_is_shared_where_a_command_builds_the_package_of_the_root(root: Path) -> None:
    write(root, "pyproject.toml", local_backend.MEMBER.format(name="whole"), append=True)
    packages = dict(load_workspace(root).packages)
    packages["whole"] = replace(packages["whole"], settings=Settings(commands=Commands(build=("make",))))
    assert Python().environments(root, packages, NAMES) == {}


def test_nothing_is_shared_where_it_could_not_be_on_the_path(root: Path) -> None:
    assert [*told(root)] == [*NAMES]
    assert [*told(root.rename(root.with_name("a:root")))] == []


def test_what_is_required_and_not_there_is_told_by_the_isolated_build(root: Path, tmp_path: Path) -> None:
    (tmp_path / "needed" / "hatchling-1.0-py3-none-any.whl").unlink()
    with pytest.raises(StepError, match="uv build of 'one' in ") as caught:
        build(root, "one")
    assert caught.value.code is E.BUILD_FAILED
    assert "hatchling" in str(caught.value)
    assert [*(root / DIST_DIRECTORY).iterdir()] == []


def test_a_build_that_fails_in_one_is_told_as_the_isolated_build_tells_it(root: Path) -> None:
    edit(root, "one", 'version = "1.0"', 'dynamic = ["version"]')  # which the backend does not know
    with pytest.raises(StepError, match="uv build of 'one' in ") as caught:
        build(root, "one")
    assert "builds-v0" in str(caught.value), "where uv isolates"
    assert ".environment-" not in str(caught.value)


def test_the_making_has_its_time(root: Path) -> None:
    place = root / "place"
    place.mkdir()
    with pytest.raises(StepError, match="no environment could be made"):
        asyncio.run(told(root)["one"].make(place, 0.001))


def test_who_publishes_is_not_shown_to_those_who_install_and_build(root: Path) -> None:
    environ = told(root)["one"].environ
    assert environ["UV_PUBLISH_TOKEN"] is None
    assert environ["UV_PUBLISH_PASSWORD"] is None
    assert environ["UV_WORKING_DIR"] is None


def _pythons() -> list[str]:
    """Find Pythons that are installed in different places."""
    command = [process.find_uv(), "python", "list", "--only-installed", "--output-format", "json", ">=3.11"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    paths = [line.split('"')[3] for line in listed.replace(",", ",\n").splitlines() if '"path"' in line]
    asked = {
        path: subprocess.run([path, "-c", "import sys; print(sys.base_prefix)"], capture_output=True, check=False)
        for path in paths
    }
    return [*{done.stdout: path for path, done in asked.items() if not done.returncode}.values()]


@pytest.mark.parametrize("way", ["as it comes", "by UV_PYTHON", "by VIRTUAL_ENV", "by .venv", "by .python-version"])
@pytest.mark.parametrize("which", [0, 1])
def test_the_python_is_the_one_that_an_isolated_build_takes(
    root: Path, monkeypatch: pytest.MonkeyPatch, way: str, which: int
) -> None:
    pythons = _pythons()
    python = pythons[which % len(pythons)]  # there may be but one
    venv = root / ".venv" if way == "by .venv" else root.with_name("active")
    if way in {"by VIRTUAL_ENV", "by .venv"}:
        command = [process.find_uv(), "venv", "--quiet", "--no-project", "--python", python, str(venv)]
        subprocess.run(command, check=True)
    if way == "by UV_PYTHON":
        monkeypatch.setenv("UV_PYTHON", python)
    elif way == "by VIRTUAL_ENV":
        monkeypatch.setenv("VIRTUAL_ENV", str(venv))
    elif way == "by .python-version":
        write(root, ".python-version", python)
    build(root, "one")
    assert shared(root, ["one"]) == ["one"]
    ours = built_with(root, "one").python

    build(root, "one", wanted=["one"])

    assert shared(root, ["one"]) == []
    assert built_with(root, "one").python == ours
