"""A page written down as one HTML file, which needs nothing but a browser.

Every text goes through `escape.printable` and the template's escaping, whichever place of the template it stands in:
no expression can forget it. Should markup get through all the same, the page's own policy forbids it: no script but
the one whose hash it names runs, and nothing is ever fetched.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from releasekit.diagrams.markup import FAINT, INK
from releasekit.escape import printable
from releasekit.palette import DARK_PAPER, LIGHT_PAPER, PALETTE

if TYPE_CHECKING:
    from jinja2 import Template

    from releasekit.report.graph import Picture
    from releasekit.report.model import Page

END: Final = 10
"""Characters at the end of a name that are always shown: those of a workspace begin alike."""

CHUNK: Final = 25
"""Packages that a browser lays out together, when they come into sight: one by one takes longer than a frame."""

_HERE: Final = Path(__file__).parent


def write_html(page: Page, picture: Picture, drawn: str = "") -> bytes:
    """Write a page down.

    Args:
        page: What it shows.
        picture: The graph.
        drawn: When the graph was drawn, if that was earlier.
    """
    return _template().render(page=page, picture=picture, drawn=drawn).encode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("releasekit", "report"),
        autoescape=True,
        finalize=_harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.filters["with_its_end"] = _with_its_end
    environment.globals |= {
        "palette": PALETTE,
        "chunk": CHUNK,
        "papers": (LIGHT_PAPER, DARK_PAPER),
        "ink": INK,
        "faint": FAINT,
        "style": Markup((_HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704  # our own
        "script": Markup(script),  # noqa: S704  # our own
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'",
        "version": version("releasekit"),
    }
    return environment.get_template("template.html.j2")


def _harmless(value: Any) -> Any:  # noqa: ANN401  # whatever a template can show
    """Escape what could change the order of the text around it; what the template made itself stays."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    # Most are harmless as they are, and there are a hundred thousand.
    return value if value.isprintable() and "::" not in value and "##" not in value else printable(value)


def _with_its_end(name: str) -> Markup:
    """Split a name into what may be cut off and what may not; as text it stays the same."""
    text = str(_harmless(name))
    return Markup("<span>{}</span>{}").format(text[:-END], text[-END:])
