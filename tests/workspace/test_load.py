from __future__ import annotations

import dataclasses
import time
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from tests.hostile import HOSTILE
from tests.workspace.trees import BUILD_SYSTEM, MEMBERS, project

from releasekit.errors import E
from releasekit.workspace import Index, Package

if TYPE_CHECKING:
    from tests.workspace.trees import Tree


def is_valid(name: str) -> bool:
    """Tell whether a name may be hostile, but is one."""
    return name.isascii() and name.isalnum()


def in_toml(text: str) -> str:
    """Write a text between quotes of TOML."""
    return "".join(f"\\U{ord(character):08x}" for character in text)


NOT_A_PACKAGE = {
    "tool.uv.package is false": ("", BUILD_SYSTEM + "[tool.uv]\npackage = false\n"),
    "it has the classifier 'Private :: Do Not Upload'": ("classifiers = ['Private :: Do Not Upload']", BUILD_SYSTEM),
    "it has no [build-system], so uv does not build it": ("", ""),
}


def test_a_package_is_what_its_pyproject_says(tree: Tree) -> None:
    tree.requirers(a="b", b="")
    expected = Package("a", "1.0", tree.root / "packages" / "a", ("b",), 1, built_by_uv="<1,>=0.8")
    assert tree.load().packages["a"] == expected


def test_packages_come_in_the_order_of_level_and_name(tree: Tree) -> None:
    tree.requirers(a="d", b="", c="a b", d="", e="b")
    packages = tree.load().packages
    assert [(package.level, name) for name, package in packages.items()] == [
        (0, "b"),
        (0, "d"),
        (1, "a"),
        (1, "e"),
        (2, "c"),
    ]


def test_what_is_loaded_can_not_be_changed(tree: Tree) -> None:
    tree.requirers(a="")
    loaded = tree.load()
    assert isinstance(loaded.packages, MappingProxyType)
    assert isinstance(loaded.indexes, MappingProxyType)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(loaded.packages["a"], "version", "2")  # noqa: B010  # mypy knows better than to assign


def test_names_are_canonical_wherever_they_stand(tree: Tree) -> None:
    tree.file("packages/a/pyproject.toml", project("Big_Name.a"))
    tree.member("packages/b", "dependencies = ['BIG--name_A[extra] >=1 , <2']")
    packages = tree.load().packages
    assert list(packages) == ["big-name-a", "b"]
    assert packages["b"].requires == ("big-name-a",)


def test_versions_are_normalised(tree: Tree) -> None:
    tree.member("packages/a", version="v1.0.0-alpha.1")
    assert tree.load().packages["a"].version == "1.0.0a1"


@pytest.mark.parametrize("name", ["", "-a", "--index", "-rf", "../x", "/etc", "a b", "a/b", "ä", "a\\n"])
def test_a_name_that_is_none_is_refused(tree: Tree, name: str) -> None:
    file = tree.file("packages/a/pyproject.toml", project(name))
    assert tree.refusal().message.startswith(f"{file}: project.name is '{name}', no package name")


@pytest.mark.parametrize("name", [name for name in HOSTILE if not is_valid(name)], ids=ascii)
def test_a_hostile_name_is_refused(tree: Tree, name: str) -> None:
    file = tree.file("packages/a/pyproject.toml", project(in_toml(name)))
    assert tree.refusal().message == f"{file}: project.name is {name!r:.200}, no package name"


@pytest.mark.parametrize("text", [text for text in HOSTILE if not is_valid(text)], ids=ascii)
def test_a_hostile_version_or_requirement_is_refused(tree: Tree, text: str) -> None:
    file = tree.member("packages/a", version=in_toml(text))
    assert tree.refusal().message == f"{file}: project.version is {text!r:.200}, no version"
    tree.member("packages/a", f'dependencies = ["{in_toml(text)}"]')
    assert tree.refusal().message.startswith(f"{file}: project.dependencies[0] is {text!r:.200}, no requirement: ")


def test_a_member_without_a_name_is_refused(tree: Tree) -> None:
    file = tree.file("packages/a/pyproject.toml", "[project]\nversion = '1'\n" + BUILD_SYSTEM)
    assert tree.refusal().message == f"{file}: project.name is missing"


def test_a_root_without_a_name_is_refused(tree: Tree) -> None:
    file = tree.file("pyproject.toml", "[project]\nversion = '1'\n" + MEMBERS)
    assert tree.refusal().message == f"{file}: project.name is missing"


