"""Refreshing in a thread: soon after a change, once for many, seldom if it is slow, and never after the end."""

from __future__ import annotations

import threading
import time
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from tests.support import interrupted

from releasekit.persistence import refresher
from releasekit.persistence.refresher import Refresher

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30.0  # seconds for a thread to get its turn


class Refreshed:
    """Counts refreshes, and lets a test wait for one or hold one up."""

    def __init__(self) -> None:
        self.count = 0
        self.begun = threading.Semaphore(0)
        self.go_on = Event()
        self.go_on.set()
        self.threads: set[Thread] = set()

    def __call__(self) -> None:
        self.count += 1
        self.threads.add(threading.current_thread())
        self.begun.release()
        assert self.go_on.wait(PATIENCE)

    def wait(self) -> bool:
        return self.begun.acquire(timeout=PATIENCE)


@pytest.fixture
def refreshed() -> Refreshed:
    return Refreshed()


@pytest.fixture
def refresh(refreshed: Refreshed) -> Iterator[Refresher]:
    refresh = Refresher(refreshed)
    yield refresh
    refreshed.go_on.set()
    refresh.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that refreshers make, none of which takes any time."""
    seen: list[float] = []
    goes_on_after = Refresher._goes_on_after

    def go_on_or_note(refresh: Refresher, seconds: float | None) -> bool:
        if seconds is None:
            return goes_on_after(refresh, seconds)
        seen.append(seconds)
        return not refresh._closed

    monkeypatch.setattr(Refresher, "_goes_on_after", go_on_or_note)
    return seen


def test_a_snapshot_is_never_older_than_a_second_if_it_is_quick() -> None:
    assert refresher.INTERVAL == 0.8
    assert refresher.SHARE == 0.05


def test_a_change_is_followed_by_a_refresh_after_the_interval(
    refresh: Refresher, refreshed: Refreshed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher, "INTERVAL", 0.05)
    begun = time.monotonic()
    refresh.changed()
    assert refreshed.wait()
    assert time.monotonic() - begun >= 0.05


def test_nothing_is_refreshed_before_a_change(refresh: Refresher, refreshed: Refreshed, pauses: list[float]) -> None:
    assert not [thread for thread in threading.enumerate() if thread.name == "releasekit-refresh"]
    refresh.close()
    assert (refreshed.count, pauses) == (0, [])


@pytest.mark.usefixtures("pauses")
def test_all_refreshes_run_in_one_thread_that_holds_nobody_up(refresh: Refresher, refreshed: Refreshed) -> None:
    for _ in range(3):
        refresh.changed()
        assert refreshed.wait()
    (thread,) = refreshed.threads
    assert thread.name == "releasekit-refresh"
    assert thread.daemon
    assert thread is not threading.main_thread()


def test_many_changes_in_an_interval_are_followed_by_one_refresh(
    refresh: Refresher, refreshed: Refreshed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher, "INTERVAL", 0.1)
    for _ in range(100):
        refresh.changed()
    assert refreshed.wait()
    assert not refreshed.begun.acquire(timeout=0.25)
    assert refreshed.count == 1


@pytest.mark.usefixtures("pauses")
def test_a_change_during_a_refresh_is_followed_by_another(refresh: Refresher, refreshed: Refreshed) -> None:
    refreshed.go_on.clear()
    refresh.changed()
    assert refreshed.wait()
    refresh.changed()
    refreshed.go_on.set()
    assert refreshed.wait()


@pytest.mark.parametrize(("seconds", "pause"), [(0.0, 0.8), (0.04, 0.8), (0.05, 1.0), (3.0, 60.0)])
def test_what_takes_long_is_done_so_seldom_that_it_takes_a_small_share_of_the_time(  # noqa: PLR0913, PLR0917
    refresh: Refresher,
    refreshed: Refreshed,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    pause: float,
) -> None:
    times = iter([100.0, 100.0 + seconds, 200.0, 200.0])
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: next(times))
        for _ in range(2):
            refresh.changed()
            assert refreshed.wait()
        refresh.close()
    assert pauses[0] == refresher.INTERVAL
    assert pauses[1] == pytest.approx(pause)


def test_a_system_without_threads_left_is_no_error_and_nothing_is_refreshed(
    refresh: Refresher, refreshed: Refreshed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", refuse)
        refresh.changed()
    refresh.close()
    assert refreshed.count == 0


def test_closing_ends_the_thread_and_refreshes_no_more(
    refresh: Refresher, refreshed: Refreshed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher, "INTERVAL", 1000.0)
    refresh.changed()
    refresh.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "releasekit-refresh"]
    refresh.changed()
    refresh.close()
    assert refreshed.count == 0


@pytest.mark.usefixtures("pauses")
def test_closing_waits_for_a_refresh_under_way(refresh: Refresher, refreshed: Refreshed) -> None:
    refreshed.go_on.clear()
    refresh.changed()
    assert refreshed.wait()
    closing = Thread(target=refresh.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    refreshed.go_on.set()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert refreshed.count == 1


@pytest.mark.usefixtures("pauses")
def test_a_thread_that_waits_for_changes_ends_at_close(refresh: Refresher, refreshed: Refreshed) -> None:
    refresh.changed()
    assert refreshed.wait()
    refresh.close()
    (thread,) = refreshed.threads
    assert not thread.is_alive()
    assert refreshed.count == 1


def test_closing_as_a_pause_ends_ends_the_thread(
    refresh: Refresher, refreshed: Refreshed, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, paused = Thread(target=refresh.close, daemon=True), Event()
    goes_on_after = Refresher._goes_on_after

    def go_on_and_be_closed(refresh: Refresher, seconds: float | None) -> bool:
        if seconds is None:
            return goes_on_after(refresh, seconds)
        closing.start()
        paused.set()
        while not refresh._closed:
            time.sleep(0.001)
        return True  # as when the time is over first

    monkeypatch.setattr(Refresher, "_goes_on_after", go_on_and_be_closed)
    refresh.changed()
    assert paused.wait(PATIENCE)
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert refreshed.count == 0


def test_closing_ends_the_thread_whenever_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresher, "INTERVAL", 0.002)
    for place in range(300):
        refresh = Refresher(lambda: None)
        refresh.changed()
        until = time.perf_counter() + place * 1e-5
        while time.perf_counter() < until:
            pass
        closing = Thread(target=refresh.close, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive(), f"closed after {place * 1e-5:.5f} s"


def test_an_interrupt_at_any_moment_of_a_change_lets_it_be_closed(
    refreshed: Refreshed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher, "INTERVAL", 0.001)
    place, has_moment = 0, True
    while has_moment:
        refresh = Refresher(refreshed)
        refresh.changed()
        assert refreshed.wait()
        has_moment = interrupted(place, refresh.changed)
        closing = Thread(target=refresh.close, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive(), f"interrupted at {place}"
        place += 1
    assert place > 2


def test_an_interrupt_as_the_thread_begins_lets_nothing_be_refreshed_after_the_end(
    refresh: Refresher, refreshed: Refreshed, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Thread.start

    def start_and_be_interrupted(thread: Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    refreshed.go_on.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", start_and_be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            refresh.changed()
    assert refreshed.wait()
    closing = Thread(target=refresh.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()  # for as long as the function is being called
    refreshed.go_on.set()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    (thread,) = refreshed.threads
    thread.join(PATIENCE)  # or it might be seen by another test


def test_a_change_after_the_end_refreshes_nothing(refresh: Refresher, refreshed: Refreshed) -> None:
    refresh.close()
    refresh.changed()
    refresh.close()
    assert refreshed.count == 0
