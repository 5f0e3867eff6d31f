from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.report import runs

from releasekit import STATE_FILENAME, RunState
from releasekit.errors import E, ReleaseKitError
from releasekit.report import page as pages
from releasekit.report.graph import Picture, draw_graph
from releasekit.report.html import write_html
from releasekit.report.page import make_page
from releasekit.report.write import write_report
from releasekit.state import PackageStatus
from releasekit.state.history import read_history

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from releasekit.report.model import Page

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SECRET = "canary-5ecret-value"  # noqa: S105  # it opens nothing
NO_GRAPH = Picture("", "there is none", "draw one", "", 0)  # type: ignore[arg-type]


def failed(*errors: str) -> RunState:
    state = RunState("0" * 40)
    for number, error in enumerate(errors):
        package = state.init_package(f"p{number:04}")
        package.start_building()
        package.fail(error)
    return state


def page_of(state: RunState, **options: Any) -> Page:  # noqa: ANN401  # as make_page has them
    return make_page(state, (), name="x", written=NOW, **options)


def test_a_long_error_loses_its_middle_and_says_so() -> None:
    error = "RK-BUILD-FAILED: it broke\n" + "noise\n" * 2_000 + "error: the cause"

    (row,) = page_of(failed(error)).rows

    assert len(row.error) < 8_200
    assert row.error.startswith("RK-BUILD-FAILED: it broke\n")
    assert row.error.endswith("error: the cause")
    assert "characters are left out here; `releasekit status --json` has them" in row.error


def test_however_many_fail_of_however_much_the_page_has_an_end() -> None:
    page = page_of(failed(*["x" * 100_000] * 500))

    assert sum(len(row.error) for row in page.rows) < 1.1 * pages.ERRORS
    assert not any(row.open for row in page.rows)
    assert "and 492 more" in page.next


def test_secrets_are_blanked_out_before_anything_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PUBLISH_TOKEN", SECRET)
    state = RunState("0" * 40, index=f"https://user:{SECRET}@example.org")
    for name, error in (("a", f"{'y' * 90} {SECRET}\nmore"), ("b", "z" * 4_990 + SECRET + "z" * 90_000)):
        package = state.init_package(name)
        package.start_building()
        package.fail(error)
    state.init_package("c").skip(f"private, as {SECRET} says")

    written = write_html(page_of(state, problem=OSError(f"it said {SECRET}")), NO_GRAPH)

    assert b"canary" not in written
    assert written.count(b"[redacted]") >= 5


def test_a_run_without_a_journal_has_a_report_without_a_timeline(tmp_path: Path) -> None:
    failed("it broke").save(tmp_path / STATE_FILENAME)

    write_report(tmp_path / STATE_FILENAME, tmp_path / "report.html")

    written = (tmp_path / "report.html").read_text("utf-8")
    assert "There is no timeline: no journal tells" in written
    assert "it broke" in written
    assert 'id="lines"' not in written


def test_without_graphviz_the_report_says_how_to_get_the_graph_and_is_otherwise_whole(tmp_path: Path) -> None:
    history = read_history(runs.demo(tmp_path))
    picture = Picture("", "SVG needs Graphviz: it is not there", "install it", "", 0)  # type: ignore[arg-type]

    written = write_html(make_page(*history, name="x", written=NOW), picture).decode()

    assert "There is no graph: SVG needs Graphviz: it is not there. To get one, install it." in written
    assert 'id="lines"' in written
    assert written.count('id="p') >= 8


def test_what_stopped_the_whole_run_stands_first_and_its_hint_is_what_to_do() -> None:
    page = page_of(failed("a"), problem=ReleaseKitError(E.STATE_NOT_DURABLE, "the disk is full", "make room"))
    written = write_html(page, NO_GRAPH).decode()

    assert page.next == "make room"
    assert "Make room</p>" in written
    assert written.index("RK-STATE-NOT-DURABLE: the disk is full") < written.index("What failed")


def test_from_the_gate_on_the_page_says_what_is_built_and_what_a_failure_holds_up() -> None:
    state = RunState("0" * 40)
    for name, requires in (("net", ()), ("http", ("net",)), ("api", ("http",)), ("text", ()), ("docs", ())):
        state.init_package(name, requires=requires).start_building()
        if name != "docs":
            state[name].record_artifacts({"f": "0" * 64})
    state["net"].start_publishing()
    state["net"].fail("403 Forbidden")

    page = page_of(state, at_work=True)
    written = write_html(page, draw_graph(state)).decode()

    assert [(each.standing, each.number) for each in page.counts] == [("building", 1), ("built", 3), ("failed", 1)]
    assert [(row.holds, row.note) for row in page.failed] == [(("api", "http"), "403 Forbidden")]
    assert {row.package.name: row.note for row in page.rows if row.blocked} == {
        "api": "built; blocked by net",
        "http": "built; blocked by net",
    }
    assert page.blocked == 2
    assert 'value="blocked"' in written
    assert "holds up 2: api, http" in written
    assert "held up by net" in written
    assert written.count('data-states="built') == 3
    assert written.count('data-states="building') == 1
    assert 'value="built"' in written


def test_every_status_of_the_lifecycle_can_be_shown() -> None:
    state = RunState("0" * 40)
    triggers = ("start_building", "start_publishing", "start_verifying", "confirm")
    for number, status in enumerate(PackageStatus):
        package = state.init_package(str(status))
        if status is PackageStatus.SKIPPED:
            package.skip("not wanted")
        elif status is PackageStatus.FAILED:
            package.start_building()
            package.fail("it broke")
        else:
            for trigger in triggers[:number]:
                getattr(package, trigger)()
    assert [package.status for package in state.packages.values()] == list(PackageStatus)

    page = page_of(state)

    assert [each.status for each in page.counts] == list(PackageStatus)
    assert {row.package.status for row in page.rows} == set(PackageStatus)
    assert all(f'value="{status}"' in write_html(page, NO_GRAPH).decode() for status in PackageStatus)


def test_an_empty_run_has_a_report() -> None:
    assert "Release of x: no packages" in write_html(page_of(RunState("")), NO_GRAPH).decode()


def test_while_the_run_is_at_work_the_page_says_to_wait() -> None:
    assert page_of(failed("it broke"), at_work=True).next.startswith("wait until the run is over, then mend")
    assert page_of(failed("it broke"), at_rest=True).next.startswith("mend")
