from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import tomli

from releasekit.workspace import uv_lock
from releasekit.workspace.requirements import Requirements, Wanted
from releasekit.workspace.uv_lock import read_lock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.workspace.trees import Tree

    from releasekit.workspace.uv_lock import Lock

HEAD = "version = 1\nrevision = 3\n"
OTHER = '\n[[package]]\nname = "other"\nversion = "1"\nsource = { registry = "https://index.test/simple" }\n'
A = '\n[[package]]\nname = "a"\nversion = "1"\nsource = { editable = "packages/a" }\n'
B, C = (Wanted("b"),), (Wanted("c"),)


@pytest.fixture
def member(tree: Tree) -> Tree:
    """A workspace with the member a."""
    tree.member("packages/a")
    return tree


def read(tree: Tree, text: str) -> Lock:
    tree.file("uv.lock", text)
    lock = read_lock(tree.root)
    assert lock
    return lock


def of_a(tree: Tree, text: str) -> Requirements | None:
    return read(tree, text).requirements("a", "packages/a")


def test_a_workspace_need_not_have_a_lock(tree: Tree) -> None:
    assert read_lock(tree.root) is None


def test_what_a_member_asks_for_is_read_from_its_metadata(tree: Tree) -> None:
    metadata = """
dependencies = [{ name = "resolved" }]
[package.optional-dependencies]
x = [{ name = "resolved" }]
[package.dev-dependencies]
dev = [{ name = "resolved" }]
[package.metadata]
requires-dist = [
    { name = "b", editable = "packages/b" },
    { name = "c", extras = ["q", "p"], marker = "sys_platform == 'win32' and extra == 'x'", editable = "packages/c" },
]
[package.metadata.requires-dev]
dev = [{ name = "b" }]
"""
    assert of_a(tree, HEAD + A + metadata) == Requirements(B, {"x": (Wanted("c", ("p", "q")),)}, {"dev": B})


def test_without_metadata_what_was_resolved_is_read(tree: Tree) -> None:
    resolved = """
dependencies = [{ name = "b", extra = ["x"] }, { name = "c", extra = "y" }]
[package.optional-dependencies]
x = [{ name = "b" }]
[package.dev-dependencies]
dev = [{ name = "c" }]
"""
    runtime = (Wanted("b", ("x",)), Wanted("c", ("y",)))
    assert of_a(tree, HEAD + A + resolved) == Requirements(runtime, {"x": B}, {"dev": C})


@pytest.mark.parametrize("kind", ["editable", "virtual", "directory"])
def test_a_member_is_found_by_its_name_and_directory_whatever_the_kind_of_its_source(tree: Tree, kind: str) -> None:
    lock = read(tree, HEAD + A.replace("editable", kind))
    assert lock.requirements("a", "packages/a") == Requirements()
    assert lock.requirements("a", "packages/b") is None
    assert lock.requirements("b", "packages/a") is None


def test_a_member_is_found_in_a_directory_that_a_link_leads_to(tree: Tree) -> None:
    tree.member("packages/a")
    tree.link("linked/a", "../packages/a")
    assert read(tree, HEAD + A).requirements("a", "linked/a") == Requirements()


def test_a_member_that_stands_there_twice_asks_for_both(tree: Tree) -> None:
    one, other = (f'[package.metadata]\nrequires-dist = [{{ name = "{name}" }}]\n' for name in "bc")
    assert of_a(tree, HEAD + A + one + A + other) == Requirements((*B, *C))


def test_a_package_from_a_directory_or_a_file_has_a_place_and_others_have_none(tree: Tree) -> None:
    sources = {"x": '{ editable = "../x/." }', "y": '{ path = "y.whl" }', "z": '{ git = "https://git.test/z" }'}
    blocks = [f'\n[[package]]\nname = "{name}"\nsource = {source}\n' for name, source in sources.items()]
    lock = read(tree, HEAD + "".join(blocks) + A)
    assert {name: lock.place_of(name) for name in "xyz"} == {"x": "../x", "y": "y.whl", "z": ""}


def test_the_members_are_those_of_the_manifest(tree: Tree) -> None:
    assert read(tree, HEAD + '[manifest]\nmembers = ["a", "B_b"]\n').members == {"a", "b-b"}
    assert read(tree, HEAD).members == set()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_comes_from_elsewhere_is_not_even_parsed(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, newline: str
) -> None:
    parsed: list[str] = []
    loads = tomli.loads

    def remember(text: str) -> object:
        parsed.append(text)
        return loads(text)

    monkeypatch.setattr(tomli, "loads", remember)
    (tree.root / "uv.lock").write_bytes((HEAD + OTHER + A + OTHER + A).replace("\n", newline).encode())
    assert read_lock(tree.root)
    assert parsed == [HEAD + A + A]


