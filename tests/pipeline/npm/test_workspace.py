"""npm workspaces: which packages there are, what they wait for, and what is wrong with one that can't be released."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs
from tests.npm_trees import ROOT, member, workspace, write

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.chosen import load_selected
from releasekit.pipeline.ecosystem import ecosystem_of
from releasekit.pipeline.npm.workspace import load_workspace
from releasekit.state.beside import directory_name
from releasekit.workspace import NoteKind, Selection, is_left_out

if TYPE_CHECKING:
    from pathlib import Path

PNPM = "packages:\n  - 'packages/*'\n  - '!packages/none'\n"


def refusal(root: Path) -> str:
    """What is said of a workspace that can't be released: always an error that is meant for people."""
    with pytest.raises(ReleaseKitError) as caught:
        load_workspace(root)
    assert caught.value.code is E.WORKSPACE_INVALID
    return caught.value.message.removeprefix(f"{root}{os.sep}")


def order(root: Path) -> list[tuple[str, int, tuple[str, ...]]]:
    return [
        (each.name, each.level, each.requires)
        for each in load_workspace(root).packages.values()
        if not each.skip_reason
    ]


def test_packages_come_with_their_versions_directories_and_levels(tmp_path: Path) -> None:
    workspace(
        tmp_path,
        member("@s/core", version="1.2.0"),
        member("api", version="2.0.0-rc.1", dependencies={"@s/core": "^1.2.0", "others": "*"}),
    )

    found = load_workspace(tmp_path)

    assert list(found.packages) == ["@s/core", "root", "api"]
    api = found.packages["api"]
    assert (api.version, api.directory, api.requires, api.level) == (
        "2.0.0-rc.1",
        tmp_path / "packages/api",
        ("@s/core",),
        1,
    )
    assert not api.build_requires
    assert not api.dynamic
    assert found.root == tmp_path
    assert found.notes == ()


def test_what_is_private_or_has_no_version_is_skipped_with_the_reason(tmp_path: Path) -> None:
    workspace(
        tmp_path, member("a", private=True), {"name": "b"}, member("c", private="yes"), member("d", private=False)
    )

    reasons = {each.name: each.skip_reason for each in load_workspace(tmp_path).packages.values()}

    private, unversioned = "its package.json says that it is private", "its package.json has no version"
    assert reasons == {"root": private, "a": private, "b": unversioned, "c": private, "d": ""}
    assert all(map(is_left_out, (private, unversioned)))


@pytest.mark.parametrize("key", ["dependencies", "peerDependencies", "optionalDependencies", "devDependencies"])
@pytest.mark.parametrize("wanted", ["^1.0.0", "workspace:^", "file:../core", "*"])
def test_a_package_is_published_after_what_it_asks_for_in_any_way(tmp_path: Path, key: str, wanted: str) -> None:
    workspace(tmp_path, member("core"), member("api", **{key: {"core": wanted}}))
    assert order(tmp_path) == [("core", 0, ()), ("api", 1, ("core",))]


@pytest.mark.parametrize("wanted", ["npm:core@^1", "workspace:core@*"])
def test_a_package_is_published_after_what_an_alias_leads_to(tmp_path: Path, wanted: str) -> None:
    workspace(tmp_path, member("core"), member("api", dependencies={"other": wanted}))
    assert order(tmp_path)[1] == ("api", 1, ("core",))


def test_dependencies_in_a_circle_are_refused_and_the_circle_is_told(tmp_path: Path) -> None:
    workspace(tmp_path, member("a", dependencies={"b": "*"}), member("b", dependencies={"a": "*"}))
    with pytest.raises(ReleaseKitError) as caught:
        load_workspace(tmp_path)
    assert caught.value.code is E.WORKSPACE_CYCLE
    assert "a → b → a" in caught.value.message
    assert "`peerDependencies`" in caught.value.hint
    assert "pyproject" not in str(caught.value)


