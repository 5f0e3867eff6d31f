"""Environments that several packages are built in, where to make one for each would take longer than to build in it.

It is only a shorter way to the same files: where an environment can't be made, or a build in it fails, the package is
built in one of its own as ever, and what goes wrong then is what is told. So nothing that goes wrong here is an error,
but for a build that has taken all of its time.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import weakref
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from releasekit.errors import E, ReleaseKitError, headline
from releasekit.logging import get_logger
from releasekit.pipeline.once import Once
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.scratch import new_scratch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from releasekit.pipeline.ecosystem import Build
    from releasekit.workspace import Package


_ROOM: Final = 1 << 26
"""Bytes that must be left for what is built: without the environment it might have fitted in."""


class Environment(Protocol):
    """What packages can be built in, any number of them at a time."""

    async def make(self, place: Path, timeout: float) -> None:  # noqa: ASYNC109  # see `process.run`
        """Make it, in a directory that is there and empty, within so many seconds.

        Raises:
            StepError: It failed, or took too long.
            OSError: It could not be stored.
        """

    async def build(self, build: Build, place: Path) -> None:
        """Build in it, where it was made: see `Ecosystem.build`. The files are the same as those of that."""


@runtime_checkable
class SharesEnvironments(Protocol):
    """An ecosystem that knows of packages that need the same environment to be built in."""

    def environments(
        self, root: Path, packages: Mapping[str, Package], wanted: Collection[str]
    ) -> Mapping[str, Environment]:
        """Tell which of the wanted packages of a workspace may be built in which: those that may share one, in one.

        Those that are left out need their own.

        Raises:
            ReleaseKitError: It can't be told.
        """


class Environments:
    """Builds packages in an environment that they share, which is made when the first of them is built.

    Args:
        ecosystem: Perhaps knows of some.
        root: The workspace.
        packages: Those of the workspace.
        wanted: Those that are to be built.
    """

    def __init__(self, ecosystem: object, root: Path, packages: Mapping[str, Package], wanted: Collection[str]) -> None:
        self._ecosystem = ecosystem
        self._root = root
        self._packages = packages
        self._wanted = wanted
        self._shared: Once[Mapping[str, _Shared]] = Once()

    async def build(self, build: Build) -> bool:
        """Build a package; False if it is to be built in an environment of its own.

        Raises:
            StepError: It took all of the time that it has (`E.BUILD_TIMEOUT`), so that nothing is left for another try.
            OSError: What a build left that failed could not be removed.
            asyncio.CancelledError: The caller was cancelled, and its build, or the making of what it needs, is over.
        """
        shared = (await self._shared.get(self._find)).get(build.package.name)
        place = await shared.place() if shared else None
        if not shared or not place:
            return False
        try:
            await shared.environment.build(build, place)
        except (StepError, OSError) as error:
            if isinstance(error, StepError) and error.code is E.BUILD_TIMEOUT:
                raise
            log = get_logger(__name__)
            log.info("releasekit.build_isolated", package=build.package.name, reason=headline(str(error)))
            await asyncio.to_thread(_empty, build.target)
            return False
        return True

    async def _find(self) -> Mapping[str, _Shared]:
        if not isinstance(self._ecosystem, SharesEnvironments):
            return {}
        try:
            found = await asyncio.to_thread(self._ecosystem.environments, self._root, self._packages, self._wanted)
        except (ReleaseKitError, OSError) as error:
            get_logger(__name__).info("releasekit.environments_refused", reason=headline(str(error)))
            return {}
        users: dict[Environment, list[Package]] = {}
        for name, environment in found.items():
            users.setdefault(environment, []).append(self._packages[name])
        shared: dict[str, _Shared] = {}
        for environment, packages in users.items():
            if len(packages) > 1:
                patience = max(package.settings.build_timeout for package in packages)
                one = _Shared(environment, self._root, patience)
                shared |= dict.fromkeys((package.name for package in packages), one)
        return shared


class _Shared:
    """An environment that is made when it is needed."""

    def __init__(self, environment: Environment, root: Path, timeout: float) -> None:
        self.environment = environment
        self._root = root
        self._timeout = timeout
        self._place: Once[Path | None] = Once()

    async def place(self) -> Path | None:
        """Tell where it is; None if it can't be made, which it is not tried to be again."""
        return await self._place.get(self._make)

    async def _make(self) -> Path | None:
        place = new_scratch(self._root, "environment")
        # It goes when we do, or if we are killed, when somebody goes on: see `scratch`.
        remove = weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        try:
            await asyncio.to_thread(place.mkdir, parents=True)
            await self.environment.make(place, self._timeout)
            _require_room(place)
        except (StepError, OSError) as error:
            get_logger(__name__).info("releasekit.environment_failed", reason=headline(str(error)))
            remove()
            return None
        except BaseException:
            remove()
            raise
        return place


def _require_room(place: Path) -> None:
    if shutil.disk_usage(place).free < _ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))


def _empty(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()
