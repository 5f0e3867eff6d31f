"""Dynamic versions, and where they come from: whether git has to know all of its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.workspace.trees import BUILD_SYSTEM

from releasekit.workspace.dynamic import reads_git
from releasekit.workspace.pyproject import read

if TYPE_CHECKING:
    from tests.workspace.trees import Tree

DYNAMIC = "[project]\nname = 'a'\ndynamic = ['version']\n"


def built_by(*requires: str, more: str = "") -> str:
    return f"[build-system]\nrequires = {list(requires)}\nbuild-backend = 'x'\n{more}"


FROM_GIT = {
    "hatch-vcs": built_by("hatchling", "hatch_vcs >= 0.4", more="[tool.hatch.version]\nsource = 'vcs'"),
    "setuptools-scm": built_by("setuptools>=61", "Setuptools_SCM[toml]>=8; python_version > '3'"),
    "setuptools-git-versioning": built_by("setuptools", "setuptools-git-versioning<3"),
    "uv-dynamic-versioning": built_by(" hatchling", " uv-dynamic-versioning"),
    "versioningit": built_by("versioningit~=3.0", "setuptools", more="[tool.setuptools.dynamic]\nversion = {attr='x'}"),
    "versioneer": built_by("setuptools", "versioneer[toml]==0.29"),
    "dunamai": built_by("dunamai@ https://example.test/dunamai.whl"),
    "poetry-dynamic-versioning": built_by("poetry-core>=1", "poetry-dynamic-versioning>=1"),
    "flit-scm": built_by("flit_scm"),
    "vcs-versioning": built_by("vcs-versioning", "flit-core"),
    "pbr": built_by("setuptools", "pbr"),
    "pdm-backend": built_by("pdm-backend", more="[tool.pdm.version]\nsource = 'scm'"),
}
COPIED = built_by("setuptools", more="[tool.versioneer]\nVCS = 'git'")
FROM_A_FILE = {
    "hatch": built_by("hatchling", more="[tool.hatch.version]\npath = 'src/a/__init__.py'"),
    "setuptools": built_by("setuptools", more="[tool.setuptools.dynamic]\nversion = {attr = 'a.__version__'}"),
    "pdm": built_by("pdm-backend", more="[tool.pdm.version]\nsource = 'file'\npath = 'a.py'"),
    "flit": built_by("flit_core >=3.2,<4"),
    "maturin": built_by("maturin>=1"),
    "poetry": built_by("poetry-core"),
}
UNKNOWN = {
    "a setup.py": built_by("setuptools"),
    "a plugin": built_by("hatchling", "hatch-somehow", more="[tool.hatch.version]\nsource = 'somehow'"),
    "a call": built_by("pdm-backend", more="[tool.pdm.version]\nsource = 'call'"),
    "no build requirements": "[build-system]\nbackend-path = ['.']\nbuild-backend = 'x'",
    "no build system": "[tool.uv]\npackage = true",
    "tables that are none": built_by("x", more="[tool.pdm]\nversion = 1\n[tool.setuptools]\ndynamic = []"),
}


def source(tree: Tree, more: str) -> str:
    return reads_git(read(tree.file("packages/a/pyproject.toml", DYNAMIC + more)))


@pytest.mark.parametrize("tool", FROM_GIT)
def test_what_reads_tags_is_named(tree: Tree, tool: str) -> None:
    assert source(tree, FROM_GIT[tool]) == tool


def test_a_copy_of_versioneer_is_known_by_its_table(tree: Tree) -> None:
    assert source(tree, COPIED) == "versioneer"


@pytest.mark.parametrize("more", FROM_A_FILE.values(), ids=FROM_A_FILE)
def test_a_version_in_a_file_needs_no_history(tree: Tree, more: str) -> None:
    assert source(tree, more) == ""


@pytest.mark.parametrize("more", UNKNOWN.values(), ids=UNKNOWN)
def test_what_can_not_be_told_may_be_gits(tree: Tree, more: str) -> None:
    assert source(tree, more) == "an unknown source"


def test_a_dynamic_version_is_not_known_before_the_build(tree: Tree) -> None:
    tree.file("packages/a/pyproject.toml", DYNAMIC + FROM_GIT["hatch-vcs"])
    tree.member("packages/b")
    package, other = (tree.load().packages[name] for name in "ab")
    assert (package.version, package.dynamic, package.reads_git, package.skip_reason) == ("", True, "hatch-vcs", "")
    assert (other.version, other.dynamic, other.reads_git) == ("1.0", False, "")


def test_a_static_version_needs_no_history_whatever_builds_it(tree: Tree) -> None:
    tree.member("packages/a", more=FROM_GIT["setuptools-scm"])
    assert tree.load().packages["a"].reads_git == ""


def test_a_package_that_is_not_released_takes_no_version_from_anywhere(tree: Tree) -> None:
    tree.file("packages/a/pyproject.toml", DYNAMIC + FROM_GIT["hatch-vcs"] + "\n[tool.uv]\npackage = false\n")
    package = tree.load().packages["a"]
    assert (package.version, package.dynamic, package.reads_git) == ("", False, "")


def test_a_version_that_is_both_static_and_dynamic_is_refused(tree: Tree) -> None:
    file = tree.member("packages/a", "dynamic = ['version']")
    assert tree.refusal().message == f"{file}: project.version is '1.0', and project.dynamic has 'version'"


def test_a_version_that_is_neither_is_missing_and_the_hint_says_what_may_be_done(tree: Tree) -> None:
    tree.file("packages/a/pyproject.toml", f"[project]\nname = 'a'\n{BUILD_SYSTEM}")
    assert "project.dynamic" in tree.refusal().hint


@pytest.mark.parametrize("table", ["hatch", "pdm", "setuptools", "versioneer"])
def test_a_tools_table_that_is_none_is_refused_with_its_place(tree: Tree, table: str) -> None:
    file = tree.member("packages/a", more=f"{BUILD_SYSTEM}[tool]\n{table} = 1\n")
    assert tree.refusal().message.startswith(f"{file}: tool.{table} expected `table`")