@pytest.mark.parametrize("key", ["peerDependencies", "optionalDependencies", "devDependencies"])
def test_what_would_close_a_circle_is_not_waited_for_and_that_is_noted(tmp_path: Path, key: str) -> None:
    workspace(tmp_path, member("core", **{key: {"plugin": "*"}}), member("plugin", dependencies={"core": "*"}))

    (note,) = load_workspace(tmp_path).notes

    assert order(tmp_path) == [("core", 0, ()), ("plugin", 1, ("core",))]
    assert (note.kind, note.package, note.requires) == (NoteKind.REQUIREMENTS_DROPPED, "core", ("plugin",))
    assert note.text == f"does not wait for plugin, asked for by its {key}: that would close a cycle"


def test_development_gives_way_to_peers(tmp_path: Path) -> None:
    workspace(tmp_path, member("a", devDependencies={"b": "*"}), member("b", peerDependencies={"a": "*"}))
    assert order(tmp_path) == [("a", 0, ()), ("b", 1, ("a",))]


@pytest.mark.parametrize("script", ["prepublishOnly", "prepack", "prepare"])
def test_a_package_with_a_script_for_packing_is_built_after_all_that_it_waits_for(tmp_path: Path, script: str) -> None:
    workspace(
        tmp_path,
        member("core"),
        member("mid", dependencies={"core": "*"}, scripts={"test": "x"}),
        member("api", devDependencies={"mid": "*"}, scripts={script: "tsc"}),
    )
    found = load_workspace(tmp_path).packages
    assert found["api"].build_requires == ("core", "mid")
    assert found["mid"].build_requires == ()


def test_a_root_that_is_a_package_is_one_and_one_without_a_name_is_none(tmp_path: Path) -> None:
    one = workspace(tmp_path / "one", member("core"), private=False, version="3.0.0")
    other = write(tmp_path / "other", {"package.json": {"workspaces": ["*"]}, "core/package.json": member("core")})
    assert [name for name, *_ in order(one)] == ["core", "root"]
    assert list(load_workspace(other).packages) == ["core"]


def test_a_single_package_is_a_workspace(tmp_path: Path) -> None:
    write(tmp_path, {"package.json": member("@s/core")})
    assert order(tmp_path) == [("@s/core", 0, ())]
    assert ecosystem_of(tmp_path).name == "npm"


def test_workspaces_may_be_written_as_yarn_once_did(tmp_path: Path) -> None:
    workspace(tmp_path, member("core"), workspaces={"packages": ["packages/*"], "nohoist": ["**"]})
    assert order(tmp_path) == [("core", 0, ())]


def test_a_workspace_of_pnpm_has_its_members_from_its_own_file(tmp_path: Path) -> None:
    workspace(tmp_path, member("core"), member("none"), workspaces=["ignored/*"])
    write(tmp_path, {"pnpm-workspace.yaml": PNPM})
    assert order(tmp_path) == [("core", 0, ())]


def test_a_workspace_of_pnpm_without_packages_has_its_root(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"package.json": member("root"), "pnpm-workspace.yaml": "", "packages/core/package.json": member("core")},
    )
    assert order(tmp_path) == [("root", 0, ())]


def test_a_member_without_a_name_that_is_private_is_left_out(tmp_path: Path) -> None:
    workspace(tmp_path, member("core"))
    write(tmp_path, {"packages/example/package.json": {"private": True}})
    assert order(tmp_path) == [("core", 0, ())]


