"""A package index over HTTP: read by the simple repository API (PEP 503 and 691), written by `uv publish`.

Credentials come from the environment or a netrc file and go to nobody but the index: `uv` inherits the
environment and reads its own variables (UV_PUBLISH_TOKEN, …), and reading takes the UV_INDEX_NAME_USERNAME and
UV_INDEX_NAME_PASSWORD that uv documents for the index called name. None is ever an argument of a process.
"""

from __future__ import annotations

import asyncio
import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from releasekit.errors import E
from releasekit.logging import redact
from releasekit.pipeline import process
from releasekit.pipeline.index import belongs
from releasekit.pipeline.outcome import ConflictError, StepError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pypi_simple import PyPISimple

PYPI: Final = "pypi"
"""The name of the index that uv publishes to by default."""

TIMEOUT: Final = (10.0, 30.0)
"""Seconds to connect, and between two pieces of an answer."""

_FIRST_TEMPORARY_STATUS: Final = 500
_TEMPORARY_STATUS: Final = 429

_TEMPORARY: Final = re.compile(
    r"error sending request|error decoding response|operation timed out|connection (?:reset|closed|refused)"
    r"|status code (?:408|429|5\d\d)",
    re.IGNORECASE,
)
_MISMATCH: Final = re.compile(
    r"Local file and index file do not match for `?(?P<filename>[^`\s]+?)`?\. "
    r"Local: sha256=(?P<local>\w+), Remote: sha256=(?P<remote>\w+)"
)

_NOT_OURS: Final = dict.fromkeys(("UV_PUBLISH_INDEX", "UV_PUBLISH_URL", "UV_PUBLISH_CHECK_URL"))
"""Variables by which uv would publish to another index than the one that was asked for."""


class PackageIndex:
    """Publishes with `uv publish`.

    Args:
        name: The `[[tool.uv.index]]` it is, or `PYPI`.
        workspace: The directory of the pyproject.toml that says so.
        url: Its simple repository API; empty means that of PyPI.
    """

    def __init__(self, name: str, workspace: Path, *, url: str = "") -> None:
        self.name = name
        self.workspace = workspace
        self.url = url

    async def files(self, package: str, version: str) -> Mapping[str, str]:
        """See `Index.files`."""
        return await asyncio.to_thread(self._files, package, version)

    async def upload(self, paths: Sequence[Path]) -> None:
        """See `Index.upload`."""
        # Without its configuration files uv publishes to PyPI, which is where we look for it.
        target = ["--index", self.name] if self.url else ["--no-config"]
        command = [process.find_uv(), "publish", *target, "--", *map(str, paths)]
        try:
            await process.run(command, cwd=self.workspace, environ=_NOT_OURS)
        except process.CommandError as error:
            said = " ".join(error.output.split())  # uv wraps its lines
            if theirs := _MISMATCH.search(said):  # sent by another since the index was asked
                raise ConflictError(**theirs.groupdict(), index=self.name) from error
            message = f"uv publish to {self.name} failed:\n{error.output}"
            if _TEMPORARY.search(said):
                raise TransientError(E.PUBLISH_FAILED, message) from error
            hint = "credentials come from UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD"
            raise StepError(E.PUBLISH_FAILED, message, hint) from error

    def _files(self, package: str, version: str) -> Mapping[str, str]:
        from pypi_simple import NoSuchProjectError, UnsupportedRepoVersionError  # noqa: PLC0415  # slow

        try:
            page = self._client.get_project_page(package, timeout=TIMEOUT, headers={"Cache-Control": "no-cache"})
        except NoSuchProjectError:
            return {}
        except (OSError, ValueError, UnsupportedRepoVersionError) as error:  # OSError: also requests' own errors
            raise self._unreadable(package, error) from error
        shown = {file.filename: file.digests.get("sha256", "") for file in page.packages}
        mine = {filename: digest for filename, digest in shown.items() if belongs(filename, package, version)}
        for filename, digest in mine.items():
            if not digest:
                message = f"{self.name} shows {filename} without a sha256, so it can't be verified"
                raise StepError(E.INDEX_UNREADABLE, message, "publish to an index that shows sha256 digests")
        return mine

    def _unreadable(self, package: str, error: Exception) -> StepError:
        message = f"{self.name} could not be asked for {package!r}: {redact(str(error))}"
        status: int | None = getattr(getattr(error, "response", None), "status_code", None)
        lasting = status is not None and status != _TEMPORARY_STATUS and status < _FIRST_TEMPORARY_STATUS
        if lasting or not isinstance(error, OSError):  # requests' own errors are OSErrors
            hint = "check the index's url, and the credentials for reading it"
            return StepError(E.INDEX_UNREADABLE, message, hint)
        return TransientError(E.INDEX_UNREADABLE, message, "check the network, then run the same command again")

    @cached_property
    def _client(self) -> PyPISimple:
        from pypi_simple import PyPISimple  # noqa: PLC0415  # slow

        endpoint: dict[str, Any] = {"endpoint": self.url} if self.url else {}
        variable = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', self.name.upper())}"
        user, password = (os.environ.get(f"{variable}_{part}", "") for part in ("USERNAME", "PASSWORD"))
        return PyPISimple(**endpoint, auth=(user, password) if user or password else None)
