"""A package index over HTTP: read by the simple repository API, written by `uv publish`.

Credentials go to nobody but the index, and none is ever an argument of a process. `uv` inherits the environment and
finds them by itself; reading looks where uv looks. In this order:

- to publish: UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD; else the user part of the
  publish-url, of which uv sends the password as it is written, percent-encoding and all; else what is for reading, if
  the publish-url is on the same host and port. uv refuses a password that is in both of the first two.
- to read: for the index called name, UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD; else the user part of its url;
  else the netrc file, which NETRC names or which is ~/.netrc, and in which the url may choose the user.

uv has a keyring and its own store besides. It publishes with these, but they are not read here: an index that wants
credentials for reading needs one of the ways above.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.index import belongs
from releasekit.pipeline.outcome import ConflictError, StepError, TransientError
from releasekit.pipeline.simple_api import BETTER_LATER, SimpleApi, seconds_of
from releasekit.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PYPI: Final = "pypi"
"""The name of the index that uv publishes to by default."""

_FIRST_SERVER_ERROR: Final = 500
_UNAUTHORIZED: Final = {401, 403}
_STATUS: Final = re.compile(r"(?:status code |HTTP status (?:client|server) error \()(\d{3})\b")  # sending, asking
_EXISTS: Final = re.compile(r"already exists", re.IGNORECASE)
_NETWORK: Final = re.compile(
    r"error sending request|error decoding response|timed out|connection (?:reset|closed|refused)"
    r"|dns error|failed to lookup",
    re.IGNORECASE,
)
_RETRY_AFTER: Final = re.compile(r'"retry-after": "([^"]*)"', re.IGNORECASE)
_ERROR_BEGINS: Final = re.compile(r"^error: ", re.MULTILINE)
_MISMATCH: Final = re.compile(
    r"Local file and index file do not match for `?(?P<filename>[^`\s]+?)`?\. "
    r"Local: sha256=(?P<local>\w+), Remote: sha256=(?P<remote>\w+)"
)

_ENVIRON: Final = {
    # Variables by which uv would publish to another index than the one that was asked for.
    "UV_PUBLISH_INDEX": None,
    "UV_PUBLISH_URL": None,
    "UV_PUBLISH_CHECK_URL": None,
    # It would try again at once, without asking the index what came of the first try, nor how long to wait.
    "UV_HTTP_RETRIES": "0",
    # What an index answers, with its Retry-After; uv has no other way to tell.
    "RUST_LOG": "uv_publish=trace",
}


class PackageIndex:
    """Publishes with `uv publish`.

    Args:
        name: The `[[tool.uv.index]]` it is, or `PYPI`.
        workspace: The directory of the pyproject.toml that says so.
        url: Its simple repository API; empty means that of PyPI.
        publish_url: Where uv uploads to; only for the record.
    """

    def __init__(self, name: str, workspace: Path, *, url: str = "", publish_url: str = "") -> None:
        self.name = name
        self.workspace = workspace
        self.url = url
        self.identity = f"{name} at {redact(url)}, {redact(publish_url)}" if url else name
        self.directory: Path | None = None
        self._api = SimpleApi(name, url)

    async def files(self, package: str, version: str) -> Mapping[str, str]:
        """See `Index.files`."""
        shown = await self._api.files(package)
        mine = {filename: digest for filename, digest in shown.items() if belongs(filename, package, version)}
        for filename, digest in mine.items():
            if not digest:
                message = f"{self.name} shows {filename} without a sha256, so it can't be verified"
                raise StepError(E.INDEX_UNREADABLE, message, "publish to an index that shows sha256 digests")
        return mine

    async def upload(self, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109  # see `process.run`
        """See `Index.upload`."""
        # Without its configuration files uv publishes to PyPI, which is where we look for it.
        target = ["--index", self.name] if self.url else ["--no-config"]
        command = [process.find_uv(), "publish", *target, "--", *map(str, paths)]
        try:
            await process.run(command, cwd=self.workspace, environ=_ENVIRON, timeout=timeout)
        except process.CommandTimeoutError as error:
            message = f"uv publish to {self.name} did not end within {timeout:g} s:\n{error.output}"
            hint = "check the network, or allow for more with --upload-timeout; the same command goes on"
            raise TransientError(E.PUBLISH_TIMEOUT, message, hint) from error
        except process.CommandError as error:
            raise self._failure(error.output) from error

    async def aclose(self) -> None:
        """See `Index.aclose`."""
        await self._api.aclose()

    def _failure(self, output: str) -> StepError:
        """Tell by stable signs what kind of failure it was: a digest, a status code, a word of the network's."""
        # The last one is uv's own verdict: what a server says is indented in it, and what is before it is traces
        # of the same, or that uv tried trusted publishing first, which it does when it is given no credentials.
        *_, begins = (0, *(found.start() for found in _ERROR_BEGINS.finditer(output)))
        told = output[begins:]
        said = " ".join(told.split())  # a cause may have several lines
        if theirs := _MISMATCH.search(said):  # sent by another since the index was asked
            return ConflictError(**theirs.groupdict(), index=self.name)
        message = f"uv publish to {self.name} failed:\n{told}"
        found = _STATUS.search(said)
        status = int(found[1]) if found else 0
        asked = _RETRY_AFTER.findall(output)
        # A file that is there and not shown yet: what it is, ours or another's, will be seen.
        lags = bool(found and _EXISTS.search(said))
        busy = status in BETTER_LATER or status >= _FIRST_SERVER_ERROR
        if lags or busy or (not found and _NETWORK.search(said)):
            retry_after = seconds_of(asked[-1]) if asked else 0.0
            hint = "check the network and the index, then run the same command again"
            return TransientError(E.PUBLISH_FAILED, message, hint, retry_after=retry_after)
        hint = "credentials come from UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD"
        if found and status not in _UNAUTHORIZED:
            hint = "mend what the index complains of, then run the same command again"
        return StepError(E.PUBLISH_FAILED, message, hint)