def test_a_byte_order_mark_is_fine_as_it_is_for_npm(tmp_path: Path) -> None:
    write(tmp_path, {"package.json": b"\xef\xbb\xbf" + b'{"name": "core", "version": "1.0.0"}'})
    assert order(tmp_path) == [("core", 0, ())]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "package.json: line 1 column 1 is not JSON"),
        (b"{", "package.json: line 1 column 2 is not JSON"),
        (b"[]", "package.json is not an object"),
        (b"null", "package.json is not an object"),
        (b'"x"', "package.json is not an object"),
        (b"\xff", "package.json is not UTF-8 at byte 0"),
        (b'{"name": "a", "name": "b"}', "has the key 'name' twice"),
        (b'{"version": ' + b"1" * 5000 + b"}", "has a number with too many digits"),
        (b"[" * 100_000, "package.json is nested too deeply"),
        (b'{"a":' * 100_000, "package.json is nested too deeply"),
        (b'{"name": "\\ud800"}', "has half a surrogate pair"),
        (b'{"x": "' + b"x" * (5 << 20) + b'"}', "has more than 4 MiB"),
        ({"name": 1}, "package.json: name expected `str"),
        ({"name": ["core"]}, "package.json: name expected `str"),
        (member("core", version=1.0), "package.json: version expected `str"),
        (member("core", dependencies=["core"]), "package.json: dependencies expected `object"),
        (member("core", dependencies={"core": 1}), "package.json: dependencies[...] expected `str"),
        (member("core", scripts=[]), "package.json: scripts expected `object"),
        (member("core", workspaces="packages/*"), "package.json: workspaces expected `"),
        (member("core", workspaces=[1]), "package.json: workspaces[0] expected `str`"),
        (member("core", workspaces={"packages": "x"}), "package.json: workspaces.packages expected `array`"),
        (member("core", version="1.0"), "package.json: version is '1.0', no version for npm"),
        (member("core", version="1.0.0+x"), "package.json: version is '1.0.0+x', no version for npm"),
        (member("../../x"), "package.json: name is '../../x', no package name for npm"),
        (member("a\x1b[31m"), "no package name for npm"),
        (member("x" * 300), "no package name for npm"),
        ({"workspaces": ["../*"]}, "package.json: workspaces has the pattern '../*', which leads out"),
        ({"workspaces": []}, "package.json has no name, and no members"),
    ],
)
def test_a_package_json_that_is_none_is_refused_with_the_place(tmp_path: Path, content: object, problem: str) -> None:
    write(tmp_path, {"package.json": content})
    assert problem in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("packages: x", "pnpm-workspace.yaml: packages expected `array"),
        ("packages: [1]", "pnpm-workspace.yaml: packages[0] expected `str`"),
        ("- a", "pnpm-workspace.yaml is not an object"),
        ("packages: [", "pnpm-workspace.yaml is not YAML: while parsing"),
        ("a: !!python/object:os.system x", "pnpm-workspace.yaml is not YAML: could not determine a constructor"),
        ("a: 2001-99-99", "pnpm-workspace.yaml is not YAML: month must be in"),
        (b"\xff\xfe", "pnpm-workspace.yaml is not UTF-8 at byte 0"),
        ("[" * 5000, "pnpm-workspace.yaml is nested too deeply"),
        ("packages: ['../*']", "pnpm-workspace.yaml: packages has the pattern '../*', which leads out"),
    ],
)
def test_a_pnpm_workspace_yaml_that_is_none_is_refused_with_the_place(
    tmp_path: Path, content: object, problem: str
) -> None:
    write(tmp_path, {"package.json": member("root"), "pnpm-workspace.yaml": content})
    assert problem in refusal(tmp_path)


def test_what_only_looks_long_in_yaml_is_read_at_once(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    write(tmp_path, {"package.json": member("root"), "pnpm-workspace.yaml": bomb + "packages: []\n"})
    assert order(tmp_path) == [("root", 0, ())]


def test_two_packages_of_one_name_are_refused(tmp_path: Path) -> None:
    workspace(tmp_path, member("core"))
    write(tmp_path, {"packages/other/package.json": member("core")})
    assert "name is 'core', as in" in refusal(tmp_path)


def test_two_packages_that_only_some_file_systems_tell_apart_are_refused(tmp_path: Path) -> None:
    workspace(tmp_path, member("core"))
    write(tmp_path, {"packages/other/package.json": member("Core")})
    assert "'core'" in (told := refusal(tmp_path))
    assert "'Core'" in told


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"package.json": ROOT, "packages/x/package.json": {"version": "1.0.0"}})
    assert refusal(tmp_path) == f"packages{os.sep}x{os.sep}package.json: name is missing"


