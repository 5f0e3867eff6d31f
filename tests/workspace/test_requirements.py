from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.workspace.discover import find_members, read_root
from releasekit.workspace.requirements import (
    Requirements,
    Wanted,
    extras_of,
    read_build_requirements,
    read_requirements,
)

if TYPE_CHECKING:
    from tests.workspace.trees import Tree

    from releasekit.workspace.discover import Member

B = (Wanted("b"),)


def the_member(tree: Tree) -> Member:
    (member,) = find_members(tree.root, read_root(tree.root))
    return member


def read(tree: Tree, body: str, more: str = "") -> Requirements:
    tree.member("packages/a", body, more=more)
    return read_requirements(the_member(tree))


def test_requirements_are_told_apart_by_who_asks(tree: Tree) -> None:
    found = read(
        tree,
        "dependencies = ['B_b[Y.y, x]>=1']\noptional-dependencies.Some_Extra = ['c']",
        "[dependency-groups]\ndev = ['d', {include-group = 'Li_nt'}]\nLi_nt = ['e']\n"
        "[tool.uv]\ndev-dependencies = ['f']\n",
    )

    assert found == Requirements(
        (Wanted("b-b", ("x", "y-y")),),
        {"some-extra": (Wanted("c"),)},
        {"dev": (Wanted("d"), Wanted("f")), "li-nt": (Wanted("e"),)},
    )


@pytest.mark.parametrize(
    "line", ["b; extra == 'x'", "b; python_version < '3.12' and extra == 'x'", "b; 'x' == extra", "b; (extra=='x')"]
)
def test_a_requirement_with_the_marker_of_an_extra_is_of_that_extra(tree: Tree, line: str) -> None:
    assert read(tree, f'dependencies = ["{line}"]') == Requirements(extras={"x": B})


@pytest.mark.parametrize(
    ("marker", "extras"),
    [
        ("", None),
        ("platform_machine == 'extra'", None),
        ("platform_machine != 'extra == x'", None),
        ("extra == 'Big_Name'", ("big-name",)),
        ("extra == 'x' or extra == 'y'", ("x", "y")),
        ("'x' in extras", ("x",)),
        ("extra != 'x'", ("",)),
    ],
)
def test_the_extras_that_a_marker_asks_for_are_named(marker: str, extras: tuple[str, ...] | None) -> None:
    assert extras_of(marker) == extras


def test_build_requirements_are_those_of_the_build_system(tree: Tree) -> None:
    tree.member("packages/a", more="[build-system]\nrequires = ['b', 'C[x]>1; python_version > \"3\"']\n")
    assert read_build_requirements(the_member(tree)) == (Wanted("b"), Wanted("c", ("x",)))
    tree.member("packages/a", more="")
    assert read_build_requirements(the_member(tree)) == ()


@pytest.mark.parametrize(
    ("place", "body", "more"),
    [
        ("project.dependencies[1]", "dependencies = ['c', 'b =']", ""),
        ("project.optional-dependencies.x[0]", "optional-dependencies.x = ['b =']", ""),
        ("dependency-groups.dev[0]", "", "[dependency-groups]\ndev = ['b =']\n"),
        ("tool.uv.dev-dependencies[0]", "", "[tool.uv]\ndev-dependencies = ['b =']\n"),
        ("build-system.requires[0]", "", "[build-system]\nrequires = ['b =']\n"),
    ],
)
def test_a_requirement_that_is_none_is_refused_with_its_place(tree: Tree, place: str, body: str, more: str) -> None:
    file = tree.member("packages/a", body, more=more)
    if not more.startswith("[build-system]"):
        file.write_text(file.read_text() + "[build-system]\nrequires = []\n")
    assert tree.refusal().message.startswith(f"{file}: {place} is 'b =', no requirement: ")
