from __future__ import annotations

from unittest.mock import Mock

import pytest

from releasekit import PackageStatus, RunState
from releasekit.palette import PALETTE
from releasekit.report import words
from releasekit.report.table import View, bar, foot, rows, table
from releasekit.report.timeline import Timeline

GLYPHS = {look.glyph: status for status, look in PALETTE.items()}


@pytest.mark.parametrize("width", [7, 8, 10, 39, 40])
@pytest.mark.parametrize("counts", [[1] * 7, [200, 1, 1, 1, 1, 1, 1], [0, 3, 0, 0, 1000, 1, 0], [3] + [0] * 6])
def test_a_bar_has_every_status_and_as_much_of_it_as_there_is(counts: list[int], width: int) -> None:
    statuses = [status for status, count in zip(PackageStatus, counts, strict=True) for _ in range(count)]

    drawn = bar(statuses, width)

    assert len(drawn) == min(width, len(statuses))
    assert {GLYPHS[glyph] for glyph in drawn} == set(statuses)
    if len(statuses) <= width:
        assert sorted(GLYPHS[glyph] for glyph in drawn) == sorted(statuses)
    large = max(statuses, key=statuses.count)
    assert all(drawn.count(PALETTE[large].glyph) >= drawn.count(glyph) for glyph in drawn)


def test_names_that_begin_alike_can_be_told_from_each_other_on_a_narrow_terminal() -> None:
    state = RunState("0" * 40)
    for number in range(18):
        package = state.init_package(f"org-platform-service-messaging-{number:04}", version="1.0.0")
        package.start_building()

    lines = [line.text for line in table(View(state), width=45)][1:]

    assert len(set(lines)) == 18
    assert all(f"{number:04}" in line for number, line in enumerate(lines))


def test_whether_the_gate_is_shut_is_asked_of_each_package_once_however_many_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = RunState("0" * 40)
    for number in range(60):
        package = state.init_package(f"p{number:02}")
        package.start_building()
        package.record_artifacts({"f": "0" * 64})
        package.recover()
    ask = Mock(wraps=words._shuts_the_gate)
    monkeypatch.setattr(words, "_shuts_the_gate", ask)

    table(View(state), width=80)

    assert sorted(call.args[0].name for call in ask.call_args_list) == sorted(state)


def test_a_bar_knows_every_status_of_the_lifecycle() -> None:
    assert {GLYPHS[glyph] for glyph in bar(list(PackageStatus), 99)} == set(PackageStatus)


def test_every_row_has_a_cell_a_heading_and_the_style_of_its_status() -> None:
    state = RunState("0" * 40)
    state.init_package("core", version="1.4.0")
    state.init_package("api", level=1, requires=["core"])
    state["core"].start_building()

    view = View(state)

    assert [row.cells for row in rows(view)] == [
        ("◐", "core", "1.4.0", "building", "", ""),
        ("○", "api", "", "pending", "", "waits for core"),
    ]
    assert [line.style for line in table(view)] == ["bold", *(PALETTE[row.package.status].style for row in rows(view))]


def test_what_is_built_and_waits_is_counted_apart_from_what_is_being_built() -> None:
    state = RunState("0" * 40)
    for number in range(5):
        package = state.init_package(f"p{number}")
        if number:
            package.start_building()
        if number > 2:
            package.record_artifacts({"f": "0" * 64})

    assert foot(View(state))[-1].text == "5 packages: 1 pending, 2 building, 2 built"


def test_from_the_gate_on_a_row_says_what_its_package_waits_for_or_is_blocked_by() -> None:
    state = RunState("0" * 40)
    for name, requires in (("core", ()), ("net", ("core",)), ("http", ("net",)), ("text", ("core",))):
        state.init_package(name, requires=requires).start_building()
        state[name].record_artifacts({"f": "0" * 64})
    state["net"].start_publishing()
    state["net"].fail("403 Forbidden")

    notes = {row.package.name: row.cells[-1] for row in rows(View(state))}

    assert notes == {
        "core": "built",
        "net": "403 Forbidden",
        "http": "built; blocked by net",
        "text": "built; waits for core",
    }


@pytest.mark.parametrize("width", range(1, 61))
def test_a_time_is_told_whole_or_not_at_all(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.time", lambda: now)
    state, timeline = RunState("0" * 40), Timeline()
    state.listen(timeline.hear)
    state.init_package("aurora-http-server", version="1.4.0").start_building()
    now += 45 * 60 + 12

    head, row = (line.text for line in table(View(state, timeline, working=True), width=width))

    assert ("45 min 12 s" in row) == (" time" in head)
    assert ("45 min 12 s" in row) == ("  4" in row)


def test_a_line_of_counts_that_is_too_long_is_told_in_glyphs() -> None:
    state = RunState("0" * 40)
    state.init_package("core")
    state.init_package("api", status=PackageStatus.SKIPPED)
    state.init_package("web").start_building()

    assert foot(View(state))[-1].text == "3 packages: 1 pending, 1 building, 1 skipped"
    assert foot(View(state), width=30)[-1].text == "3: ○ 1  ◐ 1  ⊘ 1"


def test_the_clock_of_a_package_runs_only_while_somebody_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.time", lambda: now)
    state, timeline = RunState("0" * 40), Timeline()
    state.listen(timeline.hear)
    state.init_package("core").start_building()
    now += 125

    assert rows(View(state, timeline, working=True))[0].cells[4] == "2 min 5 s"
    assert "0 of 1, 2 min 5 s" in foot(View(state, timeline, working=True))[0].text
    assert rows(View(state, timeline))[0].cells[4] == ""