def test_a_workspace_within_a_workspace_is_refused(tmp_path: Path) -> None:
    workspace(tmp_path, member("core", workspaces=["*"]))
    assert "core/package.json: workspaces makes a workspace within a workspace" in refusal(tmp_path)


@pytest.mark.parametrize("what", ["directory", "file"])
def test_a_link_out_of_the_workspace_is_refused(tmp_path: Path, what: str) -> None:
    write(tmp_path, {"outside/package.json": member("core"), "w/package.json": ROOT, "w/packages/here/x": ""})
    if what == "directory":
        tmp_path.joinpath("w/packages/core").symlink_to("../../outside")
    else:
        tmp_path.joinpath("w/packages/here/package.json").symlink_to("../../../outside/package.json")
    assert "which is outside the workspace" in refusal(tmp_path / "w")


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    workspace(tmp_path, member("core"))
    tmp_path.joinpath("packages/core/package.json").unlink()
    tmp_path.joinpath("packages/core/package.json").symlink_to("none")
    assert "is a link to nowhere" in refusal(tmp_path)


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_a_package_json_that_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "package.json"
    path.mkdir() if kind == "directory" else os.mkfifo(path)
    assert refusal(tmp_path) == "package.json is not a regular file"


def test_a_member_is_not_taken_for_the_workspace(tmp_path: Path) -> None:
    workspace(tmp_path, member("core"))
    with pytest.raises(ReleaseKitError, match="is a member of the workspace") as caught:
        load_workspace(tmp_path / "packages/core")
    assert caught.value.code is E.WORKSPACE_NOT_FOUND
    assert caught.value.hint == f"name {tmp_path} instead"


def test_a_broken_file_of_somebody_else_above_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, {"package.json": "{", "mine/package.json": member("core")})
    assert order(tmp_path / "mine") == [("core", 0, ())]


def test_a_directory_with_nothing_in_it_is_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(ReleaseKitError) as caught:
        load_workspace(tmp_path)
    assert caught.value.code is E.WORKSPACE_NOT_FOUND


@pytest.mark.parametrize(
    ("files", "ecosystem"),
    [
        ({"package.json": ROOT}, "npm"),
        ({"package.json": member("core")}, "npm"),
        ({"package.json": "{"}, "npm"),
        ({"pnpm-workspace.yaml": PNPM}, "npm"),
        ({"package.json": {"name": "tools"}}, "Python"),
        ({}, "Python"),
        ({"package.json": ROOT, "pyproject.toml": "[tool.releasekit]\nindex = 'npm'\n"}, "npm"),
        ({"package.json": ROOT, "pyproject.toml": "[project]\nname = 'x'\n"}, "Python"),
        ({"package.json": ROOT, "pyproject.toml": "[tool.uv.workspace]\nmembers = []\n"}, "Python"),
    ],
)
def test_a_directory_tells_what_kind_of_workspace_it_is(tmp_path: Path, files: dict[str, Any], ecosystem: str) -> None:
    assert ecosystem_of(write(tmp_path, files)).name == ecosystem


def test_a_directory_that_there_can_not_be_is_a_workspace_of_python_that_is_not_there(tmp_path: Path) -> None:
    assert ecosystem_of(tmp_path / ("a" * 300)).name == "Python"


def test_the_directories_of_what_may_be_published_are_told_even_if_it_can_not_be_now(tmp_path: Path) -> None:
    circle = (member("a", dependencies={"b": "*"}), member("b", dependencies={"a": "*"}))
    workspace(tmp_path, *circle, {"name": "c"}, member("d", private=True))
    found = ecosystem_of(tmp_path).directories(tmp_path)
    assert found == {name: tmp_path / "packages" / name for name in ("a", "b", "c")}


