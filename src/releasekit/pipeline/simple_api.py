"""Reading a package index: the pages of its simple repository API, in both formats (PEP 503 and PEP 691).

What the other side sends is not trusted: a page has a deadline and a largest size, and an answer that is no page of
an index is an error, not an empty page. An index that is busy or broken may get better: that is a `TransientError`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from netrc import NetrcParseError, netrc
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import unquote, urlsplit

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError, TransientError
from releasekit.redaction import netrc_of, redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from pypi_simple import ProjectPage

PAGE_TIMEOUT: Final = 60.0
"""Seconds that a page may take from the request to its last byte."""

MAX_PAGE: Final = 64 << 20
"""Bytes of a page that are read; the largest of PyPI has some 20 MiB."""

CONNECTIONS: Final = 16
"""Pages that are read at a time."""

BETTER_LATER: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""What a server refuses for now, besides its own errors (5xx)."""

_CONNECT_TIMEOUT: Final = 10.0  # seconds
_JSON: Final = "application/vnd.pypi.simple.v1+json"
_HTML: Final = ("application/vnd.pypi.simple.v1+html", "text/html")
_HEADERS: Final = {
    "Accept": f"{_JSON}, {_HTML[0]};q=0.2, {_HTML[1]};q=0.01",
    "Cache-Control": "no-cache",
    "User-Agent": "releasekit",
}
_INDEX_PAGE: Final = re.compile(rb"<a\s|pypi:repository-version|links for", re.IGNORECASE)
"""What a page of an index has, if only in its title. A login form or a proxy's excuse is none of a project's."""


class SimpleApi:
    """Reads the pages of one index.

    Args:
        name: How the user names the index, for messages and for uv's variables.
        url: The base address; empty means that of PyPI.
        timeout: Seconds that a page may take.
    """

    def __init__(self, name: str, url: str = "", *, timeout: float = PAGE_TIMEOUT) -> None:
        self.name = name
        self.url = url
        self.timeout = timeout
        self._client: httpx.AsyncClient | None = None
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def files(self, project: str) -> Mapping[str, str]:
        """Ask which files a project has, of all versions.

        Returns:
            File name → sha256 in hex, or an empty string where the index shows none; nothing for a project that
            the index does not have.

        Raises:
            TransientError: The index can't be reached, is busy, broken or slow (`E.INDEX_UNREADABLE`).
            StepError: It refuses, or answers with something else than a page of an index (`E.INDEX_UNREADABLE`).
        """
        async with self._turns:
            try:
                async with asyncio.timeout(self.timeout):
                    return await self._files(project)
            except TimeoutError:
                message = f"did not answer within {self.timeout:g} s"
                raise self._error(project, message, transient=True) from None

    async def aclose(self) -> None:
        """Close the connections. They are opened again when they are needed."""
        client, self._client = self._client, None
        if client:
            await client.aclose()

    async def _files(self, project: str) -> Mapping[str, str]:
        import httpx  # noqa: PLC0415  # slow, and needed only here

        self._client = client = self._client or self._connect()
        from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415  # slow

        url = f"{(self.url or PYPI_SIMPLE_ENDPOINT).rstrip('/')}/{project}/"
        try:
            async with client.stream("GET", url) as answer:
                if answer.status_code == HTTPStatus.NOT_FOUND:
                    return {}
                if not answer.is_success:
                    self._refuse(project, answer)
                body = await self._body(project, answer)
        except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.DecodingError) as error:
            raise self._error(project, f"{type(error).__name__}: {error}", transient=True) from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise self._error(project, f"{type(error).__name__}: {error}") from error
        page = await asyncio.to_thread(self._parse, project, answer.headers.get("Content-Type", ""), body)
        return {file.filename: file.digests.get("sha256", "") for file in page.packages}

    def _refuse(self, project: str, answer: httpx.Response) -> NoReturn:
        message = f"HTTP {answer.status_code} {answer.reason_phrase}"
        transient = answer.is_server_error or answer.status_code in BETTER_LATER
        raise self._error(
            project, message, transient=transient, retry_after=seconds_of(answer.headers.get("Retry-After", ""))
        )

    async def _body(self, project: str, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MAX_PAGE:
                raise self._error(project, f"its page has more than {MAX_PAGE >> 20} MiB")
        return bytes(body)

    def _parse(self, project: str, content_type: str, body: bytes) -> ProjectPage:
        from pypi_simple import ProjectPage, UnsupportedRepoVersionError  # noqa: PLC0415  # slow

        kind = content_type.partition(";")[0].strip().lower()
        try:
            if kind == _JSON:
                return ProjectPage.from_json_data(json.loads(body))
            if kind not in _HTML:
                raise self._error(project, f"the answer is {kind or 'of no type'}, no page of an index")
            if not _INDEX_PAGE.search(body):
                raise self._error(project, "the answer is an HTML page, but none of an index", transient=True)
            return ProjectPage.from_html(project, body)
        except (ValueError, RecursionError, UnsupportedRepoVersionError) as error:
            raise self._error(project, str(error)) from error

    def _error(self, project: str, message: str, *, transient: bool = False, retry_after: float = 0.0) -> StepError:
        text = f"{self.name} could not be asked for {project!r}: {redact(message)}"
        if transient:
            hint = "check the network, then run the same command again"
            return TransientError(E.INDEX_UNREADABLE, text, hint, retry_after=retry_after)
        return StepError(E.INDEX_UNREADABLE, text, "check the index's url, and the credentials for reading it")

    def _connect(self) -> httpx.AsyncClient:
        import httpx  # noqa: PLC0415  # slow, and needed only here

        return httpx.AsyncClient(
            auth=self._auth(),
            follow_redirects=True,
            headers=_HEADERS,
            limits=httpx.Limits(max_connections=CONNECTIONS),
            timeout=httpx.Timeout(self.timeout, connect=_CONNECT_TIMEOUT),
        )

    def _auth(self) -> httpx.Auth | None:
        """Find the credentials for reading: uv's variables, else those in the address, else a netrc file's."""
        import httpx  # noqa: PLC0415  # slow, and needed only here

        variable = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', self.name.upper())}"
        user, password = (os.environ.get(f"{variable}_{part}", "") for part in ("USERNAME", "PASSWORD"))
        if user or password:
            return httpx.BasicAuth(user, password)
        from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415  # slow

        file = netrc_of(os.environ)
        try:
            address = urlsplit(self.url or PYPI_SIMPLE_ENDPOINT)
            if address.password is not None or not file:
                return None  # httpx takes those in the address
            # By its path: Python refuses the file at home if others may read it, and uv does not.
            login, _, password = netrc(str(file)).authenticators(address.hostname or "") or ("", "", "")
        except (OSError, NetrcParseError, ValueError):
            return None
        theirs = address.username is None or unquote(address.username) == login
        return httpx.BasicAuth(login, password) if login and password and theirs else None


def seconds_of(retry_after: str) -> float:
    """Read a Retry-After header, seconds or a date (RFC 9110, 10.2.3).

    Returns:
        How many seconds to wait; 0 for none, a time that is past, or nonsense.
    """
    if retry_after.strip().isascii() and retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
