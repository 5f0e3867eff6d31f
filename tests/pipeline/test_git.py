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


def refusal(workspace: Workspace, *names: str, index: str = "") -> str:
    """Say what git.refuse_changed refuses; an empty text for nothing."""
    directories = [workspace.root / "packages" / name for name in names or ("aurora", "aurora-core")]
    try:
        git.refuse_changed(workspace.root, directories, workspace.root / index if index else None)
    except ReleaseKitError as error:
        refused = error
    else:
        return ""
    assert refused.code is E.GIT_DIRTY
    assert "--allow-dirty" in refused.hint
    return refused.message.partition("committed: ")[2]


CORE = "packages/aurora-core/src/aurora_core"


def test_a_committed_workspace_has_no_changes(workspace: Workspace) -> None:
    assert refusal(workspace) == ""


def test_changed_new_removed_and_staged_files_are_changes(workspace: Workspace) -> None:
    (workspace.root / CORE / "new ü.py").touch()
    assert refusal(workspace) == f"{CORE}/new ü.py"
    (workspace.root / CORE / "__init__.py").unlink()
    assert refusal(workspace) == f"{CORE}/__init__.py, {CORE}/new ü.py"
    ask_git(workspace.root, "add", "--all")
    assert refusal(workspace) == f"{CORE}/__init__.py, {CORE}/new ü.py"
    assert refusal(workspace, "aurora") == ""


def test_of_many_changes_some_are_named(workspace: Workspace) -> None:
    for number in range(8):
        (workspace.root / CORE / f"{number}.py").touch()
    assert refusal(workspace).endswith("4.py and 3 more")


def test_ignored_files_and_changes_elsewhere_do_not_count(workspace: Workspace) -> None:
    (workspace.root / "README").touch()
    (workspace.root / ".git" / "info" / "exclude").write_text("*.so\n")
    (workspace.root / CORE / "fast.so").touch()
    assert refusal(workspace) == ""


@pytest.mark.parametrize("name", ["build/lib/a.py", "dist/a.whl", "src/aurora_core.egg-info/PKG-INFO"])
def test_what_a_build_leaves_in_the_sources_does_not_count(workspace: Workspace, name: str) -> None:
    file = workspace.root / "packages" / "aurora-core" / name
    file.parent.mkdir(parents=True)
    file.touch()
    assert refusal(workspace) == ""
    ask_git(workspace.root, "add", str(file))
    assert refusal(workspace).endswith(name)


def test_our_own_files_do_not_count_where_the_root_is_a_package_itself(workspace: Workspace) -> None:
    (workspace.root / ".gitignore").write_text("")
    workspace.commit()
    (workspace.root / ".releasekit-dist").mkdir()
    (workspace.root / ".releasekit-dist" / "a.whl").touch()
    (workspace.root / "out").mkdir()
    (workspace.root / "out" / "a.whl").touch()
    assert refusal(workspace, "..", index="out") == ""
    assert refusal(workspace, "..") == "out/a.whl"


def test_a_workspace_below_the_repository_s_root_is_no_different(workspace: Workspace) -> None:
    inner = type(workspace)(workspace.root / "packages")
    directories = [inner.root / "aurora-core"]
    git.refuse_changed(inner.root, directories, None)
    (workspace.root / CORE / "new.py").touch()
    (inner.root / ".releasekit-state.json").touch()
    with pytest.raises(ReleaseKitError, match=r"new\.py"):
        git.refuse_changed(inner.root, directories, None)
    (workspace.root / CORE / "new.py").unlink()
    git.refuse_changed(inner.root, [*directories, inner.root], None)


def test_a_directory_whose_name_is_a_pattern_means_itself(workspace: Workspace) -> None:
    (workspace.root / "packages" / "*").mkdir()
    (workspace.root / CORE / "new.py").touch()
    assert refusal(workspace, "*") == ""
