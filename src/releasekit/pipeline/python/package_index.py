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

import contextlib
import glob
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.outcome import StepError, TransientError
from releasekit.pipeline.python.names import belongs, is_whole, release_of
from releasekit.pipeline.python.simple_api import SimpleApi
from releasekit.pipeline.python.uv_verdict import failure_of
from releasekit.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

PYPI: Final = "pypi"
"""The name of the index that uv publishes to by default."""

FRESH: Final = 5.0
"""Seconds after which uv asks again what is there, before it sends a file: another may have sent it meanwhile."""

RECENT: Final = FRESH / 2
"""Seconds after which we do: the rest of `FRESH` is for the file to wait until it is sent."""

_NOWHERE: Final = ".releasekit-nothing"  # never made
_ENVIRON: Final = {
    # Variables by which uv would publish to another index than the one that was asked for.
    "UV_PUBLISH_INDEX": None,
    "UV_PUBLISH_URL": None,
    "UV_PUBLISH_CHECK_URL": None,
    # Those by which it would look the index's name up in other files than ours.
    **process.ELSEWHERE,
    "UV_CONFIG_FILE": None,
    # And the one by which it would look it up in none.
    "UV_NO_CONFIG": None,
    # It would try again at once, without asking the index what came of the first try, nor how long to wait.
    "UV_HTTP_RETRIES": "0",
    # What an index answers, with its Retry-After; uv has no other way to tell.
    "RUST_LOG": "uv_publish=trace",
}


class PackageIndex:
    """Publishes with `uv publish`.

    Args:
        name: The index of the workspace it is, or `PYPI`.
        workspace: The directory of the file that declares it.
        url: Its simple repository API; empty means that of PyPI.
        publish_url: Where uv uploads to.
    """

    def __init__(self, name: str, workspace: Path, *, url: str = "", publish_url: str = "") -> None:
        self.name = name
        self.workspace = workspace
        self.url = url
        self.publish_url = publish_url
        self.identity = f"{name} at {_told_apart(url)}, {_told_apart(publish_url)}" if url else name
        self.directory: Path | None = None
        self._api = SimpleApi(name, url)
        self._shown: dict[str, _Shown] = {}  # by package, whose name is normalized
        self._sent: set[str] = set()  # packages of which something was, likewise

    async def files(self, package: str, version: str, expected: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002  # its pages show the sha256
        """See `Index.files`."""
        asked = time.monotonic()
        shown = await self._api.files(package)
        mine = {filename: digest for filename, digest in shown.items() if belongs(filename, package, version)}
        for filename, digest in mine.items():
            if not digest:
                message = f"{self.name} shows {filename} without a sha256, so it can't be verified"
                raise StepError(E.INDEX_UNREADABLE, message, "publish to an index that shows sha256 digests")
        self._shown[canonicalize_name(package)] = _Shown(asked, version, mine)
        return mine

    def just_shown(self, package: str, version: str) -> Mapping[str, str] | None:
        """See `Remembers.just_shown`."""
        name = canonicalize_name(package)
        shown = self._shown.get(name)
        if not shown or name in self._sent or shown.version != version:
            return None
        return shown.files if shown.asked >= time.monotonic() - RECENT else None

    async def filenames(self, package: str) -> Collection[str]:
        """See `Index.filenames`."""
        return await self._api.files(package)

    async def upload(self, package: str, version: str, paths: Sequence[Path], timeout: float) -> None:  # noqa: ARG002, ASYNC109  # see `process.run`
        """See `Index.upload`."""
        await self.upload_together(paths, timeout)

    async def upload_together(self, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109  # see `process.run`
        """See `TakesCompany.upload_together`."""
        target, environ = self._target(path.name for path in paths)
        for package in _packages_of(path.name for path in paths):
            self._shown.pop(package, None)
            self._sent.add(package)
        given = [glob.escape(str(path)) for path in paths]  # uv takes patterns
        command = [process.find_uv(), "publish", *target, "--", *given]
        try:
            await process.run(command, cwd=self.workspace, environ={**_ENVIRON, **environ}, timeout=timeout)
        except process.CommandTimeoutError as error:
            message = f"uv publish to {self.name} did not end within {timeout:g} s:\n{error.shown}"
            hint = "check the network, or allow for more with --upload-timeout; the same command goes on"
            raise TransientError(E.PUBLISH_TIMEOUT, message, hint) from error
        except process.CommandError as error:
            raise failure_of(error, self.name, {path.name for path in paths}) from error

    def is_whole(self, filenames: Collection[str], package: str, version: str) -> bool:
        """See `Index.is_whole`."""
        return is_whole(filenames, package, version)

    async def aclose(self) -> None:
        """See `Index.aclose`."""
        await self._api.aclose()

    def _target(self, filenames: Iterable[str]) -> tuple[Sequence[str], Mapping[str, str]]:
        """Tell uv where to: options and variables.

        Given the index's name, uv asks for its page before each file. If we have just done that for all files of the
        package at once, it gets the address, by a variable since there may be a password in it, unless it needs the
        name to find credentials by. And it is told to look where nothing is, or it would look where a `check-url` of
        its settings says, and leave out what is there.
        """
        if not self.url:  # without its configuration files uv publishes to PyPI, which is where we look for it
            return ["--no-config"], {}
        by_address = self.publish_url and (_has_credentials(os.environ) or _has_password(self.publish_url))
        if by_address and self._just_asked(filenames):
            nowhere = (self.workspace.absolute() / _NOWHERE).as_uri()
            return [], {"UV_PUBLISH_URL": self.publish_url, "UV_PUBLISH_CHECK_URL": nowhere}
        return ["--index", self.name], {}

    def _just_asked(self, filenames: Iterable[str]) -> bool:
        since = time.monotonic() - FRESH
        shown = map(self._shown.get, _packages_of(filenames))
        return all(each and each.asked >= since for each in shown)


class _Shown(NamedTuple):
    """What the page of a package had of a version.

    Attributes:
        asked: When it was asked for, by the monotonic clock.
        version: The version.
        files: File name → sha256.
    """

    asked: float
    version: str
    files: Mapping[str, str]


def _packages_of(filenames: Iterable[str]) -> Collection[str]:
    """Name the packages of some files; an empty name stands for those whose files are not called so."""
    return {release.name if release else "" for release in map(release_of, filenames)}


def _has_credentials(environ: Mapping[str, str]) -> bool:
    token, user, password = (environ.get(f"UV_PUBLISH_{part}") for part in ("TOKEN", "USERNAME", "PASSWORD"))
    return bool(token or (user and password))


def _has_password(url: str) -> bool:
    with contextlib.suppress(ValueError):  # uv will say what is wrong with it
        return bool(urlsplit(url).password)
    return False


def _told_apart(url: str) -> str:
    """Write what tells an address from others, without secrets: also a value of its query may be a token."""
    address, _, query = redact(url).partition("?")
    keys = [part.partition("=")[0] for part in query.split("&") if "=" in part]
    return f"{address}?{'&'.join(keys)}" if keys else address
