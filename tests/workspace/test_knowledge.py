"""What pyproject files and uv.lock say is the same where uv has just locked, and told where it is not. uv is real."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import tiny_backend
from tests.workspace.trees import BUILD_SYSTEM, MEMBERS, Tree, project, uv

from releasekit.workspace import NoteKind, Selection, load_workspace, select
from releasekit.workspace.discover import find_members, read_root
from releasekit.workspace.pyproject import InvalidWorkspaceError
from releasekit.workspace.requirements import read_requirements
from releasekit.workspace.uv_lock import read_lock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from releasekit.workspace.requirements import Requirements

NAMES = "abcde"
SOURCES = "[tool.uv.sources]\n" + "".join(f"{name} = {{ workspace = true }}\n" for name in NAMES)
PYTHON = 'requires-python = ">=3.11"\n'
BACKEND = '[build-system]\nrequires = ["{name}"]\nbuild-backend = "{name}"\n'
OWN_BACKEND = '[build-system]\nrequires = []\nbuild-backend = "{name}"\nbackend-path = ["src"]\n'

# What stands in [project] of each member, and what follows it.
SHAPES: dict[str, Mapping[str, tuple[str, str]]] = {
    "nothing": {},
    "a chain": {"a": ("dependencies = ['b']", ""), "b": ("dependencies = ['c>=1']", "")},
    "markers": {
        "a": (
            "dependencies = ['b; sys_platform == \"win32\"', 'c; python_version < \"3.8\"', 'd[x]; os_name != \"nt\"']",
            "",
        ),
        "d": ("optional-dependencies.x = ['e; sys_platform == \"win32\"']", ""),
    },
    "extras": {
        "a": ("dependencies = ['b[X_y]']\noptional-dependencies.x = ['c']\noptional-dependencies.all = ['a[x]']", ""),
        "b": ("optional-dependencies.X_y = ['d[e]', 'e; python_version < \"3.8\"']", ""),
        "d": ("optional-dependencies.e = ['e']", ""),
    },
    "a cycle of extras": {
        "a": ("optional-dependencies.x = ['b', 'c']", ""),
        "b": ("dependencies = ['a']", ""),
        "c": ("dependencies = ['a[x]']", ""),
    },
    "groups": {
        "a": ("", "[dependency-groups]\ndev = ['b', { include-group = 'more' }]\nmore = ['c[x]']\n"),
        "b": ("", "[dependency-groups]\nDo_cs = ['a']\n"),
        "c": ("optional-dependencies.x = ['d']", ""),
    },
    "groups of the old kind": {"a": ("", "[tool.uv]\ndev-dependencies = ['b']\n")},
    "build requirements": {
        "a": ("dependencies = ['b']", ""),
        "b": ("", BUILD_SYSTEM.replace('["', '["c", "')),
    },
    "virtual members": {"a": ("dependencies = ['b', 'c']", "-"), "b": ("dependencies = ['c']", "-")},
    "members that are no packages": {
        "a": ("dependencies = ['b']", BUILD_SYSTEM + "[tool.uv]\npackage = false\n"),
        "b": ("dependencies = ['c']", ""),
    },
    "extras that exclude each other": {
        "a": ("optional-dependencies.x = ['b']\noptional-dependencies.y = ['c']", ""),
    },
    "one name twice": {"a": ("dependencies = ['b', 'b[x]', 'B>=1']", ""), "b": ("optional-dependencies.x = ['c']", "")},
}
ROOTS = {
    "no root": MEMBERS,
    "a virtual root": project("whole", PYTHON + "dependencies = ['a']",
                              more="[dependency-groups]\ndev = ['b']\n" + MEMBERS),
    "a root package": project("whole", PYTHON + "dependencies = ['a']", more=BUILD_SYSTEM + MEMBERS),
}  # fmt: skip


def write(tree: Tree, shape: Mapping[str, tuple[str, str]], root: str = MEMBERS, more: str = "") -> None:
    tree.file("pyproject.toml", root + SOURCES + more)
    for name in NAMES:
        body, following = shape.get(name, ("", ""))
        system = "" if following == "-" else following
        if "[build-system]" not in following and following != "-":
            system = BUILD_SYSTEM + following
        tree.member(f"packages/{name}", PYTHON + body, more=system)


def lock(tree: Tree) -> None:
    locked = uv(tree, "lock", "--python", sys.executable)
    assert locked.returncode == 0, locked.stderr


def both(tree: Tree) -> dict[str, tuple[Requirements, Requirements | None]]:
    """Read what every member asks for: as its pyproject.toml says, and as the lock does."""
    locked = read_lock(tree.root)
    assert locked
    found = {}
    for member in find_members(tree.root, read_root(tree.root)):
        name = member.project.name or ""
        place = member.directory.relative_to(tree.root).as_posix()
        found[name] = (read_requirements(member), locked.requirements(name, place))
    return found


def agree(stated: Requirements, locked: Requirements | None) -> bool:
    """Tell whether two say the same, but for the order, and for groups that include others."""
    if locked is None:
        return False
    extras = {extra: set(wanted) for extra, wanted in locked.extras.items() if wanted}
    groups = [{wanted for some in of.groups.values() for wanted in some} for of in (stated, locked)]
    return (
        set(stated.runtime) == set(locked.runtime)
        and {extra: set(wanted) for extra, wanted in stated.extras.items() if wanted} == extras
        and groups[0] == groups[1]
    )


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_pyproject_files_and_a_fresh_lock_agree(tree: Tree, shape: Mapping[str, tuple[str, str]], root: str) -> None:
    exclusive = "[tool.uv]\nconflicts = [[{ package = 'a', extra = 'x' }, { package = 'a', extra = 'y' }]]\n"
    write(tree, shape, root, exclusive if "optional-dependencies.y" in shape.get("a", ("",))[0] else "")
    lock(tree)

    found = both(tree)
    assert found.keys() >= set(NAMES)
    assert [name for name, (stated, locked) in found.items() if not agree(stated, locked)] == []
    with_lock = tree.load()
    assert with_lock.notes == tuple(note for note in with_lock.notes if note.kind is NoteKind.REQUIREMENTS_DROPPED)
    (tree.root / "uv.lock").unlink()
    assert tree.load() == with_lock


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, tuple[str, str]]:
    """Any members that ask for others in any way."""

    def some(of: Sequence[str]) -> list[str]:
        names = draw(st.sets(st.sampled_from(of), max_size=3)) if of else set()
        endings = st.sampled_from(["", "[x]", "[x,y]", "; sys_platform == 'win32'", ">=0.1"])
        return [name + draw(endings) for name in sorted(names)]

    shape = {}
    for position, name in enumerate(NAMES):
        body = f"dependencies = {some(NAMES[:position])}\n"
        for extra in ("x", "y"):
            body += f"optional-dependencies.{extra} = {some([other for other in NAMES if other != name])}\n"
        shape[name] = (body, f"[dependency-groups]\ndev = {some([other for other in NAMES if other != name])}\n")
    return shape


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=shapes())
def test_pyproject_files_and_a_fresh_lock_agree_on_any_members(
    tmp_path_factory: pytest.TempPathFactory, shape: Mapping[str, tuple[str, str]]
) -> None:
    tree = Tree(tmp_path_factory.mktemp("any"))
    write(tree, shape)
    lock(tree)
    assert [name for name, (stated, locked) in both(tree).items() if not agree(stated, locked)] == []
    shutil.rmtree(tree.root)


CHANGES = {
    "a requirement more": (("dependencies = ['b', 'c']", ""), "it does not require c there, but here"),
    "a requirement less": (("", ""), "it requires b there, and not here"),
    "an extra more": (
        ("dependencies = ['b']\noptional-dependencies.x = ['c']", ""),
        "it does not require c for extras there, but here",
    ),
    "a group more": (
        ("dependencies = ['b']", "[dependency-groups]\ndev = ['c']\n"),
        "it does not require c for groups there, but here",
    ),
    "another requirement": (
        ("dependencies = ['c']", ""),
        "it requires b there, and not here; it does not require c there, but here",
    ),
}


@pytest.mark.parametrize(("changed", "told"), CHANGES.values(), ids=CHANGES)
def test_what_an_old_lock_has_otherwise_is_noted_and_the_pyproject_counts(
    tree: Tree, changed: tuple[str, str], told: str
) -> None:
    write(tree, {"a": ("dependencies = ['b']", "")})
    lock(tree)
    write(tree, {"a": changed})

    with_lock = tree.load()
    (note,) = with_lock.notes
    assert (note.kind, note.package, note.text) == (NoteKind.LOCK_DIFFERS, "a", f"differs from uv.lock: {told}")
    assert "`uv lock`" in note.hint
    (tree.root / "uv.lock").unlink()
    assert tree.load().packages == with_lock.packages


def test_what_differs_of_packages_from_elsewhere_and_of_what_is_not_released_is_not_noted(tree: Tree) -> None:
    write(tree, {"b": ("", "-")})
    lock(tree)
    write(tree, {"a": ("dependencies = ['attrs']", ""), "b": ("dependencies = ['c']", "-")})
    assert tree.load().notes == ()


def test_members_that_only_one_of_them_has_are_noted(tree: Tree) -> None:
    write(tree, {})
    lock(tree)
    (tree.root / "packages" / "b").rename(tree.root / "packages" / "moved")
    shutil.rmtree(tree.root / "packages" / "c")
    tree.member("packages/new")
    assert {note.package: note.text for note in tree.load().notes} == {
        "b": "differs from uv.lock: it is missing there, or in another directory",
        "new": "differs from uv.lock: it is missing there, or in another directory",
        "c": "is a member in uv.lock, but not in the workspace",
    }


def with_backend(tree: Tree, requires: str, dynamic: str = "'dependencies'", body: str = "") -> None:
    """Write members of which a has dynamic requirements, which the backend in b finds out."""
    write(
        tree,
        {"a": (f"dynamic = [{dynamic}]\n{body}", BACKEND.format(name="b")), "b": ("", OWN_BACKEND.format(name="b"))},
    )
    tree.file("packages/b/src/b/__init__.py", Path(tiny_backend.__file__).read_text("utf-8"))
    tree.file("packages/a/src/a/__init__.py")
    tree.file("packages/a/requires.txt", requires)


def test_dynamic_dependencies_are_those_of_the_lock(tree: Tree) -> None:
    with_backend(tree, "c\nd; sys_platform == 'win32'\n")
    lock(tree)

    loaded = tree.load()
    assert loaded.packages["a"].requires == ("b", "c", "d")  # b is its backend
    assert loaded.notes == ()


def test_dynamic_extras_are_those_of_the_lock_and_nobody_waits_for_a_lock(tree: Tree) -> None:
    with_backend(tree, "c\ne; extra == 'x'\n", "'dependencies', 'optional-dependencies'")
    lock(tree)
    assert tree.load().packages["a"].requires == ("b", "c", "e")
    with_backend(tree, "c\ne; extra == 'x'\n", "'optional-dependencies'", "dependencies = ['c']")
    assert tree.load().packages["a"].requires == ("b", "c", "e")
    (tree.root / "uv.lock").unlink()
    assert tree.load().packages["a"].requires == ("b", "c")


def test_dynamic_dependencies_that_no_lock_has_are_refused_with_the_command_that_finds_them_out(tree: Tree) -> None:
    write(tree, {})
    lock(tree)
    file = tree.member("packages/new", "dynamic = ['dependencies']")
    known = f"{file}: project.dynamic has 'dependencies', which is known only after a build, and"
    error = tree.refusal()
    assert error.message == f"{known} uv.lock does not have the package"
    (tree.root / "uv.lock").unlink()
    error = tree.refusal()
    assert error.message == f"{known} there is no uv.lock"
    assert error.hint.startswith("run `uv lock`")


def test_what_is_not_released_may_have_dynamic_dependencies_without_a_lock(tree: Tree) -> None:
    tree.member("packages/a", "dynamic = ['dependencies']", more="")
    assert tree.load().packages["a"].requires == ()


def test_nor_does_what_is_not_chosen_need_a_lock_unless_it_is_asked_who_requires_what_has_changed(tree: Tree) -> None:
    tree.member("packages/a", "dynamic = ['dependencies']")
    tree.member("packages/b")
    for chosen in (Selection(exclude=("a",)), Selection(only=("b",))):
        loaded = load_workspace(tree.root, lambda workspace, chosen=chosen: select(workspace, chosen))  # type: ignore[misc]
        assert [name for name, package in loaded.packages.items() if not package.skip_reason] == ["b"]
    since = Selection(since="v1")
    with pytest.raises(InvalidWorkspaceError, match="known only after a build"):
        load_workspace(tree.root, lambda workspace: select(workspace, since, ["b"]))


@pytest.mark.parametrize(("source", "kind"), [("editable = true", "editable"), ("editable = false", "directory")])
@pytest.mark.parametrize("where", ["../x", "tools/x"])
def test_a_directory_that_is_no_member_is_noted_where_a_released_package_requires_it(
    tree: Tree, source: str, kind: str, where: str
) -> None:
    needs = "dependencies = ['x']"
    more = BUILD_SYSTEM + f'[tool.uv.sources]\nx = {{ path = "../../{where}", {source} }}\n'
    write(tree, {"a": (needs, more), "b": (needs, more.replace(BUILD_SYSTEM, "")), "c": ("", "")})
    tree.member(where, PYTHON)
    tree.file("packages/b/pyproject.toml", project("b", PYTHON + needs, more=more.replace(BUILD_SYSTEM, "")))
    lock(tree)
    assert f'{kind} = "{where}"' in (tree.root / "uv.lock").read_text("utf-8")

    loaded = tree.load()
    (note,) = loaded.notes
    assert (note.kind, note.package, note.requires) == (NoteKind.PATH_DEPENDENCY, "a", ("x",))
    assert note.text == f"requires x, which is {where} here and no member of the workspace: it is not released with it"
    assert note.hint
    assert loaded.packages["a"].requires == ()
