"""JSON, strictly."""

from __future__ import annotations

import json
import sys
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasekit.persistence import codec
from releasekit.persistence.codec import CodecError

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(json_values)
def test_what_is_encoded_decodes_to_itself(value: Any) -> None:  # noqa: ANN401  # any JSON
    data = codec.encode(value)
    assert codec.decode(data) == value
    assert data.endswith(b"\n")
    assert json.loads(data) == value


@given(st.binary(max_size=50))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    try:
        value = codec.decode(data)
    except CodecError:
        return
    assert json.loads(data) == value


def test_documents_are_indented_for_people_and_not_escaped() -> None:
    assert codec.encode({"a": ["é"], "b": {}}) == '{\n  "a": [\n    "é"\n  ],\n  "b": {}\n}\n'.encode()


@pytest.mark.parametrize(
    ("data", "place", "problem"),
    [
        pytest.param(b"", "line 1 column 1", "is not JSON", id="empty"),
        pytest.param(b'{\n "a": }', "line 2 column 7", "is not JSON", id="not-json"),
        pytest.param(b"{} {}", "line 1 column 4", "is not JSON", id="two-documents"),
        pytest.param(b"\xef\xbb\xbf{}", "line 1 column 1", "BOM", id="byte-order-mark"),
        pytest.param(b'"ab\xff"', "", "is not UTF-8 at byte 3", id="not-utf-8"),
        pytest.param(b'"\xc0\x80"', "", "is not UTF-8 at byte 1", id="overlong-utf-8"),
        pytest.param(rb'["\ud83d"]', "", "has half a surrogate pair", id="half-a-surrogate-pair"),
        pytest.param(rb'["\uDE00\uD83D"]', "", "has half a surrogate pair", id="surrogate-pair-the-wrong-way-round"),
        pytest.param(b"[" * 100_000, "", "is nested too deeply", id="deep"),
        pytest.param(b"[" + b"1" * 5000 + b"]", "", "has a number with too many digits", id="long-number"),
        pytest.param(b"NaN", "", "has NaN", id="nan"),
        pytest.param(b"[Infinity]", "", "has Infinity", id="infinity"),
        pytest.param(b"[-Infinity]", "", "has -Infinity", id="minus-infinity"),
        pytest.param(b"[1e400]", "", "has 1e400", id="beyond-all-numbers"),
        pytest.param(b"[-1e400]", "", "has -1e400", id="below-all-numbers"),
        pytest.param(b'{"a": 1, "b": 2, "a": 1}', "", "has the key 'a' twice", id="key-twice"),
        pytest.param(b'{"a": 1, "b": 2, "b": 1}', "", "has the key 'b' twice", id="last-key-twice"),
        pytest.param(rb'{"a": 1, "\u0061": 1}', "", "has the key 'a' twice", id="key-twice-escaped"),
        pytest.param(b'[{"x": {"a": 1, "a": 1}}]', "", "has the key 'a' twice", id="key-twice-inside"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(data: bytes, place: str, problem: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec.decode(data)
    assert caught.value.place == place
    assert problem in caught.value.problem
    assert not problem.startswith(("has", "is")) or caught.value.problem.startswith(problem)
    assert caught.value.args == (place, caught.value.problem)
    assert str(caught.value) == (f"{place}: {caught.value.problem}" if place else caught.value.problem)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        pytest.param(rb'"\ud83d\ude00"', "\N{GRINNING FACE}", id="surrogate-pair"),
        pytest.param(rb'"\\ud800"', r"\ud800", id="backslash-that-escapes-none"),
        pytest.param(b"1e308", 1e308, id="large-number"),
        pytest.param(b"-0.5", -0.5, id="fraction"),
        pytest.param(b" \r\n\t[] \n", [], id="white-space"),
        pytest.param(b'{"a": {"a": 1}}', {"a": {"a": 1}}, id="same-key-in-two-objects"),
    ],
)
def test_what_is_unusual_but_clear_is_read(data: bytes, value: object) -> None:
    assert codec.decode(data) == value


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    level: int
    names: list[str] = []


class Outer(msgspec.Struct):
    inner: dict[str, Inner]


@pytest.mark.parametrize(
    ("value", "place", "problem"),
    [
        pytest.param([], "", "expected `object`, got `array`", id="whole"),
        pytest.param({"inner": {"a": {"level": "1"}}}, "inner[...].level", "expected `int`, got `str`", id="string"),
        pytest.param({"inner": {"a": {"level": True}}}, "inner[...].level", "expected `int`, got `bool`", id="bool"),
        pytest.param({"inner": {"a": {"level": 1.0}}}, "inner[...].level", "expected `int`, got `float`", id="float"),
        pytest.param({"inner": {"a": {}}}, "inner[...]", "object misses the required field `level`", id="missing"),
        pytest.param({"inner": {"a": {"level": 1, "x": 1}}}, "inner[...]", "unknown field `x`", id="unknown"),
        pytest.param({"inner": {"a": {"level": 1, "names": ["", 5]}}}, "inner[...].names[1]", "got `int`", id="item"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(value: object, place: str, problem: str) -> None:
    with pytest.raises(CodecError) as caught:
        codec.convert(value, Outer)
    assert caught.value.place == place
    assert problem in caught.value.problem
    with pytest.raises(CodecError) as caught:
        codec.convert(value, Outer, "packages.core")
    assert caught.value.place == ".".join(filter(None, ("packages.core", place)))


def test_a_value_of_the_right_type_is_converted() -> None:
    assert codec.convert({"inner": {"a": {"level": 1}}}, Outer) == Outer({"a": Inner(1)})


def test_a_number_that_cant_even_be_printed_is_refused() -> None:
    one: Any = Literal[1]
    with pytest.raises(CodecError) as caught:
        codec.convert(10 ** (sys.get_int_max_str_digits() + 1), one, "level")
    assert (caught.value.place, caught.value.problem) == ("level", "has a number with too many digits")
