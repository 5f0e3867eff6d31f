"""A version that only a build tells: what happens once it is known, with the index and with earlier runs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.pipeline.doubles import HANG, A, B, MemoryIndex, Unchecked, make_package

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import Orchestrator, skip_complete
from releasekit.pipeline.aside import set_aside
from releasekit.pipeline.build import DIST_DIRECTORY, Builder
from releasekit.pipeline.built import Built
from releasekit.pipeline.learned import refuse_local
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.resume import open_run, plan_changes
from releasekit.pipeline.sent import Earlier, may_be_sent
from releasekit.pipeline.steps import IndexSteps
from releasekit.state import STATE_FILENAME, RunState
from releasekit.state.history import read_history
from releasekit.store import RunStore
from releasekit.workspace.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from releasekit.state import PackageState
    from releasekit.workspace import Package

SHA = "1" * 40
VERSION = "1.2"
SDIST, WHEEL = "core-1.2.tar.gz", "core-1.2-py3-none-any.whl"


def content(text: str) -> dict[str, bytes]:
    return {SDIST: f"the sdist {text}".encode(), WHEEL: f"the wheel {text}".encode()}


def files(text: str) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in content(text).items()}


FIRST, SECOND = files("first"), files("second")
THEIRS = {SDIST: A, WHEEL: B}


class SomeBuilder(Builder):
    """Builds what it is told to."""

    def __init__(self, root: Path, text: str) -> None:
        super().__init__(root, 0, Unchecked())
        self.text = text
        self.builds = 0

    async def build(self, package: Package, check: Callable[[Mapping[str, str]], None] | None = None) -> Built:
        """See `Builder.build`."""
        assert package.version in {"", VERSION}
        self.builds += 1
        built = files(self.text)
        if check:
            check(built)
        directory = self.directory(package.name)
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in content(self.text).items():
            (directory / name).write_bytes(data)
        return Built(built, VERSION)


class TakingIndex(MemoryIndex):
    """An index that has what it was sent, and asks for a version."""

    def __init__(self, shown: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.shown = dict(shown or {})
        self.asked_for: list[str] = []

    async def files(self, package: str, version: str, expected: Mapping[str, str]) -> Mapping[str, str]:
        """See `Index.files`."""
        del package, expected
        self.asked_for.append(version)
        return dict(self.shown)

    async def upload(self, package: str, version: str, paths: object, timeout: float) -> None:  # noqa: ASYNC109  # as the protocol has it
        """See `Index.upload`."""
        await super().upload(package, version, paths, timeout)  # type: ignore[arg-type]
        for path in paths:  # type: ignore[attr-defined]
            self.shown[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()


class Bench:
    """A run of one package with a dynamic version, in a directory."""

    def __init__(self, root: Path) -> None:
        self.path = root / STATE_FILENAME
        impatient = Settings(verify_timeout=0, retry_budget=0)
        self.package = replace(make_package("core", root, version=""), dynamic=True, settings=impatient)

    def plan(self, sha: str = SHA) -> RunState:
        plan = RunState(sha, index="memory")
        plan.init_package("core")
        return plan

    def go(self, index: MemoryIndex, text: str = "first", *, sha: str = SHA, fresh: bool = False) -> PackageState:
        """Release it, or go on with that."""

        async def all_of_it() -> PackageState:
            with await open_run(self.path, self.plan(sha), index, fresh=fresh) as store:
                self.builder = SomeBuilder(self.path.parent, text)
                steps = IndexSteps(
                    self.builder,
                    index,
                    sent=lambda: may_be_sent(self.path),
                    earlier=Earlier(self.path, index),
                )
                orchestrator = Orchestrator(store, {"core": self.package}, steps, jobs=2)
                await asyncio.wait_for(orchestrator.run(), HANG)
                return store.state["core"]

        return asyncio.run(all_of_it())

    def triggers(self) -> list[str]:
        return [str(event.trigger) for event in read_history(self.path).events[1:]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_version_is_recorded_with_what_was_built_and_asked_for_from_then_on(bench: Bench) -> None:
    index = TakingIndex()
    core = bench.go(index)

    assert (core.status, core.version, core.artifacts) == ("published", VERSION, FIRST)
    assert set(index.asked_for) == {VERSION}
    assert index.shown == FIRST
    recorded = next(event for event in read_history(bench.path).events if event.carried)
    assert dict(recorded.carried) == {"artifacts": FIRST, "version": VERSION}


def test_a_version_that_the_index_has_with_other_files_is_skipped_with_the_reason(bench: Bench) -> None:
    index = TakingIndex(THEIRS)
    core = bench.go(index)

    assert (core.status, core.version, core.reason) == ("skipped", VERSION, "version 1.2 is already on memory")
    assert index.sent == []
    assert bench.triggers() == ["start_building", "record_artifacts", "recover", "skip"]


def test_a_version_that_the_index_has_as_it_was_built_is_published_without_sending(bench: Bench) -> None:
    index = TakingIndex(FIRST)
    core = bench.go(index)

    assert (core.status, core.artifacts, index.sent) == ("published", FIRST, [])


def test_a_version_that_the_index_has_in_part_is_completed_or_a_conflict(bench: Bench) -> None:
    index = TakingIndex({SDIST: FIRST[SDIST]})
    assert bench.go(index).status == "published"
    assert index.sent == [WHEEL]

    other = Bench(bench.path.parent / "other")
    other.path.parent.mkdir()
    core = other.go(TakingIndex({SDIST: A}))
    assert core.status == "failed"
    assert core.error.startswith(E.INDEX_CONFLICT)


def test_what_requires_a_package_that_was_skipped_after_its_build_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    plan = bench.plan()
    plan.init_package("top", version="2.0", requires=["core"], level=1)
    packages = {"core": bench.package, "top": make_package("top", tmp_path, version="2.0", requires=("core",))}
    published: list[str] = []

    class Steps:
        async def build(self, package: Package, artifacts: Mapping[str, str]) -> Built:
            del artifacts
            built = Built({f"{package.name}.tar.gz": A}, package.version or VERSION)
            return built.unwanted("memory") if package.dynamic else built

        async def check(self, package: Package, *_: object) -> None:
            """Nothing is missing."""

        async def publish(self, package: Package, *_: object) -> None:
            published.append(package.name)

        async def verify(self, package: Package, *_: object) -> None:
            assert package.version == "2.0"

    for gate in (True, False):
        with RunStore.create(tmp_path / f"{gate}.json", RunState(SHA, {}, index="memory")) as store:
            for name, package in plan.packages.items():
                store.state.init_package(name, version=package.version, level=package.level, requires=package.requires)
            orchestrator = Orchestrator(store, packages, Steps(), jobs=2, gate=gate)
            asyncio.run(asyncio.wait_for(orchestrator.run(), HANG))
            assert {name: p.status.value for name, p in store.state.packages.items()} == {
                "core": "skipped",
                "top": "published",
            }
    assert published == ["top", "top"]


@pytest.mark.parametrize("shown", [THEIRS, {}], ids=["complete", "nothing"])
def test_a_crash_between_the_record_and_the_skip_comes_to_the_same(bench: Bench, shown: dict[str, str]) -> None:
    with RunStore.create(bench.path, bench.plan()) as store:
        store.state["core"].start_building()
        store.state["core"].record_artifacts(FIRST, VERSION)
        directory = bench.path.parent / DIST_DIRECTORY / "core"
        directory.mkdir(parents=True)
        for name, data in content("first").items():
            (directory / name).write_bytes(data)
    index = TakingIndex(shown)
    core = bench.go(index, "second")

    assert (core.status, bench.builder.builds) == ("skipped" if shown else "published", 0)
    assert core.version == VERSION
    assert index.shown == (THEIRS if shown else FIRST)


def test_what_this_run_may_have_sent_is_a_conflict_and_not_skipped(bench: Bench) -> None:
    with RunStore.create(bench.path, bench.plan()) as store:
        store.state["core"].start_building()
        store.state["core"].record_artifacts(FIRST, VERSION)
        store.state["core"].start_publishing()
    core = bench.go(TakingIndex(THEIRS))

    assert core.status == "failed"
    assert core.error.startswith(E.INDEX_CONFLICT)


def test_a_resumed_run_sends_what_was_first_built_of_its_version(bench: Bench) -> None:
    refusing = TakingIndex()
    refusing.refuses = StepError(E.PUBLISH_FAILED, "403")
    assert bench.go(refusing).status == "failed"

    index = TakingIndex()
    core = bench.go(index, "second")
    assert (core.status, core.artifacts, bench.builder.builds) == ("published", FIRST, 0)
    assert index.shown == FIRST


def finished(bench: Bench) -> None:
    """Let an earlier run have published the version."""
    assert bench.go(TakingIndex()).status == "published"


def test_a_new_run_sends_what_an_earlier_one_sent_of_the_version_if_the_index_lags(bench: Bench) -> None:
    finished(bench)
    index = TakingIndex()
    core = bench.go(index, "second", sha="2" * 40)

    assert (core.status, core.artifacts, core.version) == ("published", FIRST, VERSION)
    assert index.shown == FIRST, "one name has one content for ever"


def test_a_new_run_finds_what_an_earlier_one_sent_on_the_index(bench: Bench) -> None:
    finished(bench)
    for aside in (False, True):
        if aside:
            for kept in bench.path.parent.glob(f"{DIST_DIRECTORY}*/core/*"):
                kept.unlink()
        index = TakingIndex(FIRST)
        core = bench.go(index, "second", sha="23"[aside] * 40)
        assert (core.status, core.artifacts, index.sent) == ("published", FIRST, [])


def test_what_an_earlier_run_sent_and_the_index_shows_otherwise_is_a_conflict(bench: Bench) -> None:
    finished(bench)
    core = bench.go(TakingIndex(THEIRS), "second", sha="2" * 40)
    assert core.status == "failed"
    assert core.error.startswith(E.INDEX_CONFLICT)


def test_what_an_earlier_run_sent_and_is_lost_is_not_replaced_by_other_bytes(bench: Bench) -> None:
    finished(bench)
    for kept in bench.path.parent.glob(f"{DIST_DIRECTORY}*/core/*"):
        kept.unlink()
    core = bench.go(TakingIndex(), "second", sha="2" * 40)
    assert core.status == "failed"
    assert core.error.startswith(E.REBUILT_DIFFERS)
    again = bench.go(TakingIndex(), "first", sha="2" * 40)
    assert (again.status, again.artifacts) == ("published", FIRST)


def test_what_an_earlier_run_sent_of_another_version_or_elsewhere_binds_nothing(bench: Bench) -> None:
    finished(bench)
    elsewhere = TakingIndex()
    elsewhere.identity = "elsewhere"
    earlier = Earlier(bench.path, TakingIndex())
    set_aside(bench.path, unfinished=False)
    assert earlier.files("core", VERSION) == FIRST
    assert earlier.files("core", "1.3") == {}
    assert earlier.files("other", VERSION) == {}
    assert Earlier(bench.path, elsewhere).files("core", VERSION) == {}


def test_files_that_can_not_be_brought_back_are_an_error_not_a_crash(bench: Bench) -> None:
    finished(bench)
    index = TakingIndex()

    class Stuck(Earlier):
        def bring_back(self, package: str, artifacts: Mapping[str, str]) -> bool:
            raise OSError(28, f"no space for {package} {len(artifacts)}")

    steps = IndexSteps(SomeBuilder(bench.path.parent, "second"), index, earlier=Stuck(bench.path, index))
    set_aside(bench.path, unfinished=False)
    with pytest.raises(StepError, match="could not be copied") as caught:
        asyncio.run(steps.build(bench.package, {}))
    assert caught.value.code is E.FILE_FAILED


# versions that are none of a release


@pytest.mark.parametrize("version", ["1.2+gabc", "1.2.dev3+g4f2a9c1.d20261128"])
def test_a_local_version_fails_before_anything_is_sent(bench: Bench, version: str) -> None:
    index = TakingIndex()
    with pytest.raises(StepError) as caught:
        refuse_local("core", version, index)
    assert caught.value.code is E.VERSION_LOCAL
    assert f"'core' was built as version {version}" in caught.value.message
    assert "commit that has a tag" in caught.value.hint
    assert "--since" in caught.value.hint

    class Local(SomeBuilder):
        async def build(self, package: Package, check: object = None) -> Built:
            del package, check
            return Built(FIRST, version)

    with pytest.raises(StepError, match="is for this machine"):
        asyncio.run(IndexSteps(Local(bench.path.parent, ""), index).build(bench.package, {}))
    assert (index.asked_for, index.sent) == ([], [])


def test_a_directory_takes_local_versions_and_any_index_others(tmp_path: Path) -> None:
    directory = TakingIndex()
    directory.directory = tmp_path  # type: ignore[assignment]
    refuse_local("core", "1.2+gabc", directory)
    refuse_local("core", "1.2.dev3", TakingIndex())


# plans


def run_of(version: str) -> RunState:
    state = RunState(SHA, index="memory")
    state.init_package("core", version=version)
    return state


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("", "", []),
        ("1.2", "", []),
        ("1.2", "1.2", []),
        ("1.2", "1.3", ["core was 1.2 and is 1.3"]),
        ("", "1.3", ["core was dynamic and is 1.3"]),
    ],
)
def test_a_plan_that_does_not_know_a_version_has_not_changed_it(old: str, new: str, changes: list[str]) -> None:
    assert plan_changes(run_of(old), run_of(new)) == changes


def test_an_index_is_not_asked_about_a_version_that_nobody_knows_yet() -> None:
    index = TakingIndex(THEIRS)
    plan = run_of("")
    asyncio.run(skip_complete(plan, index))
    assert (plan["core"].status, index.asked_for) == ("pending", [])


def test_the_recorded_version_binds_the_next_build(bench: Bench) -> None:
    """Tags may be made between two builds of a commit: the second would be another release."""
    with RunStore.create(bench.path, bench.plan()) as store:
        store.state["core"].start_building()
        store.state["core"].record_artifacts(FIRST, VERSION)
    seen: list[str] = []

    class Watching(SomeBuilder):
        async def build(self, package: Package, check: Callable[[Mapping[str, str]], None] | None = None) -> Built:
            seen.append(package.version)
            return await super().build(package, check)

    index = TakingIndex()
    with asyncio.run(open_run(bench.path, bench.plan(), index)) as store:
        steps = IndexSteps(Watching(bench.path.parent, "second"), index, earlier=Earlier(bench.path, TakingIndex()))
        asyncio.run(Orchestrator(store, {"core": bench.package}, steps, jobs=1).run())
        assert (store.state["core"].status, store.state["core"].artifacts) == ("published", SECOND)
    assert seen == [VERSION]
    assert json.loads(bench.path.read_bytes())["packages"]["core"]["version"] == VERSION
    with pytest.raises(ReleaseKitError):
        RunState.load(bench.path)["core"].record_artifacts(FIRST, "1.3")
