"""Pages as they come over the wire: packed, cut off, redirected, and far longer than they look."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
import tracemalloc
import zlib
from contextlib import aclosing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from tests.pipeline.doubles import A

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError, TransientError
from releasekit.pipeline.python.page_body import MAX_PAGE
from releasekit.pipeline.python.simple_api import SimpleApi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = f'<a href="base-1.0.tar.gz#sha256={A}">base-1.0.tar.gz</a>'.encode()
FILES = {"base-1.0.tar.gz": A}
MIB = 1 << 20


@contextmanager
def sending(
    body: bytes, encoding: str, status: int = 200, location: str = ""
) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Serve one body; give its address, and what was asked for with which credentials."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Encoding", encoding)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple/", asked
        finally:
            server.shutdown()
            serving.join()


def read(url: str) -> Mapping[str, str]:
    async def ask() -> Mapping[str, str]:
        async with aclosing(SimpleApi("odd", url)) as api:
            return await api.files("base")

    return asyncio.run(ask())


def refusal(body: bytes, encoding: str) -> StepError:
    with sending(body, encoding) as (url, _), pytest.raises(StepError) as caught:
        read(url)
    assert caught.value.code is E.INDEX_UNREADABLE
    return caught.value


def bomb(size: int, layers: int = 1) -> bytes:
    """Pack many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join([*(packer.compress(bytes(MIB)) for _ in range(size // MIB)), packer.flush()])
    return packed if layers == 1 else gzip.compress(packed)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (PAGE, ""),
        (PAGE, "identity"),
        (gzip.compress(PAGE), "gzip"),
        (gzip.compress(PAGE), "X-GZIP"),
        (gzip.compress(PAGE + b" " * 40 * MIB), "gzip"),
    ],
    ids=["plain", "identity", "gzip", "capitals", "long"],
)
def test_a_page_is_unpacked(body: bytes, encoding: str) -> None:
    with sending(body, encoding) as (url, _):
        assert read(url) == FILES


@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate", "br", "gzip, identity", "zstd"])
def test_a_page_that_is_packed_in_another_way_is_refused_unread(encoding: str) -> None:
    error = refusal(bomb(256 * MIB, 2), encoding)

    assert f"packed by '{encoding}'" in error.message
    assert not isinstance(error, TransientError)


def test_a_page_that_unpacks_to_more_than_a_page_may_have_is_refused_within_its_size() -> None:
    body = bomb(1024 * MIB)
    assert len(body) < 2 * MIB
    tracemalloc.start()
    try:
        error = refusal(body, "gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert "more than 64 MiB" in error.message
    assert peak < 2 * MAX_PAGE  # it grows by copying


@pytest.mark.parametrize("body", [PAGE, gzip.compress(PAGE)[:-9], b""], ids=["no gzip", "cut off", "nothing"])
def test_a_page_that_can_not_be_unpacked_may_be_whole_the_next_time(body: bytes) -> None:
    assert isinstance(refusal(body, "gzip"), TransientError)


def test_unpacking_leaves_others_their_turn() -> None:
    """A page of 60 MiB, of which a few kilobytes arrive at once."""
    latest = 0.0

    async def watch() -> None:
        nonlocal latest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            latest = max(latest, time.perf_counter() - began)

    async def ask(url: str) -> None:
        watching = asyncio.create_task(watch())
        async with aclosing(SimpleApi("odd", url)) as api:
            with pytest.raises(TransientError, match="none of an index"):
                await api.files("base")
        watching.cancel()

    with sending(bomb(60 * MIB), "gzip") as (url, _):
        asyncio.run(ask(url))

    assert latest < 1  # a few milliseconds on a quiet machine


def test_the_body_of_a_redirection_is_not_read() -> None:
    with sending(PAGE, "") as (there, _), sending(bomb(256 * MIB, 2), "gzip, gzip", 302, f"{there}base/") as (url, _):
        tracemalloc.start()
        try:
            assert read(url) == FILES
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak < MAX_PAGE


@pytest.mark.parametrize("where", ["in the address", "in variables"])
def test_credentials_follow_a_redirection_but_not_to_another_server(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = "user:canary-12@" if where == "in the address" else ""
    if not user:
        monkeypatch.setenv("UV_INDEX_ODD_USERNAME", "user")
        monkeypatch.setenv("UV_INDEX_ODD_PASSWORD", "canary-12")
    with sending(PAGE, "") as (there, asked), sending(b"", "", 302, f"{there}base/") as (url, first):
        assert read(url.replace("://", f"://{user}")) == FILES
    with sending(b"", "", 302, "/elsewhere/") as (url, same), pytest.raises(StepError, match="redirections"):
        read(url.replace("://", f"://{user}"))

    assert [bool(authorization) for _, authorization in first + asked] == [True, False]
    assert {authorization for _, authorization in same} == {first[0][1]}
    assert {path for path, _ in same} == {"/simple/base/", "/elsewhere/"}


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/simple/base/", "more than 10 redirections"),
        ("http://127.0.0.1:99999/", "port must be 0-65535"),
        ("file:///etc/passwd", "unsupported protocol"),
        ("http://[", "odd could not be asked"),
    ],
)
def test_a_redirection_that_leads_nowhere_is_an_error(location: str, said: str) -> None:
    with sending(b"", "", 302, location) as (url, asked), pytest.raises(StepError, match=said) as caught:
        read(url)

    assert caught.value.code is E.INDEX_UNREADABLE
    assert len(asked) <= 10


def test_a_page_takes_no_longer_than_it_may_however_long_reading_it_would_take() -> None:
    async def ask(url: str) -> None:
        async with aclosing(SimpleApi("odd", url, timeout=1)) as api:
            with pytest.raises(TransientError, match="did not answer within 1 s"):
                await api.files("base")

    began = time.monotonic()
    with sending(b"<title>links for x</title>" + b"<a href=x><b>" * 2 * MIB, "") as (url, _):
        asyncio.run(ask(url))  # this waits for the threads too

    assert time.monotonic() - began < 10
