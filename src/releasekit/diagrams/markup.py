"""What the pictures share: text made harmless, fonts and colours, and edges that say nothing new left out.

Names, versions and errors come from anywhere, so they are never put into a picture as they are. Nodes are
called ``n0``, ``n1``, …: no name is ever an identifier.
"""

from __future__ import annotations

import html
import re
import textwrap
from typing import TYPE_CHECKING, Any, Final, TypeVar

import graphviz

from releasekit.requirements import requirements_first

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

N = TypeVar("N", bound="Hashable")

INK: Final = "#212529"
FAINT: Final = "#6c757d"
PAPER: Final = "#ffffff"
"""The background is drawn, so that a picture can be read on a dark page too."""

_FONT: Final = "Helvetica,Arial,sans-serif"
_WORD_JOINER: Final = "\u2060"
_TO_PART: Final = re.compile(r"(?<=\\)|(?<=#)(?=#)")
_MARKDOWN: Final = re.compile(r"(?:[-+*]|\d+[.)]|#{1,6})(?: |$)|>|[-=_*]+$")
_ELLIPSIS: Final = "…"
_TOOLTIP_LENGTH: Final = 500


GRAPH: Final = {
    "bgcolor": PAPER,
    "fontname": _FONT,
    "fontsize": "11",
    "fontcolor": INK,
    "labelloc": "b",
    "nodesep": "0.3",
    "pad": "0.3",
    "rankdir": "LR",
}
NODE: Final = {
    "fontname": _FONT,
    "fontsize": "13",
    "margin": "0.12,0.06",
    "penwidth": "1.4",
    "shape": "box",
    "style": "rounded,filled",
}
EDGE: Final = {
    "arrowsize": "0.75",
    "color": INK,
    "fontcolor": INK,
    "fontname": _FONT,
    "fontsize": "11",
    "penwidth": "1.3",
}
_TABLE: Final[dict[str, str | int]] = {"border": 0, "cellborder": 0, "cellspacing": 0, "cellpadding": 3}


def picture(name: str, **attributes: str) -> Any:  # noqa: ANN401  # graphviz is untyped
    """Start a picture: a `graphviz.Digraph` in the style of them all."""
    return graphviz.Digraph(name, graph_attr=GRAPH | attributes, node_attr=NODE, edge_attr=EDGE)


def plain(text: str) -> str:
    """Put a text on one line: white space becomes a blank, what can't be printed the replacement character."""
    printable = (c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return " ".join("".join(printable).split())


def shorten(text: str, length: int) -> str:
    """Make a plain text no longer than `length` characters."""
    text = plain(text)
    return text if len(text) <= length else text[: length - 1] + _ELLIPSIS


def wrap(text: str, width: int, lines: int) -> list[str]:
    """Break a plain text into at most `lines` lines of at most `width` characters."""
    return textwrap.wrap(plain(text), width, max_lines=lines, placeholder=_ELLIPSIS)


def to_html(text: str) -> str:
    r"""Escape a plain text for an HTML-like label.

    Graphviz replaces ``\N``, ``\G`` and the like even there, and even if the backslash is an entity, so each
    backslash is followed by a word joiner, which takes no room. It also parts ``##``, which a CI runner that shows
    the DOT, or the SVG made of it, may take for a command: ``##[error]``.
    """
    return _TO_PART.sub(_WORD_JOINER, html.escape(text))


def tooltip(text: str) -> str:
    """Make any text a tooltip. Escaped, it can't be taken for an HTML-like one."""
    return to_html(shorten(text, _TOOLTIP_LENGTH))


def to_mermaid(text: str) -> str:
    """Escape a line of plain text for a quoted Mermaid label: all ASCII but the harmless as entity codes.

    Many a mermaid reads a label as Markdown all the same, and draws none that begins a list or a heading: such a line
    begins with a word joiner.
    """
    if _MARKDOWN.match(text):
        text = _WORD_JOINER + text
    return "".join(c if c.isalnum() or c in " ._-" or not c.isascii() else f"#{ord(c)};" for c in text)


def table(rows: Iterable[Iterable[str]], **attributes: str | int) -> str:
    """Make an HTML-like label of cells that are already markup."""
    start = " ".join(f'{name}="{value}"' for name, value in (_TABLE | attributes).items())
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<<table {start}>{body}</table>>"


def legend(cells: Iterable[str]) -> str:
    """Make a picture's label, which stands below it, of cells side by side."""
    row = list(cells)
    space = f'<td colspan="{len(row)}" height="12"></td>'
    return table([[space], row], cellpadding=5, cellspacing=6)


def cell(text: str, *, size: int = 0, colour: str = "", tag: str = "", **attributes: str) -> str:
    """Make a cell of one line of plain text.

    Args:
        text: The text, not yet escaped.
        size: Its size in points.
        colour: Its colour.
        tag: ``b`` or ``i``.
        attributes: The attributes of ``<td>``.
    """
    start = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<td{start}>{line(text, size=size, colour=colour, tag=tag)}</td>"


def line(text: str, *, size: int = 0, colour: str = "", tag: str = "") -> str:
    """Mark one line of plain text up; see `cell`."""
    # Graphviz refuses an empty text inside a tag.
    content = to_html(text) or " "
    if tag:
        content = f"<{tag}>{content}</{tag}>"
    font = (f' point-size="{size}"' if size else "") + (f' color="{colour}"' if colour else "")
    return f"<font{font}>{content}</font>" if font else content


def lines(marked_up: Iterable[str]) -> str:
    """Make an HTML-like label of lines, one below the other: as a table would, but many times as fast."""
    return f"<{'<br/>'.join(marked_up)}>"


def reduce(requirements: Mapping[N, Iterable[N]]) -> Iterator[tuple[N, N]]:
    """Leave out the edges that longer paths already tell: the transitive reduction.

    Args:
        requirements: Node → the nodes it requires; those that are no keys are ignored.

    Yields:
        (required, dependent), in the order of the keys; every edge, if there is a cycle.
    """
    known = {node: [r for r in dict.fromkeys(rs) if r in requirements] for node, rs in requirements.items()}
    order = [*requirements_first(known)]
    bit = {node: 1 << i for i, node in enumerate(order)}
    above: dict[N, int] = {}  # a set of nodes is one whole number: there may be thousands of nodes
    try:
        for node in order:
            above[node] = bit[node]
            for required in known[node]:
                above[node] |= above[required]
    except KeyError:  # in a circle one comes before what it requires
        yield from ((required, node) for node, requires in known.items() for required in requires)
        return
    for node, requires in known.items():
        for required in requires:
            if not any(above[other] & bit[required] for other in requires if other != required):
                yield required, node
