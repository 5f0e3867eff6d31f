from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hostile import HOSTILE, SURROGATES, commands, unescaped

from releasekit.escape import in_json, in_one_line, printable

HARMLESS = "aurora-core 1.0 naïve 日本語 ✓ … 'quoted' \\ [bold] a::b # ## #[ C:: \n : error"
TEXTS = st.text() | st.text("#:[ \n\r\x1bvso") | st.sampled_from(HOSTILE)


@pytest.mark.parametrize(
    "hostile",
    ["\x1b[2J", "\x1b]0;title\x07", "\x9b2J", "\r", "\b", "\t", "\x00", "\x7f", "\x85", "\u2028", "\u200b", "\ufeff"]
    + [chr(c) for c in (0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069, 0x200E, 0x200F, 0x61C)]
    + ["\udcff", "\ud800", "\U000e0041"],
    ids=ascii,
)
def test_what_could_steer_a_terminal_is_escaped(hostile: str) -> None:
    shown = printable(f"a{hostile}b")

    assert shown.startswith("a\\")
    assert shown.endswith("b")
    assert shown.isprintable()
    shown.encode()


def test_other_text_stays_as_it_is() -> None:
    assert printable(HARMLESS) == HARMLESS
    assert printable("two\nlines") == "two\nlines"
    assert in_one_line("two\nlines") == "two\\nlines"
    assert in_json(HARMLESS) == HARMLESS


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("::error::x", "\\x3a:error::x"),
        (" ::error file=a::b", " \\x3a:error file=a::b"),
        ("x\n  ::set-output name=a::b", "x\n  \\x3a:set-output name=a::b"),
        ("\r::error::x", "\\r::error::x"),
        (":::", "\\x3a::"),
        ("a ##[error]x", "a #\\x23[error]x"),
        ("####[error]x", "###\\x23[error]x"),
        ("##vso[task.complete]", "#\\x23vso[task.complete]"),
        ("##VSO[a] ##[b]", "#\\x23VSO[a] #\\x23[b]"),
        ("##teamcity[a]", "#\\x23teamcity[a]"),
    ],
)
def test_what_a_ci_runner_would_obey_is_escaped(command: str, shown: str) -> None:
    assert printable(command) == shown


def test_what_becomes_one_line_begins_only_one() -> None:
    assert in_one_line("x\n::error::y") == "x\\n::error::y"


@given(TEXTS)
def test_of_any_text_nothing_is_left_that_steers_or_commands(text: str) -> None:
    for shown in (printable(text), in_one_line(text)):
        assert shown.replace("\n", "").isprintable()
        assert commands(shown) == []
        assert printable(shown) == shown
    assert "\n" not in in_one_line(text)
    assert printable(text).count("\n") == text.count("\n")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_hostile_text_is_all_there(text: str) -> None:
    assert unescaped(printable(text)) == unescaped(in_one_line(text)) == text


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_any_json_is_read_back_as_the_same_document(document: object) -> None:
    text = in_json(json.dumps(document, ensure_ascii=False, indent=2))

    assert json.loads(text) == document
    assert text.replace("\n", "").isprintable()
    assert commands(text) == []


@pytest.mark.parametrize("text", SURROGATES, ids=ascii)
def test_half_a_surrogate_pair_becomes_text_that_any_reader_of_json_takes(text: str) -> None:
    for document in ({text: [text]}, [f'"{text}\\']):
        shown = in_json(json.dumps(document, ensure_ascii=False))
        loaded = json.loads(shown)
        json.dumps(loaded, ensure_ascii=False).encode()
        assert json.dumps(loaded) == json.dumps(document).replace("\\u", "\\\\u")
