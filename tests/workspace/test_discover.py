from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.workspace.trees import BUILD_SYSTEM, MEMBERS, project

from releasekit.errors import E, ReleaseKitError
from releasekit.workspace import discover, load_workspace
from releasekit.workspace.pyproject import FILENAME

if TYPE_CHECKING:
    from tests.workspace.trees import Tree


def workspace(members: list[str], exclude: tuple[str, ...] = ()) -> str:
    return f"[tool.uv.workspace]\nmembers = {members}\nexclude = {list(exclude)}\n"


def test_a_directory_without_a_pyproject_is_no_workspace(tree: Tree) -> None:
    (tree.root / FILENAME).unlink()
    assert tree.refusal(E.WORKSPACE_NOT_FOUND).message == f"{tree.root / FILENAME} does not exist"


def test_a_directory_that_does_not_exist_is_no_workspace(tree: Tree) -> None:
    with pytest.raises(ReleaseKitError, match=r"nowhere/pyproject\.toml does not exist") as caught:
        load_workspace(tree.root / "nowhere")
    assert caught.value.code is E.WORKSPACE_NOT_FOUND


def test_a_file_is_no_workspace(tree: Tree) -> None:
    with pytest.raises(ReleaseKitError, match="does not exist") as caught:
        load_workspace(tree.root / FILENAME)
    assert caught.value.code is E.WORKSPACE_NOT_FOUND


def test_a_root_with_neither_workspace_nor_project_has_no_members(tree: Tree) -> None:
    file = tree.file(FILENAME, "[tool.ruff]\n")
    assert tree.refusal(E.WORKSPACE_NOT_FOUND).message.startswith(f"{file} has no members")


@pytest.mark.parametrize("table", ["[tool.uv.workspace]", MEMBERS, workspace(["packages/nothing"])])
def test_a_workspace_whose_patterns_find_nothing_has_no_members(tree: Tree, table: str) -> None:
    file = tree.file(FILENAME, table)
    assert tree.refusal().message == f"{file} has no members"


def test_a_project_alone_is_a_workspace_of_one(tree: Tree) -> None:
    tree.file(FILENAME, project("alone"))
    tree.member("packages/a")
    assert tree.names() == ["alone"]


def test_a_root_with_a_project_is_a_member(tree: Tree) -> None:
    tree.file(FILENAME, project("whole") + MEMBERS)
    tree.member("packages/a")
    assert tree.names() == ["a", "whole"]
    assert tree.load().packages["whole"].directory == tree.root


def test_a_root_that_its_own_pattern_finds_is_one_member(tree: Tree) -> None:
    tree.file(FILENAME, project("whole") + workspace([".", "*"]))
    assert tree.names() == ["whole"]


def test_the_root_can_not_be_excluded(tree: Tree) -> None:
    tree.file(FILENAME, project("whole") + workspace(["."], (".",)))
    assert tree.names() == ["whole"]


def test_a_directory_that_two_patterns_find_is_one_member(tree: Tree) -> None:
    tree.file(FILENAME, workspace(["packages/*", "packages/a", "./packages/a/"]))
    tree.member("packages/a")
    assert tree.names() == ["a"]


def test_a_named_directory_that_does_not_exist_is_no_member(tree: Tree) -> None:
    tree.file(FILENAME, workspace(["packages/a", "packages/gone"]))
    tree.member("packages/a")
    assert tree.names() == ["a"]


def test_an_excluded_directory_is_no_member(tree: Tree) -> None:
    tree.file(FILENAME, workspace(["packages/*"], ("packages/b", "packages/c*")))
    for name in ("a", "b", "c1", "c2"):
        tree.member(f"packages/{name}")
    assert tree.names() == ["a"]


def test_an_excluded_directory_may_hold_anything(tree: Tree) -> None:
    tree.file(FILENAME, workspace(["packages/*"], ("packages/b", "packages/c", "packages/l")))
    tree.member("packages/a")
    tree.file("packages/b/readme.txt")
    tree.file("packages/c/pyproject.toml", "not TOML")
    tree.link("packages/l", "/")
    assert tree.names() == ["a"]


