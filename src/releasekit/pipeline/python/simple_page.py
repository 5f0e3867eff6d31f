"""The pages of the simple repository API, in both formats (PEP 503 and PEP 691): which files they show.

A page is whatever the other side sends. So it is read in a time in proportion to its length, whatever is in it, and
without a tree of it in memory: the libraries for HTML that we know take a square of it for tags that nobody closes, and
can't be told to stop. And it must look like a page of an index: a sign-in page is not one that shows no files.
"""

from __future__ import annotations

import re
from html import unescape
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from threading import Event

JSON: Final = "application/vnd.pypi.simple.v1+json"
HTML: Final = ("application/vnd.pypi.simple.v1+html", "text/html")

MAX_FILES: Final = 200_000
"""Files that a page may show; a page of 64 MiB could have millions of links, which take far more memory than it."""

_REPOSITORY_VERSION: Final = re.compile(r"1\.\d{1,9}")
_SHA256: Final = re.compile(r"(?:^|&)sha256=([^&]*)")
_DISTRIBUTIONS: Final = (".whl", ".tar.gz", ".zip")
_TITLE: Final = re.compile(r"\blinks for\b", re.IGNORECASE)

_MARKUP: Final = re.compile(rb"<(?:(/?[A-Za-z][^\s/>]*)|!--|[!?])")
_ATTRIBUTE: Final = re.compile(rb"""[\s/]*([^\s/>][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]*)))?""")
_WANTED: Final = {b"href", b"name", b"content"}
_RAW: Final = {
    name: re.compile(rb"</" + name + rb"(?=[\s/>])", re.IGNORECASE) for name in (b"script", b"style", b"title")
}
"""Elements in which nothing is markup, but for what ends them."""


class NoIndexPageError(Exception):
    """An HTML page that no index made: of a proxy, or a form to sign in."""


class PageError(Exception):
    """A page that can't be read."""


class _Cancelled(Exception):  # noqa: N818  # nobody is there to see it
    """The reader is not waited for any more."""


class _File(msgspec.Struct):
    filename: str
    hashes: dict[str, str]


class _Meta(msgspec.Struct, rename="kebab"):
    api_version: str


class _Project(msgspec.Struct):
    meta: _Meta
    files: list[_File]


class _Tag(NamedTuple):
    """A tag, or a comment.

    Attributes:
        name: In small letters, with a slash before it if it ends an element; empty for a comment.
        attributes: Those that are wanted, by name.
        text: What stands between it and the next tag.
    """

    name: bytes
    attributes: Mapping[bytes, str]
    text: bytes


def files_of(content_type: str, body: bytes, over: Event) -> dict[str, str]:
    """Read which files a page shows.

    Args:
        content_type: What the answer says that it is.
        body: The page.
        over: When it is set, reading HTML ends soon with an error that is for nobody. (JSON is read within a second.)

    Returns:
        File name → sha256 in small letters, or an empty string where the page shows none.

    Raises:
        NoIndexPageError: It is HTML, but no page of an index.
        PageError: It is of another type, of a newer version, malformed, shows more than `MAX_FILES` files, or one
            name with two digests.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == JSON:
            return _unambiguous(_of_json(body))
        if kind in HTML:
            return _unambiguous(_of_html(body, over))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise PageError(str(error)) from error
    raise PageError(f"the answer is {kind or 'of no type'}, no page of an index")


def _unambiguous(shown: Iterable[tuple[str, str]]) -> dict[str, str]:
    files: dict[str, str] = {}
    for filename, given in shown:
        digest = given.lower()
        if files.setdefault(filename, digest) != digest:
            raise PageError(f"its page shows {filename:.200} twice, with different digests")
    return files


def _of_json(body: bytes) -> Iterable[tuple[str, str]]:
    page = msgspec.json.decode(body, type=_Project)
    _check(page.meta.api_version)
    return ((file.filename, file.hashes.get("sha256", "")) for file in page.files)


def _of_html(body: bytes, over: Event) -> Iterable[tuple[str, str]]:
    shown: list[tuple[str, str]] = []
    is_index = False
    are_files = True  # all that is linked
    href: str | None = None
    text: list[bytes] = []  # of the link that is open
    for tag in chain(_tags(body, over), [_Tag(b"/a", {}, b"")]):
        if href is not None and tag.name in {b"a", b"/a"}:  # a link that nobody closes ends where the next one begins
            filename, sha256 = _linked(href)
            shown.append((filename, sha256))
            are_files = are_files and unescape(_decode(b"".join(text))).strip() == filename
            href = None
            if len(shown) > MAX_FILES:
                raise PageError(f"its page has more than {MAX_FILES} links")
        if tag.name == b"a":
            href, text = tag.attributes.get(b"href"), []
        elif tag.name == b"title":
            is_index = is_index or bool(_TITLE.search(_decode(tag.text)))
        elif tag.name == b"meta" and tag.attributes.get(b"name") == "pypi:repository-version":
            _check(tag.attributes.get(b"content", ""))
            is_index = True
        if href is not None and tag.text:
            text.append(tag.text)
    if is_index or (are_files and any(filename.endswith(_DISTRIBUTIONS) for filename, _ in shown)):
        return shown
    raise NoIndexPageError


def _linked(href: str) -> tuple[str, str]:
    """Give the name of the file that an address leads to, and the sha256 in its fragment."""
    address, _, fragment = href.partition("#")
    digest = _SHA256.search(fragment)
    return unquote(address.partition("?")[0].rpartition("/")[2]), digest[1] if digest else ""


def _check(version: str) -> None:
    if not _REPOSITORY_VERSION.fullmatch(version):
        raise PageError(f"its page is of version {version!r:.40} of the simple repository API, and only 1 can be read")


def _tags(page: bytes, over: Event) -> Iterator[_Tag]:
    """Find the tags and comments of a page, each from where the last one ends: no part is read often."""
    found = _MARKUP.search(page)
    while found:
        name = (found[1] or b"").lower()
        attributes, place = _attributes(page, found.end(), over) if name else ({}, found.start())
        # The two dashes that begin a comment may be those that end it.
        last = b"-->" if page.startswith(b"<!--", found.start()) else b">"
        place = page.find(last, place + 2 * (not name))
        if place < 0:
            return  # it is never closed
        place += len(last)
        raw = _RAW.get(name)
        end = raw.search(page, place) if raw else None
        found = _MARKUP.search(page, end.start() if end else place) if end or not raw else None
        yield _Tag(name, attributes, page[place : found.start() if found else len(page)])


def _attributes(page: bytes, place: int, over: Event) -> tuple[Mapping[bytes, str], int]:
    """Read those of a tag; give the wanted ones, and where they end."""
    attributes: dict[bytes, str] = {}
    while not over.is_set():
        attribute = _ATTRIBUTE.match(page, place)
        if not attribute:
            return attributes, place
        place = attribute.end()
        name, *values = attribute.groups()
        if name.lower() in _WANTED:
            attributes.setdefault(name.lower(), unescape(_decode(next(filter(None, values), b""))))
    raise _Cancelled


def _decode(text: bytes) -> str:
    return text.decode(errors="replace")
