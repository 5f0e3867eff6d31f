"""Files that were built elsewhere: looked at before anything else, kept as our own, and never mixed with others."""

from __future__ import annotations

import asyncio
import os
import shutil
import zipfile
from contextlib import nullcontext
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

import pytest
from tests import archives
from tests.pipeline.doubles import MemoryIndex, make_package
from tests.support import digests

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.build import DIST_DIRECTORY, Builder, given_directory
from releasekit.pipeline.built import Built
from releasekit.pipeline.learned import settle
from releasekit.pipeline.outcome import ConflictError, StepError
from releasekit.pipeline.python import Python
from releasekit.pipeline.resume import open_run
from releasekit.pipeline.steps import IndexSteps
from releasekit.pipeline.wheels import Wheels
from releasekit.state import STATE_FILENAME, RunState, there_is_a_run
from releasekit.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from releasekit.workspace import Package


PATIENCE = 60.0  # seconds for a thread to get its turn
LINUX, MAC = "cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-macosx_11_0_arm64"


class Bench:
    """A workspace of `core` and `top`, and a directory of files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / STATE_FILENAME
        self.directory = root / "wheelhouse"
        self.packages = {name: make_package(name, root) for name in ("core", "top")}
        archives.release(self.directory, "core", "1.0", LINUX, MAC)

    def change(self, name: str, **fields: object) -> None:
        self.packages[name] = replace(self.packages[name], **fields)  # type: ignore[arg-type]

    def plan(self, sha: str = "1" * 40) -> RunState:
        plan = RunState(sha, index="memory")
        for name, package in self.packages.items():
            plan.init_package(name, version=package.version)
        return plan

    def wheels(self) -> Wheels:
        return Wheels(self.directory, self.packages)

    def open(self, *, given: bool = True, sha: str = "1" * 40, index: MemoryIndex | None = None) -> RunStore:
        asked = self.wheels() if given else None
        return asyncio.run(open_run(self.path, self.plan(sha), index or MemoryIndex(), wheels=asked))

    def refusal(self) -> str:
        with pytest.raises(ReleaseKitError) as caught:
            self.open()
        assert caught.value.code is E.WHEELS_REFUSED
        assert caught.value.hint
        return caught.value.message.replace(f"{self.directory}", "DIR")

    @property
    def kept(self) -> dict[str, str]:
        return digests(given_directory(self.root, "core"))


class FromDirectory(Builder):
    """Builds what the directory has."""

    async def build(self, package: Package, check: Callable[[Mapping[str, str]], None] | None = None) -> Built:
        """See `Builder.build`."""
        del check
        kept = shutil.copytree(self.root / "wheelhouse", self.directory(package.name), dirs_exist_ok=True)
        return Built(digests(kept), "1.0")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_given_is_the_runs_own_when_it_begins(bench: Bench) -> None:
    given = digests(bench.directory)
    bench.open().close()
    assert (len(given), bench.kept) == (3, given)


def test_without_a_directory_nothing_is_given(bench: Bench) -> None:
    bench.open(given=False).close()
    assert bench.kept == {}
    assert Wheels(None, bench.packages).given == {}


def test_what_a_directory_has_is_taken_and_nothing_is_built(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", "/nowhere/uv")  # it would be an error to run it
    bench.open().close()
    shutil.rmtree(bench.directory)
    built = asyncio.run(Builder(bench.root, 0, Python()).build(bench.packages["core"]))
    assert (built.version, len(built.artifacts)) == ("1.0", 3)
    assert built.artifacts == bench.kept == digests(bench.root / DIST_DIRECTORY / "core")


def test_the_version_of_a_dynamic_package_is_that_of_its_files(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", "/nowhere/uv")
    bench.change("core", version="", dynamic=True)
    bench.open().close()
    assert asyncio.run(Builder(bench.root, 0, Python()).build(bench.packages["core"])).version == "1.0"


def test_files_that_are_hidden_are_not_looked_at(bench: Bench) -> None:
    (bench.directory / ".gitignore").write_text("*")
    bench.open().close()


def test_a_file_of_no_package_is_refused_by_name(bench: Bench) -> None:
    other = "other-1.0-py3-none-any.whl"
    archives.wheel(bench.directory / other, archives.core_metadata("other", "1.0"))
    assert bench.refusal() == f"DIR/{other} is of no package of the workspace"


@pytest.mark.parametrize("name", ["notes.txt", "core-1.0.whl", "core.tar.gz", "core-main-py3-none-any.whl"])
def test_what_is_no_distribution_is_refused_by_name(bench: Bench, name: str) -> None:
    (bench.directory / name).write_text("")
    assert bench.refusal() == f"DIR/{name} is neither a wheel nor an sdist"
    assert not bench.path.exists()


def test_another_version_than_the_plan_has_is_refused(bench: Bench) -> None:
    bench.change("core", version="1.1")
    assert bench.refusal() == (f"DIR/core-1.0-{MAC}.whl is of version 1.0, and the plan has core 1.1")


def test_a_version_written_in_another_way_is_the_same(bench: Bench) -> None:
    bench.change("core", version="1.0.0")
    bench.open().close()


def test_two_versions_of_a_dynamic_package_are_refused(bench: Bench) -> None:
    bench.change("core", version="", dynamic=True)
    archives.wheel(bench.directory / "core-1.1-py3-none-any.whl", archives.core_metadata("core", "1.1"))
    assert bench.refusal() == "DIR/core-1.1-py3-none-any.whl is of version 1.1, and another file of core is of 1.0"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (archives.core_metadata("core", "1.1"), "is of core 1.1 by its metadata, and should be of core 1.0"),
        (archives.core_metadata("other", "1.0"), "is of other 1.0 by its metadata, and should be of core 1.0"),
        (b"", "has metadata without a name"),
    ],
    ids=["version", "name", "nothing"],
)
def test_a_file_that_says_otherwise_than_its_name_is_refused(bench: Bench, said: bytes, problem: str) -> None:
    name = "core-1.0-py3-none-any.whl"
    archives.wheel(bench.directory / name, said)
    assert bench.refusal() == f"DIR: {name} {problem}"


def test_a_wheel_that_was_renamed_to_another_platform_is_refused(bench: Bench) -> None:
    shutil.copyfile(bench.directory / f"core-1.0-{MAC}.whl", bench.directory / "core-1.0-cp311-cp311-win_amd64.whl")
    assert "core-1.0-cp311-cp311-win_amd64.whl has the tags cp311-cp311-macosx_11_0_arm64" in bench.refusal()


def test_files_of_a_package_that_is_not_released_are_left_alone(bench: Bench) -> None:
    bench.change("core", skip_reason="tool.uv.package is false", version="7")
    bench.open().close()
    assert bench.kept == {}


def test_a_package_that_is_on_the_index_already_with_all_that_is_given_takes_nothing(bench: Bench) -> None:
    (bench.directory / "core-1.0.tar.gz").unlink()  # that of the index was built elsewhere
    shown = digests(bench.directory) | dict.fromkeys(("core-1.0.tar.gz", "core-1.0-py3-none-any.whl"), "a" * 64)
    with bench.open(index=MemoryIndex(shown)) as store:
        assert store.state["core"].status == "skipped"
    assert bench.kept == {}


@pytest.mark.parametrize("agrees", [True, False])
def test_a_version_on_the_index_that_lacks_what_is_given_is_completed_or_a_conflict(
    bench: Bench, *, agrees: bool
) -> None:
    given = digests(bench.directory)
    lacking = f"core-1.0-{LINUX}.whl"
    shown = {name: digest if agrees else "a" * 64 for name, digest in given.items() if name != lacking}
    index = MemoryIndex(shown)
    with bench.open(index=index) as store:
        assert (store.state["core"].status, bench.kept) == ("pending", given)
        steps = IndexSteps(Builder(bench.root, 0, Python()), index)
        built = asyncio.run(steps.build(bench.packages["core"], {}))
        assert built.artifacts == given
        with nullcontext() if agrees else pytest.raises(ConflictError):
            asyncio.run(steps.publish(bench.packages["core"], built.artifacts, nullcontext))
    assert index.sent == [lacking] * agrees


@pytest.mark.parametrize("has_it", [True, False])
@pytest.mark.parametrize("recorded", [True, False])
def test_the_same_holds_if_only_the_files_tell_the_version(bench: Bench, *, has_it: bool, recorded: bool) -> None:
    bench.change("core", version="", dynamic=True)
    bench.open().close()
    given = bench.kept
    for name in (f"core-1.0-{LINUX}.whl", "core-1.0.tar.gz"):  # as if these two had been built here
        (given_directory(bench.root, "core") / name).unlink()
    shown = dict.fromkeys(given, "a" * 64)
    if has_it:
        shown |= bench.kept
    else:
        shown.pop(f"core-1.0-{MAC}.whl")
    built = FromDirectory(bench.root, 0, Python())
    steps = IndexSteps(built, MemoryIndex(shown))
    if recorded:
        asyncio.run(built.build(bench.packages["core"]))
        bench.change("core", version="1.0")
    if recorded and not has_it:
        with pytest.raises(ConflictError):
            asyncio.run(steps.build(bench.packages["core"], given))
        return
    told = asyncio.run(steps.build(bench.packages["core"], given if recorded else {}))
    assert told.not_wanted == ("version 1.0 is already on memory" if has_it else "")


def test_what_is_given_of_a_version_that_an_earlier_run_sent_without_it_is_refused(tmp_path: Path) -> None:
    first = {"core-1.0.tar.gz": "a" * 64, "core-1.0-py3-none-any.whl": "b" * 64}
    given = {"core-1.0-cp311-cp311-win_amd64.whl": "c" * 64}

    class Sent:
        def files(self, package: str, version: str) -> Mapping[str, str]:
            return first if (package, version) == ("core", "1.0") else {}

        def bring_back(self, package: str, artifacts: Mapping[str, str]) -> bool:
            return package == "core" and artifacts == first

    package, index = make_package("core", tmp_path), MemoryIndex()
    with pytest.raises(StepError, match="win_amd64") as caught:
        settle(package, Built(first | given, "1.0"), {}, index, Sent(), given=given)
    assert caught.value.code is E.WHEELS_REFUSED
    assert settle(package, Built(first, "1.0"), {}, index, Sent(), given={}).artifacts == first


@pytest.mark.parametrize("by_link", [False, True])
@pytest.mark.parametrize("what", ["pipe", "directory", "nothing"])
def test_what_is_no_regular_file_is_refused_before_it_is_opened(bench: Bench, what: str, *, by_link: bool) -> None:
    """To open a pipe that nobody writes into would last for ever."""
    file = bench.directory / "core-1.0-cp311-cp311-win_amd64.whl"
    place = bench.root / "elsewhere" if by_link else file
    if what == "pipe":
        os.mkfifo(place)
    elif what == "directory":
        place.mkdir()
    if by_link or what == "nothing":
        file.symlink_to(place if by_link else file)
    assert bench.refusal() == f"{file} is not a regular file".replace(f"{bench.directory}", "DIR")


def test_a_link_to_a_file_is_as_good_as_the_file(bench: Bench) -> None:
    name = f"core-1.0-{LINUX}.whl"
    (bench.directory / name).rename(bench.root / name)
    (bench.directory / name).symlink_to(bench.root / name)
    bench.open().close()
    assert bench.kept == digests(bench.directory)
    assert not (given_directory(bench.root, "core") / name).is_symlink()


@pytest.mark.parametrize("what", ["gone", "a-file", "unreadable"])
def test_a_directory_that_can_not_be_read_is_refused(bench: Bench, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if what == "unreadable":
        monkeypatch.setattr(zipfile, "ZipFile", full_disk)
        assert f"core-1.0-{MAC}.whl can't be read" in bench.refusal()
        return
    shutil.rmtree(bench.directory)
    if what == "a-file":
        bench.directory.write_text("")
    assert bench.refusal().startswith("DIR can't be read: ")


def changed(bench: Bench) -> str:
    """Have a file of the directory be built again, with other bytes."""
    name = f"core-1.0-{LINUX}.whl"
    more = {"more.py": b"# another build"}
    archives.wheel(bench.directory / name, archives.core_metadata("core", "1.0"), tags=LINUX, more=more)
    return name


def test_other_bytes_than_the_run_was_given_are_refused(bench: Bench) -> None:
    bench.open().close()
    before = bench.kept
    name = changed(bench)
    assert bench.refusal() == f"{name} in DIR is not what this run has of 'core' 1.0"
    assert bench.kept == before
    bench.open(given=False).close()  # the lock was given back, and the run goes on without


def test_other_bytes_than_the_run_has_recorded_are_refused(bench: Bench) -> None:
    with bench.open(given=False) as store:
        store.state["core"].start_building()
        store.state["core"].record_artifacts(digests(bench.directory))
    bench.open().close()
    name = changed(bench)
    archives.wheel(bench.directory / "core-1.0-cp312-abi3-win32.whl", archives.core_metadata("core", "1.0"),
                   tags="cp312-abi3-win32")  # fmt: skip
    before = bench.kept
    assert bench.refusal() == f"{name}, core-1.0-cp312-abi3-win32.whl in DIR are not what this run has of 'core' 1.0"
    assert bench.kept == before, "what is recorded is sent"


def test_what_an_earlier_run_may_have_sent_of_the_version_binds_what_is_given(bench: Bench) -> None:
    with bench.open() as store:
        for name in ("core", "top"):
            package = store.state[name]
            package.start_building()
            package.record_artifacts(digests(bench.directory) if name == "core" else {})
            for trigger in ("start_publishing", "start_verifying", "confirm"):
                getattr(package, trigger)()
    name = changed(bench)
    for sha in ("1" * 40, "2" * 40):  # it goes on, and is begun anew
        with pytest.raises(ReleaseKitError, match=f"{name} in .* is not what may have been sent of") as caught:
            bench.open(sha=sha)
        assert caught.value.code is E.WHEELS_REFUSED
        assert "--fresh" not in caught.value.hint, "it would be refused again"
        assert "`releasekit clean`" in caught.value.hint


def test_a_new_run_is_not_bound_by_what_a_finished_one_was_given(bench: Bench) -> None:
    with bench.open() as store:
        for name in ("core", "top"):
            store.state[name].skip("by hand")
    changed(bench)
    bench.open(sha="2" * 40).close()
    assert bench.kept == digests(bench.directory)


def test_what_a_beginning_that_was_killed_left_is_not_taken(bench: Bench) -> None:
    leftover = given_directory(bench.root, "core")
    archives.release(leftover, "core", "1.0", "cp310-cp310-win32")
    archives.release(leftover.with_name(".given-0123456789abcdef"), "core", "1.0")
    bench.open(given=False).close()
    assert [*(bench.root / DIST_DIRECTORY).iterdir()] == []


@pytest.mark.parametrize("given", [True, False], ids=["with-files", "without"])
def test_a_beginning_that_comes_second_leaves_alone_what_the_first_was_given(bench: Bench, *, given: bool) -> None:
    first: list[RunStore] = []

    class Slow(MemoryIndex):
        async def files(self, package: str, version: str, expected: Mapping[str, str]) -> Mapping[str, str]:
            """See `Index.files`: another process begins a run while we ask."""
            if package == "core":
                changed(bench)
                first.append(await open_run(bench.path, bench.plan(), MemoryIndex(), wheels=bench.wheels()))
                (bench.root / DIST_DIRECTORY / ".building-0123456789abcdef").mkdir()
            return await super().files(package, version, expected)

    with pytest.raises(ReleaseKitError) as caught:
        bench.open(given=given, index=Slow())
    assert caught.value.code is E.STATE_LOCKED
    assert bench.kept == digests(bench.directory)
    assert len([*(bench.root / DIST_DIRECTORY).iterdir()]) == 2
    first[0].close()


def test_no_run_begins_before_it_has_what_it_is_given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full_disk)
        with pytest.raises(ReleaseKitError, match="could not be copied"):
            bench.open()
    assert not there_is_a_run(bench.path)
    with monkeypatch.context() as patch:
        patch.setattr(RunState, "begin_journal", killed)
        with pytest.raises(KeyboardInterrupt):
            bench.open()
    assert bench.kept == digests(bench.directory)
    assert not there_is_a_run(bench.path), "so nothing can go on without them, and they bind nobody"
    bench.open(given=False).close()
    assert bench.kept == {}


def test_a_resume_that_is_cancelled_holds_the_lock_for_as_long_as_files_are_copied(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on, keep = Event(), Event(), Wheels.keep

    def keep_slowly(wheels: Wheels, run: RunState, root: Path, *, anew: bool) -> None:
        began.set()
        assert go_on.wait(PATIENCE)
        keep(wheels, run, root, anew=anew)

    async def cancel() -> None:
        opening = asyncio.create_task(open_run(bench.path, bench.plan(), MemoryIndex(), wheels=bench.wheels()))
        assert await asyncio.to_thread(began.wait, PATIENCE)
        opening.cancel()
        await asyncio.sleep(0.01)
        with pytest.raises(ReleaseKitError) as caught:
            RunStore.open(bench.path)
        assert caught.value.code is E.STATE_LOCKED
        go_on.set()
        await asyncio.wait([opening])
        assert opening.cancelled()

    bench.open(given=False).close()
    monkeypatch.setattr(Wheels, "keep", keep_slowly)
    asyncio.run(cancel())
    assert bench.kept == digests(bench.directory)
    RunStore.open(bench.path).close()


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_resume_without_the_directory_has_what_the_run_was_given(bench: Bench) -> None:
    given = digests(bench.directory)
    bench.open().close()
    bench.open().close()  # with the same files
    assert bench.kept == given
    archives.release(bench.directory, "top", "1.0")
    bench.open().close()  # with more, of a package that has none yet
    assert (bench.kept, len(digests(given_directory(bench.root, "top")))) == (given, 2)
    shutil.rmtree(bench.directory)
    bench.open(given=False).close()
    assert bench.kept == given
    assert asyncio.run(Builder(bench.root, 0, Python()).build(bench.packages["core"])).artifacts == given


def recorded(bench: Bench) -> dict[str, str]:
    """Let a run have built and recorded what it was given."""
    with bench.open() as store:
        store.state["core"].start_building()
        store.state["core"].record_artifacts(bench.kept)
        return bench.kept


@pytest.mark.parametrize("lost", ["all", "some"])
def test_what_is_recorded_and_lost_is_taken_again_from_what_is_given_again(bench: Bench, lost: str) -> None:
    given = recorded(bench)
    if lost == "all":
        shutil.rmtree(bench.root / DIST_DIRECTORY)
    else:
        (given_directory(bench.root, "core") / f"core-1.0-{LINUX}.whl").unlink()
        (bench.directory / f"core-1.0-{MAC}.whl").unlink()  # the run has it yet
    bench.open().close()
    assert bench.kept == given
    assert asyncio.run(Builder(bench.root, 0, Python()).build(bench.packages["core"])).artifacts == given


def test_nothing_is_copied_for_a_package_that_is_finished(bench: Bench) -> None:
    recorded(bench)
    shutil.rmtree(bench.root / DIST_DIRECTORY)
    with RunStore.open(bench.path) as store:
        for trigger in ("start_publishing", "start_verifying", "confirm"):
            getattr(store.state["core"], trigger)()
    bench.open().close()
    assert bench.kept == {}


def test_a_copy_that_was_killed_while_a_run_went_on_is_removed_by_the_next(bench: Bench) -> None:
    bench.open().close()
    given = bench.kept
    leftover = given_directory(bench.root, "core").with_name(".given-0123456789abcdef")
    archives.release(leftover, "core", "1.0")
    bench.open(given=False).close()
    assert not leftover.exists()
    assert bench.kept == given


def test_files_that_come_later_are_taken_if_nothing_is_recorded_yet(bench: Bench) -> None:
    bench.open(given=False).close()
    bench.open().close()
    assert bench.kept == digests(bench.directory)


def test_a_file_that_is_replaced_while_it_is_copied_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    given = bench.wheels()
    changed(bench)
    with pytest.raises(ReleaseKitError, match="have changed since they were looked at") as caught:
        given.keep(bench.plan(), bench.root, anew=True)
    assert caught.value.code is E.WHEELS_REFUSED
    assert [*(bench.root / DIST_DIRECTORY).iterdir()] == []
    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(ReleaseKitError, match="could not be copied") as caught:
        bench.wheels().keep(bench.plan(), bench.root, anew=True)
    assert caught.value.code is E.FILE_FAILED
    assert [*(bench.root / DIST_DIRECTORY).iterdir()] == []


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def only(bench: Bench, suffix: str, patch: pytest.MonkeyPatch) -> str:
    """Tell which command builds what is missing."""
    for file in bench.directory.iterdir():
        if not file.name.endswith(suffix):
            file.unlink()
    script = bench.root / "uv"
    script.write_text('#!/bin/sh\necho "$@"\nexit 1\n')
    script.chmod(0o755)
    bench.open().close()
    patch.setenv("UV", str(script))
    with pytest.raises(ReleaseKitError) as caught:
        asyncio.run(Builder(bench.root, 0, Python()).build(bench.packages["core"]))
    return caught.value.message.splitlines()[-1]


def test_only_what_is_missing_is_built(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(bench, ".whl", monkeypatch).startswith("build --sdist --out-dir ")


def test_a_missing_wheel_is_built_from_the_sdist_that_was_given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    said = only(bench, ".tar.gz", monkeypatch).split()
    assert said[:3] == ["build", "--wheel", "--out-dir"]
    assert said[4] == f"{said[3]}/core-1.0.tar.gz"


def test_two_sdists_are_incomplete(bench: Bench) -> None:
    archives.sdist(bench.directory / "core-1.0.0.tar.gz", archives.core_metadata("core", "1.0"))
    bench.open().close()
    with pytest.raises(ReleaseKitError, match="not one sdist and at least one wheel") as caught:
        asyncio.run(Builder(bench.root, 0, Python()).build(bench.packages["core"]))
    assert caught.value.code is E.BUILD_INCOMPLETE