def test_packages_that_require_each_other_are_released_without_each_other(tmp_path: Path) -> None:
    workspace(tmp_path, member("a", dependencies={"b": "*"}), member("b", dependencies={"a": "*"}))
    found = load_selected(tmp_path, Selection(exclude=("b",))).packages
    assert {name: package.skip_reason for name, package in found.items() if name in "ab"} == {
        "a": "",
        "b": "it is excluded by b",
    }


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("@s/*", {"@s/core"}),
        ("socket.io", {"socket.io"}),
        ("socket-io", {"socket-io"}),
        ("s*", {"socket.io", "socket-io"}),
    ],
)
def test_a_pattern_is_written_as_the_names_are(tmp_path: Path, pattern: str, chosen: set[str]) -> None:
    workspace(tmp_path, member("@s/core"), member("socket.io"), member("socket-io"))
    found = load_selected(tmp_path, Selection(only=(pattern,))).packages
    assert {name for name, package in found.items() if not package.skip_reason} == chosen


def test_every_package_has_a_directory_for_its_files_of_its_own(tmp_path: Path) -> None:
    names = ("@s/core", "s-core", "s.core", "socket", "socket.given", "socket.building-0")
    workspace(tmp_path, *map(member, names))
    directories = {directory_name(name) for name in load_workspace(tmp_path).packages if name != "root"}
    assert len(directories) == len(names)
    assert not any("." in name or "/" in name for name in directories)


def test_four_hundred_packages_are_read_in_well_under_a_second(tmp_path: Path) -> None:
    workspace(tmp_path, *(member(f"p{n}", dependencies={f"p{n - 1}": "*"} if n % 20 else {}) for n in range(400)))
    assert len(load_workspace(tmp_path).packages) == 401


def test_a_member_may_have_settings_of_its_own_in_a_pyproject_that_need_not_be_of_a_python_project(
    tmp_path: Path,
) -> None:
    workspace(tmp_path, member("core"), member("inner"), member("top"))
    write(
        tmp_path,
        {
            "pyproject.toml": '[tool.releasekit]\nbuild-timeout = 7\nsteps.verify = ["verify"]\n',
            "packages/core/pyproject.toml": '[project]\nname = 1\n[tool.releasekit.steps]\nbuild = ["make"]\n',
            "packages/inner/pyproject.toml": "[tool.releasekit]\nexclude = true\n",
        },
    )

    found = load_selected(tmp_path, Selection()).packages

    assert found["core"].settings.commands.build == ("make",)
    assert found["core"].settings.sources["steps.build"] == "packages/core/pyproject.toml"
    assert [each.settings.build_timeout for each in found.values()] == [7] * 4
    assert (found["inner"].skip_reason, found["top"].skip_reason) == ("tool.releasekit.exclude is true", "")
    assert is_left_out(found["inner"].skip_reason)


@pytest.mark.parametrize(("text", "code"), [("excluded = true", E.CONFIG_INVALID), ("=", E.WORKSPACE_INVALID)])
def test_settings_of_a_member_that_are_wrong_are_refused(tmp_path: Path, text: str, code: E) -> None:
    workspace(tmp_path, member("core"))
    write(tmp_path, {"packages/core/pyproject.toml": f"[tool.releasekit]\n{text}\n"})
    with pytest.raises(ReleaseKitError, match=r"packages/core/pyproject\.toml") as caught:
        load_workspace(tmp_path)
    assert caught.value.code is code


@pytest.mark.parametrize(("fields", "ignored"), [({}, ["core"]), ({"private": True}, []), ({"name": 7}, [])])
def test_what_a_directory_has_besides_its_workspace_is_warned_of_if_it_could_be_published(
    tmp_path: Path, fields: dict[str, Any], ignored: list[str]
) -> None:
    workspace(tmp_path, member("core"))
    write(
        tmp_path,
        {
            "pyproject.toml": '[project]\nname = "tools"\nversion = "1"\n',
            "packages/core/package.json": member("core") | fields,
        },
    )

    with capture_logs() as logs:
        assert [*load_selected(tmp_path, Selection()).packages] == ["tools"]

    assert [log["packages"] for log in logs if log["event"] == "releasekit.workspace_ignored"] == ignored
