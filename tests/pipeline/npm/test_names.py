"""How npm packages, their versions, what they require and their files are written."""

from __future__ import annotations

import pytest

from releasekit.pipeline.npm import names


@pytest.mark.parametrize("name", ["core", "@s/core", "socket.io", "a_b", "-", "JSONStream", "@a-b/c.d~e", "x" * 214])
def test_a_name_that_npm_takes_is_one(name: str) -> None:
    assert names.is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".hidden", "_private", "@s/.x", "@s", "@/x", "@s/", "a/b", "@s/a/b", "..", "@s/..", "../x", "a b", " a"),
        *(
            "a\n",
            "a\0",
            "é",
            "a*",
            "a'b",
            "a!",
            "a(b)",
            "a+b",
            "a%2fb",
            "a\\b",
            "node_modules",
            "favicon.ico",
            "x" * 215,
        ),
    ],
)
def test_any_other_is_none(name: str) -> None:
    assert not names.is_name(name)


@pytest.mark.parametrize("version", ["1.2.3", "0.0.0", "1.2.3-rc.1", "1.2.3-0", "10.20.30-a-b.c"])
def test_a_version_as_npm_writes_it_is_one(version: str) -> None:
    assert names.is_version(version)


@pytest.mark.parametrize(
    "version",
    ["", "1", "1.2", "v1.2.3", "=1.2.3", "01.2.3", "1.2.3-01", "1.2.3+build", "1.2.3 ", "latest", "1.2.3.4", "../1"],
)
def test_a_version_that_npm_would_change_or_refuse_is_none(version: str) -> None:
    assert not names.is_version(version)


def test_only_a_version_before_a_release_is_one() -> None:
    assert [names.is_prerelease(version) for version in ("1.0.0", "1.0.0-rc.1", "nonsense")] == [False, True, False]


def test_a_file_is_called_as_npm_and_pnpm_call_it() -> None:
    assert names.tarball_name("core", "1.0.0") == "core-1.0.0.tgz"
    assert names.tarball_name("@s/core", "1.0.0-rc.1") == "s-core-1.0.0-rc.1.tgz"
    assert names.belongs("s-core-1.0.0.tgz", "@s/core", "1.0.0")
    assert not names.belongs("s-core-1.0.0.tgz", "@s/core", "1.0.1")


def test_a_release_is_this_one_file_and_nothing_else() -> None:
    assert names.is_whole({"s-core-1.0.0.tgz"}, "@s/core", "1.0.0")
    assert not names.is_whole([], "core", "1.0.0")
    assert not names.is_whole(["core-1.0.0.tgz", "core-1.0.1.tgz"], "core", "1.0.0")
    assert not names.is_whole(["core-1.0.1.tgz"], "core", "1.0.0")


def test_versions_are_read_from_files_names() -> None:
    files = [
        "core-1.0.0.tgz",
        "core-2.0.0-rc.1.tgz",
        "core-x-1.0.0.tgz",
        "core.tgz",
        "core-1.0.0.zip",
        "other-1.0.0.tgz",
    ]
    assert names.versions_in(files, "core") == {"1.0.0", "2.0.0-rc.1"}


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("^1.0.0", ("alias", "^1.0.0")),
        ("npm:core@^1.0.0", ("core", "^1.0.0")),
        ("npm:@s/core@^1.0.0", ("@s/core", "^1.0.0")),
        ("npm:@s/core", ("@s/core", "")),
        ("npm:core", ("core", "")),
        ("npm:", ("alias", "npm:")),
        ("workspace:^", ("alias", "workspace:^")),
        ("workspace:@s/core@^", ("@s/core", "workspace:^")),
        ("workspace:core@*", ("core", "workspace:*")),
    ],
)
def test_an_alias_is_followed(wanted: str, target: tuple[str, str]) -> None:
    assert names.target_of("alias", wanted) == target


@pytest.mark.parametrize(
    "wanted",
    ["workspace:^", "workspace:*", "catalog:", "file:../core", "link:../core", "portal:x", "patch:x", "../core", "./x",
     "/x", "~/x", ".", "..", " file:x", "FILE:x"],
)  # fmt: skip
def test_what_only_the_workspace_understands_is_local(wanted: str) -> None:
    assert names.is_local(wanted)


@pytest.mark.parametrize(
    "wanted",
    ["^1.0.0", "", "*", "latest", "npm:x@1", "git+ssh://git@host/x.git", "user/repo", "http://host/x.tgz", "~1.2"],
)
def test_what_others_understand_is_not(wanted: str) -> None:
    assert not names.is_local(wanted)


RANGES = [
    ("^1.2.0", "1.9.0", True),
    ("^1.2.0", "2.0.0", False),
    ("~1.2", "1.2.9", True),
    (">= 1.0.0  < 2", "1.5.0", True),
    (">=1.0.0 <2", "2.0.0", False),
    ("1.x || 2.x", "2.1.0", True),
    ("1.2 - 2", "2.9.0", True),
    ("1.0.0", "1.0.0", True),
    ("=1.0.0", "1.0.1", False),
    ("^1.0.0", "1.1.0-rc.1", False),
    ("^1.1.0-rc.0", "1.1.0-rc.1", True),
    ("^0.0.1", "0.0.2", False),
    ("^0.1.1", "0.1.9", True),
    ("", "1.0.0", True),
    ("<1.0.0-beta || >=2", "2.0.0", True),
]


@pytest.mark.parametrize(("wanted", "version", "expected"), RANGES)
def test_a_version_is_in_a_range_or_not(wanted: str, version: str, expected: bool) -> None:  # noqa: FBT001
    spec = names.range_of(wanted)
    assert spec
    assert names.fits(version, spec) is expected


@pytest.mark.parametrize("wanted", ["*", "", "x"])
def test_a_range_of_everything_takes_a_version_before_a_release_too(wanted: str) -> None:
    spec = names.range_of(wanted)
    assert spec
    assert names.fits("1.0.0-rc.1", spec)


@pytest.mark.parametrize(
    "wanted", ["latest", "git+https://host/x.git", "user/repo", "http://host/x.tgz", "workspace:^"]
)
def test_what_is_no_range_is_none(wanted: str) -> None:
    assert names.range_of(wanted) is None


def test_one_version_alone_is_exact() -> None:
    exact = {
        wanted: names.is_exact(wanted) for wanted in ("1.0.0", "=1.0.0", "v1.0.0", " = 1.0.0 ", "^1.0.0", "1.0", "*")
    }
    assert exact == {
        "1.0.0": True,
        "=1.0.0": True,
        "v1.0.0": True,
        " = 1.0.0 ": True,
        "^1.0.0": False,
        "1.0": False,
        "*": False,
    }
