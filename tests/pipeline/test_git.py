from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from tests.support import dies

from releasekit.cli import demo_workspace
from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import Request, dirty, git, learned
from releasekit.pipeline.release import make_plan
from releasekit.workspace import load_workspace

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


def test_a_git_that_waits_for_a_hook_is_given_up_with_all_that_it_has_started(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\necho $$ > {shlex.quote(str(tmp_path))}/pid\nexec sleep 600\n")
    hook.chmod(0o755)
    ask_git(workspace.root, "config", "core.fsmonitor", str(hook))
    pid, communicate = tmp_path / "pid", subprocess.Popen.communicate

    def wait_until_it_waits(git: subprocess.Popen[str], *, timeout: float) -> tuple[str, str]:
        assert timeout > 60
        deadline = time.monotonic() + 60
        while not (pid.exists() and pid.read_text().strip()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return communicate(git, timeout=0.1)

    monkeypatch.setattr(subprocess.Popen, "communicate", wait_until_it_waits)
    with pytest.raises(ReleaseKitError, match="did not answer within 600 s") as caught:
        git.ask(workspace.root, "status", "--porcelain")

    assert caught.value.code is E.GIT_FAILED
    assert dies(int(pid.read_text()))


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
    with pytest.raises(ReleaseKitError, match=tracked) as caught:
        git.refuse_tracked(*both)

    assert caught.value.code is E.STATE_TRACKED
    said = caught.value.hint.partition("`")[2].partition("`")[0]
    subprocess.run(shlex.split(said), cwd=workspace.root, check=True, capture_output=True)
    git.refuse_tracked(*both)


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


@pytest.mark.parametrize(
    ("file", "text", "by"),
    [
        (".gitignore", ".releasekit-*\n", True),
        (".gitignore", "*\n", True),
        (".gitignore", "nothing\n", False),
        (".gitignore", ".releasekit-*\n!.releasekit-dist\n", False),
        (".git/info/exclude", ".releasekit-*\n", False),
        ("../.gitignore", ".releasekit-*\n", False),
    ],
)
def test_a_place_is_ignored_by_one_file_and_no_other(tmp_path: Path, file: str, text: str, by: bool) -> None:  # noqa: FBT001
    root = tmp_path / "root"
    root.mkdir()
    ask_git(tmp_path if file.startswith("..") else root, "init", "--quiet")
    (root / file).write_text(text)
    assert git.is_ignored_by(root / ".gitignore", root / ".releasekit-dist" / "x") is by


def test_our_files_that_git_does_not_ignore_are_named(workspace: Workspace) -> None:
    (workspace.root / ".releasekit-state.json").touch()
    assert git.unignored(workspace.root) == []

    (workspace.root / ".gitignore").write_text("")

    assert git.unignored(workspace.root) == [".releasekit-state.json"]
    for name in ("core", "top"):
        built = workspace.root / ".releasekit-dist" / name
        built.mkdir(parents=True)
        (built / "a.whl").touch()
    assert git.unignored(workspace.root) == [".releasekit-dist/", ".releasekit-state.json"]


def refusal(workspace: Workspace, *names: str, index: str = "") -> str:
    """Say what dirty.refuse_changed refuses; an empty text for nothing."""
    directories = [workspace.root / "packages" / name for name in names or ("aurora", "aurora-core")]
    try:
        dirty.refuse_changed(workspace.root, directories, workspace.root / index if index else None)
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
    dirty.refuse_changed(inner.root, directories, None)
    (workspace.root / CORE / "new.py").touch()
    (inner.root / ".releasekit-state.json").touch()
    with pytest.raises(ReleaseKitError, match=r"new\.py"):
        dirty.refuse_changed(inner.root, directories, None)
    (workspace.root / CORE / "new.py").unlink()
    dirty.refuse_changed(inner.root, [*directories, inner.root], None)


def test_a_directory_whose_name_is_a_pattern_means_itself(workspace: Workspace) -> None:
    (workspace.root / "packages" / "*").mkdir()
    (workspace.root / CORE / "new.py").touch()
    assert refusal(workspace, "*") == ""


@pytest.mark.parametrize(
    "name",
    ["build/new.py", "dist/new.py", ".eggs/new.py", "x.egg-info/new.py", "src/build/new.py", "src/x.egg-info/a/b.py"],
)
def test_what_is_only_called_like_a_build_s_directory_is_a_change(workspace: Workspace, name: str) -> None:
    """Build backends leave theirs directly in the package's directory, and `*.egg-info` in `src` too."""
    file = workspace.root / CORE / name
    file.parent.mkdir(parents=True)
    file.touch()
    assert refusal(workspace) == f"{CORE}/{name}"


def test_what_python_compiled_does_not_count(workspace: Workspace) -> None:
    cache = workspace.root / CORE / "inner" / "__pycache__"
    cache.mkdir(parents=True)
    (cache / "a.cpython-311.pyc").touch()
    assert refusal(workspace) == ""


def test_a_workspace_in_a_directory_called_build_is_no_different(tmp_path: Path) -> None:
    root = tmp_path / "build" / "dist" / "ws"
    demo_workspace.make_workspace(root)
    shutil.rmtree(root / ".git")
    demo_workspace.commit_all(tmp_path, "All of it")
    (root / CORE / "new.py").touch()
    assert refusal(type_of(root)) == f"build/dist/ws/{CORE}/new.py"


def test_a_package_called_build_in_a_package_is_not_what_a_build_left(workspace: Workspace) -> None:
    inner = workspace.root / "packages" / "aurora" / "build" / "inner"
    (inner / "build").mkdir(parents=True)
    (inner / "build" / "left").touch()
    assert refusal(workspace, "aurora", "aurora/build/inner") == ""
    (inner / "new.py").touch()
    assert refusal(workspace, "aurora", "aurora/build/inner") == "packages/aurora/build/inner/new.py"


@pytest.fixture
def with_submodule(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A repository whose packages are in another one, its submodule `lib`."""
    outer = tmp_path / "outer"
    outer.mkdir()
    ask_git(outer, "init", "--quiet")
    ask_git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(workspace.root), "lib")
    (outer / "lib" / ".gitignore").write_text("__pycache__\n")
    demo_workspace.commit_all(outer / "lib", "Of its own")
    demo_workspace.commit_all(outer, "The submodule")
    return type_of(outer)


def type_of(root: Path) -> Workspace:
    from tests.support import Workspace  # noqa: PLC0415  # elsewhere only a type

    return Workspace(root)


def in_lib(workspace: Workspace) -> str:
    return refusal(workspace, "../lib/packages/aurora-core")


def test_changes_in_a_submodule_are_changes(with_submodule: Workspace) -> None:
    lib = with_submodule.root / "lib"
    assert in_lib(with_submodule) == ""
    (lib / "README").touch()  # not in a package
    assert in_lib(with_submodule) == ""
    (lib / CORE / "new.py").touch()
    assert in_lib(with_submodule) == f"lib/{CORE}/new.py"
    (lib / CORE / "new.py").unlink()
    (lib / CORE / "__init__.py").write_text("changed")
    assert in_lib(with_submodule) == f"lib/{CORE}/__init__.py"


@pytest.mark.parametrize("ignored", ["none", "all"])
def test_another_commit_checked_out_in_a_submodule_is_a_change(with_submodule: Workspace, ignored: str) -> None:
    ask_git(with_submodule.root, "config", "submodule.lib.ignore", ignored)
    (with_submodule.root / "lib" / "README").touch()
    demo_workspace.commit_all(with_submodule.root / "lib", "Another")
    assert in_lib(with_submodule) == "lib"
    ask_git(with_submodule.root, "add", "lib")
    assert in_lib(with_submodule) == "lib"
    with_submodule.commit()
    assert in_lib(with_submodule) == ""


def test_a_repository_that_is_no_submodule_is_a_change(with_submodule: Workspace) -> None:
    ask_git(with_submodule.root, "rm", "--quiet", "--cached", "lib")
    (with_submodule.root / "README").touch()
    ask_git(with_submodule.root, "add", "README")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    ask_git(with_submodule.root, *identity, "commit", "--quiet", "--message", "Forget it")
    assert in_lib(with_submodule).startswith("lib")


def test_a_changed_submodule_in_a_package_is_a_change(with_submodule: Workspace) -> None:
    ask_git(with_submodule.root, "config", "submodule.lib.ignore", "all")
    assert refusal(with_submodule, "..") == ""
    core = with_submodule.root / "lib" / "packages" / "aurora-core"
    (core / "build").mkdir()
    (core / "build" / "left").touch()
    assert refusal(with_submodule, "..") == "lib/packages/aurora-core/build/left"
    assert refusal(with_submodule, "..", "../lib/packages/aurora-core") == ""
    (with_submodule.root / "lib" / "new.py").touch()
    assert refusal(with_submodule, "..", "../lib/packages/aurora-core") == "lib/new.py"


def test_changes_behind_a_link_to_a_package_are_changes(workspace: Workspace) -> None:
    packages = workspace.root / "packages"
    (packages / "aurora-core").rename(workspace.root / "real")
    (packages / "aurora-core").symlink_to("../real")
    assert "packages/aurora-core" in refusal(workspace, "aurora-core").split(", ")  # the link itself is new
    workspace.commit()
    assert refusal(workspace, "aurora-core") == ""
    packages.rename(workspace.root / "others")
    packages.symlink_to("others")
    workspace.commit()
    packages.unlink()
    packages.symlink_to("./others")
    assert refusal(workspace, "aurora-core") == "packages"
    workspace.commit()
    assert refusal(workspace, "aurora-core") == ""
    (workspace.root / "real" / "src" / "aurora_core" / "new.py").touch()
    assert refusal(workspace, "aurora-core") == "real/src/aurora_core/new.py"


@pytest.mark.parametrize("index", [".", "packages", "packages/aurora-core", CORE])
def test_an_index_among_the_sources_hides_no_change(workspace: Workspace, index: str) -> None:
    (workspace.root / index / "aurora_core-1.4.0.tar.gz").touch()
    (workspace.root / index / ".releasekit-0123456789-x.tmp").touch()
    assert refusal(workspace, index=index) == ""
    (workspace.root / CORE / "new.py").touch()
    (workspace.root / CORE / "inner").mkdir()
    (workspace.root / CORE / "inner" / "a.whl").touch()
    assert refusal(workspace, index=index) == f"{CORE}/inner/a.whl, {CORE}/new.py"


def test_a_state_file_that_is_a_link_to_a_tracked_file_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    state, target = workspace.root / ".releasekit-state.json", workspace.root / "packages" / "a *.json"
    state.symlink_to(target)
    git.refuse_tracked(state)  # a file that is not there yet
    state.unlink()
    state.symlink_to("packages/a *.json")
    target.write_text("{}")
    (target.parent / "a b.json").touch()
    ask_git(workspace.root, "add", "packages/a b.json")
    git.refuse_tracked(state)

    ask_git(workspace.root, "add", "--all")
    with pytest.raises(ReleaseKitError, match=r"a \*\.json in .*packages is tracked") as caught:
        git.refuse_tracked(state, workspace.root / ".releasekit-state.journal")
    assert caught.value.code is E.STATE_TRACKED
    assert "--ignore-unmatch 'a *.json' '.releasekit-*'" in caught.value.hint

    state.unlink()
    for elsewhere in (tmp_path / "state.json", tmp_path / "nowhere" / "state.json"):
        state.symlink_to(elsewhere)
        git.refuse_tracked(state)  # no repository has it
        state.unlink()


def test_what_a_hook_has_set_leads_to_no_other_repository(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo_workspace.make_workspace(tmp_path / "other")
    (tmp_path / "other" / "README").touch()
    demo_workspace.commit_all(tmp_path / "other", "Another")
    expected = git.head(workspace.root)
    (workspace.root / CORE / "new.py").touch()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no index"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")

    assert git.head(workspace.root) == expected
    assert refusal(workspace) == f"{CORE}/new.py"


def test_the_user_s_own_settings_for_git_hold(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner trusts a repository of another owner by such a setting."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.excludesFile")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(workspace.root / "mine"))
    (workspace.root / "mine").write_text("new.py\n")
    (workspace.root / CORE / "new.py").touch()
    assert refusal(workspace) == ""


def test_a_repository_of_another_owner_is_told_as_git_tells_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(ReleaseKitError, match="dubious ownership") as caught:
        git.head(workspace.root)

    assert f"`git config --global --add safe.directory {workspace.root}`" in caught.value.hint
    assert "git init" not in str(caught.value)


def test_a_git_that_fails_in_a_repository_gets_no_advice_to_make_one(workspace: Workspace) -> None:
    (workspace.root / ".git" / "index").write_bytes(b"no index")
    with pytest.raises(ReleaseKitError, match="index file") as caught:
        dirty.refuse_changed(workspace.root, [workspace.root], None)

    assert "git init" not in str(caught.value)


def fake_git(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = directory / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (40, "signal 40")])
def test_a_git_that_is_killed_is_told_as_that(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    fake_git(tmp_path, f"kill -{number} $$", monkeypatch)
    with pytest.raises(ReleaseKitError, match=f"killed by {name}") as caught:
        git.head(workspace.root)

    assert "git init" not in str(caught.value)
    assert "again" in caught.value.hint


def test_git_is_out_of_reach_of_the_terminal_s_signals(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(tmp_path, "ps -o sid= -p $$", monkeypatch)
    assert git.ask(workspace.root, "log").strip() != str(os.getsid(0))


# history that is not there


def two_tagged_commits(root: Path) -> Path:
    """A workspace of a package whose version comes from tags, and one whose version stands in a file."""
    for name, built in {
        "tagged": "requires = ['hatchling', 'hatch-vcs']\n",
        "filed": "requires = ['flit_core']\n",
    }.items():
        (root / name).mkdir(parents=True)
        text = f"[project]\nname = '{name}'\ndynamic = ['version']\n[build-system]\n{built}"
        (root / name / "pyproject.toml").write_text(text)
    (root / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = ['tagged', 'filed']\n")
    for version in ("1.0", "1.1"):
        (root / "tagged" / "VERSION").write_text(version)
        demo_workspace.commit_all(root, version)
        ask_git(root, "tag", f"v{version}")
    return root


def clone(origin: Path, target: Path, *options: str) -> Path:
    ask_git(origin, "clone", "--quiet", *options, origin.as_uri(), str(target))
    return target


def refuse_shallow(root: Path, *names: str) -> None:
    packages = load_workspace(root).packages
    learned.refuse_shallow(packages[name] for name in names or packages)


def test_a_shallow_clone_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    root = clone(two_tagged_commits(tmp_path / "origin"), tmp_path / "clone", "--depth=1")

    with pytest.raises(ReleaseKitError) as caught:
        refuse_shallow(root)

    assert caught.value.code is E.GIT_SHALLOW
    assert caught.value.message.startswith(f"{root} is a shallow clone")
    assert caught.value.message.endswith(": tagged (hatch-vcs)")
    mending = caught.value.hint.partition("`")[2].partition("`")[0]
    assert mending == "git fetch --unshallow --tags"
    ask_git(root, *mending.split()[1:])
    refuse_shallow(root)
    assert ask_git(root, "describe", "--tags") == "v1.1"


def test_a_whole_clone_has_its_history(tmp_path: Path) -> None:
    refuse_shallow(clone(two_tagged_commits(tmp_path / "origin"), tmp_path / "clone"))


def test_a_version_in_a_file_may_be_released_from_a_shallow_clone(tmp_path: Path) -> None:
    root = clone(two_tagged_commits(tmp_path / "origin"), tmp_path / "clone", "--depth=1")
    refuse_shallow(root, "filed")


def test_a_shallow_submodule_is_refused_where_it_is(tmp_path: Path) -> None:
    inner = two_tagged_commits(tmp_path / "inner")
    outer = tmp_path / "outer"
    outer.mkdir()
    ask_git(outer, "init", "--quiet")
    allowed = ("-c", "protocol.file.allow=always")
    ask_git(outer, *allowed, "submodule", "--quiet", "add", "--depth=1", inner.as_uri(), "lib")
    text = "[tool.uv.workspace]\nmembers = ['lib/tagged', 'lib/filed']\n"
    (outer / "pyproject.toml").write_text(text)
    demo_workspace.commit_all(outer, "The submodule")
    assert ask_git(outer, "rev-parse", "--is-shallow-repository") == "false"

    with pytest.raises(ReleaseKitError) as caught:
        refuse_shallow(outer)

    assert caught.value.message.startswith(f"{outer / 'lib'} is a shallow clone")
    ask_git(outer / "lib", *allowed, "fetch", "--unshallow", "--tags")
    refuse_shallow(outer)


def test_of_many_packages_in_a_shallow_clone_some_are_named(tmp_path: Path) -> None:
    origin = two_tagged_commits(tmp_path / "origin")
    members = []
    for number in range(7):
        shutil.copytree(origin / "tagged", origin / f"p{number}")
        file = origin / f"p{number}" / "pyproject.toml"
        file.write_text(file.read_text().replace("'tagged'", f"'p{number}'"))
        members.append(f"p{number}")
    (origin / "pyproject.toml").write_text(f"[tool.uv.workspace]\nmembers = {members}\n")
    demo_workspace.commit_all(origin, "More")
    with pytest.raises(ReleaseKitError, match=r": p0 \(hatch-vcs\), .*, p4 \(hatch-vcs\) and 2 more\n"):
        refuse_shallow(clone(origin, tmp_path / "clone", "--depth=1"))


def test_a_release_from_a_shallow_clone_begins_nothing(tmp_path: Path) -> None:
    root = clone(two_tagged_commits(tmp_path / "origin"), tmp_path / "clone", "--depth=1")
    for allow_dirty in (False, True):
        with pytest.raises(ReleaseKitError) as caught:
            make_plan(Request(workspace=root, index="./out", allow_dirty=allow_dirty))
        assert caught.value.code is E.GIT_SHALLOW
    assert ask_git(root, "status", "--porcelain") == ""
