"""The pages of an index: of a project as JSON (PEP 691) or HTML (PEP 503), and two that no index should send."""

from __future__ import annotations

import json
from html import escape
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HUGE: Final = 100_000_000
_JSON: Final = "application/vnd.pypi.simple.v1+json"
_HTML: Final = "text/html; charset=utf-8"
_PIECE: Final = b" " * 100_000


def project_page(project: str, files: Mapping[str, str], form: str) -> tuple[str, bytes]:
    """Show a project's files, given as file name → sha256; give the content type and the page."""
    if form == "html":
        links = "".join(
            f'<a href="/files/{escape(name)}#sha256={sha256}">{escape(name)}</a><br>\n'
            for name, sha256 in files.items()
        )
        title = f"Links for {escape(project)}"
        page = (
            f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><h1>{title}</h1>\n{links}</body></html>"
        )
        return _HTML, page.encode()
    shown = [{"filename": name, "url": f"/files/{name}", "hashes": {"sha256": sha}} for name, sha in files.items()]
    return _JSON, json.dumps({"meta": {"api-version": "1.0"}, "name": project, "files": shown}).encode()


def error_page() -> tuple[str, bytes]:
    """Say in HTML what a proxy says while the index behind it is away, with the status of a good answer."""
    return _HTML, b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Back soon.</body></html>"


def huge_page(project: str, form: str) -> tuple[str, Iterable[bytes]]:
    """Show a project without files in 100 MB, most of it space; give the content type and the page in pieces."""
    content_type, page = project_page(project, {}, form)
    rest = HUGE - len(page)
    spaces = chain(repeat(_PIECE, rest // len(_PIECE)), [_PIECE[: rest % len(_PIECE)]])
    return content_type, chain(
        [page[:-1]], spaces, [page[-1:]]
    )  # before the last character of both there may be spaces
