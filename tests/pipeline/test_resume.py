from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import stamina
from tests.pipeline.doubles import A, B, MemoryIndex, make_package, statuses

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import declare, open_for_change, skip_complete
from releasekit.pipeline.aside import set_aside
from releasekit.pipeline.build import DIST_DIRECTORY
from releasekit.pipeline.outcome import StepError, TransientError
from releasekit.pipeline.resume import goes_on, open_run, plan_changes
from releasekit.pipeline.scratch import new_scratch
from releasekit.state import STATE_FILENAME, RunState, journal_path
from releasekit.store import RunStore
from releasekit.workspace import Package, Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD, OTHER = "1" * 40, "2" * 40
BOTH = {"core-1.0.tar.gz": A, "core-1.0-py3-none-any.whl": B}


def plan(sha: str = HEAD, index: str = "memory", **versions: str) -> RunState:
    state = RunState(sha, index=index)
    for name, version in (versions or {"core": "1.0", "top": "2.0"}).items():
        state.init_package(name, version=version, requires=["core"] if name == "top" else [])
    return state


def open_it(path: Path, asked: RunState, index: MemoryIndex | None = None, *, fresh: bool = False) -> RunStore:
    return asyncio.run(open_run(path, asked, index or MemoryIndex(), fresh=fresh))


def publish(state: RunState, *names: str) -> None:
    for name in names:
        for trigger in ("start_building", "start_publishing", "start_verifying", "confirm"):
            getattr(state[name], trigger)()


