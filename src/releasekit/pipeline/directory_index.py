"""A flat directory of files as an index: the embedded default, without server or account.

Installers read it with ``--find-links``. A file appears whole, at once, durably, and never over another.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from releasekit.errors import E
from releasekit.persistence import atomic
from releasekit.pipeline.outcome import FileConflictError, StepError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from releasekit.pipeline.index import Naming


class DirectoryIndex:
    """Publishes into a directory, which is made when the first file is sent.

    Args:
        name: How the user names it.
        directory: Where the files are.
        owner: What tells this workspace from others that publish to the same directory, at the same time perhaps:
            each removes only its own leftovers.
        naming: How its files are called.
        look_only: Leave even these.
    """

    def __init__(self, name: str, directory: Path, owner: str, naming: Naming, *, look_only: bool = False) -> None:
        self.name = self.identity = name
        self.directory = directory
        self.is_whole = naming.is_whole
        self._belongs = naming.belongs
        self._scratch = f".releasekit-{owner}-"
        self._used = look_only
        self._taking_over = Lock()

    async def files(self, package: str, version: str, expected: Mapping[str, str]) -> Mapping[str, str]:  # noqa: ARG002  # its files can be read
        """See `Index.files`."""
        return await asyncio.to_thread(self._files, package, version)

    async def filenames(self, package: str) -> Collection[str]:  # noqa: ARG002  # all that are there will do
        """See `Index.filenames`."""
        return await asyncio.to_thread(self._filenames)

    async def upload(self, package: str, version: str, paths: Sequence[Path], timeout: float) -> None:  # noqa: ARG002, ASYNC109  # as the protocol has it
        """See `Index.upload`. A copy that takes too long goes on by itself: a system call can't be stopped."""
        try:
            async with asyncio.timeout(timeout):
                await asyncio.to_thread(self._upload, paths)
        except TimeoutError:
            message = f"copying into {self.directory} did not end within {timeout:g} s"
            raise StepError(E.PUBLISH_TIMEOUT, message, "mend the disk; the same command goes on") from None

    async def aclose(self) -> None:
        """See `Index.aclose`."""

    def _files(self, package: str, version: str) -> Mapping[str, str]:
        try:
            self._take_over(make=False)
            found = [path for path in self.directory.iterdir() if self._belongs(path.name, package, version)]
            return {path.name: sha256(path) for path in sorted(found)}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unreadable(error) from error

    def _filenames(self) -> list[str]:
        try:
            return [path.name for path in self.directory.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> StepError:
        return StepError(E.INDEX_UNREADABLE, f"the directory {self.directory} can't be read: {error}")

    def _take_over(self, *, make: bool) -> None:
        """Finish what a killed process left: remove its temporary files, make the names durable that it gave.

        Once, before the first file is written: later there are temporary files of ours at work, and a directory that
        is gone may be a volume that was unmounted, in whose place none must be made.
        """
        with self._taking_over:
            if self._used:
                return
            if make:
                self.directory.mkdir(parents=True, exist_ok=True)
            for leftover in self.directory.glob(f"{self._scratch}*.tmp"):
                leftover.unlink(missing_ok=True)
            atomic.flush_directory(self.directory)
            self._used = True

    def _upload(self, paths: Sequence[Path]) -> None:
        try:
            self._take_over(make=True)
            for path in paths:
                target = self.directory / path.name
                try:
                    atomic.copy_new(path, target, self.directory / f"{self._scratch}{path.name}.tmp")
                except FileExistsError:
                    ours, theirs = sha256(path), sha256(target)
                    if ours != theirs:
                        raise FileConflictError(path.name, ours, theirs, self.name) from None
        except OSError as error:
            raise StepError(
                E.PUBLISH_FAILED,
                f"a file could not be copied into {self.directory}: {error}",
                "mend the directory (space? permissions? hard links?) and run the same command again",
            ) from error


def sha256(path: Path) -> str:
    """Hash a file's content, in hex.

    Raises:
        OSError: It can't be read, or is no regular file: a pipe would keep us waiting.
    """
    if not path.is_file():
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find_directory(name: str, root: Path, naming: Naming, *, look_only: bool = False) -> DirectoryIndex | None:
    """Find the directory that a user named as an index; None if that is the name of none.

    Args:
        name: A path with a slash, or a directory that is there, so that a mistyped name does not become one.
        root: The workspace.
        naming: How the files in it are called.
        look_only: Leave everything there as it is, also what a killed process has left.
    """
    given = os.path.expanduser(name)  # noqa: PTH111  # Path's raises for ~nobody
    directory = Path.cwd() / given
    if not given or given.startswith("~") or not (os.sep in given or given in {".", ".."} or directory.is_dir()):
        return None
    directory, root = directory.resolve(), root.resolve()
    inside = directory.is_relative_to(root)
    owner = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    shown = f"./{directory.relative_to(root)}" if inside else str(directory)
    return DirectoryIndex(shown, directory, owner, naming, look_only=look_only)
