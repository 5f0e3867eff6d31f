"""Reading a package index: the pages of its simple repository API, in both formats (PEP 503 and PEP 691).

What the other side sends is not trusted: a page has a deadline and a largest size, and an answer that is no page of
an index is an error, not an empty page. An index that is busy or broken may get better: that is a `TransientError`.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from netrc import NetrcParseError, netrc
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import unquote, urlsplit

from releasekit.errors import E
from releasekit.imports import absent
from releasekit.pipeline.outcome import StepError, TransientError
from releasekit.pipeline.patience import AT_A_TIME
from releasekit.pipeline.python import simple_page
from releasekit.pipeline.python.page_body import BodyError, BrokenBodyError, read_body
from releasekit.redaction import netrc_of, redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

PAGE_TIMEOUT: Final = 60.0
"""Seconds that a page may take from the request to its last byte."""

CONNECTIONS: Final = AT_A_TIME
"""Pages that are read at a time, from a server that keeps its connections."""

FIRST_CONNECTIONS: Final = 4
"""Pages that are read at a time at first, and from a server that does not. Python's own takes one connection after the
other and lets five wait (`socketserver.TCPServer.request_queue_size`); who comes then is tried again by the kernel
after a whole second (RFC 6298, 2.1)."""

BETTER_LATER: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""What a server refuses for now, besides its own errors (5xx)."""

