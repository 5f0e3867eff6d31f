"""npm packages: listed from their package.json files, packed by npm or pnpm, sent and seen by npm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.directory_index import find_directory
from releasekit.pipeline.npm import members, names, pack, programs, tarball, workspace
from releasekit.pipeline.npm.programs import config_files, find_npm, find_pnpm
from releasekit.pipeline.npm.provided import refuse_missing
from releasekit.pipeline.npm.registry import NPM, Registry
from releasekit.pipeline.npm.settings import read_settings
from releasekit.pipeline.npm.verdict import untagged
from releasekit.pipeline.outcome import StepError
from releasekit.redaction import keep_npmrc_secret, redact
from releasekit.workspace.load import absolute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from releasekit.pipeline.ecosystem import Build
    from releasekit.pipeline.index import Index
    from releasekit.workspace import Package, Workspace

_DEFAULT_TAG = "latest"


class Npm:
    """See `Ecosystem`."""

    name = "npm"
    takes_wheels = False

    def is_in(self, root: Path) -> bool:
        """See `Ecosystem.is_in`."""
        return members.is_workspace(root)

    def load(self, root: Path, choose: Callable[[Workspace], Workspace] | None = None) -> Workspace:
        """See `Ecosystem.load`."""
        keep_npmrc_secret(*config_files(root))  # before anything runs that could say it
        return workspace.load_workspace(root, choose)

    def spell(self, pattern: str) -> str:
        """See `Ecosystem.spell`. Every name is written in one way only."""
        return pattern

    def directories(self, root: Path) -> Mapping[str, Path]:
        """See `Ecosystem.directories`. What is private is not published."""
        found = members.find_members(absolute(root))
        return {name: member.path.parent for name, member in found.items() if not member.content.private}

    def choose_index(self, name: str, workspace: Workspace, *, look_only: bool = False) -> Index:
        """See `Ecosystem.choose_index`: `npm`, which is the registry that npm itself would use, or a directory."""
        if name == NPM:
            return Registry(workspace.root, read_settings(workspace))
        if "://" in name:
            hint = f"write registry=… into {workspace.root / workspace.index_file}, and say --index {NPM}"
            raise ReleaseKitError(E.INDEX_UNKNOWN, f"{redact(name)!r} is an address, not the name of an index", hint)
        if directory := find_directory(name, workspace.root, names, look_only=look_only):
            _refuse_alike(workspace, directory.name)
            return directory
        raise ReleaseKitError(
            E.INDEX_UNKNOWN,
            f"there is no index {name!r} for the npm workspace in {workspace.root}",
            f"say {NPM} for the registry that npm itself would use there, or write ./{name} for a directory",
        )

    def require_tools(self, root: Path) -> None:
        """See `Ecosystem.require_tools`."""
        find_npm()
        if members.uses_pnpm(root):
            find_pnpm()

    def withheld(self, root: Path) -> Mapping[str, None]:
        """See `Ecosystem.withheld`."""
        return programs.withheld(root)

    async def build(self, build: Build) -> None:
        """See `Ecosystem.build`."""
        await pack.pack(build)

    def version_of(self, package: Package, directory: Path, artifacts: Mapping[str, str]) -> str:
        """See `Ecosystem.version_of`."""
        return tarball.version_of(package, directory, artifacts)

    async def check(
        self,
        package: Package,
        kept: Path,
        versions: Mapping[str, str],
        is_ahead: Callable[[str], bool],
        index: Index,
    ) -> None:
        """See `Ecosystem.check`."""
        packed = kept / names.tarball_name(package.name, package.version)
        try:
            content = await asyncio.to_thread(tarball.read_packed, packed)
        except FileNotFoundError:  # it is on the index already
            return
        except OSError as error:
            hint = "mend or remove it and run the same command again"
            raise StepError(E.FILE_FAILED, f"{packed} can't be read: {error}", hint) from error
        await refuse_missing(package.name, content, versions, is_ahead, index)
        tagged = (content.publish_config or {}).get("tag")
        by_default = isinstance(index, Registry) and index.settings.tag == _DEFAULT_TAG and not tagged
        if by_default and names.is_prerelease(package.version):
            raise untagged(package.name, package.version)


def _refuse_alike(workspace: Workspace, directory: str) -> None:
    """Refuse packages whose files would have one name: a directory, unlike a registry, can't tell them apart."""
    seen: dict[str, str] = {}
    for package in workspace.packages.values():
        if not package.skip_reason:
            filename = names.tarball_name(package.name, package.version)
            other = seen.setdefault(filename, package.name)
            if other != package.name:
                message = f"{other!r} and {package.name!r} would both be {filename} in {directory}"
                raise ReleaseKitError(E.INDEX_UNKNOWN, message, "publish them to two directories, with --only")
