"""What `history --summary`, `status`, the live table and the report say of one run's time is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.report.runs import Clock

from releasekit import STATE_FILENAME, RunState, RunStore
from releasekit.report import words
from releasekit.report.gantt import draw_chart
from releasekit.report.look import look
from releasekit.report.page import make_page
from releasekit.report.timeline import Timeline
from releasekit.state.analysis import analyse
from releasekit.state.history import read_history

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {"f": "0" * 64}
ARGUMENTS = {"fail": ("it broke",), "record_artifacts": (FILES,)}
CRASH = "the next process"

Story = tuple[float | str, ...]

AFTER_A_FAILURE: Story = (
    *(0.5, "a start_building", 3, "a record_artifacts", 4, "b start_building", 7, "b fail", "a recover"),
    *(100, CRASH, "b retry", 2, "a start_building", 1, "b start_building", 10, "b record_artifacts"),
    *(5, "a start_publishing", 6, "a start_verifying", 8, "a confirm", "b start_publishing", 1, "b start_verifying"),
)
REBUILT: Story = (
    *("a start_building", 3, "a record_artifacts", 4, "a recover", 100, CRASH, "a start_building", 20),
    *("a record_artifacts", 2, "a start_publishing", 6, "a start_verifying", 8, "a confirm"),
)
KILLED: Story = (
    *("a start_building", 3, "b start_building", 9, "b record_artifacts", 1000, CRASH, "a recover", 0.5, "b recover"),
    *(2, "a start_building", 4, "b start_building", 1.5, "a record_artifacts"),
)
WORKED: dict[str, dict[str, float]] = {
    "failure": {"a": 3 + 6 + 8, "b": 7 + 10 + 1},
    "rebuilt": {"a": 3 + 20 + 6 + 8},
    "killed": {"a": 12 + 5.5, "b": 9},
}
TOTAL = {"failure": 14 + 30 + 1, "rebuilt": 3 + 22 + 14, "killed": 12 + 0.5 + 5.5}


def tell(path: Path, story: Story, monkeypatch: pytest.MonkeyPatch) -> Timeline:
    """Have it happen; the timeline that listened, in the last of the processes."""
    clock = Clock()

    def now() -> float:
        return clock.time.timestamp()

    monkeypatch.setattr("time.time", now)
    run = RunState("0" * 40)
    for name in sorted({step.split()[0] for step in story if isinstance(step, str) and step != CRASH}):
        run.init_package(name)
    with clock.ruling():
        store = RunStore.create(path, run)
        timeline = Timeline()
        store.state.listen(timeline.hear)
        for step in story:
            if step == CRASH:
                store.close()
                store = RunStore.open(path)
                timeline = Timeline.of(path)
                store.state.listen(timeline.hear)
            elif isinstance(step, str):
                name, trigger = step.split()
                fire: Callable[..., object] = getattr(store.state[name], trigger)
                fire(*ARGUMENTS.get(trigger, ()))
            else:
                clock.wait(step)
        store.close()
    return timeline


@pytest.mark.parametrize(
    ("name", "story"),
    [("failure", AFTER_A_FAILURE), ("rebuilt", REBUILT), ("killed", KILLED)],
    ids=["failure", "rebuilt", "killed"],
)
def test_all_tell_the_same_time_of_one_run(
    name: str, story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / STATE_FILENAME
    live = tell(path, story, monkeypatch)

    history = read_history(path)
    analysis, chart, status = analyse(history), draw_chart(history), look(path).timeline
    page = make_page(*history, name="x", written=history.events[-1].time)

    for package, expected in WORKED[name].items():
        told = {
            "history --summary": sum(analysis.work[package].values()),
            "status": status.worked(package),
            "live": live.worked(package),
            "report": chart.worked(package),
        }
        assert told == pytest.approx(dict.fromkeys(told, expected))
        (entry,) = (row for row in page.rows if row.package.name == package)
        assert entry.took == words.spell(expected)
    totals = [analysis.makespan, status.total(), live.total(), chart.seconds]
    assert totals == pytest.approx([TOTAL[name]] * 4)
    assert page.seconds == words.spell(TOTAL[name])
    assert live.steps == {package: pytest.approx(steps) for package, steps in status.steps.items()}
