"""Stand-ins for the world: an index in memory, and steps that write down what they were asked to do."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from releasekit.errors import E
from releasekit.pipeline import Orchestrator
from releasekit.pipeline.built import Built
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python import Python
from releasekit.pipeline.python.names import is_whole
from releasekit.state import STATE_FILENAME, RunState
from releasekit.store import RunStore
from releasekit.workspace import Package
from releasekit.workspace.graph import assign_levels

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from releasekit.pipeline.carrier import Sending

A, B, C, D = (letter * 64 for letter in "abcd")  # digests

HANG = 30.0  # seconds after which a run is taken to hang

DIAMOND = {"core": "", "left": "core", "right": "core", "top": "left right"}


def failure(text: str = "it is broken", code: E = E.BUILD_FAILED) -> StepError:
    """An error that a step may raise."""
    return StepError(code, text)


def make_package(name: str, root: Path, *, version: str = "1.0", requires: tuple[str, ...] = ()) -> Package:
    """A package of a workspace that has it in a directory of its name."""
    return Package(name, version, root / name, requires, 0)


class MemoryIndex:
    """An index that answers what it is told to, in order; the last answer for ever."""

    name = identity = "memory"
    directory = None

    def __init__(self, *answers: Mapping[str, str] | Exception) -> None:
        self.answers = list(answers or ({},))
        self.asked = 0
        self.sent: list[str] = []
        self.refuses: StepError | None = None

    async def files(self, package: str, version: str, expected: Mapping[str, str]) -> Mapping[str, str]:
        """See `Index.files`."""
        del package, version, expected
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def filenames(self, package: str) -> Mapping[str, str]:
        """See `Index.filenames`."""
        return await self.files(package, "", {})

    async def upload(self, package: str, version: str, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109  # as the protocol has it
        """See `Index.upload`."""
        del package, version, timeout
        if self.refuses:
            raise self.refuses
        self.sent += [path.name for path in paths]

    def is_whole(self, filenames: Collection[str], package: str, version: str) -> bool:
        """See `Index.is_whole`."""
        return is_whole(filenames, package, version)

    async def aclose(self) -> None:
        """See `Index.aclose`."""


class Unchecked(Python):
    """Python packages whose files are none, so that nothing is read from them."""

    async def check(self, *_: object) -> None:
        """See `Ecosystem.check`."""


class RecordingSteps:
    """Steps that do nothing but remember: what was called and ended, and what the disk said at that moment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.called: list[tuple[str, str]] = []
        self.ended: list[tuple[str, str]] = []
        self.on_disk: dict[tuple[str, str], dict[str, str]] = {}
        self.errors: dict[tuple[str, str], Exception] = {}
        self.before: dict[tuple[str, str], Callable[[], Awaitable[object]]] = {}
        self.given: dict[str, Mapping[str, str]] = {}
        self.patience: dict[str, float] = {}
        self.versions: Mapping[str, str] = {}
        self.ahead: dict[str, set[str]] = {}
        self.running: dict[str, int] = defaultdict(int)
        self.most_jobs = 0

    async def build(self, package: Package, artifacts: Mapping[str, str]) -> Built:
        """See `Steps.build`."""
        self.given[package.name] = artifacts
        await self._step("build", package.name)
        return Built(artifacts or {f"{package.name}-1.0.tar.gz": A}, package.version)

    async def check(self, package: Package, versions: Mapping[str, str], is_ahead: Callable[[str], bool]) -> None:
        """See `Steps.check`."""
        self.versions = versions
        self.ahead[package.name] = {name for name in versions if is_ahead(name)}
        await self._step("check", package.name)

    async def publish(self, package: Package, artifacts: Mapping[str, str], sending: Sending) -> None:
        """See `Steps.publish`."""
        assert artifacts
        if asked := self.before.get(("ask", package.name)):
            await asked()
        with sending():
            await self._step("publish", package.name)

    async def verify(self, package: Package, artifacts: Mapping[str, str], patience: float) -> None:
        """See `Steps.verify`."""
        assert artifacts
        self.patience[package.name] = patience
        await self._step("verify", package.name)

    def names(self, step: str) -> list[str]:
        """Name the packages that a step was called for, in order."""
        return [name for called, name in self.called if called == step]

    async def _step(self, step: str, name: str) -> None:
        self.called.append((step, name))
        self.on_disk[step, name] = statuses(self.path)
        async with self._counted(step):
            await asyncio.sleep(0)
            if (step, name) in self.before:
                await self.before[step, name]()
            if (step, name) in self.errors:
                raise self.errors[step, name]
        self.ended.append((step, name))

    @asynccontextmanager
    async def _counted(self, step: str) -> AsyncIterator[None]:
        self.running[step] += 1
        self.most_jobs = max(self.most_jobs, self.running["build"], self.running["publish"])
        try:
            yield
        finally:
            self.running[step] -= 1


class Run:
    """An orchestrator with recording steps, on a store that is real."""

    def __init__(
        self,
        directory: Path,
        graph: Mapping[str, str],
        build: Mapping[str, str] = MappingProxyType({}),
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.path = directory / STATE_FILENAME
        requires = {name: tuple(required.split()) for name, required in graph.items()}
        levels = assign_levels(requires)
        self.state = RunState("0" * 40, index="memory")
        for name, required in requires.items():
            self.state.init_package(name, version="1.0", level=levels[name], requires=required)
        self.packages = {
            name: Package(
                name, "1.0", directory, requires[name], levels[name], build_requires=tuple(build.get(name, "").split())
            )
            for name in requires
        }
        self.steps = RecordingSteps(self.path)
        self.options = {"jobs": 4} | options
        self.orchestrator: Orchestrator

    def go(self) -> Run:
        """Run it to its end, with the store open meanwhile."""
        with RunStore.create(self.path, self.state) as store:
            self.orchestrator = Orchestrator(store, self.packages, self.steps, **self.options)
            asyncio.run(asyncio.wait_for(self.orchestrator.run(), HANG))
        return self

    def publish_before(self, *names: str) -> None:
        """Let packages be published, as by an earlier process."""
        for name in names:
            package = self.state[name]
            package.start_building()
            package.record_artifacts({f"{name}-1.0.tar.gz": A})
            package.start_publishing()
            package.start_verifying()
            package.confirm()

    @property
    def statuses(self) -> dict[str, str]:
        """What the disk says in the end."""
        return statuses(self.path)


def statuses(path: Path) -> dict[str, str]:
    """Read every package's status from the files of a run, as another process would."""
    return {name: package.status.value for name, package in RunState.load(path).packages.items()}
