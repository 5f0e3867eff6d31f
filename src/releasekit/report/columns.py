"""Text in columns, measured in the cells of a terminal: a Chinese character takes two, a combining one none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from releasekit.palette import PALETTE

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

GAP: Final = "  "
"""What stands between two columns."""

_ELLIPSIS: Final = "…"
_NARROW: Final = str.maketrans(dict.fromkeys((_ELLIPSIS, *(look.glyph for look in PALETTE.values())), "x"))


def cells(text: str) -> int:
    """Tell how many cells a text takes, which must have nothing in it that steers a terminal."""
    if text.isascii() or text.translate(_NARROW).isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415  # slow to import, and seldom needed

    return cell_len(text)


def fit(text: str, width: int, *, middle: bool = False) -> str:
    """Make a text exactly so many cells wide: padded with blanks, or cut, which an ellipsis tells.

    Args:
        text: The text.
        width: How many cells.
        middle: Cut it in the middle: where many begin alike, the ends tell them apart.
    """
    length = cells(text)
    if length <= width:
        return text + " " * (width - length)
    if width <= 0:
        return ""
    end = _end(text, (width - 1) // 2) if middle else ""
    head = width - len(_ELLIPSIS) - cells(end)
    if text.translate(_NARROW).isascii():
        return text[:head] + _ELLIPSIS + end
    from rich.cells import set_cell_size  # noqa: PLC0415  # likewise

    return set_cell_size(text, head) + _ELLIPSIS + end


def _end(text: str, width: int) -> str:
    """Take as much of a text's end as fits into so many cells, but nothing that would combine with what is before."""
    end = text[-width:] if width else ""
    while end and (cells(end) > width or not cells(end[0])):
        end = end[1:]
    return end


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align rows of text in columns, two spaces apart."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield line(row, widths)


def line(row: Sequence[str], widths: Sequence[int], middle: Container[int] = ()) -> str:
    """Write one row in columns of some widths; a column without width is left out.

    Args:
        row: What stands in the columns.
        widths: How wide they are, in cells.
        middle: In which what is too long is cut in the middle.
    """
    fitted = (fit(row[at], width, middle=at in middle) for at, width in enumerate(widths) if width)
    return GAP.join(fitted).rstrip()


def total(widths: Sequence[int]) -> int:
    """Tell how wide a line of columns is."""
    shown = [width for width in widths if width]
    return sum(shown) + len(GAP) * max(0, len(shown) - 1)


def shrunk(
    widths: Sequence[int], width: int, least: Sequence[tuple[int, int]], whole: Container[int] = ()
) -> list[int]:
    """Make columns narrower until a line of them is at most so many cells wide, if that can be.

    Args:
        widths: What each column takes by itself.
        width: What there is.
        least: Which column gives, and what it keeps; in this order, as far as is needed.
        whole: Which columns give all that they may, if anything: half a number is worse than none.
    """
    given = list(widths)
    for column, kept in least:
        over = total(given) - width
        if over <= 0:
            break
        given[column] = max(min(given[column], kept), 0 if column in whole else given[column] - over)
    return given
