"""Where packages are published: what every kind of index can do. Which one the user means is the ecosystem's affair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path


class Naming(Protocol):
    """How an ecosystem names the files of its releases."""

    def belongs(self, filename: str, package: str, version: str) -> bool:
        """Tell whether a file is one of a version of a package, by its name."""

    def is_whole(self, filenames: Collection[str], package: str, version: str) -> bool:
        """Tell whether files are a release of a version of a package: all that one must have, and nothing else."""


class Index(Protocol):
    """A place that files are published to and can be read back from.

    Attributes:
        name: How the user names it, for messages.
        identity: Its name and whatever else tells it from others, without secrets: what a run is bound to.
    """

    name: str
    identity: str

    @property
    def directory(self) -> Path | None:
        """Where its files are, if they are on this machine."""

    async def files(self, package: str, version: str, expected: Mapping[str, str]) -> Mapping[str, str]:
        """Ask what is there of one version of a package.

        Args:
            package: Its name.
            version: The version.
            expected: What was built of it, file name → sha256 in hex; nothing if nothing was yet. An index that shows
                other digests than sha256 compares these files with them.

        Returns:
            File name → sha256 in hex; nothing for a package or a version that is not there. An empty string for a file
            of which nothing is expected, where the index shows another digest and the file would have to be read.

        Raises:
            StepError: The index could not be read.
        """

    async def filenames(self, package: str) -> Collection[str]:
        """Ask for the names of all files of a package, of any version; there may be others among them.

        Raises:
            StepError: The index could not be read.
        """

    async def upload(self, package: str, version: str, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109  # not by cancelling
        """Send files of a version of a package, none of which was there when it was last asked, within so many seconds.

        Raises:
            StepError: Not all of them were accepted.
        """

    def is_whole(self, filenames: Collection[str], package: str, version: str) -> bool:
        """Tell whether files are a release as this index takes it: see `Naming.is_whole`."""

    async def aclose(self) -> None:
        """Give back what it holds, connections perhaps."""


@runtime_checkable
class Remembers(Protocol):
    """An index that knows what it was asked a moment ago."""

    def just_shown(self, package: str, version: str) -> Mapping[str, str] | None:
        """Give the answer of `Index.files` again.

        None if that is too long ago, or if something of the package was sent: an upload that seemed to fail may have
        arrived, and show a little later.
        """