def test_a_lock_in_another_hand_is_parsed_whole_and_read_alike(tree: Tree) -> None:
    text = 'note = """\n[[package]]\nsource = { registry = "x" }\n"""\n' + HEAD
    by_hand = '[[package]]\nname="a"\nmetadata.requires-dist=[{name="b"}]\nsource.editable="packages/a"\n'
    assert of_a(tree, text + by_hand) == of_a(tree, HEAD + by_hand + OTHER) == Requirements(B)


DAMAGED = {
    "no TOML": ("version = 1\n[[package", " is not TOML: "),
    "nothing": ("", " table misses the required field `version`"),
    "a version to come": ("version = 2\n", ": version is 2, and only version 1 of the format is known"),
    "a version that is a text": ("version = '1'\n", ": version expected `int`, got `str`"),
    "a member without a name": (HEAD + A.replace('name = "a"\n', ""),
                                ": package[0] table misses the required field `name`"),
    "a member without a source": (HEAD + '[[package]]\nname = "a"\n',
                                  ": package[0] table misses the required field `source`"),
    "a source that is a text": (HEAD + A.replace('{ editable = "packages/a" }', '"x"'),
                                ": package[0].source expected `table`"),
    "a place that is a number": (HEAD + A.replace('"packages/a"', "3"), ": package[0].source.editable expected `str`"),
    "requirements that are a text": (HEAD + A + 'dependencies = "b"\n', ": package[0].dependencies expected `array`"),
    "a requirement that is a text": (HEAD + A + 'dependencies = ["b"]\n',
                                     ": package[0].dependencies[0] expected `table`"),
    "metadata that is a text": (HEAD + A + 'metadata = "b"\n', ": package[0].metadata expected `table`"),
    "a name that is none": (HEAD + A.replace('"a"', '"-a"'), ": package has the name '-a', no package name"),
    "a member that is none": (HEAD + "manifest.members = ['../x']\n", ": manifest.members has the name '../x'"),
    "what a merge left": (HEAD + OTHER + "<<<<<<< HEAD\n" + OTHER + A, " is not TOML: "),
    "an end that is missing": (HEAD + A + OTHER[:-10], " is not TOML: "),
    "an endless nesting": (HEAD + "x = " + "[" * 100_000, " is nested too deeply"),
    "a null character": (HEAD + A.replace("ages/a", "ages\\u0000a"), ": package a has a source with a null character"),
    "an endless number": (HEAD + f"x = {'1' * 5000}\n", " is not TOML: "),
}  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_or_foreign_lock_is_refused_with_the_place_and_what_to_do(
    member: Tree, text: str, problem: str
) -> None:
    file = member.file("uv.lock", text)
    error = member.refusal()
    assert error.message.startswith(f"{file}{problem}")
    assert error.hint


def test_the_line_of_an_error_is_that_of_the_file(member: Tree) -> None:
    member.file("uv.lock", HEAD + OTHER + A + "x =\n" + A)
    assert "line 13" in member.refusal().message


def test_a_lock_that_is_not_utf_8_is_refused(member: Tree) -> None:
    (member.root / "uv.lock").write_bytes(b"version = 1 # \xff\n")
    assert member.refusal().message == f"{member.root / 'uv.lock'} is not UTF-8 at byte 14"


@pytest.mark.parametrize("extra", [0, 1])
def test_a_lock_that_is_too_large_is_refused_before_it_is_read(
    member: Tree, monkeypatch: pytest.MonkeyPatch, extra: int
) -> None:
    monkeypatch.setattr(uv_lock, "MAX_SIZE", len(HEAD))
    file = member.file("uv.lock", HEAD + "#" * extra)
    if extra:
        assert member.refusal().message == f"{file} has {len(HEAD) + 1} bytes, more than {len(HEAD)}"
    else:
        assert member.names() == ["a"]


def test_a_lock_that_a_link_leads_out_of_the_workspace_for_is_refused(member: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "uv.lock"
    outside.write_text(HEAD)
    member.link("uv.lock", "../uv.lock")
    assert (
        member.refusal().message == f"{member.root / 'uv.lock'} is a link to {outside}, which is outside the workspace"
    )


def test_a_lock_that_is_a_link_within_the_workspace_is_read(member: Tree) -> None:
    member.file("locks/uv.lock", HEAD + A)
    member.link("uv.lock", "locks/uv.lock")
    assert member.load().notes == ()


def test_a_lock_that_is_a_link_to_nowhere_is_refused(member: Tree) -> None:
    member.link("uv.lock", "gone.lock")
    assert member.refusal().message == f"{member.root / 'uv.lock'} is a link to nowhere"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["a directory", "a pipe"])
def test_a_lock_that_is_no_file_is_refused_and_not_waited_for(member: Tree, make: object) -> None:
    assert callable(make)
    make(member.root / "uv.lock")
    assert member.refusal().message == f"{member.root / 'uv.lock'} is no file"
