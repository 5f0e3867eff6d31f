"""What is checked of a value, and what is said of one that can't be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from releasekit.errors import E, ReleaseKitError
from releasekit.state import values
from releasekit.state.values import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable


def refusal(value: Any) -> str:  # noqa: ANN401  # any, that is the point
    with pytest.raises(ReleaseKitError) as caught:
        values.pack(value)
    assert caught.value.code is E.STATE_INVALID_VALUE
    return caught.value.message


def test_an_error_as_long_as_may_be_is_kept_whole_and_a_longer_one_is_cut_to_that() -> None:
    assert values.error("x" * MAX_TEXT) == "x" * MAX_TEXT

    cut = values.error("x" * (MAX_TEXT + 1))
    assert len(cut) == MAX_TEXT
    assert cut == "x" * (MAX_TEXT - len(" … [cut]")) + " … [cut]"


def test_half_a_surrogate_pair_in_an_error_is_written_out() -> None:
    assert values.error("a\ud800b") == "a\\ud800b"


def test_an_error_that_is_no_text_is_named() -> None:
    with pytest.raises(ReleaseKitError) as caught:
        values.error(7)  # type: ignore[arg-type]  # that is the point
    assert caught.value.code is E.STATE_INVALID_VALUE
    assert caught.value.message == "error must be a string, not int"


@pytest.mark.parametrize(
    ("artifacts", "message"),
    [
        ({7: "a" * 64}, "artifacts must be a string, not int"),
        ({"a": 7}, "artifacts must be a string, not int"),
        ({"a/b": "a" * 64}, "artifacts has 'a/b', which is no file name"),
        ({"a": "A" * 64}, f"artifacts has {'A' * 64!r} for 'a': not a sha256 of 64 lower-case hex digits"),
        ({"x" * 256: "a" * 64}, f"artifacts has {'x' * 256!r}, which is no file name"),
    ],
)
def test_an_artifact_that_can_not_be_stored_is_named(artifacts: object, message: str) -> None:
    assert refusal(artifacts) == message


MANY = ["x" * MAX_TEXT] * 17


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: values.name(""), "name is empty"),
        (lambda: values.name(7), "name must be a string, not int"),  # type: ignore[arg-type]  # that is the point
        (lambda: values.names("abc"), "requires must be a list of names, not the string 'abc'"),
        (lambda: values.names(7), "requires must be a list of names, not int"),  # type: ignore[arg-type]  # likewise
        (lambda: values.names([7]), "requires must be a string, not int"),  # type: ignore[list-item]  # likewise
        (lambda: values.names(MANY), f"requires have {17 * MAX_TEXT} characters together, more than {1 << 18}"),
        (lambda: values.mapping("packages", 7), "packages must be a mapping, not int"),  # type: ignore[arg-type]  # yes
        (lambda: values.count("level", True), "level must be a whole number, not bool"),
        (lambda: values.count("level", -1), f"level is out of range: from 0 to {2**31 - 1}"),
        (lambda: values.count("level", 2**31), f"level is out of range: from 0 to {2**31 - 1}"),
        (
            lambda: values.pack(dict.fromkeys(map(str, range(4000)), "a" * 64)),
            "artifacts take 146890 bytes packed, more",
        ),
    ],
)
def test_what_is_wrong_with_a_value_is_said(check: Callable[[], object], message: str) -> None:
    with pytest.raises(ReleaseKitError) as caught:
        check()
    assert caught.value.code is E.STATE_INVALID_VALUE
    assert caught.value.message.startswith(message)
    assert caught.value.hint == "see the docstring of PackageState"


def test_the_largest_values_are_kept() -> None:
    assert values.count("level", 2**31 - 1) == 2**31 - 1
    assert values.names(MANY[:16]) == tuple(MANY[:16])
