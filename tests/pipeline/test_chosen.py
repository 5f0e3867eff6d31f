from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from releasekit.cli import demo_workspace
from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.chosen import changed_since, load_selected
from releasekit.workspace import Selection, load_workspace
from releasekit.workspace.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Workspace

    from releasekit.workspace import Package


def git(directory: Path, *arguments: str) -> None:
    command = ["git", *arguments]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


def changed(workspace: Workspace, ref: str = "HEAD~1") -> set[str]:
    return changed_since(workspace.root, ref, load_workspace(workspace.root).packages)


def test_a_package_has_changed_when_a_file_of_it_has(workspace: Workspace) -> None:
    packages = workspace.root / "packages"
    (packages / "aurora-core" / "new.txt").write_text("")
    (packages / "aurora-net" / "README.md").unlink(missing_ok=True)
    workspace.edit("packages/aurora-net/pyproject.toml", "version", "# a comment\nversion")
    workspace.commit()

    assert changed(workspace) == {"aurora-core", "aurora-net"}
    assert changed(workspace, "HEAD") == set()


def test_a_file_that_is_moved_changes_both_packages(workspace: Workspace) -> None:
    old = workspace.root / "packages" / "aurora-core" / "data.txt"
    old.write_text("some lines\n" * 20)
    workspace.commit()
    shutil.move(old, workspace.root / "packages" / "aurora-net" / "data.txt")
    workspace.commit()

    assert changed(workspace) == {"aurora-core", "aurora-net"}


def test_what_is_in_a_member_is_no_change_of_the_root_and_what_is_beside_it_is(workspace: Workspace) -> None:
    text = '[project]\nname = "root"\nversion = "1"\n[build-system]\nrequires = []\n'
    workspace.edit("pyproject.toml", "[tool.uv.workspace]", f"{text}[tool.uv.workspace]")
    workspace.commit()
    (workspace.root / "packages" / "aurora-core" / "new.txt").write_text("")
    workspace.commit()
    assert changed(workspace) == {"aurora-core"}

    (workspace.root / "new.txt").write_text("")
    workspace.commit()
    assert changed(workspace) == {"root"}


def test_a_file_outside_every_package_changes_none(workspace: Workspace) -> None:
    (workspace.root / "docs").mkdir()
    (workspace.root / "docs" / "pä g\ne.md").write_text("")
    workspace.commit()
    assert changed(workspace) == set()


def test_of_a_submodule_with_another_commit_every_package_in_it_has_changed(
    workspace: Workspace, tmp_path: Path
) -> None:
    inner = tmp_path / "inner"
    shutil.copytree(workspace.root / "packages" / "aurora-core", inner / "libs" / "other")
    text = (inner / "libs" / "other" / "pyproject.toml").read_text(encoding="utf-8")
    (inner / "libs" / "other" / "pyproject.toml").write_text(text.replace("aurora-core", "other"), encoding="utf-8")
    git(inner, "init", "--quiet")
    demo_workspace.commit_all(inner, "First")
    git(workspace.root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    workspace.edit("pyproject.toml", 'members = ["packages/*"]', 'members = ["packages/*", "sub/libs/*"]')
    workspace.commit()
    (workspace.root / "sub" / "libs" / "other" / "new.txt").write_text("")
    demo_workspace.commit_all(workspace.root / "sub", "Second")
    workspace.commit()

    assert changed(workspace) == {"other"}


def test_a_workspace_below_the_top_of_its_repository_is_told_its_changes(workspace: Workspace) -> None:
    inner = workspace.root / "inner"
    shutil.copytree(workspace.root, inner, ignore=shutil.ignore_patterns(".git", "inner"))
    workspace.commit()
    (inner / "packages" / "aurora-core" / "new.txt").write_text("")
    (workspace.root / "packages" / "aurora-net" / "new.txt").write_text("")
    workspace.commit()

    assert changed_since(inner, "HEAD~1", load_workspace(inner).packages) == {"aurora-core"}


@pytest.mark.parametrize("ref", ["nosuch", "--output=x", "HEAD:pyproject.toml", ""])
def test_a_commit_that_git_does_not_know_is_refused(workspace: Workspace, ref: str) -> None:
    with pytest.raises(ReleaseKitError, match=re.escape(repr(ref))) as caught:
        changed(workspace, ref)
    assert caught.value.code is E.GIT_FAILED
    assert "fetch" in caught.value.hint
    assert not (workspace.root / "x").exists()


def test_what_is_not_committed_counts_too_where_it_is_to_be_released(workspace: Workspace) -> None:
    packages = workspace.root / "packages"
    (packages / "aurora-text" / "committed.txt").write_text("")
    workspace.commit()
    workspace.edit("packages/aurora-core/pyproject.toml", "version", "# a comment\nversion")
    (packages / "aurora-net" / "new.txt").write_text("")
    (packages / "aurora-net" / "build").mkdir()
    (packages / "aurora-api" / "build").mkdir()
    for built in ("aurora-net", "aurora-api"):
        (packages / built / "build" / "left.txt").write_text("by a build")
    (workspace.root / "docs.md").write_text("")
    loaded = load_workspace(workspace.root).packages

    def allowing(*names: str) -> dict[str, Package]:
        return {name: replace(loaded[name], settings=Settings(allow_dirty=name in names)) for name in loaded}

    assert changed(workspace) == {"aurora-text"}
    assert changed_since(workspace.root, "HEAD~1", allowing(*loaded)) == {"aurora-text", "aurora-core", "aurora-net"}
    assert changed_since(workspace.root, "HEAD", allowing(*loaded)) == {"aurora-core", "aurora-net"}
    assert changed_since(workspace.root, "HEAD", allowing("aurora-net", "aurora-api")) == {"aurora-net"}


def test_a_selection_asks_git_only_if_it_must(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / ".git")
    chosen = load_selected(workspace.root, Selection(only=("aurora-core",)))
    assert [name for name, package in chosen.packages.items() if not package.skip_reason] == ["aurora-core"]
    with pytest.raises(ReleaseKitError, match="HEAD"):
        load_selected(workspace.root, Selection(since="HEAD"))
