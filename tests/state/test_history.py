"""The history of a run: what its journal has, in order, with how long everything took."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import PackageStatus, Trigger
from releasekit.state import STATE_FILENAME, RunState, journal_path, records
from releasekit.state import history as module
from releasekit.state.analysis import analyse
from releasekit.state.beside import new_suffix
from releasekit.state.history import Event, Teller, durations, earlier_histories, read_history
from releasekit.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from releasekit.state.history import History

BEGIN = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
DIGEST = "ab" * 32


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = BEGIN

    def now(self, _zone: object) -> datetime:
        return self.time

    def passes(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(records, "datetime", clock)
    return clock


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[RunStore]:
    assert clock.time == BEGIN
    state = RunState("abc", index="./out")
    state.init_package("core")
    state.init_package("top", requires=["core"])
    with RunStore.create(tmp_path / STATE_FILENAME, state) as store:
        yield store


def history_of(store: RunStore) -> History:
    store.commit()
    return read_history(store.path)


def told(history: History, package: str) -> list[tuple[Any, ...]]:
    return [
        (event.trigger, event.source, event.target, event.seconds)
        for event in history.events
        if event.package == package
    ]


def test_every_event_says_how_long_the_package_stood_where_it_was(store: RunStore, clock: Clock) -> None:
    core = store.state["core"]
    clock.passes(1.5)
    core.start_building()
    clock.passes(2)
    core.record_artifacts({"core-1.0.tar.gz": DIGEST})
    clock.passes(3)
    core.start_publishing()
    clock.passes(0.25)
    core.fail("no")

    history = history_of(store)

    assert told(history, "core") == [
        (None, None, PackageStatus.PENDING, 0.0),
        (Trigger.START_BUILDING, PackageStatus.PENDING, PackageStatus.BUILDING, 1.5),
        (Trigger.RECORD_ARTIFACTS, PackageStatus.BUILDING, PackageStatus.BUILDING, 2.0),
        (Trigger.START_PUBLISHING, PackageStatus.BUILDING, PackageStatus.PUBLISHING, 5.0),
        (Trigger.FAIL, PackageStatus.PUBLISHING, PackageStatus.FAILED, 0.25),
    ]
    assert [event.carried for event in history.events if event.carried] == [
        {"artifacts": {"core-1.0.tar.gz": DIGEST}},
        {"error": "no"},
    ]
    assert durations(history.events) == {
        "core": {PackageStatus.PENDING: 1.5, PackageStatus.BUILDING: 5.0, PackageStatus.PUBLISHING: 0.25},
        "top": {},
    }
    assert history.run == store.state


def test_events_stand_in_their_order_with_number_and_time(store: RunStore, clock: Clock) -> None:
    clock.passes(1)
    store.state["top"].skip("by hand")
    store.state.init_package("late", status=PackageStatus.SKIPPED, reason="private")

    events = history_of(store).events

    assert events[0] == Event(1, BEGIN, "core", None, None, PackageStatus.PENDING, 0.0, {})
    assert [event.time.tzinfo for event in events] == [UTC] * 4
    assert [(event.seq, event.package) for event in events] == [(1, "core"), (1, "top"), (2, "top"), (3, "late")]
    assert [event.time for event in events] == [BEGIN, BEGIN, clock.time, clock.time]
    assert events[2] == Event(
        2,
        clock.time,
        "top",
        Trigger.SKIP,
        PackageStatus.PENDING,
        PackageStatus.SKIPPED,
        1.0,
        {"reason": "by hand"},
        1.0,
    )
    assert events[3].target is PackageStatus.SKIPPED


def test_statuses_that_come_again_add_up(store: RunStore, clock: Clock) -> None:
    core = store.state["core"]
    for seconds in (1, 2):
        core.start_building()
        clock.passes(seconds)
        core.fail("no")
        clock.passes(10)
        core.retry()

    assert durations(history_of(store).events)["core"] == {
        PackageStatus.PENDING: 0.0,
        PackageStatus.BUILDING: 3.0,
        PackageStatus.FAILED: 20.0,
    }


def test_time_between_a_crash_and_the_resume_counts_for_nobody(store: RunStore, clock: Clock) -> None:
    core, top = store.state["core"], store.state["top"]
    core.start_building()
    clock.passes(1)
    top.start_building()
    clock.passes(1000)
    store.state.recover()
    clock.passes(2)
    core.start_building()
    clock.passes(3)
    top.start_building()

    taken = durations(history_of(store).events)

    assert taken["core"] == {PackageStatus.PENDING: 2.0, PackageStatus.BUILDING: 1.0}
    assert taken["top"] == {PackageStatus.PENDING: 6.0, PackageStatus.BUILDING: 0.0}

    clock.passes(4)
    store.state["top"].fail("no")
    clock.passes(50)
    store.state.recover()
    clock.passes(5)
    core.start_building()
    store.state.init_package("late")
    clock.passes(6)
    store.state["late"].start_building()

    taken = durations(history_of(store).events)
    assert taken["core"] == {PackageStatus.PENDING: 7.0, PackageStatus.BUILDING: 8.0}
    assert taken["late"] == {PackageStatus.PENDING: 6.0}


def test_a_pause_after_an_orderly_end_is_stood_and_is_no_work(store: RunStore, clock: Clock) -> None:
    core = store.state["core"]
    core.start_building()
    clock.passes(3)
    core.fail("no")
    clock.passes(200_000)
    core.retry()
    clock.passes(2)
    core.start_building()
    clock.passes(4)
    core.record_artifacts({"f": "0" * 64})

    history = history_of(store)
    analysis = analyse(history)
    assert durations(history.events)["core"][PackageStatus.FAILED] == 200_000
    assert (analysis.makespan, analysis.work["core"]) == (7, {PackageStatus.BUILDING: 7})


def test_a_resume_right_after_the_crash_takes_no_time_away(store: RunStore, clock: Clock) -> None:
    core = store.state["core"]
    core.start_building()
    clock.passes(0.5)
    store.state["top"].skip("")
    clock.passes(0.25)
    core.recover()
    clock.passes(1)
    core.start_building()

    assert durations(history_of(store).events)["core"] == {PackageStatus.PENDING: 1.0, PackageStatus.BUILDING: 0.5}


def test_a_clock_that_is_set_back_takes_no_time(store: RunStore, clock: Clock) -> None:
    core = store.state["core"]
    clock.passes(-60)
    core.start_building()
    clock.passes(-60)
    core.recover()

    assert [(event.seconds, event.at) for event in history_of(store).events] == [(0.0, 0.0)] * 4


def test_after_a_clock_was_set_back_time_goes_on_from_there(store: RunStore, clock: Clock) -> None:
    core = store.state["core"]
    core.start_building()
    clock.passes(2)
    core.start_publishing()
    clock.passes(-3600)
    core.start_verifying()
    clock.passes(3)
    core.confirm()

    events = history_of(store).events

    assert [(event.seconds, event.at) for event in events] == [(0, 0), (0, 0), (0, 0), (2, 2), (0, 2), (3, 5)]


def test_a_run_without_a_journal_has_no_history(tmp_path: Path) -> None:
    path = tmp_path / STATE_FILENAME
    RunState("abc").save(path)
    with pytest.raises(ReleaseKitError, match="has no journal beside it") as caught:
        read_history(path)
    assert caught.value.code is E.STATE_NO_HISTORY
    assert caught.value.hint == (
        "a run has a journal from the moment that releasekit opens it; `releasekit status` shows where it is"
    )


def test_a_run_without_packages_has_an_empty_history(tmp_path: Path) -> None:
    path = tmp_path / STATE_FILENAME
    RunStore.create(path, RunState("abc")).close()
    assert read_history(path).events == []


def test_where_there_is_no_run_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Failed to read"):
        read_history(tmp_path / STATE_FILENAME)


@pytest.mark.parametrize(
    ("time", "problem"),
    [
        ("yesterday", "Invalid isoformat string: 'yesterday'"),
        ("2026-11-25T12:00:00", "2026-11-25T12:00:00 says no time zone"),
        ("0001-01-01T00:00:00+10:00", "date value out of range"),
    ],
)
def test_a_record_whose_time_is_none_is_refused(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, time: str, problem: str
) -> None:
    event = records.Event

    def untimed(_time: datetime, *more: Any) -> records.Event:  # noqa: ANN401  # any field
        return event(time, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(records, "Event", untimed)
    store.state["core"].start_building()
    with pytest.raises(ReleaseKitError) as caught:
        history_of(store)
    assert caught.value.code is E.STATE_CORRUPTED
    place = f"{journal_path(store.path)}: a record has a time that is none"
    assert caught.value.message == f"{place}: {problem}"
    assert RunState.load(store.path)["core"].status is PackageStatus.BUILDING


def test_a_teller_goes_on_from_what_was_told_before(store: RunStore, clock: Clock) -> None:
    core, top = store.state["core"], store.state["top"]
    clock.passes(1)
    core.start_building()
    clock.passes(2)
    core.record_artifacts({"core-1.tar.gz": DIGEST})
    clock.passes(3)
    top.start_building()
    history = history_of(store)

    teller = Teller(history.events)
    assert (teller.time, teller.at) == (clock.time, 6.0)

    teller.pass_until(clock.time + timedelta(seconds=4), Trigger.START_PUBLISHING)
    event = teller.tell("core", PackageStatus.PUBLISHING, source=PackageStatus.BUILDING)
    assert (event.seq, event.at, event.seconds) == (0, 10.0, 9.0)  # since `building` began, not since its files came
    event = teller.tell("new", PackageStatus.PENDING)
    assert event.seconds == 0.0
    teller.pass_until(clock.time + timedelta(seconds=5), None)
    assert teller.tell("new", PackageStatus.BUILDING, source=PackageStatus.PENDING).seconds == 1.0
    assert teller.tell("unheard", PackageStatus.BUILDING, source=PackageStatus.PENDING).seconds == 0.0


@pytest.mark.parametrize(("last", "counted"), [(Trigger.START_BUILDING, 0.0), (Trigger.RECOVER, 4.0)])
def test_a_teller_knows_whether_a_recovery_goes_on_or_begins(last: Trigger, counted: float) -> None:
    before = [
        Event(1, BEGIN, "a", None, None, PackageStatus.PENDING, 0.0, {}, 0.0),
        Event(2, BEGIN, "a", last, PackageStatus.PENDING, PackageStatus.BUILDING, 0.0, {}, 0.0),
    ]
    teller = Teller(before)
    teller.pass_until(BEGIN + timedelta(seconds=4), Trigger.RECOVER)
    assert teller.at == counted


def test_a_teller_without_a_past_begins_at_the_first_event() -> None:
    teller = Teller()
    assert (teller.time, teller.at) == (None, 0.0)
    teller.pass_until(BEGIN, Trigger.RECOVER)
    assert (teller.time, teller.at) == (BEGIN, 0.0)


def test_earlier_histories_are_those_that_can_be_read_the_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / STATE_FILENAME
    asides = []
    for name in ("old", "gone", "torn", "huge", "new"):
        state = RunState("0" * 40)
        state.init_package(name * (2_000 if name == "huge" else 1))
        asides.append(path.with_name(path.name + new_suffix()))
        RunStore.create(asides[-1], state).close()
    assert next(earlier.run.packages.keys() for earlier in earlier_histories(path)) == {"new"}
    monkeypatch.setattr(module, "LARGEST_EARLIER", 4_096)
    asides[1].unlink()
    journal_path(asides[1]).unlink()
    journal_path(asides[2]).write_bytes(b"{")

    assert [[*earlier.run.packages] for earlier in earlier_histories(path)] == [["new"], ["old"]]
    assert [*earlier_histories(tmp_path / "other.json")] == []
