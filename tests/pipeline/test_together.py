from __future__ import annotations

import asyncio
import hashlib
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support import digests

from releasekit.cli import demo_workspace
from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.build import DIST_DIRECTORY, Builder
from releasekit.pipeline.commands import ByCommands
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python import Python
from releasekit.pipeline.together import AllBuilds, Together
from releasekit.workspace import load_workspace
from releasekit.workspace.settings import Commands, Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from tests.support import Workspace

    from releasekit.workspace import Package

PUBLISH = ("publish", "--index", "./out")
EPOCH = 1_700_000_000


class Ran(list[tuple[str, ...]]):
    """The commands that were run, without their places."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        really = process.run

        async def run(command: Sequence[str], **options: object) -> str:
            self.append(tuple(command[1:3]))
            return await really(command, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(process, "run", run)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Ran:
    return Ran(monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace of eight packages, all built by uv itself."""
    root = tmp_path / "workspace"
    demo_workspace.make_workspace(root)
    return root


def builder_of(root: Path, ecosystem: object = None, wanted: Collection[str] | None = None) -> Builder:
    packages = load_workspace(root).packages
    ecosystem = ecosystem or ByCommands(Python())
    together = Together(ecosystem, packages, wanted or packages, AllBuilds(root, root, EPOCH, 60))
    return Builder(root, EPOCH, ecosystem, together=together)  # type: ignore[arg-type]


def build(builder: Builder, *names: str) -> dict[str, Mapping[str, str]]:
    packages = load_workspace(builder.root).packages

    async def all_of_them() -> list[Mapping[str, str]]:
        built = await asyncio.gather(*(builder.build(packages[name]) for name in names or packages))
        return [each.artifacts for each in built]

    return dict(zip(names or packages, asyncio.run(all_of_them()), strict=True))


def left_over(root: Path) -> list[str]:
    return [path.name for path in (root / DIST_DIRECTORY).iterdir() if path.name.startswith(".")]


def test_what_uv_builds_itself_is_built_by_one_process_and_is_the_same(root: Path, commands: Ran) -> None:
    together = build(builder_of(root))

    assert commands.count(("build", "--all-packages")) == 1
    assert len(commands) == 2
    alone = build(Builder(root, EPOCH, Python()))
    assert together == alone
    for name, artifacts in together.items():
        kept = {path.name: path.read_bytes() for path in (root / DIST_DIRECTORY / name).iterdir()}
        assert {file: hashlib.sha256(content).hexdigest() for file, content in kept.items()} == artifacts
    assert not left_over(root)


@pytest.mark.parametrize(
    "change",
    [
        ('build-backend = "uv_build"', 'build-backend = "uv_build"\nbackend-path = ["."]\n'),
        ('"uv_build>=0.8,<1"', '"uv_build>=0.8,<0.9"'),
    ],
    ids=["another backend", "another uv"],
)
def test_what_uv_may_not_build_itself_has_all_built_alone(root: Path, commands: Ran, change: tuple[str, str]) -> None:
    file = root / "packages" / "aurora-net" / "pyproject.toml"
    file.write_text(file.read_text().replace(*change))
    changed = builder_of(root)

    build(changed, "aurora-core", "aurora-text")

    assert ("build", "--all-packages") not in commands
    assert commands.count(("build", "--out-dir")) == 2


def test_what_a_command_builds_has_all_built_alone(root: Path) -> None:
    packages = dict(load_workspace(root).packages)
    by_command = Settings(commands=Commands(build=("true",)))
    ecosystem = ByCommands(Python())

    assert asyncio.run(ecosystem.is_faster_together(packages, packages))
    packages["aurora-net"] = replace(packages["aurora-net"], settings=by_command)
    assert not asyncio.run(ecosystem.is_faster_together(packages, packages))


def test_where_few_of_many_are_wanted_the_others_are_not_built(root: Path, commands: Ran) -> None:
    build(builder_of(root, wanted=["aurora-core"]), "aurora-core")
    assert ("build", "--all-packages") not in commands


def test_what_is_no_package_does_not_count(root: Path, commands: Ran) -> None:
    file = root / "packages" / "aurora" / "pyproject.toml"
    file.write_text(file.read_text().replace("[tool.uv.sources]", "[tool.uv]\npackage = false\n[tool.uv.sources]"))

    build(builder_of(root), "aurora-core", "aurora-text")

    assert commands.count(("build", "--all-packages")) == 1


def test_a_package_that_breaks_the_others_fails_alone_and_says_why(root: Path, commands: Ran) -> None:
    (root / "packages" / "aurora-net" / "src" / "aurora_net" / "__init__.py").unlink()
    builder = builder_of(root)

    built = build(builder, "aurora-core", "aurora-text")
    with pytest.raises(StepError, match="aurora-net") as caught:
        build(builder, "aurora-net")

    assert caught.value.code is E.BUILD_FAILED
    assert len(built["aurora-core"]) == 2
    assert commands.count(("build", "--all-packages")) == 1
    assert not left_over(root)


def test_a_second_build_of_a_package_is_its_own(root: Path, commands: Ran) -> None:
    builder = builder_of(root)
    packages = load_workspace(root).packages

    async def twice() -> None:
        first = await builder.build(packages["aurora-core"])
        assert await builder.build(packages["aurora-core"]) == first

    asyncio.run(twice())
    assert commands.count(("build", "--out-dir")) == 1


class Slow:
    """An ecosystem that builds together until it is told to stop."""

    name = "slow"

    def __init__(self) -> None:
        self.building = asyncio.Event()
        self.ended = False

    async def is_faster_together(self, packages: Mapping[str, Package], wanted: Collection[str]) -> bool:
        """See `BuildsTogether`."""
        return len(packages) == len(wanted)

    async def build_together(self, builds: AllBuilds) -> Mapping[str, Collection[str]]:
        """See `BuildsTogether`."""
        assert builds.target.is_dir()
        self.building.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)  # as it takes to kill a process
            self.ended = True
        return {}


def test_who_is_cancelled_has_all_builds_over_before_it_ends(root: Path) -> None:
    async def test() -> None:
        builder, packages = builder_of(root, slow := Slow()), load_workspace(root).packages
        tasks = [asyncio.create_task(builder.build(packages[name])) for name in ("aurora-core", "aurora-text")]
        await slow.building.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert slow.ended
        assert all(task.cancelled() for task in tasks)

    asyncio.run(asyncio.wait_for(test(), 20))
    assert not left_over(root)


def test_what_a_killed_run_left_is_removed_by_the_next_also_when_that_has_nothing_to_build(
    workspace: Workspace,
) -> None:
    assert workspace.killed_at("publishing", 0, *PUBLISH).returncode == -signal.SIGKILL
    kept = workspace.recorded()
    for name in (".together-0123456789abcdef", ".building-0123456789abcdef"):
        left = workspace.root / DIST_DIRECTORY / name
        left.mkdir()
        (left / "nobody_took_it-1-py3-none-any.whl").touch()

    done = workspace.releasekit(*PUBLISH)

    assert done.returncode == 0, done.stderr
    assert not left_over(workspace.root)
    assert digests(workspace.root / "out") == kept


def test_what_was_left_before_there_was_a_run_is_removed(workspace: Workspace) -> None:
    (workspace.root / DIST_DIRECTORY / ".together-0123456789abcdef").mkdir(parents=True)

    assert workspace.releasekit(*PUBLISH).returncode == 0
    assert not left_over(workspace.root)