_CONNECT_TIMEOUT: Final = 10.0  # seconds
_KEPT: Final = 60.0  # seconds that a connection is kept for the next question
_REDIRECTS: Final = 10
_SMALL_PAGE: Final = 1 << 14  # bytes that are read in less time than another thread takes to begin
_HEADERS: Final = {
    "Accept": f"{simple_page.JSON}, {simple_page.HTML[0]};q=0.2, {simple_page.HTML[1]};q=0.01",
    "Accept-Encoding": "gzip",
    "Cache-Control": "no-cache",
    "User-Agent": "releasekit",
}
_CERTIFICATES: Final = re.compile(r"SSL_CERT_(?:FILE|DIR)")
_PROXIES: Final = re.compile(r"(?:https?|all|no)_proxy", re.IGNORECASE)


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
        self._turns = asyncio.Semaphore(FIRST_CONNECTIONS)
        self._more = CONNECTIONS - FIRST_CONNECTIONS

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
        with absent("httpx._main"):  # its command: rich and pygments take most of the time
            import httpx  # noqa: PLC0415  # slow, and needed only here

        self._client = client = self._client or self._connect(project)
        try:
            page = await self._get(project, client, f"{self._base().rstrip('/')}/{project}/")
            return await self._read(*page) if page else {}
        except StepError:
            raise
        except simple_page.NoIndexPageError:
            raise self._error(project, "the answer is an HTML page, but none of an index", transient=True) from None
        except (BodyError, simple_page.PageError) as error:
            raise self._error(project, str(error), transient=isinstance(error, BrokenBodyError)) from error
        except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
            raise self._error(project, _named(error), transient=True) from error
        except httpx.InvalidURL as error:
            # It quotes the part that it does not understand, and that may be half a password.
            quoted = "" if "@" in self.url else f": {error}"
            message = f"an address is none{quoted}; in a user or a password, write / as %2F"
            raise self._error(project, message) from error
        except Exception as error:  # the client's libraries raise more than they say, and this is no reason to crash
            raise self._error(project, _named(error)) from error

    async def _get(self, project: str, client: httpx.AsyncClient, url: str) -> tuple[str, bytes] | None:
        """Read a page: its type and its bytes. There is none for a project that the index does not have."""
        import httpx  # noqa: PLC0415  # slow, and needed only here

        request, auth = client.build_request("GET", url), client.auth
        for _ in range(_REDIRECTS):
            # One step at a time: the client would read the body of a redirection, however long it is.
            answer = await client.send(request, auth=auth, stream=True, follow_redirects=False)
            self._open_more(answer)
            try:
                if not answer.next_request:
                    if answer.status_code == HTTPStatus.NOT_FOUND:
                        return None
                    if not answer.is_success:
                        self._refuse(project, answer)
                    return answer.headers.get("Content-Type", ""), await read_body(answer)
            finally:
                await answer.aclose()
            # It has the credentials still if it goes to the same host and port, and must not get them elsewhere.
            request, auth = answer.next_request, httpx.Auth()
        raise self._error(project, f"more than {_REDIRECTS} redirections")

    def _open_more(self, answer: httpx.Response) -> None:
        """Ask one more at a time, since a connection was kept."""
        said = map(str.lower, answer.headers.get_list("Connection", split_commas=True))
        if answer.http_version != "HTTP/1.0" and "close" not in said and self._more:
            self._more -= 1
            self._turns.release()

    @staticmethod
    async def _read(content_type: str, body: bytes) -> Mapping[str, str]:
        over = threading.Event()
        if len(body) <= _SMALL_PAGE:
            return simple_page.files_of(content_type, body, over)
        try:
            return await asyncio.to_thread(simple_page.files_of, content_type, body, over)
        finally:
            over.set()  # or it would go on in its thread when nobody waits for it any more

    def _refuse(self, project: str, answer: httpx.Response) -> NoReturn:
        message = f"HTTP {answer.status_code} {answer.reason_phrase}"
        transient = answer.is_server_error or answer.status_code in BETTER_LATER
        raise self._error(
            project, message, transient=transient, retry_after=seconds_of(answer.headers.get("Retry-After", ""))
        )

    def _error(
        self, project: str, message: str, *, transient: bool = False, retry_after: float = 0.0, hint: str = ""
    ) -> StepError:
        text = f"{self.name} could not be asked for {project!r}: {redact(message)}"
        if transient:
            hint = "check the network, then run the same command again"
            return TransientError(E.INDEX_UNREADABLE, text, hint, retry_after=retry_after)
        hint = hint or "check the index's url, and the credentials for reading it"
        return StepError(E.INDEX_UNREADABLE, text, hint)

    def _base(self) -> str:
        if self.url:
            return self.url
        from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415  # slow

        return PYPI_SIMPLE_ENDPOINT

    def _connect(self, project: str) -> httpx.AsyncClient:
        import httpx  # noqa: PLC0415  # slow, and needed only here

        try:
            return httpx.AsyncClient(
                auth=self._auth(),
                headers=_HEADERS,
                # None at a time: those of questions that were given up may count for ever. `_turns` sees to it.
                limits=httpx.Limits(max_connections=None, keepalive_expiry=_KEPT),
                timeout=httpx.Timeout(self.timeout, connect=_CONNECT_TIMEOUT),
            )
        except Exception as error:  # whatever the settings of the environment lead to
            which = _CERTIFICATES if isinstance(error, OSError) else _PROXIES
            settings = [f"{name}={value}" for name, value in sorted(os.environ.items()) if which.fullmatch(name)]
            message = f"no connection can be made with {', '.join(settings) or 'its url'}: {_named(error)}"
            raise self._error(project, message, hint="mend or unset what is named there") from error

    def _auth(self) -> httpx.Auth | None:
        """Find the credentials for reading: uv's variables, else those in the address, else a netrc file's."""
        import httpx  # noqa: PLC0415  # slow, and needed only here

        variable = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', self.name.upper())}"
        user, password = (os.environ.get(f"{variable}_{part}", "") for part in ("USERNAME", "PASSWORD"))
        if user or password:
            return httpx.BasicAuth(user, password)
        file = netrc_of(os.environ)
        try:
            address = urlsplit(self._base())
            if address.password is not None or not file:
                return None  # httpx takes those in the address
            # By its path: Python refuses the file at home if others may read it, and uv does not.
            login, _, password = netrc(str(file)).authenticators(address.hostname or "") or ("", "", "")
        except (OSError, NetrcParseError, ValueError):
            return None
        theirs = address.username is None or unquote(address.username) == login
        return httpx.BasicAuth(login, password) if login and password and theirs else None


def _named(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(map(_named, error.exceptions))
    return f"{type(error).__name__}: {error}"


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
