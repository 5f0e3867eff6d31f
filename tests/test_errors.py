"""The codes and the one exception that carries them."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

from releasekit.errors import E, ReleaseKitError, listed


@pytest.mark.parametrize("code", E)
def test_a_code_is_its_name_as_people_type_it(code: E) -> None:
    assert code.value == "RK-" + code.name.replace("_", "-")
    assert re.fullmatch(r"RK(-[A-Z]+)+", code)


def test_no_code_has_two_names() -> None:
    assert list(E.__members__.values()) == list(E)


def test_an_error_shows_what_happened_the_code_and_what_to_do_next() -> None:
    error = ReleaseKitError(E.STATE_LOCKED, "it is locked", "wait")
    assert (error.code, error.message, error.hint) == (E.STATE_LOCKED, "it is locked", "wait")
    assert str(error) == "RK-STATE-LOCKED: it is locked\n  hint: wait"


def test_an_error_without_a_hint_shows_none() -> None:
    assert str(ReleaseKitError(E.STATE_LOCKED, "it is locked")) == "RK-STATE-LOCKED: it is locked"


@pytest.mark.parametrize("clone", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])  # noqa: S301  # our own
def test_an_error_crosses_processes_with_its_facts(clone: Any) -> None:  # noqa: ANN401  # three functions
    error = ReleaseKitError(E.STATE_LOCKED, "it is locked", "wait")
    read = clone(error)
    assert (type(read), vars(read), str(read)) == (ReleaseKitError, vars(error), str(error))


def test_a_list_of_names_is_cut_and_says_how_many_are_left_out() -> None:
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c"], 3) == "a, b, c"
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert listed([*"abcdefghij"]) == "a, b, c, d, e, f, g, h and 2 more"
    assert listed([]) == ""
