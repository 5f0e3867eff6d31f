"""The three steps of one package, each safe to repeat: whatever was done already is found and not done again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from releasekit.errors import E
from releasekit.pipeline.built import Built
from releasekit.pipeline.carrier import Carrier, CompanyError, Parcel
from releasekit.pipeline.index import Remembers
from releasekit.pipeline.learned import is_taken, refuse_local, settle
from releasekit.pipeline.outcome import PERHAPS, ConflictError, NotShownError, StepError, TransientError
from releasekit.pipeline.patience import START_BUDGET, Patience, within
from releasekit.pipeline.reconcile import Decision, decide, refuse_fewer, refuse_others, to_send
from releasekit.pipeline.threads import to_its_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from releasekit.pipeline.build import Builder
    from releasekit.pipeline.carrier import Sending
    from releasekit.pipeline.index import Index
    from releasekit.pipeline.learned import Memory
    from releasekit.state import PackageState
    from releasekit.workspace import Package

T = TypeVar("T")


class Steps(Protocol):
    """What the orchestrator does with one package. Every step may be repeated after any interruption.

    Each raises `StepError` when it fails. `artifacts` is file name → sha256 in hex. The package's version is empty as
    long as only its build can tell it.
    """

    async def build(self, package: Package, artifacts: Mapping[str, str]) -> Built:
        """Make the package's files, given those recorded earlier; return what is to be sent, if it is."""

    async def check(self, package: Package, versions: Mapping[str, str], is_ahead: Callable[[str], bool]) -> None:
        """Look, before anything is sent, whether what was built could be installed.

        `versions` has the version of each of the workspace's packages that this run publishes, and "" for the others.
        `is_ahead` tells of each whether it can't be published after this one.
        """

    async def publish(self, package: Package, artifacts: Mapping[str, str], sending: Sending) -> None:
        """Send every file that the index does not have; bytes are on their way only while a `sending()` lasts."""

    async def verify(self, package: Package, artifacts: Mapping[str, str], patience: float) -> None:
        """Return when the index shows every file with its sha256, within `patience` seconds."""


