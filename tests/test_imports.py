"""A library is imported as if something it can do without were not there."""

from __future__ import annotations

import sys

import pytest

from releasekit.imports import absent


def test_a_module_is_missing_as_long_as_it_is_absent() -> None:
    sys.modules.pop("colorsys", None)
    with absent("colorsys"), pytest.raises(ImportError):
        import colorsys  # noqa: PLC0415  # it is what is tested

    import colorsys  # noqa: PLC0415  # likewise

    assert sys.modules["colorsys"] is colorsys


def test_a_module_that_is_there_stays() -> None:
    import colorsys  # noqa: PLC0415  # it is what is tested

    with absent("colorsys"):
        assert sys.modules["colorsys"] is colorsys
    assert sys.modules["colorsys"] is colorsys


def test_a_module_is_back_after_an_error() -> None:
    sys.modules.pop("colorsys", None)
    with pytest.raises(ZeroDivisionError), absent("colorsys"):
        raise ZeroDivisionError
    assert "colorsys" not in sys.modules


def test_two_at_a_time_may_have_a_module_missing() -> None:
    sys.modules.pop("colorsys", None)
    with absent("colorsys"):
        del sys.modules["colorsys"]  # as another thread does that came first
    assert "colorsys" not in sys.modules
