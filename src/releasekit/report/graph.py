"""The graph of a run as SVG that can stand inside a page.

Graphviz writes a whole file, whose ids would clash with the page's, and whatever a name was made into. So the picture
is made again from an explicit list of elements and attributes: no script, no link, no style, no id comes through. Its
colours are the palette's; the page's style sheet exchanges them on a dark page.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup

from releasekit import diagrams
from releasekit.diagrams import render
from releasekit.errors import ReleaseKitError
from releasekit.report import words

if TYPE_CHECKING:
    from releasekit.state import RunState

_ELEMENTS: Final = frozenset({"svg", "g", "path", "polygon", "polyline", "ellipse", "text"})
_ATTRIBUTES: Final = frozenset(
    {"viewBox", "width", "height", "transform", "d", "points", "x", "y", "cx", "cy", "rx", "ry", "fill", "stroke"}
    | {"stroke-width", "stroke-dasharray", "text-anchor", "font-family", "font-size", "font-weight", "font-style"}
)
_TOOLTIP: Final = "{http://www.w3.org/1999/xlink}title"
_TITLE_ID: Final = "graph-title"


class Picture(NamedTuple):
    """The graph, or why there is none.

    Attributes:
        svg: The SVG element; empty if there is none.
        problem: Why there is none; empty if there is one.
        hint: How to get one.
        dot: What it was made from.
        seconds: How long that took.
    """

    svg: Markup
    problem: str
    hint: str
    dot: str
    seconds: float


def draw_graph(state: RunState) -> Picture:
    """Draw the graph of a run; where that can't be, say why."""
    dot = diagrams.run_dot(words.in_order(state))
    begun = time.perf_counter()
    try:
        picture = inline(render.svg(dot), f"The graph of {len(state)} packages: what each requires")
    except ReleaseKitError as error:
        return Picture(Markup(), error.message, error.hint, dot, time.perf_counter() - begun)
    except ET.ParseError as error:
        return Picture(Markup(), f"Graphviz drew no SVG: {error}", "", dot, time.perf_counter() - begun)
    return Picture(picture, "", "", dot, time.perf_counter() - begun)


def inline(picture: bytes, title: str) -> Markup:
    """Make an SVG file of Graphviz an element of a page, with a title for those who can't see it.

    Args:
        picture: The file.
        title: What it shows.
    """
    root = _copied(ET.fromstring(picture))  # noqa: S314  # of our own Graphviz, which was given no entity
    root.set("role", "img")
    root.set("aria-labelledby", _TITLE_ID)
    told = ET.Element("title", {"id": _TITLE_ID})
    told.text = title
    root.insert(0, told)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  # made of what is listed above only


def _copied(element: ET.Element) -> ET.Element:
    tag = _local(element.tag)
    copy = ET.Element(tag if tag in _ELEMENTS else "g")
    copy.attrib.update({name: value for name, value in element.attrib.items() if name in _ATTRIBUTES})
    if tooltip := element.get(_TOOLTIP):
        title = ET.SubElement(copy, "title")
        title.text = tooltip
    if tag == "text":
        copy.text = element.text
    # Graphviz's own titles are ids; tooltips take their place.
    copy.extend(_copied(child) for child in element if _local(child.tag) in _ELEMENTS | {"a"})
    return copy


def _local(tag: object) -> str:
    """Tell an element's name without its name space; a comment has none."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
