"""A flat directory of files as an index: the embedded default, without server or account.

Installers read it with ``--find-links``. A file appears whole, at once, durably, and never over another.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from releasekit.errors import E
from releasekit.persistence import atomic
from releasekit.pipeline.index import belongs
from releasekit.pipeline.outcome import ConflictError, StepError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class DirectoryIndex:
    """Publishes into a directory, which is made when the first file is sent.

    Args:
        name: How the user names it.
        directory: Where the files are.
    """

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory

    async def files(self, package: str, version: str) -> Mapping[str, str]:
        """See `Index.files`."""
        return await asyncio.to_thread(self._files, package, version)

    async def upload(self, paths: Sequence[Path]) -> None:
        """See `Index.upload`."""
        await asyncio.to_thread(self._upload, paths)

    def _files(self, package: str, version: str) -> Mapping[str, str]:
        try:
            found = [path for path in self.directory.iterdir() if belongs(path.name, package, version)]
            return {path.name: sha256(path) for path in sorted(found)}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StepError(E.INDEX_UNREADABLE, f"the directory {self.directory} can't be read: {error}") from error

    def _upload(self, paths: Sequence[Path]) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            for path in paths:
                target = self.directory / path.name
                atomic.remove_leftovers(target)
                try:
                    atomic.copy_new(path, target)
                except FileExistsError:
                    ours, theirs = sha256(path), sha256(target)
                    if ours != theirs:
                        raise ConflictError(path.name, ours, theirs, self.name) from None
        except OSError as error:
            raise StepError(
                E.PUBLISH_FAILED,
                f"a file could not be copied into {self.directory}: {error}",
                "mend the directory (space? permissions? hard links?) and run the same command again",
            ) from error


def sha256(path: Path) -> str:
    """Hash a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
