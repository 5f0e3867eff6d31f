from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.pipeline.doubles import A, B, MemoryIndex

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import aside
from releasekit.pipeline.aside import set_aside
from releasekit.pipeline.build import DIST_DIRECTORY, digests_in
from releasekit.pipeline.resume import open_run
from releasekit.pipeline.sent import has_arrived
from releasekit.state import STATE_FILENAME, RunState, journal_path
from releasekit.store import RunStore

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.state import PackageState

CONTENT = {"core-1.0.tar.gz": b"the sdist", "core-1.0-py3-none-any.whl": b"the wheel"}
BUILT = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
OTHERS = dict.fromkeys(BUILT, A)
FIRST, SECOND = "1" * 40, "2" * 40


def plan(sha: str, *, version: str = "1.0", index: str = "memory") -> RunState:
    state = RunState(sha, index=index)
    state.init_package("core", version=version)
    return state


def begin(path: Path, asked: RunState, shown: dict[str, str], *, fresh: bool = False) -> PackageState:
    """Begin a run in place of the one that is there, and give its package."""
    index = MemoryIndex(shown)
    index.identity = asked.index
    with asyncio.run(open_run(path, asked, index, fresh=fresh)) as store:
        return store.state["core"]


def build(path: Path, artifacts: dict[str, str] = BUILT) -> PackageState:
    """Begin a run and build its package."""
    kept = path.parent / DIST_DIRECTORY / "core"
    kept.mkdir(parents=True)
    for name, content in CONTENT.items():
        (kept / name).write_bytes(content)
    store = RunStore.create(path, plan(FIRST))
    core = store.state["core"]
    core.start_building()
    core.record_artifacts(artifacts)
    store.close()
    return core


def go_on(path: Path, *triggers: str, **carried: str) -> None:
    with RunStore.open(path) as store:
        for trigger in triggers:
            getattr(store.state["core"], trigger)(**carried if trigger == "fail" else {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / STATE_FILENAME


@pytest.fixture
def finished(path: Path) -> Path:
    build(path)
    go_on(path, "start_publishing", "start_verifying", "confirm")
    return path


def test_what_a_finished_run_published_is_sent_as_it_was_if_the_index_lags(finished: Path) -> None:
    core = begin(finished, plan(SECOND), {})

    assert (core.status, core.artifacts) == ("pending", BUILT)
    assert digests_in(finished.parent / DIST_DIRECTORY / "core") == BUILT
    assert len(list(finished.parent.glob(f"{DIST_DIRECTORY}.*/core/*"))) == len(BUILT), "it stays aside too"


def test_what_a_finished_run_published_is_skipped_if_the_index_shows_just_that(finished: Path) -> None:
    core = begin(finished, plan(SECOND), BUILT)

    assert (core.status, core.reason) == ("skipped", "version 1.0 is already on memory")


@pytest.mark.parametrize("shown", [OTHERS, {**BUILT, "core-1.0.tar.gz": B}])
def test_a_version_with_other_content_than_ours_does_not_count_as_published(
    finished: Path, shown: dict[str, str]
) -> None:
    core = begin(finished, plan(SECOND), shown)

    assert (core.status, core.artifacts) == ("pending", BUILT)


@pytest.mark.parametrize("asked", [plan(SECOND, version="2.0"), plan(SECOND, index="another")])
def test_another_version_or_index_has_nothing_to_do_with_it(finished: Path, asked: RunState) -> None:
    core = begin(finished, asked, {})

    assert core.artifacts == {}
    assert not (finished.parent / DIST_DIRECTORY).exists()


def test_what_was_never_sent_is_forgotten(path: Path) -> None:
    build(path)

    assert begin(path, plan(SECOND), {}, fresh=True).artifacts == {}


def test_what_may_have_been_sent_is_remembered_by_a_fresh_run(path: Path) -> None:
    build(path)
    go_on(path, "start_publishing")

    assert begin(path, plan(SECOND), {}, fresh=True).artifacts == BUILT


def test_a_conflict_is_one_for_a_fresh_run_too(path: Path) -> None:
    build(path)
    go_on(path, "fail", error=f"{E.INDEX_CONFLICT}: it is there with other content")

    core = begin(path, plan(SECOND), OTHERS, fresh=True)

    assert (core.status, core.artifacts) == ("pending", BUILT)


def test_a_crash_between_putting_aside_and_beginning_forgets_nothing(finished: Path) -> None:
    set_aside(finished, unfinished=False)

    assert begin(finished, plan(SECOND), {}).artifacts == BUILT
    assert digests_in(finished.parent / DIST_DIRECTORY / "core") == BUILT


def test_the_run_before_the_last_is_remembered_too(finished: Path) -> None:
    begin(finished, plan(SECOND, version="1.1"), {})

    assert begin(finished, plan(FIRST), {}, fresh=True).artifacts == BUILT


def test_a_run_put_aside_of_which_only_the_journal_is_left_is_remembered(finished: Path) -> None:
    finished.unlink()
    set_aside(finished, unfinished=True)

    assert begin(finished, plan(SECOND), {}).artifacts == BUILT


def test_an_earlier_run_that_can_not_be_read_is_ignored(finished: Path) -> None:
    set_aside(finished, unfinished=False)
    (old,) = aside.earlier_runs(finished)
    journal_path(old).write_text("no journal\n" * 3)

    assert begin(finished, plan(SECOND), {}).artifacts == {}


def test_other_files_beside_a_run_are_none_that_was_put_aside(path: Path) -> None:
    for name in ("", ".bak", ".20260101T000000Z", ".journal"):
        path.with_name(f"{path.name}{name}").touch()

    assert aside.earlier_runs(path) == []


def test_a_record_that_is_not_whole_is_not_handed_on(path: Path) -> None:
    build(path, {"core-1.0.tar.gz": A})
    go_on(path, "start_publishing")

    assert begin(path, plan(SECOND), {}, fresh=True).artifacts == {}


def test_a_disk_that_refuses_the_files_is_told_of_and_nothing_is_lost(finished: Path) -> None:
    set_aside(finished, unfinished=False)
    (finished.parent / DIST_DIRECTORY).write_text("in the way")

    with pytest.raises(ReleaseKitError, match="could not be copied") as caught:
        begin(finished, plan(SECOND), {})

    assert caught.value.code is E.FILE_FAILED
    (finished.parent / DIST_DIRECTORY).unlink()
    assert begin(finished, plan(SECOND), {}).artifacts == BUILT


@pytest.mark.parametrize(
    ("triggers", "error", "arrived"),
    [
        ((), "", False),
        (("start_publishing",), "", False),
        (("start_publishing", "fail"), f"{E.PUBLISH_FAILED}: refused", False),
        (("start_publishing", "fail"), f"{E.PUBLISH_PARTIAL}: one of two", True),
        (("start_publishing", "fail"), f"{E.PUBLISH_TIMEOUT}: who knows", True),
        (("start_publishing", "recover"), "", True),
        (("start_publishing", "start_verifying"), "", True),
        (("start_publishing", "start_verifying", "fail"), f"{E.INDEX_UNREADABLE}: 401", True),
        (("start_publishing", "start_verifying", "recover", "start_building", "fail"), "it broke", True),
    ],
)
def test_whether_anything_may_be_on_the_index_is_known_from_the_journal(
    path: Path, triggers: tuple[str, ...], error: str, *, arrived: bool
) -> None:
    build(path)
    go_on(path, *triggers, error=error)

    assert has_arrived(path) is arrived


def test_a_journal_that_can_not_be_read_may_tell_anything(path: Path) -> None:
    assert has_arrived(path)
