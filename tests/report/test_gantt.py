from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.report.runs import BEGUN, Clock

from releasekit import STATE_FILENAME, RunState, RunStore
from releasekit.report.gantt import Break, Stretch, draw_chart, ticks
from releasekit.state import PackageStatus
from releasekit.state.history import History, read_history

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from releasekit.report.gantt import Chart

PENDING, BUILDING, PUBLISHING, VERIFYING, _, _, FAILED = PackageStatus


def drawn(directory: Path, *steps: float | tuple[str, str], now: float | None = None) -> Chart:
    """Draw a run of the packages a and b; a number passes so many seconds, a pair fires a trigger."""
    clock = Clock()
    path = directory / STATE_FILENAME
    run = RunState("0" * 40)
    for name in "ab":
        run.init_package(name)
    arguments = {"fail": ("it broke",), "record_artifacts": ({"f": "0" * 64},)}
    with clock.ruling(), RunStore.create(path, run) as store:
        for step in steps:
            if isinstance(step, tuple):
                name, trigger = step
                fire: Callable[..., object] = getattr(store.state[name], trigger)
                fire(*arguments.get(trigger, ()))
            else:
                clock.wait(step)
    return draw_chart(read_history(path), None if now is None else clock.time + timedelta(seconds=now))


def bars(line: Chart, name: str) -> Sequence[tuple[PackageStatus, float, float, bool]]:
    return [(span.status, round(span.begin, 6), round(span.end, 6), span.open) for span in line.stretches[name]]


def test_a_package_has_a_span_a_status_and_none_for_where_it_ends(tmp_path: Path) -> None:
    line = drawn(tmp_path, ("b", "start_building"), 1, ("a", "start_building"), 2, ("a", "record_artifacts"),
                 3, ("a", "start_publishing"), 4, ("a", "start_verifying"), 5, ("a", "confirm"), 6,
                 ("b", "fail"))  # fmt: skip

    assert bars(line, "a") == [
        (PENDING, 0, 1, False),
        (BUILDING, 1, 3, False),
        (BUILDING, 3, 6, False),
        (PUBLISHING, 6, 10, False),
        (VERIFYING, 10, 15, False),
    ]
    assert [(span.waits, span.in_work) for span in line.stretches["a"]] == [
        (False, False),
        (False, True),
        (True, False),
        (False, True),
        (False, True),
    ]
    assert line.end_of("a") == 15
    assert bars(line, "b") == [(PENDING, 0, 0, False), (BUILDING, 0, 21, False)]
    assert line.seconds == 21
    assert line.breaks == []


def test_files_that_are_used_again_are_waiting_from_the_beginning(tmp_path: Path) -> None:
    line = drawn(tmp_path, ("a", "start_building"), 2, ("a", "record_artifacts"), ("a", "recover"),
                 ("a", "start_building"), 5, ("a", "start_publishing"), 1, ("a", "start_verifying"))  # fmt: skip

    assert bars(line, "a")[-3:] == [(BUILDING, 2, 7, False), (PUBLISHING, 7, 8, False), (VERIFYING, 8, 8, True)]
    assert line.worked("a") == 3
    assert line.worked("b") is None


def test_the_clock_stands_still_while_nothing_is_in_flight(tmp_path: Path) -> None:
    line = drawn(tmp_path, 7, ("a", "start_building"), 2, ("a", "fail"), 3600, ("a", "retry"), 0.5,
                 ("a", "start_building"), 4, ("a", "fail"))  # fmt: skip

    assert line.seconds == 6
    assert line.breaks == [Break(0, 7), Break(2, 3600)]  # half a second is not worth a word
    assert bars(line, "a")[2:4] == [(FAILED, 2, 2, False), (PENDING, 2, 2, False)]


def test_time_before_a_recover_counts_for_nobody(tmp_path: Path) -> None:
    line = drawn(tmp_path, ("a", "start_building"), 1, ("b", "start_building"), 9000, ("a", "recover"),
                 ("b", "recover"), ("a", "start_building"), 3, ("a", "fail"))  # fmt: skip

    assert line.seconds == 4
    assert line.breaks == [Break(1, 9000)]
    assert line.stretches["b"][-1] == Stretch(PENDING, 1, 4, open=True)


def test_what_is_not_over_ends_now_if_the_run_is_at_work_and_with_the_history_if_not(tmp_path: Path) -> None:
    steps = (("a", "start_building"), 2.0, ("b", "start_building"))
    for name in ("at-work", "at-rest", "clock-set-back"):
        (tmp_path / name).mkdir()

    at_work = drawn(tmp_path / "at-work", *steps, now=5)
    at_rest = drawn(tmp_path / "at-rest", *steps)
    set_back = drawn(tmp_path / "clock-set-back", *steps, now=-60)

    assert at_work.stretches["a"][-1] == Stretch(BUILDING, 0, 7, open=True)
    assert at_rest.stretches["a"][-1] == Stretch(BUILDING, 0, 2, open=True)
    assert set_back.seconds == 2


def test_a_clock_that_is_set_back_makes_no_span_negative(tmp_path: Path) -> None:
    line = drawn(tmp_path, ("a", "start_building"), 2, ("a", "start_publishing"), -100, ("a", "start_verifying"), 1,
                 ("a", "confirm"))  # fmt: skip

    assert [round(end - begin, 6) for _, begin, end, _ in bars(line, "a")] == [0, 2, 0, 1]


def test_a_run_of_which_nothing_is_known_has_no_time() -> None:
    line = draw_chart(History(RunState(""), []), BEGUN)

    assert (line.seconds, line.stretches, line.breaks) == (0, {}, [])
    assert line.end_of("nobody") == 0


@pytest.mark.parametrize("seconds", [0, 0.05, 0.3, 1, 6, 59, 61, 599, 3600, 86_400, 9e5, 1e9])
def test_an_axis_has_a_few_round_labels_within_its_length(seconds: float) -> None:
    labels = ticks(seconds)

    assert labels[0] == 0
    assert labels[-1] <= seconds
    assert len(labels) <= 7
    assert seconds < 0.1 or len(labels) >= 3
