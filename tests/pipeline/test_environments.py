"""Environments that packages share: made once, for those that can; what goes wrong with them is nobody's error."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import pytest

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.build import DIST_DIRECTORY, Builder
from releasekit.pipeline.commands import ByCommands
from releasekit.pipeline.environments import Environments
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.scratch import remove_leftovers
from releasekit.workspace import Package
from releasekit.workspace.settings import Commands, Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from releasekit.pipeline.ecosystem import Build

ALONE: Final = "alone"


class Place:
    """An environment of a double; its builds say in the file that they leave where they were."""

    def __init__(self, ecosystem: Ecosystem) -> None:
        self.ecosystem = ecosystem
        self.made: list[Path] = []
        self.built: list[str] = []
        self.patience = 0.0

    async def make(self, place: Path, timeout: float) -> None:  # noqa: ASYNC109  # as the protocol has it
        """See `Environment`."""
        assert await asyncio.to_thread(os.listdir, place) == []
        self.made.append(place)
        self.patience = timeout
        await self.ecosystem.happens("make")
        place.joinpath("made").touch()

    async def build(self, build: Build, place: Path) -> None:
        """See `Environment`."""
        assert place.joinpath("made").exists()
        build.target.joinpath("half").touch()
        build.target.joinpath("sub").mkdir()
        self.built.append(build.package.name)
        await self.ecosystem.happens("build")
        build.target.joinpath("half").unlink()
        build.target.joinpath("sub").rmdir()
        build.target.joinpath("file").write_text("in the environment")


class Ecosystem:
    """An ecosystem of which packages share an environment by the letter that they begin with."""

    name = "double"
    takes_wheels = False

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.goes_wrong: Mapping[str, Exception | None] = {}
        self.asked: Collection[str] = ()
        self.alone: list[str] = []
        self.reached: dict[str, asyncio.Queue[str]] = {}
        self.ended: list[str] = []

    async def happens(self, what: str) -> None:
        """Go wrong, or wait to be cancelled, as a test has it."""
        if what in self.reached:
            self.reached[what].put_nowait(what)
            try:
                await asyncio.sleep(60)
            finally:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.01)  # as it takes to kill a process
                self.ended.append(what)
        if error := self.goes_wrong.get(what):
            raise error

    def environments(self, root: Path, packages: Mapping[str, Package], wanted: Collection[str]) -> Mapping[str, Place]:
        """See `SharesEnvironments`."""
        assert root.is_dir()
        assert {*wanted} <= packages.keys()
        if error := self.goes_wrong.get("ask"):
            raise error
        self.asked = wanted
        return {name: self.places.setdefault(name[0], Place(self)) for name in sorted(wanted) if name != ALONE}

    async def build(self, build: Build) -> None:
        """See `Ecosystem`."""
        assert [*build.target.iterdir()] == []
        self.alone.append(build.package.name)
        if error := self.goes_wrong.get("build alone"):
            raise error
        build.target.joinpath("file").write_text("alone")

    def version_of(self, package: Package, directory: Path, artifacts: Mapping[str, str]) -> str:
        """See `Ecosystem`."""
        assert [*artifacts] == ["file"], directory
        return package.version


@pytest.fixture
def ecosystem() -> Ecosystem:
    return Ecosystem()


def builder_of(root: Path, ecosystem: object, *names: str, settings: Settings | None = None) -> Builder:
    packages = packages_of(root, *names, settings=settings)
    environments = Environments(ecosystem, root, packages, packages.keys())
    return Builder(root, 0, ecosystem, environments=environments)  # type: ignore[arg-type]


def packages_of(root: Path, *names: str, settings: Settings | None = None) -> dict[str, Package]:
    return {name: Package(name, "1", root / name, settings=settings or Settings()) for name in names}


def build(builder: Builder, *names: str) -> list[str]:
    async def all_of_them() -> None:
        await asyncio.gather(*(builder.build(package) for package in packages_of(builder.root, *names).values()))

    asyncio.run(all_of_them())
    return [builder.directory(name).joinpath("file").read_text() for name in names]


def left_over(root: Path) -> list[str]:
    gc.collect()
    return [path.name for path in (root / DIST_DIRECTORY).iterdir() if path.name.startswith(".")]


def test_those_that_share_are_built_in_one_that_is_made_once_and_the_others_alone(
    tmp_path: Path, ecosystem: Ecosystem
) -> None:
    names = ("a1", "a2", "a3", "b1", "c1", "c2", ALONE)
    builder = builder_of(tmp_path, ecosystem, *names)

    told = build(builder, *names)

    assert told == ["in the environment"] * 3 + ["alone", "in the environment", "in the environment", "alone"]
    assert {letter: len(place.made) for letter, place in ecosystem.places.items()} == {"a": 1, "b": 0, "c": 1}
    assert sorted(ecosystem.alone) == [ALONE, "b1"]
    assert len(left_over(tmp_path)) == 2
    del builder
    assert left_over(tmp_path) == []


def test_the_longest_time_that_one_of_them_has_is_what_the_making_may_take(
    tmp_path: Path, ecosystem: Ecosystem
) -> None:
    packages = packages_of(tmp_path, "a1", "a2", "b1", "b2")
    packages["a2"] = replace(packages["a2"], settings=Settings(build_timeout=7000.0))
    environments = Environments(ecosystem, tmp_path, packages, packages.keys())
    build(Builder(tmp_path, 0, ecosystem, environments=environments), *packages)  # type: ignore[arg-type]
    assert ecosystem.places["a"].patience == 7000.0
    assert ecosystem.places["b"].patience == Settings().build_timeout


def test_none_is_made_before_the_first_of_its_packages_is_built(tmp_path: Path, ecosystem: Ecosystem) -> None:
    builder = builder_of(tmp_path, ecosystem, "a1", "a2", "b1", "b2")
    build(builder, "b2")
    assert not ecosystem.places["a"].made
    assert ecosystem.places["b"].made


@pytest.mark.parametrize("error", [StepError(E.BUILD_FAILED, "no such package"), OSError("no space")], ids=repr)
def test_one_that_cant_be_made_is_not_tried_again_and_all_are_built_alone(
    tmp_path: Path, ecosystem: Ecosystem, error: Exception
) -> None:
    ecosystem.goes_wrong = {"make": error}
    builder = builder_of(tmp_path, ecosystem, "a1", "a2", "a3")
    assert build(builder, "a1", "a2") == ["alone"] * 2
    assert left_over(tmp_path) == []
    assert len(ecosystem.places["a"].made) == 1


def test_one_that_leaves_no_room_for_what_is_built_is_removed_first(
    tmp_path: Path, ecosystem: Ecosystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    build(builder_of(tmp_path, ecosystem, "a1", "a2"), "a1", "a2")
    assert len(ecosystem.places["a"].made) == 1
    assert sorted(ecosystem.alone) == ["a1", "a2"]
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("error", [StepError(E.BUILD_FAILED, "it broke"), OSError("no space")], ids=repr)
def test_what_fails_in_one_is_built_alone_and_tells_that_error(
    tmp_path: Path, ecosystem: Ecosystem, error: Exception
) -> None:
    ecosystem.goes_wrong = {"build": error}
    builder = builder_of(tmp_path, ecosystem, "a1", "a2")
    assert build(builder, "a1") == ["alone"]

    ecosystem.goes_wrong = {"build": error, "build alone": StepError(E.BUILD_FAILED, "its own error")}
    with pytest.raises(StepError, match="its own error"):
        build(builder, "a2")

    ecosystem.goes_wrong = {}
    assert build(builder, "a2") == ["in the environment"], "one that fails says nothing of the others"


def test_what_took_all_of_its_time_in_one_is_not_given_it_again(tmp_path: Path, ecosystem: Ecosystem) -> None:
    ecosystem.goes_wrong = {"build": StepError(E.BUILD_TIMEOUT, "it hangs")}
    with pytest.raises(StepError, match="it hangs"):
        build(builder_of(tmp_path, ecosystem, "a1", "a2"), "a1")
    assert not ecosystem.alone


@pytest.mark.parametrize("error", [ReleaseKitError(E.WORKSPACE_INVALID, "unreadable"), OSError("gone")], ids=repr)
def test_where_it_cant_be_told_who_shares_all_are_built_alone(
    tmp_path: Path, ecosystem: Ecosystem, error: Exception
) -> None:
    ecosystem.goes_wrong = {"ask": error}
    assert build(builder_of(tmp_path, ecosystem, "a1", "a2"), "a1", "a2") == ["alone"] * 2


def test_an_ecosystem_that_knows_of_none_builds_all_alone(tmp_path: Path, ecosystem: Ecosystem) -> None:
    class Other:
        name, takes_wheels = "other", False
        build = staticmethod(ecosystem.build)
        version_of = staticmethod(ecosystem.version_of)

    assert build(builder_of(tmp_path, Other(), "a1", "a2"), "a1", "a2") == ["alone"] * 2
    assert ByCommands(Other()).environments(tmp_path, {}, ()) == {}  # type: ignore[arg-type]


def test_what_a_command_builds_is_no_reason_to_make_one(tmp_path: Path, ecosystem: Ecosystem) -> None:
    packages = packages_of(tmp_path, "a1", "a2")
    packages["a1"] = replace(packages["a1"], settings=Settings(commands=Commands(build=("true",))))
    by_commands = ByCommands(ecosystem)  # type: ignore[arg-type]
    assert [*by_commands.environments(tmp_path, packages, packages.keys())] == ["a2"]


def test_what_was_given_is_added_to_without_one(tmp_path: Path, ecosystem: Ecosystem) -> None:
    builder = builder_of(tmp_path, ecosystem, "a1", "a2")
    builder.given("a1").mkdir(parents=True)
    builder.given("a1").joinpath("given").touch()
    with pytest.raises(AssertionError, match="given"):  # by `Ecosystem.build`
        build(builder, "a1")
    assert not ecosystem.places


@pytest.mark.parametrize(("moment", "times"), [("make", 1), ("build", 2)])
def test_who_is_cancelled_has_it_over_and_away_before_it_ends(
    tmp_path: Path, ecosystem: Ecosystem, moment: str, times: int
) -> None:
    async def test() -> None:
        ecosystem.reached = {moment: asyncio.Queue()}
        builder, packages = builder_of(tmp_path, ecosystem, "a1", "a2"), packages_of(tmp_path, "a1", "a2")
        tasks = [asyncio.create_task(builder.build(package)) for package in packages.values()]
        for _ in range(times):
            await ecosystem.reached[moment].get()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert ecosystem.ended == [moment] * times
        assert all(task.cancelled() for task in tasks)

    asyncio.run(asyncio.wait_for(test(), 20))
    assert left_over(tmp_path) == []


def test_what_a_process_left_that_was_killed_is_removed_and_nothing_that_was_built(
    tmp_path: Path, ecosystem: Ecosystem
) -> None:
    builder = builder_of(tmp_path, ecosystem, "a1", "a2")
    build(builder, "a1")
    assert len(left_over(tmp_path)) == 1
    others = (".ssh", ".Trash-1000", ".building-by-hand")
    for name in others:  # the directory may be a link to one that is not ours alone
        (tmp_path / DIST_DIRECTORY / name).mkdir()

    remove_leftovers(tmp_path)

    assert sorted(path.name for path in (tmp_path / DIST_DIRECTORY).iterdir()) == sorted([*others, "a1"])
    content = (tmp_path / DIST_DIRECTORY / "a1" / "file").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert asyncio.run(builder.kept("a1")) == {"file": digest}
