"""Build one package's files and keep them: what is kept here is what is sent, now and after any crash.

The built files live in ``.releasekit-dist/PACKAGE/``. They arrive there whole: a build writes into a `scratch`
directory beside it, which takes the final name once its files are complete and on the device.

Files that were built elsewhere and given to the run lie in ``PACKAGE.given`` beside it: see `wheels`. They are taken
as they are, and only what is missing is built.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from releasekit.errors import E
from releasekit.persistence import atomic
from releasekit.pipeline.built import Built
from releasekit.pipeline.directory_index import sha256
from releasekit.pipeline.ecosystem import Build
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.scratch import new_scratch
from releasekit.pipeline.threads import to_its_end
from releasekit.state.beside import DIST_DIRECTORY, directory_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from releasekit.pipeline.ecosystem import Ecosystem
    from releasekit.pipeline.environments import Environments
    from releasekit.pipeline.together import Together
    from releasekit.workspace import Package

__all__ = ["DIST_DIRECTORY", "Builder", "digests_in", "keep_whole"]


class Builder:
    """Builds the packages of one workspace.

    Args:
        root: The workspace.
        source_date_epoch: The release's commit time in seconds since 1970, which build backends take for the
            time stamps in their archives (reproducible-builds.org, SOURCE_DATE_EPOCH).
        ecosystem: How they are built.
        together: Has perhaps built a package already, of those that nothing is given of.
        environments: Has perhaps one for a package that others are built in too.
    """

    def __init__(
        self,
        root: Path,
        source_date_epoch: int,
        ecosystem: Ecosystem,
        *,
        together: Together | None = None,
        environments: Environments | None = None,
    ) -> None:
        self.root = root
        self.source_date_epoch = source_date_epoch
        self.ecosystem = ecosystem
        self._together = together
        self._environments = environments

    def directory(self, package: str) -> Path:
        """Say where a package's built files are kept."""
        return self.root / DIST_DIRECTORY / directory_name(package)

    def given(self, package: str) -> Path:
        """Say where files of a package are kept that were built elsewhere; there may be none."""
        return given_directory(self.root, package)

    async def kept(self, package: str) -> Mapping[str, str]:
        """Read what is kept of a package: file name → sha256.

        Raises:
            StepError: It could not be read (`E.FILE_FAILED`).
        """
        return await asyncio.to_thread(_read, self.directory(package))

    async def given_files(self, package: str) -> Mapping[str, str]:
        """Read what is kept of a package that was built elsewhere: file name → sha256.

        Raises:
            StepError: It could not be read (`E.FILE_FAILED`).
        """
        return await asyncio.to_thread(_read, self.given(package))

    async def build(self, package: Package, check: Callable[[Mapping[str, str]], None] | None = None) -> Built:
        """Build a package and keep the files in place of any earlier ones.

        Args:
            package: The package, built within its own time; if its version is empty, the build tells it.
            check: Looks at what was built, and raises `StepError` if that must not take the place of what is there.

        Returns:
            The files and their version.

        Raises:
            StepError: The build failed (`E.BUILD_FAILED`), did not give a release of the planned version
                (`E.BUILD_INCOMPLETE`), or files that say otherwise (`E.BUILD_MISMATCH`), took too
                long (`E.BUILD_TIMEOUT`), or could not be stored (`E.FILE_FAILED`).
        """
        fresh = new_scratch(self.root, "building")
        try:
            made = await self._together.take(package.name) if self._together else ()
            if not made:
                given = await to_its_end(_begin, fresh, self.given(package.name))
                epoch, timeout = self.source_date_epoch, package.settings.build_timeout
                build = Build(package, self.root, fresh, given, self.directory, epoch, timeout)
                if given or not (self._environments and await self._environments.build(build)):
                    await self.ecosystem.build(build)
            return await to_its_end(self._keep, package, made, fresh, check)
        except OSError as error:
            message = f"what was built of {package.name!r} could not be stored: {error}"
            hint = "mend the disk (space? permissions?) and run the same command again"
            raise StepError(E.FILE_FAILED, message, hint) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _keep(
        self,
        package: Package,
        made: Collection[Path],
        fresh: Path,
        check: Callable[[Mapping[str, str]], None] | None,
    ) -> Built:
        if made:
            _move(made, fresh)
        built = digests_in(fresh)
        version = self.ecosystem.version_of(package, fresh, built)
        if check:
            check(built)
        keep_whole(fresh, self.directory(package.name))
        return Built(built, version)


def given_directory(root: Path, package: str) -> Path:
    """Say where files of a package that were built elsewhere are kept: the dot is in no other directory's name."""
    return root / DIST_DIRECTORY / f"{directory_name(package)}.given"


def _read(directory: Path) -> dict[str, str]:
    try:
        return digests_in(directory)
    except OSError as error:
        message = f"the built files in {directory} can't be read: {error}"
        raise StepError(E.FILE_FAILED, message, "mend or remove them and run the same command again") from error


def _begin(fresh: Path, given: Path) -> list[str]:
    """Make a directory to build into, with what was built elsewhere in it; name that."""
    if given.is_dir():
        shutil.copytree(given, fresh)
    else:
        fresh.mkdir(parents=True)
    return [path.name for path in fresh.iterdir()]


def _move(files: Collection[Path], fresh: Path) -> None:
    fresh.mkdir()
    for file in files:
        file.rename(fresh / file.name)
        with suppress(OSError):  # others are still to be taken out of it
            file.parent.rmdir()


def keep_whole(fresh: Path, final: Path) -> None:
    """Move a directory of files, once they are on the device, to where they are kept, in place of what is there.

    Raises:
        OSError: It could not be moved; what was there may be gone.
    """
    for path in fresh.iterdir():
        fd = os.open(path, os.O_RDONLY)
        try:
            atomic.flush(fd)
        finally:
            os.close(fd)
    atomic.flush_directory(fresh)
    shutil.rmtree(final, ignore_errors=True)
    fresh.rename(final)
    atomic.flush_directory(final.parent)


def digests_in(directory: Path) -> dict[str, str]:
    """Read the files in a directory: name → sha256 in hex; nothing for one that is not there.

    Raises:
        OSError: One could not be read.
    """
    try:
        return {path.name: sha256(path) for path in sorted(directory.iterdir())}
    except FileNotFoundError:
        return {}
