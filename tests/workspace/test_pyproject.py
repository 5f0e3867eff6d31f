from __future__ import annotations

import errno
import os
import pickle
from typing import TYPE_CHECKING

import pytest
from tests.workspace.trees import MEMBERS, project

from releasekit.workspace.pyproject import InvalidWorkspaceError, read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.workspace.trees import Tree

MALFORMED = {
    "not TOML": ("[project", "is not TOML: Expected ']'"),
    "a key twice": ("[project]\nname = 'a'\nname = 'b'", "is not TOML: Cannot overwrite"),
    "an endless number": (f"x = {'1' * 5000}", "is not TOML: Exceeds the limit"),
    "an endless nesting": ("x = " + "[" * 100_000, "is nested too deeply"),
    "an impossible date": ("x = 2026-13-45", "is not TOML"),
    "project: a number": ("project = 3", "project expected `table`"),
    "project: an array": ("[[project]]\nname = 'a'", "project expected `table`"),
    "name: a number": ("[project]\nname = 3", "project.name expected `str`"),
    "version: a number": ("[project]\nname = 'a'\nversion = 1.0", "project.version expected `str`"),
    "version: a date": ("[project]\nname = 'a'\nversion = 2026-01-01", "project.version expected `str`"),
    "dependencies: a string": ("[project]\ndependencies = 'x'", "project.dependencies expected `array`"),
    "dependencies: a table": ("[project.dependencies]\nx = '1'", "project.dependencies expected `array`"),
    "dependencies: a number in it": ("[project]\ndependencies = ['x', 1]", "project.dependencies[1] expected `str`"),
    "dynamic: a string": ("[project]\ndynamic = 'version'", "project.dynamic expected `array`"),
    "classifiers: a string": ("[project]\nclassifiers = 'Private :: x'", "project.classifiers expected `array`"),
    "classifiers: a number in it": ("[project]\nclassifiers = [1]", "project.classifiers[0] expected `str`"),
    "build-system: a string": ("build-system = 'hatchling'", "build-system expected `table`"),
    "tool: a number": ("tool = 1", "tool expected `table`"),
    "tool.uv: an array": ("[tool]\nuv = []", "tool.uv expected `table`"),
    "tool.uv.package: a string": ("[tool.uv]\npackage = 'no'", "tool.uv.package expected `bool`"),
    "tool.uv.package: a number": ("[tool.uv]\npackage = 0", "tool.uv.package expected `bool`"),
    "tool.uv.managed: a string": ("[tool.uv]\nmanaged = 'no'", "tool.uv.managed expected `bool`"),
    "tool.uv.workspace: an array": ("[tool.uv]\nworkspace = []", "tool.uv.workspace expected `table`"),
    "members: a string": ("[tool.uv.workspace]\nmembers = 'packages/*'", "tool.uv.workspace.members expected `array`"),
    "members: a number in it": ("[tool.uv.workspace]\nmembers = [1]", "tool.uv.workspace.members[0] expected `str`"),
    "exclude: a string": ("[tool.uv.workspace]\nexclude = 'x'", "tool.uv.workspace.exclude expected `array`"),
    "index: a table": ("[tool.uv.index]\nname = 'x'", "tool.uv.index expected `array`"),
    "index: no url": ("[[tool.uv.index]]\nname = 'x'", "tool.uv.index[0] table misses the required field `url`"),
    "index: its url a number": ("[[tool.uv.index]]\nurl = 1", "tool.uv.index[0].url expected `str`"),
    "index: its publish-url a number": (
        "[[tool.uv.index]]\nurl = 'x'\npublish-url = 1",
        "tool.uv.index[0].publish-url expected `str`",
    ),
}


@pytest.mark.parametrize(("text", "problem"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_root_is_refused_with_file_and_key(tree: Tree, text: str, problem: str) -> None:
    file = tree.file("pyproject.toml", text)
    assert tree.refusal().message.startswith(f"{file}{'' if problem.startswith('is ') else ':'} {problem}")


@pytest.mark.parametrize(("text", "problem"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_member_is_refused_with_file_and_key(tree: Tree, text: str, problem: str) -> None:
    file = tree.file("packages/a/pyproject.toml", text)
    assert tree.refusal().message.startswith(f"{file}{'' if problem.startswith('is ') else ':'} {problem}")


def test_a_file_that_is_not_utf_8_is_refused(tree: Tree) -> None:
    file = tree.root / "pyproject.toml"
    file.write_bytes(b"[project]\nname = '\xff'\n")
    assert tree.refusal().message == f"{file} is not UTF-8 at byte 18"


def test_a_byte_order_mark_is_no_obstacle(tree: Tree) -> None:
    tree.file("pyproject.toml", "\ufeff" + MEMBERS)
    tree.file("packages/a/pyproject.toml", "\ufeff" + project("a"))
    assert tree.names() == ["a"]


def test_a_pyproject_that_is_a_directory_is_refused(tree: Tree) -> None:
    directory = tree.directory("packages/a/pyproject.toml")
    assert tree.refusal().message == f"{directory} can't be read: Is a directory"


def test_a_file_that_can_not_be_read_is_refused_with_the_reason(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tree.member("packages/a")

    def refuse(_path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(type(file), "read_bytes", refuse)
    with pytest.raises(InvalidWorkspaceError, match="can't be read: Permission denied") as caught:
        read(file)
    assert (caught.value.path, caught.value.place) == (file, "")


def test_an_error_keeps_the_file_and_the_key_and_can_be_pickled(tree: Tree) -> None:
    file = tree.file("pyproject.toml", "project = 3")
    with pytest.raises(InvalidWorkspaceError) as caught:
        read(file)
    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own
    assert (error.path, error.place, str(error)) == (file, "project", str(caught.value))


def test_keys_that_a_release_does_not_depend_on_may_hold_anything(tree: Tree) -> None:
    tree.member("packages/a", "urls = 3\nx = 1979-05-27", more="[tool.uv]\nsources = 3\n[tool.x]\ny = nan\n")
    assert tree.names() == ["a"]


@pytest.mark.timeout(20)
def test_a_pyproject_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pyproject.toml")
    with pytest.raises(InvalidWorkspaceError, match="is not a regular file"):
        read(tmp_path / "pyproject.toml")
