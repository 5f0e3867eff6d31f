"""A build that requires a member takes the files that are to be published of it: the real uv builds."""

from __future__ import annotations

import asyncio
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import tiny_backend
from tests.support import Workspace
from tests.workspace.trees import MEMBERS, Tree

from releasekit.errors import E
from releasekit.pipeline.build import DIST_DIRECTORY, Builder
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python import Python
from releasekit.pipeline.python.build_requirements import CONSTRAINTS_FILENAME, Offer, offer_built
from releasekit.workspace import Package

if TYPE_CHECKING:
    from collections.abc import Mapping

PYTHON = 'requires-python = ">=3.11"\n'
OWN = '[build-system]\nrequires = []\nbuild-backend = "tiny"\nbackend-path = ["src"]\n'
WORKSPACE_SOURCE = "[tool.uv.sources]\ntiny = { workspace = true }\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A workspace in which a is built with tiny, which requires help at run time; no index can be reached."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    root = tmp_path / "the root"
    root.mkdir()
    tree = Tree(root)
    tree.file("pyproject.toml", MEMBERS)
    tree.member("packages/help", PYTHON)
    tree.file("packages/help/src/help/__init__.py")
    tree.member("packages/tiny", PYTHON + "dependencies = ['help']", more=OWN + _source("help"))
    tree.file("packages/tiny/src/tiny/__init__.py", Path(tiny_backend.__file__).read_text("utf-8"))
    _make_a(tree, WORKSPACE_SOURCE)
    return tree


def _source(name: str) -> str:
    return f"[tool.uv.sources]\n{name} = {{ workspace = true }}\n"


def _make_a(tree: Tree, sources: str) -> None:
    tree.member("packages/a", PYTHON, more='[build-system]\nrequires = ["tiny>=1"]\nbuild-backend = "tiny"\n' + sources)
    tree.file("packages/a/src/a/__init__.py")


def build(tree: Tree, *names: str) -> Mapping[str, str]:
    packages = tree.load().packages
    built: Mapping[str, str] = {}
    for name in names:
        built = asyncio.run(Builder(tree.root, 1_700_000_000, Python()).build(packages[name])).artifacts
    return built


def built_with(tree: Tree) -> str:
    """Tell where the backend was when it built a."""
    with zipfile.ZipFile(tree.root / DIST_DIRECTORY / "a" / "a-1.0-py3-none-any.whl") as wheel:
        return wheel.read(f"a-1.0.dist-info/{tiny_backend.BUILT_WITH}").decode()


@pytest.mark.parametrize("sources", [WORKSPACE_SOURCE, ""], ids=["with the source that uv wants", "without it"])
def test_a_build_uses_the_files_that_were_built_of_what_it_requires(tree: Tree, sources: str) -> None:
    _make_a(tree, sources)
    assert sorted(build(tree, "help", "tiny", "a")) == ["a-1.0-py3-none-any.whl", "a-1.0.tar.gz"]
    assert "site-packages" in built_with(tree)
    assert sorted(path.name for path in (tree.root / DIST_DIRECTORY).iterdir()) == ["a", "help", "tiny"]


def test_without_built_files_uv_takes_the_member_from_its_directory(tree: Tree) -> None:
    build(tree, "a")
    assert built_with(tree) == str(tree.root / "packages" / "tiny" / "src" / "tiny" / "__init__.py")


def test_with_some_of_them_missing_uv_takes_the_member_from_its_directory_too(tree: Tree) -> None:
    build(tree, "tiny", "a")
    assert "site-packages" not in built_with(tree)


def test_without_built_files_and_without_a_source_uv_says_what_is_missing(tree: Tree) -> None:
    _make_a(tree, "")
    with pytest.raises(StepError, match=r"missing an entry in `tool.uv.sources`") as caught:
        build(tree, "a")
    assert caught.value.code is E.BUILD_FAILED


def test_the_version_that_was_built_is_taken_although_another_place_has_a_newer_one(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(elsewhere / "tiny-2.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny/__init__.py", "raise RuntimeError('too new')\n")
        wheel.writestr("tiny-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 2.0\n")
        wheel.writestr("tiny-2.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-2.0.dist-info/RECORD", "")
    monkeypatch.setenv("UV_FIND_LINKS", str(elsewhere))
    build(tree, "help", "tiny", "a")
    assert "site-packages" in built_with(tree)


def test_a_release_builds_what_a_build_requires_first_and_uses_it(tree: Tree) -> None:
    _make_a(tree, "")
    tree.file(".gitignore", ".releasekit-*\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tree.root, check=True)  # noqa: S607
    workspace = Workspace(tree.root)
    workspace.commit()

    released = workspace.releasekit("publish", "--index", "./out", environ={"UV_OFFLINE": "1"})

    assert released.returncode == 0, released.stderr
    assert workspace.statuses() == dict.fromkeys(("a", "help", "tiny"), "published")
    assert "site-packages" in built_with(tree)


def package(*requires: str) -> Package:
    return Package("a", "1.0", Path(), (), 0, build_requires=requires)


def test_a_build_that_requires_no_member_is_offered_nothing(tmp_path: Path) -> None:
    assert offer_built(package(), tmp_path.joinpath, tmp_path) == Offer()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_wheel_is_not_offered(tmp_path: Path) -> None:
    kept = tmp_path / "tiny"
    kept.mkdir()
    for name in ("tiny-1.0.tar.gz", "litter.whl"):
        kept.joinpath(name).touch()
    assert offer_built(package("tiny"), tmp_path.joinpath, tmp_path) == Offer()
    kept.joinpath("tiny-1.0-py3-none-any.whl").touch()
    offer = offer_built(package("tiny"), tmp_path.joinpath, tmp_path)
    constraints = tmp_path / CONSTRAINTS_FILENAME
    assert offer.arguments == ["--find-links", str(kept), "--build-constraints", str(constraints)]
    assert constraints.read_text() == "tiny==1.0\n"


def test_the_constraints_of_a_user_hold_too(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tree, "help", "tiny")
    theirs = tmp_path / "theirs.txt"
    theirs.write_text("unheard-of<1\n")
    monkeypatch.setenv("UV_BUILD_CONSTRAINT", str(theirs))
    build(tree, "a")
    assert "site-packages" in built_with(tree)

    theirs.write_text("help<1\n")
    with pytest.raises(StepError, match="help<1"):
        build(tree, "a")


def test_several_files_of_constraints_are_separated_by_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("tiny-1.0-py3-none-any.whl").touch()
    monkeypatch.setenv("UV_BUILD_CONSTRAINT", " one.txt  sub/two.txt ")
    assert offer_built(package("tiny"), lambda _: tmp_path, tmp_path).arguments[2:] == [
        *("--build-constraints", str(tmp_path / CONSTRAINTS_FILENAME)),
        *("--build-constraints=one.txt", "--build-constraints=sub/two.txt"),
    ]


def test_what_a_user_wants_without_sources_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("tiny-1.0-py3-none-any.whl").touch()
    monkeypatch.setenv("UV_NO_SOURCES_PACKAGE", "theirs")
    assert offer_built(package("tiny"), lambda _: tmp_path, tmp_path).environ == {
        "UV_NO_SOURCES_PACKAGE": "theirs tiny"
    }
