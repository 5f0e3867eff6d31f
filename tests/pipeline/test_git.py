from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from releasekit.cli import demo_workspace
from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import git

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Workspace


def ask_git(directory: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


def test_head_is_the_commit_and_its_time(workspace: Workspace) -> None:
    head = git.head(workspace.root)

    assert head.sha == ask_git(workspace.root, "rev-parse", "HEAD")
    assert head.time == int(ask_git(workspace.root, "show", "-s", "--format=%ct"))
    assert git.head(workspace.root / "packages" / "aurora") == head


def test_a_directory_without_a_repository_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ReleaseKitError, match="git init") as caught:
        git.head(tmp_path)

    assert caught.value.code is E.GIT_FAILED


def test_a_repository_without_a_commit_has_no_head(tmp_path: Path) -> None:
    ask_git(tmp_path, "init", "--quiet")

    with pytest.raises(ReleaseKitError, match="does not have any commits") as caught:
        git.head(tmp_path)

    assert caught.value.code is E.GIT_FAILED


def test_without_the_program_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ReleaseKitError, match="not on PATH") as caught:
        git.head(tmp_path)

    assert caught.value.code is E.GIT_FAILED


@pytest.mark.parametrize("tracked", [".releasekit-state.json", ".releasekit-state.journal"])
def test_a_tracked_state_file_or_journal_is_refused_and_an_untracked_one_is_not(
    workspace: Workspace, tracked: str
) -> None:
    both = [workspace.root / ".releasekit-state.json", workspace.root / ".releasekit-state.journal"]
    for file in both:
        file.write_text("{}")
    git.refuse_tracked(*both)

    ask_git(workspace.root, "add", "--force", tracked)
    with pytest.raises(ReleaseKitError, match=f"git rm --cached {tracked}`") as caught:
        git.refuse_tracked(*both)

    assert caught.value.code is E.STATE_TRACKED


def test_the_demo_commits_into_its_own_repository_whatever_a_hook_has_set(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = git.head(workspace.root)
    monkeypatch.setenv("GIT_DIR", str(workspace.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(workspace.root))
    demo_workspace.make_workspace(tmp_path / "demo")
    monkeypatch.undo()

    assert git.head(workspace.root) == before
    assert (tmp_path / "demo" / ".git").is_dir()


def test_a_git_that_fails_while_the_demo_commits_is_heard(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("no repository")

    with pytest.raises(ReleaseKitError, match="gitfile") as caught:
        demo_workspace.make_workspace(tmp_path)

    assert caught.value.code is E.GIT_FAILED


def test_our_files_that_git_does_not_ignore_are_named(workspace: Workspace) -> None:
    (workspace.root / ".releasekit-state.json").touch()
    assert git.unignored(workspace.root) == []

    (workspace.root / ".gitignore").write_text("")

    assert git.unignored(workspace.root) == [".releasekit-state.json"]
