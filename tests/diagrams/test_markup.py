from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasekit.diagrams import markup


@given(st.text())
def test_plain_text_is_one_printable_line(text: str) -> None:
    assert markup.plain(text).isprintable()


@given(st.text(), st.integers(1, 50))
def test_a_shortened_text_is_never_longer(text: str, length: int) -> None:
    assert len(markup.shorten(text, length)) <= length


@given(st.text(), st.integers(2, 40), st.integers(1, 4))
def test_a_wrapped_text_keeps_to_its_lines(text: str, width: int, lines: int) -> None:
    wrapped = markup.wrap(text, width, lines)
    assert len(wrapped) <= lines
    assert all(len(line) <= width for line in wrapped)


def test_a_text_that_fits_is_wrapped_whole() -> None:
    assert markup.wrap("uv build\n  ended with 2", 12, 2) == ["uv build", "ended with 2"]


def test_a_text_that_does_not_fit_ends_in_an_ellipsis() -> None:
    assert markup.wrap("one two three four", 8, 2) == ["one two", "three…"]
    assert markup.shorten("releasekit", 5) == "rele…"


@given(st.text())
def test_a_mermaid_text_has_no_sign_that_mermaid_reads_and_can_be_read_back(text: str) -> None:
    plain = markup.plain(text)
    escaped = markup.to_mermaid(plain)
    assert not set(re.sub(r"#\d+;", "", escaped)) & set('"`#;<>[](){}|&\\%:*')
    assert re.sub(r"#(\d+);", lambda code: chr(int(code[1])), escaped).removeprefix("\u2060") == plain


@pytest.mark.parametrize("line", ["- a", "1. a", "2)", "# a", "---", "===", "> a", "* a"])
def test_a_mermaid_line_begins_nothing_of_markdown(line: str) -> None:
    assert markup.to_mermaid(line).startswith("\u2060")


@pytest.mark.parametrize("line", ["a", "-a", "1.0.2", "--index", "✗ a", "#a", "12"])
def test_any_other_mermaid_line_begins_as_it_is(line: str) -> None:
    assert not markup.to_mermaid(line).startswith("\u2060")


def test_edges_that_a_longer_path_tells_are_left_out() -> None:
    requirements = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["c", "a"]}
    assert list(markup.reduce(requirements)) == [("a", "b"), ("b", "c"), ("c", "d")]


def test_every_edge_of_a_cycle_is_kept() -> None:
    assert list(markup.reduce({"a": ["b"], "b": ["a"], "c": ["a", "b"]})) == [
        ("b", "a"),
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]


@pytest.mark.parametrize("requires", [["a", "a"], ["a", "unknown"]])
def test_what_is_named_twice_or_unknown_adds_no_edge(requires: list[str]) -> None:
    assert list(markup.reduce({"a": [], "b": requires})) == [("a", "b")]


def _reachable(edges: set[tuple[int, int]], start: int) -> set[int]:
    found: set[int] = set()
    rest = [start]
    while rest:
        here = rest.pop()
        new = {b for a, b in edges if a == here} - found
        found |= new
        rest += new
    return found


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda edge: edge[0] < edge[1])))
def test_the_reduction_is_the_least_that_reaches_the_same(edges: set[tuple[int, int]]) -> None:
    named = {str(n): [str(a) for a, b in sorted(edges) if b == n] for n in range(10)}
    reduced = {(int(a), int(b)) for a, b in markup.reduce(named)}
    assert reduced <= edges
    assert all(_reachable(reduced, n) == _reachable(edges, n) for n in range(10))
    assert all(b not in _reachable(reduced - {(a, b)}, a) for a, b in reduced)
