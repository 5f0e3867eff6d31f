"""All builds of a run in one process, where the ecosystem has a way that is faster so.

It is only a shorter way to the same files: each package looks at its own as if it had been built alone, and is built
alone where this fails or does not give them. So nothing that goes wrong here is an error.
"""

from __future__ import annotations

import asyncio
import shutil
import weakref
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from releasekit.errors import headline
from releasekit.logging import get_logger
from releasekit.pipeline.once import Once
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.scratch import new_scratch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from releasekit.workspace import Package


class AllBuilds(NamedTuple):
    """The builds of a whole workspace.

    Attributes:
        root: The workspace.
        target: A directory that the files are to be made in.
        source_date_epoch: The time of the commit that is released, in seconds since 1970.
        timeout: Seconds that all of it may take.
    """

    root: Path
    target: Path
    source_date_epoch: int
    timeout: float


@runtime_checkable
class BuildsTogether(Protocol):
    """An ecosystem that can build all packages of a workspace in one process."""

    async def is_faster_together(self, packages: Mapping[str, Package], wanted: Collection[str]) -> bool:
        """Tell whether that is faster than to build those that are wanted in a process each, and does the same."""

    async def build_together(self, builds: AllBuilds) -> Mapping[str, Collection[str]]:
        """Build them; give package → names of its files.

        Raises:
            StepError: It failed, or took too long.
            OSError: The files could not be stored.
        """


class Together:
    """Builds packages when the first of them is asked for.

    Args:
        ecosystem: Perhaps it can.
        packages: Those of the workspace.
        wanted: Those that are to be built.
        builds: Where, and how; `target` is where built files are kept.
    """

    def __init__(
        self, ecosystem: object, packages: Mapping[str, Package], wanted: Collection[str], builds: AllBuilds
    ) -> None:
        self._ecosystem = ecosystem
        self._packages = packages
        self._wanted = {*wanted}
        self._builds = builds._replace(target=new_scratch(builds.root, "together"))
        self._all = frozenset(wanted)
        self._built: Once[Mapping[str, Collection[str]]] = Once()

    async def take(self, package: str) -> Collection[Path]:
        """Give the files of a package, to be moved to where they are kept; none if it must be built alone.

        Raises:
            asyncio.CancelledError: The caller was cancelled, and with it all these builds; their process is over.
        """
        if package not in self._wanted:
            return ()
        self._wanted.discard(package)  # a second build of it is not to have the files of the first
        built = await self._built.get(self._build)
        return [self._builds.target / name for name in built.get(package, ())]

    async def _build(self) -> Mapping[str, Collection[str]]:
        if not isinstance(self._ecosystem, BuildsTogether):
            return {}
        try:
            if not await self._ecosystem.is_faster_together(self._packages, self._all):
                return {}
            target = self._builds.target
            await asyncio.to_thread(target.mkdir, parents=True)
            # What nobody takes goes when we do, or if we are killed, when somebody goes on: see `scratch`.
            remove = weakref.finalize(self, shutil.rmtree, target, ignore_errors=True)
            try:
                return await self._ecosystem.build_together(self._builds)
            except BaseException:
                remove()
                raise
        except (StepError, OSError) as error:
            get_logger(__name__).info("releasekit.builds_parted", reason=headline(str(error)))
            return {}
