"""A registry, read and written by npm itself, which finds the address, the credentials and the way there.

It shows sha512 of what it has, and sha1 to clients from before 2017. So a file that we still have is compared by that;
one that we don't have any more, or that is another, is downloaded, and its sha256 taken.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.build import digests_in
from releasekit.pipeline.npm import names
from releasekit.pipeline.npm.programs import failure_in, npm_json
from releasekit.pipeline.npm.verdict import NOT_THERE, publishing_failed, reading_failed
from releasekit.pipeline.outcome import StepError, TransientError
from releasekit.pipeline.sent import find_kept
from releasekit.redaction import redact
from releasekit.state import STATE_FILENAME

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from releasekit.pipeline.npm.settings import Settings

NPM: Final = "npm"
"""The name of the registry that npm uses."""

TIMEOUT: Final = 60.0
"""Seconds that an answer may take."""

_ALWAYS: Final = ("--fetch-retries=0", "--no-workspaces", "--no-dry-run", "--ignore-scripts", "--no-offline")
"""Whoever calls tries again, and asks first what came of the last time."""

_DIGESTS: Final = ("sha512", "sha384", "sha256")  # the strongest first


class Registry:
    """Publishes with `npm publish`, and asks with `npm view`.

    Args:
        root: The workspace: npm runs there, and reads its .npmrc.
        settings: Which registry each package belongs to.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self.name = NPM
        self.settings = settings
        addresses = sorted({redact(target.registry).rstrip("/") for target in settings.targets.values()})
        self.identity = f"{NPM} at {', '.join(addresses)}" if addresses else NPM
        self.directory: Path | None = None
        self._root = root
        self._turns = asyncio.Semaphore((os.cpu_count() or 1) + 1)  # each is a process of 0.3 s

    async def files(self, package: str, version: str, expected: Mapping[str, str]) -> Mapping[str, str]:
        """See `Index.files`."""
        fields = ("name", "version", "dist.integrity")
        shown = await self._view(package, f"{package}@{version}", *fields)
        if shown is None:
            return {}
        if not isinstance(shown, dict) or (shown.get("name"), shown.get("version")) != (package, version):
            message = f"{self.name} answers with something else than {package} {version}: {shown!r:.300}"
            raise StepError(E.INDEX_UNREADABLE, redact(message), "look at the registry that `npm config list` shows")
        filename = names.tarball_name(package, version)
        wanted = expected.get(filename)
        if wanted is None:
            return {filename: ""}
        if await asyncio.to_thread(self._is_kept, package, filename, expected, shown.get("dist.integrity")):
            return {filename: wanted}
        return {filename: await self._download(package, version)}

    async def filenames(self, package: str) -> Collection[str]:
        """See `Index.filenames`."""
        shown = await self._view(package, package, "versions")
        versions = [shown] if isinstance(shown, str) else shown if isinstance(shown, list) else []
        return [names.tarball_name(package, str(version)) for version in versions]

    async def upload(self, package: str, version: str, paths: Sequence[Path], timeout: float) -> None:  # noqa: ARG002, ASYNC109  # see `process.run`
        """See `Index.upload`. Access, tag and registry are those of the package's publishConfig and npm's settings."""
        for path in paths:
            try:
                await npm_json("publish", _ALWAYS, [str(path)], cwd=self._root, timeout=timeout)
            except process.CommandTimeoutError as error:
                message = f"npm publish of {path.name} did not end within {timeout:g} s:\n{error.shown}"
                hint = "check the network, or allow for more with --upload-timeout; the same command goes on"
                raise TransientError(E.PUBLISH_TIMEOUT, message, hint) from error
            except process.CommandError as error:
                raise publishing_failed(error, self.name, path.name) from error

    def is_whole(self, filenames: Collection[str], package: str, version: str) -> bool:
        """See `Index.is_whole`."""
        return names.is_whole(filenames, package, version)

    async def aclose(self) -> None:
        """See `Index.aclose`."""

    async def _view(self, package: str, what: str, *fields: str) -> Any:  # noqa: ANN401  # any JSON
        """Ask for fields of a package; None if it is not there."""
        return await self._ask("view", ["--prefer-online", *self._options(package)], [what, *fields])

    async def _download(self, package: str, version: str) -> str:
        """Download the file of a version, of which npm checks that it is what the registry says, and hash it."""
        what = f"{package}@{version}"
        with tempfile.TemporaryDirectory() as directory:
            to = f"--pack-destination={directory}"
            no_age = "--before=2999-01-01"  # no version is too young to be looked at
            await self._ask("pack", [to, no_age, *self._options(package)], [what])
            found = await asyncio.to_thread(digests_in, Path(directory))
        if len(found) == 1:
            return next(iter(found.values()))
        message = f"npm pack {what} gave {len(found)} files"
        raise StepError(E.INDEX_UNREADABLE, message, "look at the registry that `npm config list` shows")

    async def _ask(self, command: str, options: Sequence[str], words: Sequence[str]) -> Any:  # noqa: ANN401  # any JSON
        async with self._turns:
            try:
                return await npm_json(command, [*_ALWAYS, *options], words, cwd=self._root, timeout=TIMEOUT)
            except process.CommandTimeoutError as error:
                message = f"{self.name} did not answer within {TIMEOUT:g} s when asked for {words[0]}"
                hint = "check the network and the registry, then run the same command again"
                raise TransientError(E.INDEX_UNREADABLE, message, hint) from error
            except process.CommandError as error:
                if failure_in(error).code == NOT_THERE and command == "view":
                    return None
                raise reading_failed(error, self.name, words[0]) from error

    def _options(self, package: str) -> tuple[str, ...]:
        target = self.settings.targets.get(package)
        return target.arguments if target else ()

    def _is_kept(self, package: str, filename: str, expected: Mapping[str, str], integrity: object) -> bool:
        """Tell whether the file that we have is the one of which the registry shows a digest."""
        kept = find_kept(self._root / STATE_FILENAME, package, expected)
        return kept is not None and isinstance(integrity, str) and matches(kept / filename, integrity)


def matches(path: Path, integrity: str) -> bool:
    """Tell whether a file is what a registry says, by the strongest digest that it gives (Subresource Integrity).

    Returns:
        False also if it gives none that can be relied on.

    Raises:
        OSError: The file can't be read.
    """
    given = [part.partition("?")[0].partition("-")[::2] for part in integrity.split()]
    for algorithm in _DIGESTS:
        if digests := {digest for name, digest in given if name == algorithm}:
            with path.open("rb") as stream:
                ours = hashlib.file_digest(stream, algorithm).digest()
            return base64.b64encode(ours).decode() in digests
    return False
