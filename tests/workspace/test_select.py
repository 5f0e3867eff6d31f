from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from releasekit.errors import E, ReleaseKitError
from releasekit.workspace import Selection, is_left_out, load_workspace, select

if TYPE_CHECKING:
    from tests.workspace.trees import Tree

    from releasekit.workspace import Workspace


@pytest.fixture
def chain(tree: Tree) -> Tree:
    """`app` requires `lib`, which requires `core`; `aside` requires nothing; `private` is not released."""
    tree.requirers(app="lib", lib="core", core="", aside="")
    tree.member("packages/private", 'classifiers = ["Private :: Do Not Upload"]')
    return tree


def left(tree: Tree, selection: Selection, *changed: str) -> list[str]:
    """Name what is to be released after a selection."""
    packages = select(tree.load(), selection, changed).packages.values()
    return sorted(package.name for package in packages if not package.skip_reason)


def test_nothing_chosen_means_everything(chain: Tree) -> None:
    assert select(chain.load(), Selection()) == chain.load()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(only=("lib",)), ["lib"]),
        (Selection(only=("a*",)), ["app", "aside"]),
        (Selection(only=("lib", "c?re")), ["core", "lib"]),
        (Selection(only=("[ac]*",)), ["app", "aside", "core"]),
        (Selection(exclude=("a*",)), ["core", "lib"]),
        (Selection(only=("a*",), exclude=("app",)), ["aside"]),
        (Selection(only=("LIB",)), ["lib"]),
    ],
)
def test_only_what_the_patterns_choose_is_left(chain: Tree, selection: Selection, expected: list[str]) -> None:
    assert left(chain, selection) == expected


@pytest.mark.parametrize("pattern", ["some.thing", "Some_Thing", "some--thing", "some_*"])
def test_a_pattern_is_compared_in_the_canonical_form(tree: Tree, pattern: str) -> None:
    tree.requirers(Some_Thing="", other="")
    assert left(tree, Selection(only=(pattern,))) == ["some-thing"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [((), []), (("core",), ["app", "core", "lib"]), (("aside",), ["aside"]), (("app", "private"), ["app"])],
)
def test_what_has_changed_is_left_with_all_that_requires_it(
    chain: Tree, changed: tuple[str, ...], expected: list[str]
) -> None:
    assert left(chain, Selection(since="v1"), *changed) == expected


def test_each_that_is_left_out_has_its_reason_and_what_never_was_to_be_released_keeps_its_own(chain: Tree) -> None:
    selection = Selection(only=("a*", "co*"), exclude=("as*",), since="v1")
    packages = select(chain.load(), selection, {"app"}).packages
    assert {name: package.skip_reason for name, package in packages.items()} == {
        "app": "",
        "aside": "it is excluded by as*",
        "core": "it has not changed since v1",
        "lib": "it is not among --only a*, co*",
        "private": "it has the classifier 'Private :: Do Not Upload'",
    }
    assert all(is_left_out(package.skip_reason) for package in packages.values() if package.skip_reason)


@pytest.mark.parametrize("option", ["only", "exclude"])
def test_a_pattern_that_matches_nothing_is_refused(chain: Tree, option: str) -> None:
    with pytest.raises(ReleaseKitError, match=re.escape(f"--{option} 'cor' matches no package")) as caught:
        select(chain.load(), Selection(**{option: ("lib", "cor")}))  # type: ignore[arg-type]  # both are patterns
    assert caught.value.code is E.SELECTION_EMPTY


def test_notes_are_kept_of_what_is_to_be_released_only(tree: Tree) -> None:
    tree.member("packages/core", "[dependency-groups]\ndev = ['app']")
    tree.requirers(app="core", other="")
    assert [note.package for note in select(tree.load(), Selection(exclude=("other",))).notes] == ["core"]
    assert select(tree.load(), Selection(exclude=("core",))).notes == ()


def tangled(tree: Tree, selection: Selection, *changed: str) -> Workspace:
    """Load what is chosen of two packages that require each other, and two that require one of them."""
    tree.requirers(core="sdk", sdk="core", plugin="core", other="plugin", aside="")
    return load_workspace(tree.root, lambda workspace: select(workspace, selection, changed))


@pytest.mark.parametrize(
    "selection", [Selection(), Selection(exclude=("aside",)), Selection(only=("core", "sdk")), Selection(since="v1")]
)
def test_packages_that_require_each_other_are_refused_where_all_of_them_are_chosen(
    tree: Tree, selection: Selection
) -> None:
    with pytest.raises(ReleaseKitError, match="core → sdk → core") as caught:
        tangled(tree, selection, "sdk")
    assert caught.value.code is E.WORKSPACE_CYCLE
    assert "--exclude" in caught.value.hint


def test_packages_that_require_each_other_are_released_without_each_other(tree: Tree) -> None:
    packages = tangled(tree, Selection(exclude=("core", "sdk"))).packages
    assert {name: package.requires for name, package in packages.items()} == {
        "aside": (),
        "core": (),
        "sdk": (),
        "plugin": ("core",),
        "other": ("plugin",),
    }
    assert [package.level for package in packages.values()] == [0, 0, 0, 1, 2]


@pytest.mark.parametrize(
    ("changed", "exclude", "expected"),
    [
        ("aside", (), ["aside"]),
        ("plugin", (), ["other", "plugin"]),
        ("core", ("sdk",), ["core", "other", "plugin"]),
        ("sdk", ("sdk",), ["core", "other", "plugin"]),
    ],
)
def test_what_has_changed_is_found_among_packages_that_require_each_other_too(
    tree: Tree, changed: str, exclude: tuple[str, ...], expected: list[str]
) -> None:
    packages = tangled(tree, Selection(since="v1", exclude=exclude), changed).packages.values()
    assert sorted(package.name for package in packages if not package.skip_reason) == expected
