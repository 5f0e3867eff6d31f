"""The report in a file: fresh while a run is at work, never in its way."""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from markupsafe import Markup
from structlog.testing import capture_logs
from tests.report import runs

from releasekit import STATE_FILENAME, RunState, RunStore
from releasekit.errors import E, ReleaseKitError
from releasekit.report import write
from releasekit.report.graph import Picture
from releasekit.report.write import Keeper, write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 30.0  # seconds for another thread


class Pictures:
    """Draws no graph, but counts how often it is asked to, and says that it took so long."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.drawn = 0
        self.lost = False

    def __call__(self, state: RunState) -> Picture:
        del state
        self.drawn += 1
        svg = "" if self.lost else f"<svg>picture {self.drawn}</svg>"
        return Picture(Markup(svg), "it was ended", "", "", self.seconds)  # noqa: S704  # our own


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Pictures:
    """Graphs that cost nothing."""
    pictures = Pictures()
    monkeypatch.setattr(write, "draw_graph", pictures)
    return pictures


@contextmanager
def kept(directory: Path, file: Path) -> Iterator[tuple[RunState, Keeper]]:
    """A run of one package at work, whose report is kept fresh."""
    run = RunState("0" * 40)
    run.init_package("core")
    with Keeper(file) as keeper, RunStore.create(directory / STATE_FILENAME, run) as store:
        store.state.listen(keeper.moved)
        keeper.begin(store.path, store.state)
        yield store.state, keeper


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_is_fresh_soon_after_every_move_and_at_the_end(tmp_path: Path, pictures: Pictures) -> None:
    file = tmp_path / "report.html"

    def says(text: str) -> bool:
        return file.exists() and text in file.read_text("utf-8")

    with kept(tmp_path, file) as (state, _):
        wait_until(lambda: says("<b>1</b> pending"))
        assert says("while the run was at work")
        state["core"].start_building()
        wait_until(lambda: says("<b>1</b> building"))
        state["core"].fail("it broke")
    assert says("<b>1</b> failed")
    assert says("Mend the errors of core")
    assert not says("while the run was at work")
    assert pictures.drawn >= 3
    assert [path.name for path in tmp_path.glob("*report*")] == ["report.html"]


@pytest.mark.usefixtures("pictures")
def test_what_was_not_durable_yet_is_looked_for_again(tmp_path: Path) -> None:
    file, path = tmp_path / "report.html", tmp_path / STATE_FILENAME
    run = RunState("0" * 40)
    run.init_package("core")
    run.save(path)
    with Keeper(file) as keeper:
        run["core"].start_building()
        keeper.begin(path, run)
        wait_until(lambda: file.exists() and "<b>1</b> pending" in file.read_text("utf-8"))
        run.save(path)
        wait_until(lambda: "<b>1</b> building" in file.read_text("utf-8"))


def test_it_is_not_written_more_often_than_something_moves(tmp_path: Path, pictures: Pictures) -> None:
    file = tmp_path / "report.html"
    with kept(tmp_path, file):
        wait_until(file.exists)
        before = file.stat().st_mtime_ns
        time.sleep(2)
        assert file.stat().st_mtime_ns == before
    assert pictures.drawn == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ReleaseKitError(E.STATE_NOT_DURABLE, "the disk is gone")])
@pytest.mark.usefixtures("pictures")
def test_it_is_written_a_last_time_whatever_ends_the_release(tmp_path: Path, error: BaseException) -> None:
    file = tmp_path / "report.html"

    def release() -> None:
        with kept(tmp_path, file) as (state, _):
            state["core"].start_building()
            raise error

    with pytest.raises(type(error)):
        release()

    told = file.read_text("utf-8")
    assert "<b>1</b> building" in told
    assert ("the disk is gone" in told) == isinstance(error, ReleaseKitError)


def test_a_release_that_did_not_begin_leaves_the_report_that_is_there_alone(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("of an earlier run")
    with Keeper(file):
        pass
    assert file.read_text() == "of an earlier run"


@pytest.mark.usefixtures("pictures")
def test_a_report_that_can_not_be_written_warns_once_and_the_run_goes_on(tmp_path: Path) -> None:
    with capture_logs() as logged, kept(tmp_path, tmp_path / "missing" / "report.html") as (state, _):
        wait_until(lambda: logged)
        state["core"].start_building()
        time.sleep(1.2)
        state["core"].fail("it broke")

    (warning,) = [entry for entry in logged if entry["event"] == "releasekit.report_failed"]
    assert warning["log_level"] == "warning"
    assert "No such file or directory" in warning["error"]
    assert RunState.load(tmp_path / STATE_FILENAME).failed_packages() == ["core"]


@pytest.mark.parametrize("error", [RecursionError("too deep"), KeyboardInterrupt(), MemoryError()])
def test_no_error_of_the_report_is_one_of_the_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(write, "make_page", fail)
    with capture_logs() as logged, kept(tmp_path, tmp_path / "report.html"):
        pass

    assert [entry["error"] for entry in logged] == [str(error) or type(error).__name__]
    assert not (tmp_path / "report.html").exists()


def test_a_graph_that_takes_long_is_not_drawn_again_and_again_but_at_the_end(
    tmp_path: Path, pictures: Pictures
) -> None:
    pictures.seconds = 30.0
    file = tmp_path / "report.html"
    with kept(tmp_path, file) as (state, _):
        wait_until(file.exists)
        assert "Drawn at" not in file.read_text("utf-8")
        state["core"].start_building()
        wait_until(lambda: "<b>1</b> building" in file.read_text("utf-8"))
        told = file.read_text("utf-8")
        assert pictures.drawn == 1
        assert "picture 1" in told
        assert re.search(r"Drawn at \d\d:\d\d:\d\d UTC; the rest of this page is newer", told)
        state["core"].fail("it broke")
    told = file.read_text("utf-8")
    assert pictures.drawn == 2
    assert "picture 2" in told
    assert "Drawn at" not in told


def test_before_a_last_graph_that_takes_long_all_the_rest_is_written(
    tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.html"
    seen: list[str] = []

    def slowly(state: RunState) -> Picture:
        if file.exists():
            seen.append(file.read_text("utf-8"))
        return pictures(state)

    monkeypatch.setattr(write, "draw_graph", slowly)
    pictures.seconds = 30.0
    with kept(tmp_path, file) as (state, _):
        wait_until(file.exists)
        state["core"].start_building()
        state["core"].fail("it broke")
    assert "<b>1</b> failed" in seen[-1]


def test_a_graph_that_was_there_is_kept_when_graphviz_is_interrupted(tmp_path: Path, pictures: Pictures) -> None:
    file = tmp_path / "report.html"
    with kept(tmp_path, file) as (state, _):
        wait_until(file.exists)
        pictures.lost = True
        state["core"].start_building()
    told = file.read_text("utf-8")
    assert "<svg>picture" in told
    assert "<b>1</b> building" in told


def test_the_thread_is_gone_at_the_end(tmp_path: Path, pictures: Pictures) -> None:
    before = threading.active_count()
    with kept(tmp_path, tmp_path / "report.html"):
        pass
    assert threading.active_count() == before
    assert pictures.drawn == 1


@pytest.mark.usefixtures("pictures")
def test_a_new_report_is_for_whom_the_umask_lets_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path = runs.demo(tmp_path)
    file = tmp_path / "report.html"
    before = os.umask(0o027)
    try:
        write_report(path, file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        file.chmod(0o604)
        write_report(path, file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o604


@pytest.mark.usefixtures("pictures")
def test_a_report_that_could_not_be_written_leaves_none_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    path = runs.demo(tmp_path)
    monkeypatch.setattr("releasekit.persistence.atomic.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(path, tmp_path / "report.html")
    assert not [*tmp_path.glob("*report*"), *tmp_path.glob("*.tmp")]


def test_a_report_knows_whether_anybody_is_at_work(tmp_path: Path, pictures: Pictures) -> None:
    del pictures
    file, path = tmp_path / "report.html", tmp_path / STATE_FILENAME
    run = RunState("0" * 40)
    run.init_package("core")
    with RunStore.create(path, run) as store:
        store.state["core"].start_building()
        store.commit()
        write_report(path, file)
        at_work = file.read_text("utf-8")
    write_report(path, file)
    at_rest = file.read_text("utf-8")

    assert "while the run was at work" in at_work
    assert "Wait." in at_work
    assert "while the run was at work" not in at_rest
    assert "Wait." not in at_rest
    assert "Run the same `releasekit publish` command again" in at_rest


def test_what_a_killed_release_left_of_its_report_goes_away(tmp_path: Path, pictures: Pictures) -> None:
    del pictures
    file = tmp_path / "report.html"
    litter = [tmp_path / f".releasekit-report.html.{digit * 16}.tmp" for digit in "0f"]
    for leftover in litter:
        leftover.write_text("half of")
    with kept(tmp_path, file):
        pass
    assert not any(leftover.exists() for leftover in litter)

    litter[0].touch()
    write_report(tmp_path / STATE_FILENAME, file)
    assert not litter[0].exists()


def test_what_the_keeper_of_a_report_writes_just_now_is_not_taken_away(tmp_path: Path, pictures: Pictures) -> None:
    del pictures
    writing = tmp_path / f".releasekit-report.html.{'0' * 16}.tmp"
    with RunStore.create(tmp_path / STATE_FILENAME, RunState("0" * 40)):
        writing.touch()
        write_report(tmp_path / STATE_FILENAME, tmp_path / "report.html")
    assert writing.exists()


def test_finding_out_the_mode_of_a_new_report_makes_no_other_file(
    tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that a kill could leave, and nobody would know as ours."""
    del pictures
    RunState("0" * 40).save(tmp_path / STATE_FILENAME)
    made: list[str] = []
    real = os.open

    def opened(path: str | Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            made.append(os.path.basename(path))  # noqa: PTH119  # it may be text
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", opened)
    write_report(tmp_path / STATE_FILENAME, tmp_path / "report.html")

    assert len(made) == 1
    assert made[0].startswith(".releasekit-report.html.")
