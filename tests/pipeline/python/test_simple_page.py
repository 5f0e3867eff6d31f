"""What counts as a page of an index, which files it shows, and how long that takes to tell."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from tests.pipeline.doubles import A, B

from releasekit.pipeline.python import simple_page
from releasekit.pipeline.python.simple_page import JSON, NoIndexPageError, PageError, files_of

SDIST = "base-1.0.tar.gz"
WHEEL = "base-1.0-py3-none-any.whl"
LINK = f'<a href="/files/{SDIST}#sha256={A}">{SDIST}</a>'
MIB = 1 << 20


def shown(page: str | bytes, content_type: str = "text/html; charset=utf-8") -> dict[str, str]:
    return files_of(content_type, page if isinstance(page, bytes) else page.encode(), threading.Event())


PAGES = {
    "as pypiserver": f"""
        <!DOCTYPE html><html><head><title>Links for base</title></head><body><h1>Links for base</h1>
        <a href="/packages/{SDIST}#sha256={A}">{SDIST}</a><br></body></html>""",
    "as PyPI": f"""<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.4">
        <title>Links for base</title></head><body><h1>Links for base</h1>
        <a href="https://127.0.0.1/ab/{SDIST}#sha256={A}" data-requires-python="&gt;=3.11" >{SDIST}</a><br />
        </body></html><!--SERIAL 1-->""",
    "as devpi": f"""<html><head><title>root/dev: links for base</title></head><body>
        <form action="refresh"><input type="submit" value="Refresh"/></form>
        <a href="../../+f/ab/{SDIST}#sha256={A}">{SDIST}</a><br/></body></html>""",
    "as Artifactory": f"""<!DOCTYPE html><html><head><title>Simple Index</title><meta name="api-version" value="2" />
        </head><body>
        <a data-requires-python="" href="../../base/1.0/{SDIST}#sha256={A}" rel="internal" >{SDIST}</a><br/>
        </body></html>""",
    "as GitLab": f"""<!DOCTYPE html><html><head><title>Links for base</title></head><body><h1>Links for base</h1>
        <a href="https://127.0.0.1/api/v4/projects/1/packages/pypi/files/ab/{SDIST}#sha256={A}"
        data-requires-python="">{SDIST}</a><br></body></html>""",
    "links alone": f"<a href='{SDIST}?x=1#sha256={A}'> {SDIST}\n</a>",
    "an escaped name": f"<A\nHREF = base%2D1.0.tar.gz#egg=base&amp;sha256={A.upper()}><b>base-</b><!--x-->1.0&#46;tar"
    ".gz",
    "markup in a comment and a script": f"<!-- <a href=x>y</a> --><script>'<a href=x>'</script ><!-->{LINK}<!--x",
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_pages_of_known_indexes_are_read(page: str) -> None:
    assert shown(page) == {SDIST: A}


@pytest.mark.parametrize(
    "page",
    [
        "<title>Links for base</title>",
        '<meta content="1.0" name="pypi:repository-version">',
        f"<TITLE>x links For y{LINK}",
    ],
)
def test_a_page_of_an_index_may_show_nothing(page: str) -> None:
    assert shown(page) == {}


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html><body>Back soon.</body></html>",
        '<html><title>Sign in</title><p>links for all</p><a href="/login">Sign in</a></html>',
        '<a href="/login">login</a>',
        f'{LINK}<a href="/help">Help</a>',
        f"<!-- <title>Links for base</title> {LINK} --><p>Sign in",
        f"<script>{LINK}</script>",
        f"<a href='/files/{SDIST}'>Download</a>",
        "<html><a href=x>b</a><![foo[ x>",
    ],
)
def test_another_page_is_none_of_an_index(page: str) -> None:
    with pytest.raises(NoIndexPageError):
        shown(page)


def as_json(*files: tuple[str, str], version: str = "1.0") -> bytes:
    listed = [{"filename": name, "url": "x", "hashes": {"sha256": sha256}} for name, sha256 in files]
    return json.dumps({"meta": {"api-version": version}, "name": "base", "files": listed}).encode()


def test_a_digest_in_capitals_is_the_same_digest() -> None:
    assert shown(as_json((SDIST, A.upper())), JSON) == {SDIST: A}
    assert shown(LINK.replace(A, A.upper())) == {SDIST: A}


@pytest.mark.parametrize("minor", ["1.0", "1.4", "1.99"])
@pytest.mark.filterwarnings("error")
def test_a_newer_minor_version_is_read_without_a_word(minor: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert shown(as_json((SDIST, A), version=minor), JSON) == {SDIST: A}
    assert shown(f'<meta name="pypi:repository-version" content="{minor}">{LINK}') == {SDIST: A}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("version", ["2.0", "1", "", "one", "1.0\n"])
def test_another_major_version_is_not(version: str) -> None:
    with pytest.raises(PageError, match="only 1 can be read"):
        shown(as_json(version=version), JSON)
    with pytest.raises(PageError, match="only 1 can be read"):
        shown(f'<meta name="pypi:repository-version" content="{version}">')


def test_one_name_with_two_digests_is_refused_and_twice_the_same_is_not() -> None:
    for page, kind in ((as_json((SDIST, A), (SDIST, B)), JSON), ((LINK + LINK.replace(A, B)).encode(), "text/html")):
        with pytest.raises(PageError, match=f"shows {SDIST} twice, with different digests"):
            shown(page, kind)
    assert shown(LINK + LINK.replace(A, A.upper())) == {SDIST: A}


def test_a_page_of_too_many_links_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simple_page, "MAX_FILES", 3)
    assert shown(LINK * 3) == {SDIST: A}
    with pytest.raises(PageError, match="more than 3 links"):
        shown(LINK * 4)


HOSTILE = [
    *("<a href=x>", "<!--", "<!x ", "<a x='", '<a x="', "</a ", "<script>", "<title>", "<", "<i><b>", "<a x y=z "),
    *("<a ", "<a =", "<a href=&#", "<a        ", "&amp", "<a x='y\"", "/", "href ", " ", "<![x["),
]


@pytest.mark.parametrize("before", ["", "<a href=x>", "<a href='", "<a "])
@pytest.mark.parametrize("unit", HOSTILE)
def test_a_long_page_takes_time_in_proportion(unit: str, before: str) -> None:
    page = (before + unit * (MIB // 2 // len(unit))).encode()
    began = time.process_time()
    with suppress(NoIndexPageError, PageError):
        shown(page)
    assert time.process_time() - began < 10  # a second on a quiet machine; quadratic time would be an hour


@pytest.mark.parametrize("page", [b"<b>" * MIB, b"<a " + b"q " * MIB], ids=["tags", "attributes"])
def test_reading_ends_soon_when_nobody_waits_for_it(page: bytes) -> None:
    over = threading.Event()
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(files_of, "text/html", page, over)
        time.sleep(0.05)
        assert reading.running()
        over.set()
        with pytest.raises(simple_page._Cancelled):
            reading.result(1)


@pytest.mark.parametrize(
    "page",
    [
        b"{",
        b"[]",
        b"\xff",
        b"[" * MIB,
        b'{"x":' + b"[" * MIB,
        b'{"meta":{"api-version":1.0},"files":[]}',
        b'{"meta":{"api-version":"1.0"},"files":[{"filename":3,"hashes":{}}]}',
        b'{"meta":{"api-version":"1.0"},"files":[{"filename":"x","hashes":{"sha256":null}}]}',
    ],
    ids=range(8),
)
def test_malformed_json_is_an_error(page: bytes) -> None:
    with pytest.raises(PageError):
        shown(page, JSON)


def test_a_file_without_a_sha256_has_an_empty_one() -> None:
    page = b'{"meta":{"api-version":"1.0"},"files":[{"filename":"x","hashes":{"md5":"1"},"yanked":false}]}'
    assert shown(page, JSON) == {"x": ""}
    assert shown(f"<a href='x/{WHEEL}'>{WHEEL}</a>") == {WHEEL: ""}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json"])
def test_another_type_is_no_page(content_type: str) -> None:
    with pytest.raises(PageError, match="no page of an index"):
        shown(LINK, content_type)
