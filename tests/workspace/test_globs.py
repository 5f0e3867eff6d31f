from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from releasekit.workspace.globs import PatternError, expand, matches, parse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in ("p/a/x", "p/b", "p/.h/x", "p/cc", "p/]", "q/x"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "p" / "file").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("p/*", "p/.h p/] p/a p/b p/cc p/file"),
        ("p/a", "p/a"),
        ("./p//a/", "p/a"),
        ("p/*/../b", "p/b"),
        ("p/nowhere", ""),
        ("P/A", ""),
        ("p/c?", "p/cc"),
        ("p/[ab]", "p/a p/b"),
        ("p/[!a-z.]", "p/]"),
        ("p/[]a]", "p/] p/a"),
        ("p/{a,b}", ""),
        ("p/\\*", ""),
        ("*/x", "q/x"),
        ("**/x", "p/.h/x p/a/x q/x"),
        ("q/**/x", "q/x"),
        ("q/**", "q/x"),
        ("q/**/**", "q/x"),
        ("**/**/b", "p/b"),
        ("p/file/*", ""),
        (".", "."),
        ("", "."),
    ],
)
def test_a_members_pattern_finds_what_uv_finds(root: Path, pattern: str, found: str) -> None:
    assert sorted(expand(str(root), parse(pattern))) == found.split()


@pytest.mark.parametrize(
    ("pattern", "path", "excluded"),
    [
        ("p/a", "p/a", True),
        ("./p/a/", "p/a", True),
        ("p/a", "p/a/x", False),
        ("p/*", "p/a", True),
        ("p/*", "p/a/x", True),
        ("p/*x", "p/a/x", True),
        ("p/a*b/c", "p/ab-ab/c", True),
        ("p/a*b/*c", "p/ab/ab/c", True),
        ("p/**", "p/a/x", True),
        ("p/**", "p", False),
        ("**", "p", True),
        ("**/x", "x", True),
        ("**/x", "p/a/x", True),
        ("**/x", "p/ax", False),
        ("p/**/x", "p/x", True),
        ("p.a", "pxa", False),
        ("p/[!a]", "p/b", True),
        (".", ".", True),
        (".", "p", False),
    ],
)
def test_an_exclude_pattern_is_matched_as_text(pattern: str, path: str, *, excluded: bool) -> None:
    assert matches(path, parse(pattern)) is excluded


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("/etc/*", "absolute"),
        ("../other", "out of"),
        ("p/../../other", "out of"),
        ("p/**a", "own"),
        ("p/***", "own"),
        ("p/[a", "never closed"),
        ("p/[]", "never closed"),
        ("p/[!]", "never closed"),
        ("p/[a/b]", "never closed"),
        ("p/\0", "null"),
    ],
)
def test_a_pattern_that_can_only_be_a_mistake_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(PatternError, match=problem):
        parse(pattern)


def test_two_asterisks_in_a_class_are_ordinary_characters(root: Path) -> None:
    (root / "p" / "*").mkdir()
    assert list(expand(str(root), parse("p/[**]"))) == ["p/*"]


def test_a_link_back_to_a_directory_above_is_not_followed(root: Path) -> None:
    (root / "p" / "loop").symlink_to("../p")
    (root / "q" / "loop").symlink_to(root)
    assert sorted(expand(str(root), parse("**/x"))) == ["p/.h/x", "p/a/x", "q/x"]


def test_a_link_to_another_directory_is_followed_once(root: Path) -> None:
    (root / "p" / "b" / "one").symlink_to("../../q")
    (root / "p" / "b" / "two").symlink_to("../../q")
    assert len(list(expand(str(root), parse("p/b/**/x")))) == 1


def test_links_among_many_directories_do_not_make_the_walk_explode(tmp_path: Path) -> None:
    for name in range(40):
        (tmp_path / str(name)).mkdir()
        for other in range(name):
            (tmp_path / str(name) / f"to-{other}").symlink_to(f"../{other}")
    assert len(list(expand(str(tmp_path), parse("**")))) < 40 * 40


def test_a_link_out_of_the_root_is_not_followed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "x").mkdir()
    (root / "out").symlink_to(outside)
    assert "out/x" not in set(expand(str(root), parse("**/x")))


def test_a_directory_that_can_not_be_searched_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        list(expand(str(root), parse("p/*")))