class IndexSteps:
    """Builds files, publishes them to an index and verifies them against it, each package's within its own limits.

    Args:
        builder: Builds and keeps the files.
        index: Where they go.
        sent: Names the packages whose recorded files may have been sent; asked only when it matters.
        earlier: Knows what earlier runs may have sent; asked about packages whose version a build has told.
        uploads: How many uploads go on at a time.
    """

    def __init__(
        self,
        builder: Builder,
        index: Index,
        *,
        sent: Callable[[], Collection[str]] = tuple,
        earlier: Memory | None = None,
        uploads: int = 1,
    ) -> None:
        self.builder = builder
        self.index = index
        self.sent = sent
        self.earlier = earlier
        self._carrier = Carrier(index, uploads)
        self._patience: dict[str, Patience] = {}
        self._in_vain = False
        self._perhaps: set[str] = set()  # packages of which something may have arrived

    async def build(self, package: Package, artifacts: Mapping[str, str]) -> Built:
        """See `Steps.build`."""
        if not artifacts:
            return await self._learned(package, await self.builder.build(package))
        kept = await self.builder.kept(package.name)
        shown = await self._patiently(package, partial(self._shown, package, artifacts))
        built = Built(artifacts, package.version)
        given = await self.builder.given_files(package.name) if package.dynamic else {}
        taken = package.dynamic and is_taken(package, artifacts, shown, self.index, given)
        if taken and not await asyncio.to_thread(self._was_sent, package):
            return built.unwanted(self.index.name)  # a crash came between its build and this
        if decide(artifacts, kept, shown, self.index.name) is not Decision.BUILD:
            return built
        takes_wheels = self.builder.ecosystem.takes_wheels and not package.settings.commands.verify
        was_sent = package.name in await asyncio.to_thread(self.sent)
        check = (
            partial(refuse_others, artifacts, index=self.index.name)
            if was_sent
            else partial(refuse_fewer, artifacts, package=package.name, takes_wheels=takes_wheels)
        )
        return await self._learned(package, await self.builder.build(package, check))

    async def _learned(self, package: Package, built: Built) -> Built:
        """Ask, once the build has told a version, what would have been asked before it if that had been known."""
        if not package.dynamic:
            return built
        refuse_local(package.name, built.version, self.index)
        package = replace(package, version=built.version)
        shown = await self._patiently(package, partial(self._shown, package, built.artifacts))
        given = await self.builder.given_files(package.name)
        return await to_its_end(settle, package, built, shown, self.index, self.earlier, given=given)

    def _was_sent(self, package: Package) -> bool:
        """Tell whether this run may have sent a package, or an earlier one its version."""
        return package.name in self.sent() or bool(self.earlier and self.earlier.files(package.name, package.version))

    async def check(self, package: Package, versions: Mapping[str, str], is_ahead: Callable[[str], bool]) -> None:
        """See `Steps.check`. Of what the index has already nothing is refused: it is there, and nothing is sent."""
        kept = self.builder.directory(package.name)
        ecosystem = self.builder.ecosystem
        try:
            await self._patiently(package, partial(ecosystem.check, package, kept, versions, is_ahead, self.index))
        except StepError as error:
            if error.code is not E.REQUIREMENT_MISSING or not await self._is_there(package):
                raise

    async def _is_there(self, package: Package) -> bool:
        kept = await self.builder.kept(package.name)
        shown = await self._patiently(package, partial(self._shown, package, kept))
        return kept.items() <= shown.items()

    async def publish(self, package: Package, artifacts: Mapping[str, str], sending: Sending) -> None:
        """See `Steps.publish`."""
        self._require_whole(package, artifacts)

        async def send_missing() -> None:
            shown = self.index.just_shown(package.name, package.version) if isinstance(self.index, Remembers) else None
            if shown is None:
                shown = await self._shown(package, artifacts)
            if missing := to_send(artifacts, shown, self.index.name):
                await self._send(package, artifacts, missing, sending)

        try:
            await self._patiently(package, send_missing)
        except StepError as error:
            # This may be about another try, or about asking what came of one.
            if package.name not in self._perhaps or error.code in PERHAPS or isinstance(error, ConflictError):
                raise
            message = f"{self.index.name} may have taken something: {error.message}"
            raise error.reworded(E.PUBLISH_PARTIAL, message) from error

    async def verify(self, package: Package, artifacts: Mapping[str, str], patience: float) -> None:
        """See `Steps.verify`."""
        self._require_whole(package, artifacts)

        async def look() -> None:
            if missing := to_send(artifacts, await self._shown(package, artifacts), self.index.name):
                raise NotShownError(package.name, missing, self.index.name)

        await within(patience, look, self.index.name)

    async def _patiently(self, package: Package, step: Callable[[], Awaitable[T]]) -> T:
        """Try again within the package's budget, but only once while the index has just used up another's.

        Else an index that is gone would cost every package's budget, one after the other.
        """
        try:
            own = self._patience.setdefault(package.name, Patience(package.settings.retry_budget))
            done = await (Patience(0) if self._in_vain else own).spend_on(step)
        except TransientError:
            self._in_vain = True
            raise
        self._in_vain = False
        return done

    async def _shown(self, package: Package, artifacts: Mapping[str, str]) -> Mapping[str, str]:
        return await self.index.files(package.name, package.version, artifacts)

    async def _send(self, package: Package, artifacts: Mapping[str, str], missing: list[str], sending: Sending) -> None:
        paths = await self._unchanged(package, artifacts, missing)
        parcel = Parcel(package.name, package.version, paths, package.settings.upload_timeout)
        try:
            try:
                await self._carrier.send(parcel, sending)
            except CompanyError as failed:
                self._note(package, failed)
                if failed.retry_after:  # whoever it was: the index wants to be left alone
                    raise
                if left := to_send(artifacts, await self._shown(package, artifacts), self.index.name):
                    rest = parcel._replace(paths=[path for path in paths if path.name in left])
                    await self._carrier.send(rest, sending, alone=True)
        except StepError as error:
            self._note(package, error)
            # The index may have them all the same: its answer was lost, or what a killed process of ours had begun
            # went on without it. Or it has others, and says so now.
            try:
                refused = to_send(artifacts, await self._shown(package, artifacts), self.index.name)
            except TransientError:
                if isinstance(error, TransientError):  # neither answered: what was sent last may have arrived
                    self._perhaps.add(package.name)
                raise
            if refused and refused != missing and not isinstance(error, ConflictError):
                took = ", ".join(sorted(set(missing) - set(refused)))
                message = f"{self.index.name} took only {took}: {error.message}"
                self._perhaps.add(package.name)
                raise error.reworded(E.PUBLISH_PARTIAL, message) from error
            if refused:
                raise

    def _note(self, package: Package, error: StepError) -> None:
        if error.code in PERHAPS:
            self._perhaps.add(package.name)

    async def _unchanged(self, package: Package, artifacts: Mapping[str, str], wanted: Iterable[str]) -> list[Path]:
        """Find the built files that are to be sent, and make sure that they are still what was recorded."""
        directory = self.builder.directory(package.name)
        kept = await self.builder.kept(package.name)
        if changed := [filename for filename in wanted if kept.get(filename) != artifacts[filename]]:
            message = f"{', '.join(changed)} in {directory} is gone or not what was built"
            raise StepError(E.FILE_FAILED, message, "run the same command again: it is built again and compared")
        return [directory / filename for filename in wanted]

    def _require_whole(self, package: Package, artifacts: Mapping[str, str]) -> None:
        """Refuse a record that can't be of this package: nothing may count as published by showing nothing."""
        if not self.index.is_whole(artifacts, package.name, package.version):
            raise StepError(
                E.STATE_CORRUPTED,
                f"the state file records {', '.join(artifacts) or 'no files'} for {package.name!r} {package.version}, "
                "which is no release of it",
                "start over with `releasekit publish --fresh`: what is on the index already is found there",
            )


async def ask(index: Index, package: PackageState, patience: float = START_BUDGET) -> Mapping[str, str]:
    """Ask an index what it has of a package's version, and again for so many seconds, `START_BUDGET` at most.

    Raises:
        StepError: It could not be read.
    """
    return await within(
        START_BUDGET, partial(index.files, package.name, package.version, package.artifacts), index.name, patience
    )
