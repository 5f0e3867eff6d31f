"""What `[tool.releasekit]` says of a package, and what it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.workspace.trees import BUILD_SYSTEM, MEMBERS, project

from releasekit.errors import E, ReleaseKitError
from releasekit.workspace import is_left_out
from releasekit.workspace.settings import COMMAND_LINE, Commands, Settings
from releasekit.workspace.tool_table import read_root_table

if TYPE_CHECKING:
    from tests.workspace.trees import Tree

OF_A = "packages/a/pyproject.toml"

WRONG = [
    ("build-timeout = '3'", "tool.releasekit.build-timeout is '3', not a number"),
    ("build-timeout = true", "tool.releasekit.build-timeout is True, not a number"),
    ("build-timeout = nan", "tool.releasekit.build-timeout is nan, not a number"),
    (f"build-timeout = 1{'0' * 400}", "tool.releasekit.build-timeout is 1000"),
    ("build-timeout = 0", "tool.releasekit.build-timeout is 0, not 0.1 or more"),
    ("upload-timeout = -1.0", "tool.releasekit.upload-timeout is -1.0, not 0.1 or more"),
    ("verify-timeout = []", "tool.releasekit.verify-timeout is [], not a number"),
    ("retry-budget = -1", "tool.releasekit.retry-budget is -1, not 0 or more"),
    ("allow-dirty = 'yes'", "tool.releasekit.allow-dirty is 'yes', not true or false"),
    ("build_timeout = 3", "tool.releasekit.build_timeout is not known; did you mean 'build-timeout'?"),
    ("xyzzy = 3", "tool.releasekit.xyzzy is not known"),
    ('"a\\nb" = 3', r"tool.releasekit.'a\nb' is not known"),
    ("fresh = true", "tool.releasekit.fresh is for one call only: say --fresh on the command line"),
    ("steps = 3", "tool.releasekit.steps is not a table"),
    ("steps.biuld = ['make']", "tool.releasekit.steps.biuld is not known; did you mean 'build'?"),
    ("steps.build = 'make dist'", "tool.releasekit.steps.build is 'make dist', not a list of strings"),
    ("steps.build = ['make', 1]", "tool.releasekit.steps.build is ['make', 1], not a list of strings"),
    ('steps.build = ["make", "a\\u0000b"]', "not a list of strings"),
    (
        "steps.build = ['make', '{pakage}']",
        "tool.releasekit.steps.build is wrong: '{pakage}' has {pakage}, which is none",
    ),
    ("steps.build = ['make', '{pakage}']", "did you mean {package}?"),
    ("steps.build = ['make', '{']", "tool.releasekit.steps.build is wrong: '{' is malformed"),
    (
        "steps.publish = ['send', 'x{files}']",
        "steps.publish is wrong: 'x{files}' has {files}, which stands for several",
    ),
    ("steps.publish = []", "tool.releasekit.steps.publish is [], which names no program"),
    ("steps.verify = ['', 'x']", "tool.releasekit.steps.verify is ['', 'x'], which names no program"),
]


def say(tree: Tree, *lines: str, name: str = "a") -> None:
    """Write a member with a table of its own."""
    tree.member(f"packages/{name}", more="\n".join((BUILD_SYSTEM, "[tool.releasekit]", *lines)))


def test_a_member_says_what_holds_for_it_and_where_is_remembered(tree: Tree) -> None:
    say(tree, "build-timeout = 60", "retry-budget = 0", "allow-dirty = true", "steps.build = ['make', 'dist']")
    say(tree, name="b")

    a, b = (tree.load().packages[name].settings for name in "ab")

    assert (a.build_timeout, a.upload_timeout, a.retry_budget, a.allow_dirty) == (60, 900, 0, True)
    assert a.commands == Commands(build=("make", "dist"))
    assert dict(a.sources) == dict.fromkeys(("build-timeout", "retry-budget", "allow-dirty", "steps.build"), OF_A)
    assert b == Settings()


@pytest.mark.parametrize(("line", "said"), WRONG)
def test_a_wrong_table_of_a_member_is_refused_with_file_and_key(tree: Tree, line: str, said: str) -> None:
    say(tree, line)
    error = tree.refusal(E.CONFIG_INVALID)
    assert error.message.startswith(f"{tree.root / OF_A}: ")
    assert said in error.message
    assert "\n" not in error.message
    assert error.hint


@pytest.mark.parametrize(("line", "said"), WRONG)
def test_a_wrong_table_of_the_root_is_refused_alike(tree: Tree, line: str, said: str) -> None:
    tree.file("pyproject.toml", f"{MEMBERS}[tool.releasekit]\n{line}\n")
    with pytest.raises(ReleaseKitError) as caught:
        read_root_table(tree.root)
    assert caught.value.code is E.CONFIG_INVALID
    assert caught.value.message.startswith(f"{tree.root / 'pyproject.toml'}: ")
    assert said in caught.value.message


def test_a_table_that_is_none_is_refused(tree: Tree) -> None:
    tree.member("packages/a", more=f"{BUILD_SYSTEM}[tool]\nreleasekit = 3\n")
    assert tree.refusal(E.CONFIG_INVALID).message == f"{tree.root / OF_A}: tool.releasekit is not a table"


@pytest.mark.parametrize("line", ["jobs = 2", "index = 'pypi'", "only = ['a']", "since = 'v1'", "log-json = true"])
def test_what_is_of_the_whole_run_is_not_a_members_to_say(tree: Tree, line: str) -> None:
    say(tree, line)
    error = tree.refusal(E.CONFIG_INVALID)
    key = line.partition(" ")[0]
    assert error.message == f"{tree.root / OF_A}: tool.releasekit.{key} is of the whole run, not of one package"
    assert "root" in error.hint


def test_a_command_as_one_string_is_refused_with_the_way_to_write_it(tree: Tree) -> None:
    say(tree, "steps.build = 'make dist'")
    assert '["make", "dist"]' in tree.refusal(E.CONFIG_INVALID).hint


def test_what_is_not_to_be_released_has_a_table_to_be_checked_too(tree: Tree) -> None:
    tree.member("packages/a", more="[tool.releasekit]\nbuild-timeout = 'x'\n")
    tree.refusal(E.CONFIG_INVALID)


def test_a_package_may_leave_itself_out(tree: Tree) -> None:
    say(tree, "exclude = true")
    say(tree, "exclude = false", name="b")
    packages = tree.load().packages
    assert packages["a"].skip_reason == "tool.releasekit.exclude is true"
    assert is_left_out(packages["a"].skip_reason)
    assert packages["b"].skip_reason == ""


def test_patterns_in_a_member_are_refused_since_they_are_the_roots(tree: Tree) -> None:
    say(tree, "exclude = ['b']")
    error = tree.refusal(E.CONFIG_INVALID)
    assert error.message.endswith("tool.releasekit.exclude is ['b'], not true or false")
    assert "root" in error.hint


def test_the_roots_table_speaks_of_all_also_where_the_root_is_a_package(tree: Tree) -> None:
    table = "[tool.releasekit]\njobs = 2\nexclude = ['b']\nbuild-timeout = 5\nsteps.verify = ['look']\n"
    tree.file("pyproject.toml", project("whole", more=f"{BUILD_SYSTEM}{MEMBERS}{table}"))
    say(tree)

    assert tree.load().packages["whole"].settings == Settings()
    told = read_root_table(tree.root)
    assert dict(told.of_packages) == {"build-timeout": 5, "steps.verify": ("look",)}
    assert dict(told.of_the_run) == {"jobs": 2, "exclude": ["b"]}


def test_a_root_that_can_not_be_read_says_nothing(tree: Tree) -> None:
    tree.file("pyproject.toml", "[tool.releasekit\n")
    assert read_root_table(tree.root) == ({}, {})
    (tree.root / "pyproject.toml").unlink()
    assert read_root_table(tree.root) == ({}, {})


def test_each_layer_holds_where_none_over_it_says_otherwise() -> None:
    own = Settings().overlaid({"build-timeout": 1, "retry-budget": 2, "steps.build": ("own",)}, "member")
    root = {"build-timeout": 10, "upload-timeout": 20, "steps.build": ("root",), "steps.verify": ("root",)}

    resolved = own.underlaid(root, "root").overlaid({"retry-budget": 100}, COMMAND_LINE)

    assert [*resolved.told()] == [
        ("build-timeout", 1, "member"),
        ("upload-timeout", 20, "root"),
        ("verify-timeout", 900.0, "default"),
        ("retry-budget", 100, "command line"),
        ("allow-dirty", False, "default"),
        ("exclude", False, "default"),
        ("steps.build", ("own",), "member"),
        ("steps.publish", (), "default"),
        ("steps.verify", ("root",), "root"),
    ]
