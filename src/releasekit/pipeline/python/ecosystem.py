"""Python packages in a uv workspace: built by `uv build`, sent by `uv publish`, seen in the simple repository API."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from releasekit.errors import E
from releasekit.logging import get_logger
from releasekit.pipeline import process
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python import indexes, release_files
from releasekit.pipeline.python.build_requirements import CONSTRAINTS_FILENAME, offer_built
from releasekit.pipeline.python.environments import environments_in
from releasekit.pipeline.python.names import release_of
from releasekit.pipeline.python.provided import refuse_missing
from releasekit.workspace import canonical_pattern, directories_of, load_workspace
from releasekit.workspace.pyproject import FILENAME, InvalidWorkspaceError, read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from releasekit.pipeline.ecosystem import Build
    from releasekit.pipeline.environments import Environment
    from releasekit.pipeline.index import Index
    from releasekit.pipeline.together import AllBuilds
    from releasekit.workspace import Package, Workspace

_FEW: Final = 4  # if fewer than a quarter of all are wanted, the others are not worth building
_PATIENCE: Final = 10.0  # seconds for uv to say its version
_MAY_PUBLISH: Final = ("UV_PUBLISH_TOKEN", "UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD")
_NOT_TO_KEEP: Final = (".gitignore", CONSTRAINTS_FILENAME)  # uv adds the first, and only newer ones can be told not to


class Python:
    """See `Ecosystem`."""

    name = "Python"
    takes_wheels = True

    def is_in(self, root: Path) -> bool:
        """See `Ecosystem.is_in`. A pyproject.toml may be there only for the settings of tools."""
        try:
            content = read(root / FILENAME)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except InvalidWorkspaceError:
            return True
        return content.project is not None or content.tool.uv.workspace is not None

    def load(self, root: Path, choose: Callable[[Workspace], Workspace] | None = None) -> Workspace:
        """See `Ecosystem.load`."""
        return load_workspace(root, choose)

    def directories(self, root: Path) -> Mapping[str, Path]:
        """See `Ecosystem.directories`."""
        return directories_of(root)

    def choose_index(self, name: str, workspace: Workspace, *, look_only: bool = False) -> Index:
        """See `Ecosystem.choose_index`."""
        return indexes.choose_index(name, workspace, look_only=look_only)

    def spell(self, pattern: str) -> str:
        """See `Ecosystem.spell`."""
        return canonical_pattern(pattern)

    def require_tools(self, root: Path) -> None:  # noqa: ARG002  # as the protocol has it
        """See `Ecosystem.require_tools`."""
        process.find_uv()

    def withheld(self, root: Path) -> Mapping[str, None]:  # noqa: ARG002  # as the protocol has it
        """See `Ecosystem.withheld`."""
        return dict.fromkeys(_MAY_PUBLISH)

    async def build(self, build: Build) -> None:
        """See `Ecosystem.build`. What of an sdist and a wheel is there already is not made again."""
        await self._build(build)

    async def _build(self, build: Build, options: Sequence[str] = ()) -> None:
        sdists = [name for name in build.given if not name.endswith(".whl")]
        if sdists and len(build.given) > len(sdists):
            return
        kind = ("--wheel",) if sdists else ("--sdist",) if build.given else ()
        source = build.target / sdists[0] if sdists else build.package.directory
        offered = await asyncio.to_thread(offer_built, build.package, build.kept, build.target)
        command = [process.find_uv(), "build", *kind, "--out-dir", str(build.target), *offered.arguments, *options]
        command.append(str(source))
        environ = {**self._environ(build), **offered.environ}
        try:
            await process.run(command, cwd=build.root, environ=environ, timeout=build.timeout)
        except process.CommandError as error:
            raise build.error("uv build", error) from error
        for leftover in _NOT_TO_KEEP:
            (build.target / leftover).unlink(missing_ok=True)

    async def is_faster_together(self, packages: Mapping[str, Package], wanted: Collection[str]) -> bool:
        """See `BuildsTogether`. So it is if uv builds all of them itself: what takes the time is to start uv.

        Where it runs other build backends, the builds take the time, and a crash in one process would lose them all.
        """
        needed = [each.built_by_uv for each in packages.values() if each.built_by_uv is not None]
        if not all(needed) or len(wanted) < 2 or len(wanted) * _FEW < len(needed):  # noqa: PLR2004  # one is alone
            return False
        try:
            said = await process.run([process.find_uv(), "--version"], cwd=Path.cwd(), environ={}, timeout=_PATIENCE)
            version = Version(said.split()[1])
        except (process.CommandError, IndexError, InvalidVersion):
            return False
        return all(SpecifierSet(each or "").contains(version, prereleases=True) for each in {*needed})

    async def build_together(self, builds: AllBuilds) -> Mapping[str, Collection[str]]:
        """See `BuildsTogether`."""
        command = [process.find_uv(), "build", "--all-packages", "--out-dir", str(builds.target)]
        try:
            await process.run(command, cwd=builds.root, environ=self._environ(builds), timeout=builds.timeout)
        except process.CommandError as error:
            raise StepError(E.BUILD_FAILED, f"uv build --all-packages failed:\n{error.shown}") from error
        built: dict[str, list[str]] = {}
        for path in builds.target.iterdir():
            if release := release_of(path.name):
                built.setdefault(release.name, []).append(path.name)
            else:
                path.unlink()  # as `_NOT_TO_KEEP`
        return built

    def environments(
        self, root: Path, packages: Mapping[str, Package], wanted: Collection[str]
    ) -> Mapping[str, Environment]:
        """See `SharesEnvironments`."""
        return environments_in(root, packages, wanted, {**self.withheld(root), **process.ELSEWHERE}, self._build)

    def version_of(self, package: Package, directory: Path, artifacts: Mapping[str, str]) -> str:
        """See `Ecosystem.version_of`."""
        return release_files.version_of(package, directory, artifacts)

    async def check(
        self,
        package: Package,
        kept: Path,
        versions: Mapping[str, str],
        is_ahead: Callable[[str], bool],
        index: Index,
    ) -> None:
        """See `Ecosystem.check`."""
        if required := await asyncio.to_thread(release_files.requirements_in, kept):
            await refuse_missing(package.name, required, versions, is_ahead, index)
        if not index.directory and (bound := release_files.bound_to_a_linux(kept)):
            get_logger(__name__).warning(
                "releasekit.wheel_not_portable",
                package=package.name,
                files=bound,
                hint="it is for a Linux like this one, and public indexes refuse it: build it with cibuildwheel, mend "
                "it with auditwheel, and give it by --wheels",
            )

    def _environ(self, build: Build | AllBuilds) -> dict[str, str | None]:
        # UV_CONFIG_FILE stays: it may name the index that build requirements come from.
        epoch = str(build.source_date_epoch)
        return {"SOURCE_DATE_EPOCH": epoch, **self.withheld(build.root), **process.ELSEWHERE}