def test_two_members_with_one_name_are_refused_with_both_files(tree: Tree) -> None:
    first = tree.file("packages/a/pyproject.toml", project("A_b"))
    second = tree.file("packages/b/pyproject.toml", project("a-B"))
    assert tree.refusal().message == f"{second}: project.name is 'a-b', as in {first}"


@pytest.mark.parametrize("version", ["", "one", "1.0-", "1 0", "1.0.*", "{version}"])
@pytest.mark.parametrize("more", ["", BUILD_SYSTEM], ids=["skipped", "released"])
def test_a_version_that_is_none_is_refused(tree: Tree, version: str, more: str) -> None:
    file = tree.member("packages/a", version=version, more=more)
    assert tree.refusal().message == f"{file}: project.version is {version!r}, no version"


def test_a_package_without_a_version_is_refused(tree: Tree) -> None:
    file = tree.file("packages/a/pyproject.toml", f"[project]\nname = 'a'\n{BUILD_SYSTEM}")
    assert tree.refusal().message == f"{file}: project.version is missing"


def test_other_dynamic_fields_are_fine(tree: Tree) -> None:
    tree.member("packages/a", "dynamic = ['readme', 'optional-dependencies']")
    assert tree.names() == ["a"]


@pytest.mark.parametrize(("body", "more"), NOT_A_PACKAGE.values(), ids=NOT_A_PACKAGE)
def test_what_is_not_to_be_released_is_skipped_with_the_reason(
    tree: Tree, request: pytest.FixtureRequest, body: str, more: str
) -> None:
    tree.member("packages/a", body, more=more)
    assert tree.load().packages["a"].skip_reason in NOT_A_PACKAGE
    assert tree.load().packages["a"].skip_reason == request.node.callspec.id


@pytest.mark.parametrize(("body", "more"), NOT_A_PACKAGE.values(), ids=NOT_A_PACKAGE)
def test_what_is_skipped_needs_no_version(tree: Tree, body: str, more: str) -> None:
    dynamic = "dynamic = ['version', 'dependencies']"
    tree.file("packages/a/pyproject.toml", f"[project]\nname = 'a'\n{dynamic}\n{body}\n{more}")
    assert tree.load().packages["a"].version == ""


def test_what_is_skipped_keeps_the_version_that_it_has(tree: Tree) -> None:
    tree.member("packages/a", more="")
    assert tree.load().packages["a"].version == "1.0"


def test_uv_may_be_told_to_build_without_a_build_system(tree: Tree) -> None:
    tree.member("packages/a", more="[tool.uv]\npackage = true\n")
    assert tree.load().packages["a"].skip_reason == ""


def test_a_classifier_that_only_mentions_private_does_not_skip(tree: Tree) -> None:
    tree.member("packages/a", "classifiers = ['Topic :: Private :: Not Really']")
    assert tree.load().packages["a"].skip_reason == ""


def test_a_root_without_a_build_system_is_skipped(tree: Tree) -> None:
    tree.file("pyproject.toml", project("whole", "dependencies = ['a']", more=MEMBERS))
    tree.member("packages/a")
    packages = tree.load().packages
    assert packages["whole"].skip_reason
    assert (packages["whole"].requires, packages["whole"].level) == (("a",), 1)


def test_a_requirement_on_a_skipped_member_stays(tree: Tree) -> None:
    tree.requirers(a="b")
    tree.member("packages/b", more="")
    assert tree.load().packages["a"].requires == ("b",)


def test_requirements_are_sorted_and_named_once(tree: Tree) -> None:
    tree.requirers(a="c>=1 b C<9", b="", c="")
    assert tree.load().packages["a"].requires == ("b", "c")


def test_a_requirement_from_outside_the_workspace_is_no_edge(tree: Tree) -> None:
    tree.requirers(a="attrs packaging>=24")
    assert tree.load().packages["a"].requires == ()


def test_a_package_that_requires_itself_for_an_extra_is_no_cycle(tree: Tree) -> None:
    tree.requirers(a="a[all]")
    assert tree.load().packages["a"].requires == ()


def test_an_unmanaged_or_excluded_requirement_is_no_edge(tree: Tree) -> None:
    tree.requirers(a="b")
    tree.member("packages/b", more="[tool.uv]\nmanaged = false\n")
    assert tree.load().packages["a"].requires == ()


