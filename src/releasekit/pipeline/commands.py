"""Steps that are a user's own commands, in place of what the ecosystem would do.

A command is a program and its arguments, in the directory of the package; no shell reads it. What its arguments may
name is in `workspace.placeholders`, and stands in its environment too, as ``RELEASEKIT_PACKAGE`` and so on, with
``RELEASEKIT_ARTIFACTS``, the built files as a JSON object: name → sha256.

- **build** makes the files in ``{out}``, and nothing else there.
- **publish** sends ``{files}``. Status 75 (EX_TEMPFAIL of sysexits.h): it may be tried again; any other but 0: it
  failed.
- **verify** tells whether they are there. Status 0: all of them, with this content. 1: not, or not yet. 4: something
  else is, which a person must decide about. Any other: that could not be told, and is asked again. It changes nothing:
  it is asked before anything is sent, by a dry run too, and then the files may be gone from where they were kept.

Who looks decides what a release is: with a verify, any files are one; without, they must be what the index takes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import process
from releasekit.pipeline.call import Call, ended, printed, put_on_path, to_mend
from releasekit.pipeline.directory_index import sha256
from releasekit.pipeline.environments import SharesEnvironments
from releasekit.pipeline.outcome import ConflictError, StepError, TransientError
from releasekit.pipeline.together import BuildsTogether
from releasekit.redaction import redact
from releasekit.state.beside import DIST_DIRECTORY, directory_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from releasekit.pipeline.ecosystem import Build, Ecosystem
    from releasekit.pipeline.environments import Environment
    from releasekit.pipeline.index import Index
    from releasekit.pipeline.together import AllBuilds
    from releasekit.workspace import Package, Workspace

VERIFY_TIMEOUT: Final = 300.0
"""Seconds that one call of a verify may take."""

NOT_THERE: Final = 1
CONFLICT: Final = 4
TRY_AGAIN: Final = 75

_NOT_TO_KEEP: Final = ".gitignore"
"""What `uv build`, and others like it, put beside what they have built."""


class ByCommands:
    """An ecosystem of which packages do some steps by commands: see `Ecosystem`.

    Args:
        inner: Does the others.
    """

    def __init__(self, inner: Ecosystem) -> None:
        self.inner = inner
        self.name = inner.name
        self.takes_wheels = inner.takes_wheels

    def is_in(self, root: Path) -> bool:
        """See `Ecosystem.is_in`."""
        return self.inner.is_in(root)

    def load(self, root: Path, choose: Callable[[Workspace], Workspace] | None = None) -> Workspace:
        """See `Ecosystem.load`."""
        return self.inner.load(root, choose)

    def directories(self, root: Path) -> Mapping[str, Path]:
        """See `Ecosystem.directories`."""
        return self.inner.directories(root)

    def spell(self, pattern: str) -> str:
        """See `Ecosystem.spell`."""
        return self.inner.spell(pattern)

    def require_tools(self, root: Path) -> None:
        """See `Ecosystem.require_tools`."""
        self.inner.require_tools(root)

    def withheld(self, root: Path) -> Mapping[str, None]:
        """See `Ecosystem.withheld`."""
        return self.inner.withheld(root)

    def choose_index(self, name: str, workspace: Workspace, *, look_only: bool = False) -> Index:
        """See `Ecosystem.choose_index`. If commands do all of it, any name will do, but for one with a secret in it."""
        commands = [each.settings.commands for each in workspace.packages.values() if not each.skip_reason]
        if not any(each.publish or each.verify for each in commands):
            return self.inner.choose_index(name, workspace, look_only=look_only)
        alone = all(each.publish and each.verify for each in commands)
        inner = None if alone else self.inner.choose_index(name, workspace, look_only=look_only)
        if redact(name) != name:  # it is stored with the run and shown, and is an argument of processes
            hint = "leave it out of the name, and have the commands take it from the environment"
            raise ReleaseKitError(E.INDEX_UNKNOWN, f"the index {redact(name)!r} has a secret in its name", hint)
        return CommandIndex(name, workspace, inner)

    async def build(self, build: Build) -> None:
        """See `Ecosystem.build`."""
        if not build.package.settings.commands.build:
            await self.inner.build(build)
            return
        package, target = build.package, build.target
        given = await asyncio.to_thread(_digests, target, build.given)
        call = Call("build", package, package.version, build.root, target, {})
        withheld = await asyncio.to_thread(self.withheld, build.root)
        environ = {"SOURCE_DATE_EPOCH": str(build.source_date_epoch), **withheld}
        try:
            await call.run(build.timeout, environ)
        except process.CommandTimeoutError as error:
            raise build.error("the build command", error) from error
        except process.CommandError as error:
            message = f"the build command of {package.name!r} {ended(error)}"
            raise StepError(E.BUILD_FAILED, message, to_mend("it", error)) from error
        await asyncio.to_thread(_require_files, package.name, target)
        if given != await asyncio.to_thread(_digests, target, given):
            message = f"the build command of {package.name!r} changed or removed what --wheels gave: {', '.join(given)}"
            raise StepError(E.BUILD_MISMATCH, message, "have it leave alone what is in {out} already")

    async def is_faster_together(self, packages: Mapping[str, Package], wanted: Collection[str]) -> bool:
        """See `BuildsTogether`."""
        alone = any(each.settings.commands.build for each in packages.values())
        return (
            not alone
            and isinstance(self.inner, BuildsTogether)
            and await self.inner.is_faster_together(packages, wanted)
        )

    async def build_together(self, builds: AllBuilds) -> Mapping[str, Collection[str]]:
        """See `BuildsTogether`."""
        return await self.inner.build_together(builds) if isinstance(self.inner, BuildsTogether) else {}

    def environments(
        self, root: Path, packages: Mapping[str, Package], wanted: Collection[str]
    ) -> Mapping[str, Environment]:
        """See `SharesEnvironments`. What a command builds needs none."""
        ours = [name for name in wanted if not packages[name].settings.commands.build]
        return self.inner.environments(root, packages, ours) if isinstance(self.inner, SharesEnvironments) else {}

    def version_of(self, package: Package, directory: Path, artifacts: Mapping[str, str]) -> str:
        """See `Ecosystem.version_of`."""
        if not package.settings.commands.verify:
            return self.inner.version_of(package, directory, artifacts)
        if not artifacts:
            raise StepError(E.BUILD_INCOMPLETE, f"the build of {package.name!r} left no file in {directory}")
        return package.version

    async def check(
        self,
        package: Package,
        kept: Path,
        versions: Mapping[str, str],
        is_ahead: Callable[[str], bool],
        index: Index,
    ) -> None:
        """See `Ecosystem.check`. Of what is seen by a command only it knows who requires what."""
        if not package.settings.commands.verify:
            await self.inner.check(package, kept, versions, is_ahead, index)


class CommandIndex:
    """An index that is sent to or asked by commands: see `Index`.

    Args:
        name: How the user names it.
        workspace: Its packages have the commands.
        inner: What is asked of packages without; None if all have both.
    """

    def __init__(self, name: str, workspace: Workspace, inner: Index | None) -> None:
        self.name = inner.name if inner else name
        self.identity = inner.identity if inner else f"{name}, by commands"
        self.directory = inner.directory if inner else None
        self.workspace = workspace
        self._inner = inner

    async def files(self, package: str, version: str, expected: Mapping[str, str]) -> Mapping[str, str]:
        """See `Index.files`. Of what was not built yet, a verify is not asked."""
        planned = self.workspace.packages[package]
        if not planned.settings.commands.verify:
            return await self._asked.files(package, version, expected)
        if not expected:
            return {}
        try:
            await self._call("verify", planned, version, expected).run(VERIFY_TIMEOUT)
        except process.CommandTimeoutError as error:
            message = f"the verify command of {package!r} did not end within {VERIFY_TIMEOUT:g} s{printed(error)}"
            raise TransientError(E.INDEX_UNREADABLE, message, "find out what it waits for") from error
        except process.ProgramMissingError as error:
            message = f"the verify command of {package!r} {ended(error)}"
            raise StepError(E.INDEX_UNREADABLE, message, put_on_path(planned, "verify")) from error
        except process.CommandError as error:
            if error.returncode == NOT_THERE:
                return {}
            message = f"the verify command of {package!r} {ended(error)}"
            if error.returncode == CONFLICT:
                raise ConflictError(message) from error
            hint = f"it is to end with 0 (there), {NOT_THERE} (not there) or {CONFLICT} (a conflict)"
            raise TransientError(E.INDEX_UNREADABLE, message, hint) from error
        return dict(expected)

    async def filenames(self, package: str) -> Collection[str]:
        """See `Index.filenames`."""
        return await self._inner.filenames(package) if self._inner else ()

    async def upload(self, package: str, version: str, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109  # see `process.run`
        """See `Index.upload`."""
        planned = self.workspace.packages[package]
        if not planned.settings.commands.publish:
            await self._asked.upload(package, version, paths, timeout)
            return
        artifacts = {path.name: await asyncio.to_thread(sha256, path) for path in paths}
        try:
            await self._call("publish", planned, version, artifacts).run(timeout)
        except process.CommandTimeoutError as error:
            message = f"the publish command of {package!r} did not end within {timeout:g} s{printed(error)}"
            hint = "check the network, or allow for more with --upload-timeout; the same command goes on"
            raise TransientError(E.PUBLISH_TIMEOUT, message, hint) from error
        except process.CommandError as error:
            kind = TransientError if error.returncode == TRY_AGAIN else StepError
            hint = "mend what it says and run the same command again"
            raise kind(E.PUBLISH_FAILED, f"the publish command of {package!r} {ended(error)}", hint) from error

    def is_whole(self, filenames: Collection[str], package: str, version: str) -> bool:
        """See `Index.is_whole`."""
        planned = self.workspace.packages.get(package)  # an earlier run had others
        if not self._inner or (planned and planned.settings.commands.verify):
            return bool(filenames)
        return self._inner.is_whole(filenames, package, version)

    async def aclose(self) -> None:
        """See `Index.aclose`."""
        if self._inner:
            await self._inner.aclose()

    @property
    def _asked(self) -> Index:
        if not self._inner:  # there is one if a single package lacks a command
            raise AssertionError
        return self._inner

    def _call(self, step: str, package: Package, version: str, artifacts: Mapping[str, str]) -> Call:
        kept = self.workspace.root / DIST_DIRECTORY / directory_name(package.name)
        return Call(step, package, version, self.workspace.root, kept, artifacts, self.name)


def _require_files(package: str, directory: Path) -> None:
    """Refuse what can't be published: a directory, and a link, behind which other bytes may be tomorrow."""
    (directory / _NOT_TO_KEEP).unlink(missing_ok=True)
    others = [path.name for path in directory.glob("*") if path.is_symlink() or not path.is_file()]
    if others:
        raise StepError(
            E.BUILD_INCOMPLETE,
            f"the build command of {package!r} left {', '.join(sorted(others))}, no regular file, in {directory}",
            "have it put the files that are to be published into {out}, and nothing else",
        )


def _digests(directory: Path, names: Collection[str]) -> dict[str, str]:
    return {name: sha256(directory / name) for name in names if (directory / name).is_file()}
