"""What is a member, and what is a package, is uv's to say: the real uv is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from tests.workspace.trees import BUILD_SYSTEM, project, uv

from releasekit.errors import ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.workspace.trees import Tree

RULES_OF = Version("0.13")  # older ones differ in details, and the oldest can't list members
UNMANAGED = "[tool.uv]\nmanaged = false\n"
PATTERNS: dict[str, tuple[list[str], list[str]]] = {
    "one level": (["packages/*"], ["packages/broken"]),
    "a name": (["packages/a", "packages/gone"], []),
    "dots and slashes": (["./packages/a/", "packages//b", "packages/*/../a"], []),
    "excluded by name": (["packages/*"], ["packages/a", "packages/broken"]),
    "excluded with dots and slashes": (["packages/*"], ["./packages/a/", "packages/broken/"]),
    "excluded by pattern": (["packages/*"], ["packages/b*"]),
    "excluded across directories": (["packages/*", "deep/*/*"], ["deep/*e", "packages/broken"]),
    "excluded above": (["deep/*/*"], ["deep/er"]),
    "excluded at any depth": (["packages/*", "deep/*/*"], ["**/e", "**/broken"]),
    "excluded below": (["packages/*", "deep/*/*"], ["deep/**", "packages/broken"]),
    "two levels": (["deep/*/*"], []),
    "any depth": (["deep/**/e"], []),
    "everything below": (["deep/est/**"], []),
    "a hidden directory": (["packages/.h*"], []),
    "a link": (["linked/*"], []),
    "a class": (["packages/[ab]"], []),
    "a negated class": (["packages/[!b]"], []),
    "a question mark": (["packages/?"], []),
    "a bracket": (["packages/[]a]"], []),
    "braces": (["packages/{a,b}"], []),
    "overlapping": (["packages/*", "packages/a"], ["packages/broken"]),
    "the root": (["."], []),
    "no pattern": ([], []),
    "another case": (["PACKAGES/a"], []),
    "a directory without a pyproject": (["packages/*"], []),
    "a directory of links": (["via/**/e"], []),
    "stars too many": (["packages/***"], []),
    "stars beside others": (["packages/**a"], []),
    "a bracket that stays open": (["packages/[a"], []),
    "a bad exclude": (["packages/a"], ["packages/[a"]),
    "a link to nowhere": (["dangling/*"], []),
    "an unmanaged member": (["unmanaged/*"], []),
    "a member without a project": (["virtual/*"], []),
    "two members with one name": (["packages/a", "twice/*"], []),
    "a workspace in a workspace": (["nested/*"], []),
}


@pytest.fixture
def _recent_uv(tree: Tree) -> None:
    """Skip the test with an older uv."""
    found = Version(uv(tree, "--version").stdout.split()[1])
    if found < RULES_OF:
        pytest.skip(f"uv {found} is older than {RULES_OF}")


@pytest.fixture
def crowd(tree: Tree) -> Tree:
    """A tree with something for every pattern."""
    for path in ("packages/a", "packages/b", "packages/bb", "deep/er/d", "deep/er/e", "deep/est/f", "deep/est/f/g"):
        tree.member(path)
    tree.file("packages/.hidden/pyproject.toml", project("hidden"))
    tree.file("packages/.litter/x")
    tree.file("packages/README.md")
    tree.directory("packages/empty/er")
    tree.file("packages/broken/src/broken.py")
    tree.link("linked/a", "../packages/a")
    tree.link("via/er", "../deep/er")
    tree.link("dangling/a", "nowhere")
    tree.member("unmanaged/h", more=UNMANAGED)
    tree.file("virtual/i/pyproject.toml", BUILD_SYSTEM)
    tree.file("twice/j/pyproject.toml", project("A"))
    tree.member("nested/k", more=BUILD_SYSTEM + "[tool.uv.workspace]\n")
    return tree


def our_members(tree: Tree) -> set[Path] | None:
    """Name the directories that we take for members; None when we refuse the workspace."""
    try:
        return {package.directory for package in tree.load().packages.values()}
    except ReleaseKitError as error:
        return set() if "has no members" in error.message else None


def uv_members(tree: Tree) -> set[Path] | None:
    """Name the directories that uv takes for members; None when it refuses the workspace."""
    answer = uv(tree, "workspace", "list", "--paths", "--no-cache")
    return None if answer.returncode else {Path(line) for line in answer.stdout.splitlines()}


@pytest.mark.usefixtures("_recent_uv")
@pytest.mark.parametrize("root", ["", project("whole")], ids=["virtual root", "root package"])
@pytest.mark.parametrize(("members", "exclude"), PATTERNS.values(), ids=PATTERNS)
def test_our_members_are_those_of_uv(crowd: Tree, root: str, members: Sequence[str], exclude: Sequence[str]) -> None:
    crowd.file("pyproject.toml", f"{root}\n[tool.uv.workspace]\nmembers = {members}\nexclude = {exclude}\n")
    assert our_members(crowd) == uv_members(crowd)


@pytest.mark.usefixtures("_recent_uv")
@pytest.mark.parametrize("git", [True, False], ids=["with git", "without git"])
def test_our_members_are_those_of_uv_when_a_branch_left_litter(tree: Tree, *, git: bool) -> None:
    tree.member("packages/a")
    tree.file(".gitignore", "__pycache__/\n")
    tree.file("packages/b/__pycache__/b.pyc")
    if git:
        subprocess.run(["git", "init", "--quiet"], cwd=tree.root, check=True)
    assert our_members(tree) == uv_members(tree) == ({tree.root / "packages" / "a"} if git else None)


def test_we_release_the_packages_that_uv_builds(tree: Tree, tmp_path: Path) -> None:
    tree.file("pyproject.toml", project("whole", more="[tool.uv.workspace]\nmembers = ['packages/*']\n"))
    for name, more in {
        "a": BUILD_SYSTEM,
        "b_b": BUILD_SYSTEM + "[tool.uv]\npackage = true\n",
        "c": BUILD_SYSTEM + "[tool.uv]\npackage = false\n",
        "d": "",
    }.items():
        tree.member(f"packages/{name}", more=more)
        tree.file(f"packages/{name}/src/{name}/__init__.py")
    built = uv(tree, "build", "--all-packages", "--out-dir", str(tmp_path / "dist"))
    assert built.returncode == 0, built.stderr
    released = {p.name: p.version for p in tree.load().packages.values() if not p.skip_reason}
    wheels = [wheel.name.split("-") for wheel in (tmp_path / "dist").glob("*.whl")]
    assert {name.replace("_", "-"): version for name, version, *_ in wheels} == released == {"a": "1.0", "b-b": "1.0"}