@pytest.mark.parametrize(
    "line",
    [
        "b",
        "b[extra]",
        "b; python_version < '3.12'",
        "b; sys_platform == 'win32' and platform_machine == 'extra'",
        "b; platform_machine != 'extra == x'",
        "b @ https://example.test/b-1.0.tar.gz",
        "b @ https://example.test/b-1.0.tar.gz ; os_name == 'posix'",
    ],
)
def test_a_requirement_that_may_hold_at_run_time_is_an_edge(tree: Tree, line: str) -> None:
    tree.member("packages/a", f'dependencies = ["{line}"]')
    tree.member("packages/b")
    assert tree.load().packages["a"].requires == ("b",)


@pytest.mark.parametrize("line", ["b =", "", "b >= one", "b; python", "b; x == 'y'", "b b", "b[", "b @", "b\n\n", "ä"])
def test_a_requirement_that_can_not_be_parsed_is_refused(tree: Tree, line: str) -> None:
    file = tree.member("packages/a", f'dependencies = ["c", "{line!s}"]'.replace("\n", "\\n; x"))
    message = tree.refusal().message
    assert message.startswith(f"{file}: project.dependencies[1] is ")
    assert "\n" not in message


def test_a_cycle_is_refused_and_printed(tree: Tree) -> None:
    tree.requirers(a="b", b="c", c="a", d="a")
    error = tree.refusal(E.WORKSPACE_CYCLE)
    assert error.message.endswith(": a → b → c → a")
    assert error.hint


def test_the_indexes_are_those_of_the_root(tree: Tree) -> None:
    tree.requirers(a="")
    tree.member("packages/b", more=BUILD_SYSTEM + "[[tool.uv.index]]\nname = 'theirs'\nurl = 'https://c.test/'\n")
    tree.file(
        "pyproject.toml",
        MEMBERS
        + "[[tool.uv.index]]\nname = 'one'\nurl = 'https://a.test/simple/'\npublish-url = 'https://a.test/'\n"
        + "[[tool.uv.index]]\nname = 'two'\nurl = 'https://b.test/simple/'\nexplicit = true\n"
        + "[[tool.uv.index]]\nurl = 'https://nameless.test/simple/'\n",
    )
    assert tree.load().indexes == {
        "one": Index("one", "https://a.test/simple/", "https://a.test/"),
        "two": Index("two", "https://b.test/simple/", ""),
    }


UV_TOML = "[[index]]\nname = 'one'\nurl = 'https://u.test/simple/'\npublish-url = 'https://u.test/'\n"
ONE = "[[tool.uv.index]]\nname = 'one'\nurl = 'https://a.test/simple/'\npublish-url = 'https://a.test/'\n"


def test_a_uv_toml_hides_the_indexes_of_the_pyproject_as_it_does_for_uv(tree: Tree) -> None:
    tree.requirers(a="")
    tree.file("pyproject.toml", MEMBERS + ONE)
    assert tree.load().index_file == "pyproject.toml"
    tree.file("uv.toml", "\ufeff" + UV_TOML)
    assert tree.load().indexes == {"one": Index("one", "https://u.test/simple/", "https://u.test/")}
    for without in ("", "offline = true\n"):
        tree.file("uv.toml", without)
        loaded = tree.load()
        assert (loaded.indexes, loaded.index_file, loaded.index_table) == ({}, "uv.toml", "[[index]]")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[index]", " is not TOML"),
        ("[[index]]\nname = 'x'\n", ": index[0] table misses the required field `url`"),
        ("index = 3\n", ": index expected `array`"),
        (UV_TOML + UV_TOML, ": index has the name 'one' twice"),
    ],
)
def test_a_malformed_uv_toml_is_refused_with_file_and_key(tree: Tree, text: str, problem: str) -> None:
    tree.requirers(a="")
    file = tree.file("uv.toml", text)
    assert tree.refusal().message.startswith(f"{file}{problem}")


def test_two_indexes_with_one_name_are_refused(tree: Tree) -> None:
    tree.requirers(a="")
    index = "[[tool.uv.index]]\nname = 'one'\nurl = 'https://a.test/'\n"
    file = tree.file("pyproject.toml", MEMBERS + index + index)
    assert tree.refusal().message == f"{file}: tool.uv.index has the name 'one' twice"


def test_400_members_load_quickly(tree: Tree) -> None:
    for number in range(400):
        required = [f"p{other}>=1.0" for other in range(max(0, number - 5), number)]
        tree.member(f"packages/p{number}", f"dependencies = {required}")
    before = time.process_time()
    assert len(tree.load().packages) == 400
    assert time.process_time() - before < 2  # 0.1 s on a quiet machine
