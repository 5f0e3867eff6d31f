"""What nobody could install is refused before anything is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.npm_trees import error, member, package, tarball

from releasekit.errors import E
from releasekit.pipeline.directory_index import find_directory
from releasekit.pipeline.npm import Npm, names
from releasekit.pipeline.npm.registry import Registry
from releasekit.pipeline.npm.settings import Settings
from releasekit.pipeline.outcome import StepError

if TYPE_CHECKING:
    from tests.npm_trees import FakeNpm

    from releasekit.pipeline.index import Index

VERSIONS = {"core": "2.1.0", "@s/text": "", "rc": "1.0.0-rc.1"}


def check(
    tmp_path: Path,
    content: dict[str, Any],
    *,
    ahead: bool = True,
    there: tuple[str, ...] = (),
    index: Index | None = None,
) -> str:
    """What is said of a package that was packed so; empty if nothing is."""
    packed = member("api") | content
    kept = tmp_path / "kept"
    kept.mkdir(parents=True)
    tarball(kept / names.tarball_name("api", packed["version"]), packed)
    out = tmp_path / "out"
    out.mkdir()
    for filename in there:
        out.joinpath(filename).touch()
    index = index or find_directory(str(out), tmp_path, names)
    assert index
    api = package("api", packed["version"])
    try:
        asyncio.run(Npm().check(api, kept, VERSIONS, lambda _: ahead, index))
    except StepError as refused:
        error = refused
    else:
        return ""
    assert error.code in {E.REQUIREMENT_MISSING, E.PUBLISH_FAILED}
    assert error.hint.endswith("nothing of 'api' was sent")
    return error.message


@pytest.mark.parametrize("key", ["dependencies", "peerDependencies", "optionalDependencies"])
@pytest.mark.parametrize(
    "wanted", ["workspace:^", "catalog:", "file:../core", "link:../core", "../core", "workspace:core@*"]
)
@pytest.mark.parametrize("name", ["core", "others"])
def test_what_only_the_workspace_understands_is_refused(tmp_path: Path, key: str, wanted: str, name: str) -> None:
    told = check(tmp_path, {key: {name: wanted}})
    assert told == f"'api' was packed with {name!r}: {wanted!r} in its {key}, which nobody could install"


def test_for_development_and_in_the_file_itself_it_may_stand(tmp_path: Path) -> None:
    content = {
        "dependencies": {"core": "file:../core"},
        "bundleDependencies": ["core"],
        "devDependencies": {"core": "workspace:^"},
    }
    assert check(tmp_path, content) == ""


@pytest.mark.parametrize("content", [
    {"dependencies": {"core": "^2.0.0"}},
    {"dependencies": {"core": "2.1.0"}},
    {"dependencies": {"core": "*", "others": "^99"}},
    {"dependencies": {"alias": "npm:core@^2"}},
    {"dependencies": {"rc": "*"}},
    {"dependencies": {"core": "latest"}},
    {"dependencies": {"core": "user/repo"}},
    {"peerDependencies": {"core": ">=2"}},
    {"peerDependencies": {"core": "^99"}, "peerDependenciesMeta": {"core": {"optional": True}}},
    {"optionalDependencies": {"core": "^99"}},
    {"dependencies": {"core": "^99"}, "optionalDependencies": {"core": "^99"}},
    {"devDependencies": {"core": "^99"}},
    {"dependencies": {"api": "^99"}},
    {},
])  # fmt: skip
def test_what_this_run_publishes_or_need_not_be_there_is_fine(tmp_path: Path, content: dict[str, Any]) -> None:
    assert check(tmp_path, content) == ""


@pytest.mark.parametrize(
    ("key", "name", "wanted", "why"),
    [
        ("dependencies", "core", "^1.0.0", "this run publishes core 2.1.0, nor has ./out such a version"),
        ("peerDependencies", "core", "^1.0.0", "this run publishes core 2.1.0, nor has ./out such a version"),
        ("dependencies", "core", "2.0.0", "this run publishes core 2.1.0"),
        ("dependencies", "alias", "npm:core@=2.0.0", "this run publishes core 2.1.0"),
        ("dependencies", "@s/text", "^1.0.0", "this run does not publish @s/text, nor has ./out such a version"),
        ("dependencies", "rc", "^1.0.0", "this run publishes rc 1.0.0-rc.1, nor has ./out such a version"),
    ],
)
def test_what_nobody_provides_is_refused(tmp_path: Path, key: str, name: str, wanted: str, why: str) -> None:
    assert check(tmp_path, {key: {name: wanted}}) == f"'api' requires {name!r}: {wanted!r} in its {key}, and {why}"


def test_what_the_index_has_is_fine_unless_it_is_pinned(tmp_path: Path) -> None:
    there = ("core-1.5.0.tgz", "s-text-1.0.0.tgz")
    assert check(tmp_path / "a", {"dependencies": {"core": "^1.0.0", "@s/text": "1.0.0"}}, there=there) == ""
    assert "this run publishes core" in check(tmp_path / "b", {"dependencies": {"core": "1.5.0"}}, there=there)


def test_what_only_the_packed_file_asks_for_may_come_too_late(tmp_path: Path) -> None:
    told = check(tmp_path / "a", {"dependencies": {"core": "^2"}}, ahead=False)
    assert "it could be published before 'core'" in told
    assert check(tmp_path / "b", {"peerDependencies": {"core": "^2"}}, ahead=False) == ""


def on_npm(tag: str = "latest") -> Registry:
    return Registry(Path("/"), Settings({}, tag))


@pytest.mark.parametrize(
    ("content", "tag", "refused"),
    [
        ({"version": "1.0.0-rc.1"}, "latest", True),
        ({"version": "1.0.0-rc.1"}, "next", False),
        ({"version": "1.0.0-rc.1", "publishConfig": {"tag": "next"}}, "latest", False),
        ({"version": "1.0.0-rc.1", "publishConfig": {"tag": "latest"}}, "latest", False),
        ({"version": "1.0.0"}, "latest", False),
    ],
)
def test_a_version_before_a_release_needs_a_tag(
    tmp_path: Path,
    content: dict[str, Any],
    tag: str,
    refused: bool,  # noqa: FBT001
) -> None:
    told = check(tmp_path, content, index=on_npm(tag))
    assert ("nothing says which tag" in told) is refused


def test_a_directory_has_no_tags(tmp_path: Path) -> None:
    assert check(tmp_path, {"version": "1.0.0-rc.1"}) == ""


def test_what_was_adopted_from_the_index_is_not_looked_at(tmp_path: Path) -> None:
    asyncio.run(Npm().check(package("api"), tmp_path, VERSIONS, lambda _: False, on_npm()))


def test_a_registry_that_can_not_be_asked_is_told(tmp_path: Path, npm: FakeNpm) -> None:
    npm.answer({"view": error("E403", "you may not")})
    tarball(tmp_path / "api-1.0.0.tgz", member("api", dependencies={"core": "^1"}))
    with pytest.raises(StepError, match="you may not"):
        asyncio.run(Npm().check(package("api"), tmp_path, VERSIONS, lambda _: True, on_npm()))
