"""The patterns of npm's and pnpm's workspaces find what these find."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from tests.npm_trees import write

from releasekit.pipeline.npm import patterns

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("packages/a", "packages/b", "packages/.hidden", "packages/a/node_modules/x", "packages/deep/er/c",
            "apps/web", "tools", "packages/a/test/fixture", "node_modules/y")  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, {f"{place}/package.json": {} for place in PACKAGES} | {"packages/README.md": "", "docs/x": ""})
    return write(tmp_path, {"package.json": {}})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["packages/*"], ["packages/a", "packages/b"]),
        (["./packages/*/"], ["packages/a", "packages/b"]),
        (["packages/b", "packages/*"], ["packages/b", "packages/a"]),
        (["packages/.hidden"], ["packages/.hidden"]),
        (["packages/.*"], ["packages/.hidden"]),
        (["{packages,apps}/*"], ["packages/a", "packages/b", "apps/web"]),
        (["packages/@(a|c)"], ["packages/a"]),
        (["packages/[ab]"], ["packages/a", "packages/b"]),
        (["packages/?"], ["packages/a", "packages/b"]),
        (["packages/**"], ["packages/a", "packages/a/test/fixture", "packages/b", "packages/deep/er/c"]),
        (["packages/**/c"], ["packages/deep/er/c"]),
        (["**"], ["apps/web", "packages/a", "packages/a/test/fixture", "packages/b", "packages/deep/er/c", "tools"]),
        (["tools"], ["tools"]),
        (["*"], ["tools"]),
        (["."], []),
        (["docs", "nothing/*", "packages/README.md"], []),
        (["packages/*", "!packages/b"], ["packages/a"]),
        (["packages/**", "!**/test/**"], ["packages/a", "packages/b", "packages/deep/er/c"]),
        (["!!packages/a"], ["packages/a"]),
        ([], []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("of_npm", [True, False])
def test_patterns_find_directories_with_a_package_json(
    root: Path,
    given: list[str],
    found: list[str],
    of_npm: bool,  # noqa: FBT001
) -> None:
    assert patterns.find(str(root), given, of_npm=of_npm) == found


@pytest.mark.parametrize(
    ("given", "of_npm", "of_pnpm"),
    [
        (["!packages/b", "packages/*"], ["packages/a"], ["packages/a"]),
        (["!packages/b", "packages/b"], ["packages/b"], []),
        (["packages/a", "!packages/*", "packages/b"], ["packages/a", "packages/b"], []),
    ],
)
def test_for_npm_a_pattern_takes_nothing_away_that_a_later_one_asks_for(
    root: Path, given: list[str], of_npm: list[str], of_pnpm: list[str]
) -> None:
    assert patterns.find(str(root), given, of_npm=True) == of_npm
    assert patterns.find(str(root), given, of_npm=False) == of_pnpm


def test_only_pnpm_leaves_out_what_bower_installed(root: Path) -> None:
    write(root, {"packages/bower_components/z/package.json": {}})
    assert "packages/bower_components/z" in patterns.find(str(root), ["packages/**"], of_npm=True)
    assert "packages/bower_components/z" not in patterns.find(str(root), ["packages/**"], of_npm=False)


def test_a_slash_at_the_beginning_is_the_root_for_npm_and_refused_for_pnpm(root: Path) -> None:
    assert patterns.find(str(root), ["/packages/*"], of_npm=True) == ["packages/a", "packages/b"]
    with pytest.raises(patterns.PatternError, match="is absolute"):
        patterns.find(str(root), ["/packages/*"], of_npm=False)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("../*", "leads out"),
        ("packages/../../x", "leads out"),
        ("!../x", "leads out"),
        ("a\0b", "null character"),
        ("{1..1000000}", "more than a thousand"),
        ("{a,b}" * 20, "more than a thousand"),
    ],
)
def test_a_pattern_that_can_not_be_followed_is_refused(root: Path, pattern: str, problem: str) -> None:
    with pytest.raises(patterns.PatternError, match=problem):
        patterns.find(str(root), [pattern], of_npm=True)


def test_a_link_to_a_directory_is_found_but_never_walked_in_circles(root: Path) -> None:
    root.joinpath("packages/link").symlink_to("../apps/web")
    root.joinpath("packages/a/up").symlink_to("..")

    assert patterns.find(str(root), ["packages/*"], of_npm=True) == ["packages/a", "packages/b", "packages/link"]
    assert "packages/a/up/b" not in patterns.find(str(root), ["packages/**"], of_npm=True)


def test_a_directory_that_can_not_be_searched_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        patterns.find(str(root), ["packages/*"], of_npm=True)
