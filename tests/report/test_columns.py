from __future__ import annotations

import pytest
from rich.cells import cell_len

from releasekit.palette import PALETTE
from releasekit.report.columns import cells, columns, fit, shrunk, total

WIDE = ("包裹", "core", "\uff46\uff55\uff4c\uff4c", "e\u0301", "한글-x", "")


def test_columns_align_in_cells_and_not_in_characters() -> None:
    lines = [*columns([(text, "|") for text in WIDE])]

    assert {cell_len(line[: line.index("|")]) for line in lines} == {8 + 2}


@pytest.mark.parametrize("text", [*WIDE, "a" * 30, "包" * 30])
@pytest.mark.parametrize("width", [0, 1, 2, 3, 9, 40])
def test_a_text_is_fitted_to_the_cell(text: str, width: int) -> None:
    fitted = fit(text, width)

    assert cells(fitted) == cell_len(fitted) == width
    assert ("…" in fitted) == (cell_len(text) > width > 0)


@pytest.mark.parametrize("text", [*WIDE, "a" * 30, "包" * 30, "包a" * 15, "e\u0301" * 30])
@pytest.mark.parametrize("width", [0, 1, 2, 3, 4, 5, 9, 10, 40])
def test_a_text_that_is_cut_in_the_middle_fits_too_and_keeps_both_ends(text: str, width: int) -> None:
    fitted = fit(text, width, middle=True)

    assert cells(fitted) == cell_len(fitted) == width
    assert ("…" in fitted) == (cell_len(text) > width > 0)
    head, _, tail = fitted.partition("…")
    assert text.startswith(head.rstrip())
    assert text.endswith(tail.strip())
    if cell_len(text) > width > 4:
        assert head.strip()
        assert tail.strip()


def test_names_that_begin_and_are_long_alike_stay_apart_when_they_are_cut() -> None:
    assert fit("org-platform-service-0105", 20, middle=True) == "org-platfo…vice-0105"


def test_columns_give_in_order_and_no_more_than_is_needed() -> None:
    least = [(2, 4), (0, 3), (2, 0)]

    assert shrunk([10, 5, 20], 39, least) == [10, 5, 20]
    assert shrunk([10, 5, 20], 30, least) == [10, 5, 11]
    assert shrunk([10, 5, 20], 20, least) == [7, 5, 4]
    assert total(shrunk([10, 5, 20], 12, least)) <= 12
    assert shrunk([10, 5, 20], 1, least) == [3, 5, 0]
    assert shrunk([2, 5, 1], 1, least) == [2, 5, 0]
    assert shrunk([10, 5, 20], 30, least, whole={2}) == [10, 5, 4]


@pytest.mark.parametrize("glyph", [look.glyph for look in PALETTE.values()])
def test_a_glyph_takes_one_cell_as_its_palette_promises(glyph: str) -> None:
    assert cells(glyph) == cell_len(glyph) == 1