def refusal(path: Path, asked: RunState) -> ReleaseKitError:
    with pytest.raises(ReleaseKitError) as caught:
        open_it(path, asked)
    RunStore.open(path).close()  # the lock was given back
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where there is no run yet."""
    return tmp_path / STATE_FILENAME


@pytest.fixture
def begun(path: Path) -> Path:
    """Where there is a run with nothing done."""
    open_it(path, plan()).close()
    return path


def set_aside_in(directory: Path) -> list[Path]:
    """Name the state files and journals that were put aside."""
    return sorted(directory.glob(f"{STATE_FILENAME}.*"))


def test_a_new_run_begins_and_is_on_disk(path: Path) -> None:
    with open_it(path, plan()) as store:
        assert store.state.pending_packages() == ["core", "top"]
        assert statuses(path) == {"core": "pending", "top": "pending"}


def test_what_the_index_has_already_is_skipped_when_a_run_begins(path: Path) -> None:
    with open_it(path, plan(), MemoryIndex(BOTH, {})) as store:
        assert store.state.skipped_packages() == ["core"]
        assert store.state["core"].reason == "version 1.0 is already on memory"
        assert store.state.pending_packages() == ["top"]


def test_half_of_a_version_on_the_index_is_not_skipped() -> None:
    state = plan(core="1.0")
    asyncio.run(skip_complete(state, MemoryIndex({"core-1.0.tar.gz": A})))

    assert state.pending_packages() == ["core"]


def test_no_run_begins_when_the_index_can_not_be_asked(path: Path) -> None:
    with pytest.raises(StepError, match="no such server"):
        open_it(path, plan(), MemoryIndex(StepError(E.INDEX_UNREADABLE, "no such server")))

    assert not path.exists()


def test_a_busy_index_is_asked_again_when_a_run_begins(path: Path) -> None:
    busy = TransientError(E.INDEX_UNREADABLE, "it is busy")
    with stamina.set_testing(testing=True, attempts=3), open_it(path, plan(), MemoryIndex(busy, busy, {})) as store:
        assert store.state.pending_packages() == ["core", "top"]


def test_resuming_recovers_what_was_in_flight_and_retries_what_failed(path: Path) -> None:
    with open_it(path, plan(core="1.0", other="1.0", lost="1.0", done="1.0")) as store:
        publish(store.state, "done")
        store.state["core"].start_building()
        store.state["core"].record_artifacts(BOTH)
        store.state["other"].start_building()
        store.state["other"].fail("it broke")
        store.state["lost"].skip("by hand")
    index = MemoryIndex(StepError(E.INDEX_UNREADABLE, "must not be asked"))

    with open_it(path, plan(core="1.0", other="1.0", lost="1.0", done="1.0"), index) as store:
        assert statuses(path) == {"core": "pending", "other": "pending", "lost": "skipped", "done": "published"}
        assert store.state["other"].error == ""
        assert store.state["core"].artifacts == BOTH
        assert store.state["core"].attempts == 1


def test_an_unfinished_run_of_another_commit_is_refused(begun: Path) -> None:
    before = begun.read_bytes()
    error = refusal(begun, plan(OTHER))

    assert error.code is E.STATE_SHA_MISMATCH
    assert "--fresh" in error.hint
    assert begun.read_bytes() == before


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (plan(core="1.0", top="2.1"), "top was 2.0 and is 2.1"),
        (plan(core="1.0"), "top is gone"),
        (plan(core="1.0", top="2.0", new="1.0"), "new is new"),
        (plan(index="./out"), "the index was 'memory' and is './out'"),
    ],
)
def test_an_unfinished_run_of_another_plan_is_refused_and_says_what_changed(
    begun: Path, other: RunState, said: str
) -> None:
    before = begun.read_bytes()
    error = refusal(begun, other)

    assert error.code is E.STATE_PLAN_MISMATCH
    assert said in error.message
    assert "--fresh" in error.hint
    assert begun.read_bytes() == before


def test_of_many_changes_of_a_plan_it_is_said_how_many_are_not_shown(tmp_path: Path) -> None:
    one, other = RunState(HEAD), RunState(HEAD)
    for number in range(12):
        one.init_package(f"p{number:02}", version="1.0")
        other.init_package(f"p{number:02}", version="2.0")

    with pytest.raises(ReleaseKitError, match=r"p09 [^;]*; and 2 more changes\n"):
        goes_on(one, other, tmp_path)


def test_changed_requirements_are_another_plan() -> None:
    one, other = RunState(HEAD), RunState(HEAD)
    for state, requires in ((one, ["b"]), (other, ["a", "b"])):
        state.init_package("a")
        state.init_package("b")
        state.init_package("top", requires=requires)

    assert plan_changes(one, other) == ["top requires a, b now"]
    assert plan_changes(one, one) == []


@pytest.mark.parametrize("other", [plan(OTHER), plan(core="1.1", top="2.1"), plan(index="./out")])
def test_a_finished_run_makes_way_for_another(begun: Path, other: RunState) -> None:
    with RunStore.open(begun) as store:
        publish(store.state, "core")
        store.state["top"].skip("by hand")

    with open_it(begun, other) as store:
        assert store.state == other
        assert set(statuses(begun).values()) == {"pending"}
    assert len(set_aside_in(begun.parent)) == 2


def test_a_finished_run_of_the_same_plan_stays(begun: Path) -> None:
    with RunStore.open(begun) as store:
        publish(store.state, "core", "top")
        run_id = store.state.run_id

    with open_it(begun, plan()) as store:
        assert store.state.run_id == run_id
        assert store.state.is_finished()


def test_a_run_with_a_failed_package_is_not_finished(begun: Path) -> None:
    with RunStore.open(begun) as store:
        publish(store.state, "core")
        store.state["top"].start_building()
        store.state["top"].fail("it broke")

    assert refusal(begun, plan(OTHER)).code is E.STATE_SHA_MISMATCH


def test_fresh_keeps_the_old_files_aside(begun: Path) -> None:
    built = begun.parent / DIST_DIRECTORY / "core"
    built.mkdir(parents=True)
    (built / "core-1.0.tar.gz").write_text("built")
    with RunStore.open(begun) as store:
        store.state["core"].start_building()
        before = RunState.load(begun)
        store.commit()
        snapshot, journal = begun.read_bytes(), journal_path(begun).read_bytes().rstrip()

    with open_it(begun, plan(OTHER), fresh=True) as store:
        assert store.state.git_sha == OTHER

    state, history = set_aside_in(begun.parent)
    (files,) = begun.parent.glob(f"{DIST_DIRECTORY}.*")
    assert history.read_bytes().rstrip() == journal
    assert state.read_bytes() != snapshot
    assert RunState.load(state)["core"].status == "building"
    assert RunState.load(state).run_id == before.run_id
    assert (files / "core" / "core-1.0.tar.gz").read_text() == "built"
    assert not (begun.parent / DIST_DIRECTORY).exists()


def test_what_a_killed_run_left_unfinished_is_not_put_aside_with_it(begun: Path) -> None:
    new_scratch(begun.parent, "environment").mkdir(parents=True)

    open_it(begun, plan(OTHER), fresh=True).close()

    (files,) = begun.parent.glob(f"{DIST_DIRECTORY}.*")
    assert [path.name for path in files.glob(".*")] == []


def test_fresh_leaves_the_old_run_in_its_place_when_no_new_one_can_begin(begun: Path) -> None:
    before = begun.read_bytes()

    with pytest.raises(StepError):
        open_it(begun, plan(OTHER), MemoryIndex(StepError(E.INDEX_UNREADABLE, "it is gone")), fresh=True)

    assert begun.read_bytes() == before


def test_fresh_respects_the_lock_of_a_run_that_is_reached_by_a_link(begun: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / begun.name
    link.symlink_to(begun)

    with RunStore.open(begun), pytest.raises(ReleaseKitError) as caught:
        open_it(link, plan(OTHER), fresh=True)

    assert caught.value.code is E.STATE_LOCKED
    assert link.is_symlink()


def test_a_run_that_another_process_began_meanwhile_is_not_put_aside(begun: Path) -> None:
    with RunStore.open(begun) as store:
        publish(store.state, "core", "top")

    class Slow(MemoryIndex):
        async def files(self, package: str, version: str, expected: Mapping[str, str]) -> Mapping[str, str]:
            """See `Index.files`: another process begins a run while we ask."""
            if RunState.load(begun).is_finished():
                set_aside(begun, unfinished=False)
                RunStore.create(begun, plan(OTHER)).close()
            return await super().files(package, version, expected)

    with pytest.raises(ReleaseKitError, match="another process began") as caught:
        open_it(begun, plan(OTHER), Slow())

    assert caught.value.code is E.STATE_EXISTS
    assert RunState.load(begun).git_sha == OTHER


def test_fresh_is_fine_where_there_is_nothing(path: Path) -> None:
    open_it(path, plan(), fresh=True).close()

    assert list(path.parent.glob("*.json.*")) == []


def test_a_corrupt_file_is_refused_and_fresh_puts_it_aside(path: Path) -> None:
    path.write_text("{")
    with pytest.raises(ReleaseKitError) as caught:
        open_it(path, plan())
    assert caught.value.code is E.STATE_CORRUPTED

    open_it(path, plan(), fresh=True).close()
    (aside,) = set_aside_in(path.parent)
    assert aside.read_text() == "{"


def test_a_corrupt_journal_is_refused_and_fresh_puts_it_aside(begun: Path) -> None:
    journal_path(begun).write_text("{")
    with pytest.raises(ReleaseKitError, match=r"journal: line 1 ") as caught:
        open_it(begun, plan())
    assert caught.value.code is E.STATE_CORRUPTED
    assert "--fresh" in caught.value.hint

    open_it(begun, plan(), fresh=True).close()
    _, journal = set_aside_in(begun.parent)
    assert journal.read_text() == "{"


def test_a_run_of_which_only_the_journal_is_left_goes_on(begun: Path) -> None:
    run_id = RunState.load(begun).run_id
    begun.unlink()

    with open_it(begun, plan()) as store:
        assert store.state.run_id == run_id
    assert begun.exists()


def test_a_crash_while_a_run_is_put_aside_leaves_it_in_its_place(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = RunState.load(begun).run_id
    rename = Path.rename

    def crash(old: Path, new: Path) -> Path:
        if old == journal_path(begun):
            raise KeyboardInterrupt
        return rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            set_aside(begun, unfinished=True)

    assert RunState.load(begun).run_id == run_id


@pytest.mark.parametrize("fresh", [False, True])
def test_a_run_at_work_is_left_alone(begun: Path, *, fresh: bool) -> None:
    with RunStore.open(begun):
        before = begun.read_bytes()
        with pytest.raises(ReleaseKitError, match="process") as caught:
            open_it(begun, plan(), fresh=fresh)
        assert caught.value.code is E.STATE_LOCKED
        assert begun.read_bytes() == before


def test_a_change_by_hand_finds_what_a_crash_left_pending(begun: Path) -> None:
    with RunStore.open(begun) as store:
        store.state["core"].start_building()

    with open_for_change(begun.parent) as store:
        store.state["core"].skip("by hand")
    assert statuses(begun) == {"core": "skipped", "top": "pending"}


def test_a_change_by_hand_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(ReleaseKitError) as caught, open_for_change(tmp_path):
        pass

    assert caught.value.code is E.STATE_NOT_FOUND
    assert list(tmp_path.iterdir()) == []


def test_a_plan_has_every_member_and_says_who_is_skipped(tmp_path: Path) -> None:
    members = {
        "core": make_package("core", tmp_path),
        "top": make_package("top", tmp_path, version="2.0", requires=("core",)),
        "inner": Package("inner", "", tmp_path, ("top",), 2, "tool.uv.package is false"),
    }
    state = declare(Workspace(tmp_path, members, {}), HEAD, "./out")

    assert (state.git_sha, state.index, list(state)) == (HEAD, "./out", ["core", "top", "inner"])
    assert state.pending_packages() == ["core", "top"]
    assert state["inner"].reason == "tool.uv.package is false"
    assert (state["top"].version, state["top"].requires, state["inner"].level) == ("2.0", ("core",), 2)


def test_a_run_that_is_reached_by_a_link_is_put_aside_where_it_is(begun: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / begun.name
    link.symlink_to(begun)

    set_aside(link, unfinished=True)

    assert link.is_symlink()
    assert not journal_path(begun).exists()
    assert len(set_aside_in(begun.parent)) == 2