def test_a_match_without_a_pyproject_is_refused(tree: Tree) -> None:
    tree.file("packages/b/readme.txt")
    error = tree.refusal()
    place = f"{tree.root / FILENAME}: tool.uv.workspace.members"
    assert error.message == f"{place} finds packages/b, which has no pyproject.toml"
    assert "exclude" in error.hint


@pytest.mark.parametrize("litter", ["packages/.cache/x", "packages/README.md", "packages/.DS_Store"])
def test_hidden_directories_and_files_that_match_are_no_members(tree: Tree, litter: str) -> None:
    tree.member("packages/a")
    tree.file(litter)
    assert tree.names() == ["a"]


def test_a_directory_without_any_file_is_no_member(tree: Tree) -> None:
    tree.member("packages/a")
    tree.directory("packages/b/src/empty")
    assert tree.names() == ["a"]


def test_a_directory_of_files_that_git_ignores_is_no_member(tree: Tree) -> None:
    tree.member("packages/a")
    tree.file(".gitignore", "__pycache__/\n")
    tree.file("packages/b/src/__pycache__/b.pyc")
    subprocess.run(["git", "init", "--quiet"], cwd=tree.root, check=True)
    assert tree.names() == ["a"]


def test_a_directory_of_files_that_git_would_take_is_refused(tree: Tree) -> None:
    tree.file("packages/b/src/b.py")
    subprocess.run(["git", "init", "--quiet"], cwd=tree.root, check=True)
    assert "packages/b, which has no pyproject.toml" in tree.refusal().message


def test_without_git_every_file_counts(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    tree.file("packages/b/src/__pycache__/b.pyc")
    assert "packages/b, which has no pyproject.toml" in tree.refusal().message


def test_with_a_git_that_does_not_answer_every_file_counts(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.file("packages/b/src/__pycache__/b.pyc")
    git = tree.file("bin/git", "#!/bin/sh\nexec sleep 600\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(discover, "GIT_TIMEOUT", 0.5)
    assert "packages/b, which has no pyproject.toml" in tree.refusal().message


def test_a_hidden_directory_with_a_pyproject_is_a_member(tree: Tree) -> None:
    tree.file("packages/.tools/pyproject.toml", project("tools"))
    assert tree.names() == ["tools"]


def test_a_member_without_a_project_table_is_refused(tree: Tree) -> None:
    file = tree.file("packages/a/pyproject.toml", BUILD_SYSTEM)
    assert tree.refusal().message == f"{file}: project is missing"


def test_an_unmanaged_member_is_none(tree: Tree) -> None:
    tree.member("packages/a")
    tree.member("packages/b", more="[tool.uv]\nmanaged = false\n")
    assert tree.names() == ["a"]


def test_an_unmanaged_root_is_refused(tree: Tree) -> None:
    file = tree.file(FILENAME, project("whole") + "[tool.uv]\nmanaged = false\n" + MEMBERS)
    assert tree.refusal().message.startswith(f"{file}: tool.uv.managed is false")


def test_a_workspace_within_a_workspace_is_refused(tree: Tree) -> None:
    file = tree.member("packages/a", more=BUILD_SYSTEM + MEMBERS)
    refusal = tree.refusal()
    assert refusal.message == f"{file}: tool.uv.workspace makes a workspace within a workspace"
    assert f"exclude in {tree.root / FILENAME} name packages/" in refusal.hint


@pytest.mark.parametrize("pattern", ["../other", "packages/../../other", "/other", "packages/[a"])
@pytest.mark.parametrize("key", ["members", "exclude"])
def test_a_bad_pattern_is_refused_with_its_key(tree: Tree, key: str, pattern: str) -> None:
    tree.member("packages/a")
    file = tree.file(FILENAME, f"[tool.uv.workspace]\n{key} = ['{pattern}']")
    assert tree.refusal().message.startswith(f"{file}: tool.uv.workspace.{key} has the pattern '{pattern}', which ")


def test_a_link_to_a_directory_in_the_workspace_is_followed(tree: Tree) -> None:
    tree.member("libraries/a")
    tree.link("packages/a", "../libraries/a")
    assert tree.load().packages["a"].directory == tree.root / "packages" / "a"


def test_a_link_that_leaves_the_workspace_is_refused(tree: Tree) -> None:
    tree.file("../outside/pyproject.toml", project("outside"))
    tree.link("packages/a", "../../outside")
    error = tree.refusal()
    assert f"members finds packages/a, a link to {tree.root.parent / 'outside'}, which is outside" in error.message


@pytest.mark.parametrize("pattern", ["packages/*", "packages/a", "*/a", "packages/**", "packages/**/a"])
def test_a_member_below_a_link_that_leaves_the_workspace_is_refused(tree: Tree, pattern: str) -> None:
    tree.file("../outside/a/pyproject.toml", project("outside"))
    tree.link("packages", "../outside")
    tree.file(FILENAME, workspace([pattern]))
    place = tree.root.parent / "outside" / "a"
    assert f"members finds packages/a, a link to {place}, which is outside" in tree.refusal().message


@pytest.mark.parametrize("target", ["../../../outside.toml", "/etc/passwd"])
def test_a_members_pyproject_that_is_a_link_out_of_the_workspace_is_refused(tree: Tree, target: str) -> None:
    tree.file("../outside.toml", project("a"))
    tree.file("packages/a/readme.txt")
    tree.link("packages/a/pyproject.toml", target)
    error = tree.refusal()
    assert "members finds packages/a/pyproject.toml, a link to " in error.message
    assert error.message.endswith(", which is outside the workspace")
    assert "exclude packages/a" in error.hint


def test_a_members_pyproject_may_be_a_link_within_the_workspace(tree: Tree) -> None:
    tree.file("shared.toml", project("a"))
    tree.directory("packages/a")
    tree.link("packages/a/pyproject.toml", "../../shared.toml")
    assert tree.names() == ["a"]


def test_a_directory_whose_name_begins_like_the_roots_is_outside(tree: Tree) -> None:
    tree.file("../root-of-another/pyproject.toml", project("outside"))
    tree.link("packages/a", "../../root-of-another")
    assert "which is outside the workspace" in tree.refusal().message


def test_a_link_to_nowhere_is_refused(tree: Tree) -> None:
    tree.link("packages/a", "nowhere")
    assert "members finds packages/a, a link to nowhere" in tree.refusal().message


def test_a_link_to_itself_is_refused(tree: Tree) -> None:
    tree.link("packages/a", "a")
    assert "Too many levels of symbolic links" in tree.refusal().message


def test_a_workspace_behind_a_link_is_loaded_under_the_name_that_was_given(tree: Tree) -> None:
    tree.member("packages/a")
    tree.link("../link", str(tree.root))
    loaded = load_workspace(tree.root.parent / "link")
    assert loaded.packages["a"].directory == tree.root.parent / "link" / "packages" / "a"


def test_a_relative_root_becomes_absolute(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.member("packages/a")
    monkeypatch.chdir(tree.root.parent)
    loaded = load_workspace(tree.root.relative_to(tree.root.parent))
    assert (loaded.root, loaded.packages["a"].directory) == (tree.root, tree.root / "packages" / "a")


def test_a_directory_that_can_not_be_searched_is_refused(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    tree.member("packages/a")
    monkeypatch.setattr(os, "scandir", refuse)
    message = tree.refusal().message
    assert "tool.uv.workspace.members can't be followed" in message
    assert "packages: Permission denied" in message


def test_one_member_is_not_taken_for_the_whole(tree: Tree) -> None:
    tree.requirers(a="b", b="")
    with pytest.raises(ReleaseKitError, match=r"packages/a is a member of the workspace") as caught:
        load_workspace(tree.root / "packages" / "a")
    assert (caught.value.code, caught.value.hint) == (E.WORKSPACE_NOT_FOUND, f"name {tree.root} instead")


def test_a_project_below_a_workspace_that_excludes_it_stands_alone(tree: Tree) -> None:
    tree.file(FILENAME, workspace(["packages/*"], ("packages/a",)))
    tree.member("packages/a")
    assert list(load_workspace(tree.root / "packages" / "a").packages) == ["a"]


def test_a_project_below_another_project_stands_alone(tree: Tree) -> None:
    tree.file(FILENAME, project("whole"))
    tree.member("examples/a")
    assert list(load_workspace(tree.root / "examples" / "a").packages) == ["a"]
