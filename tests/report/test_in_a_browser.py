"""The report, as people see it: in a real browser, with and without eyes, script, light, room and good will."""

from __future__ import annotations

from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from tests.hostile import HOSTILE, commands, unescaped
from tests.report import runs

from releasekit import STATE_FILENAME, ReleaseKitError, RunState, RunStore
from releasekit.escape import printable
from releasekit.palette import DARK_PAPER, LIGHT_PAPER, PALETTE
from releasekit.report.write import write_report
from releasekit.state import PackageStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from playwright.sync_api import Browser, Page
    from tests.report.conftest import Opener

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
LOW = {"width": 1280, "height": 200}  # so that all that can scroll does


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """The report of eight packages, one of which failed and holds two up."""
    return reported(runs.demo(tmp_path))


def reported(path: Path) -> Path:
    file = path.with_name("report.html")
    write_report(path, file)
    return file


def rows(page: Page) -> list[str]:
    """Name the packages that the table shows."""
    return page.locator("#packages > tbody > tr:not([hidden]) > th").all_text_contents()


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def style(page: Page, selector: str, name: str) -> str:
    found: str = page.locator(selector).first.evaluate("(e, name) => getComputedStyle(e)[name]", name)
    return found


def test_it_tells_the_run_at_a_glance(demo: Path, show: Opener) -> None:
    page = show(demo)

    assert page.title().startswith("Release of ")
    assert page.locator(".counts li").all_inner_texts() == [
        "○ 2 pending",
        "↑ 1 publishing",
        "✓ 4 published",
        "✗ 1 failed",
        "2 blocked",
        "of 8 packages",
    ]
    assert "Mend the errors of aurora-http, then run the same" in page.locator(".next").inner_text()
    failed = page.locator(".failures li").all_inner_texts()
    assert len(failed) == 1
    assert "RK-BUILD-FAILED: error: the build backend returned an error" in failed[0]
    assert "holds up 2: aurora, aurora-api" in failed[0]
    assert len(rows(page)) == 8


def test_a_package_tells_its_error_files_and_history(demo: Path, show: Opener) -> None:
    page = show(demo)

    failed = page.locator("#packages > tbody > tr", has_text="aurora-http").first
    assert failed.locator("pre").first.inner_text() == runs.BUILD_ERROR
    assert [text.split("\t")[1] for text in failed.locator(".history tbody tr").all_inner_texts()] == [
        "joined",
        "start_building",
        "fail",
        "retry",
        "start_building",
        "fail",
    ]
    earlier = failed.locator(".history details")
    earlier.locator("summary").click()
    assert earlier.locator("pre").inner_text().endswith("within 1 second")

    core = page.locator("#p1")
    core.locator("summary").click()
    files = core.locator(".files").inner_text()
    run = RunState.load(demo.with_name(STATE_FILENAME))
    assert all(f"{name}\nsha256 {digest}" in files for name, digest in run["aurora-core"].artifacts.items())


def test_the_timeline_has_a_bar_a_status_and_leaves_out_the_night(demo: Path, show: Opener) -> None:
    page = show(demo)

    line = page.locator("#lines li", has_text="aurora-core").locator(".track")
    line.scroll_into_view_if_needed()
    assert (
        line.get_attribute("aria-label")
        == "building 0.4 s, built and waiting 2.8 s, publishing 0.7 s, verifying 0.23 s, now published"
    )
    boxes = [bar.bounding_box() for bar in line.locator("b:not(.end)").all()]
    assert all(boxes)
    ends = [(box["x"], box["x"] + box["width"]) for box in boxes if box]
    assert all(abs(end - begin) < 1.5 for (_, end), (begin, _) in pairwise(ends))
    widths = [end - begin for begin, end in ends]
    assert widths[1] / widths[2] == pytest.approx(2.8 / 0.7, rel=0.05)
    assert "Breaks: 1 h." in page.locator("section", has_text="Timeline").last.inner_text()
    for status in (PackageStatus.BUILDING, PackageStatus.VERIFYING):
        assert style(page, f".track b.{status}", "backgroundColor") == rgb(PALETTE[status].fill)


def test_the_graph_is_a_picture_with_a_name_in_the_colours_of_the_palette(demo: Path, show: Opener) -> None:
    for scheme, of in (("light", "fill"), ("dark", "fill_in_the_dark")):
        page = show(demo, color_scheme=scheme)
        graph = page.get_by_role("img", name="The graph of 8 packages: what each requires")
        assert graph.count() == 1
        failed = PALETTE[PackageStatus.FAILED]
        assert style(page, f'.graph [fill="{failed.fill}"]', "fill") == rgb(getattr(failed, of))
        text = graph.locator("text").all_text_contents()
        assert {each[2:] for each in text} >= set(rows(page))


def test_filters_and_search_go_together_and_can_be_taken_back(demo: Path, show: Opener) -> None:
    page = show(demo)
    everything = rows(page)

    page.get_by_role("checkbox", name="published").check()
    assert rows(page) == ["aurora-core", "aurora-net", "aurora-text", "aurora-parse"]
    assert page.locator("#shown").inner_text() == "4 of 8 packages shown"
    assert page.locator("#lines li:not([hidden]) .name").all_text_contents() == rows(page)
    page.get_by_role("checkbox", name="failed").check()
    assert len(rows(page)) == 5
    page.get_by_label("Search").fill("BACKEND error")
    assert rows(page) == ["aurora-http"]
    page.get_by_label("Search").fill("2.0.0")
    assert rows(page) == ["aurora-parse"]
    page.get_by_label("Search").fill("nothing like it")
    assert rows(page) == []
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#shown")).to_have_text("8 of 8 packages shown")
    assert rows(page) == everything
    page.get_by_role("checkbox", name="blocked").check()
    assert rows(page) == ["aurora-api", "aurora"]


def test_a_link_to_a_package_shows_it_whatever_is_filtered_out(demo: Path, show: Opener) -> None:
    page = show(demo)
    page.get_by_label("Search").fill("aurora-core")
    assert rows(page) == ["aurora-core"]

    page.locator(".failures a").click()

    expect(page.locator("#p4")).to_be_visible()
    assert page.locator("#p4 details").first.get_attribute("open") is not None
    assert len(rows(page)) == 8


def test_everything_can_be_read_without_the_script(demo: Path, show: Opener) -> None:
    page = show(demo, java_script_enabled=False)

    assert len(rows(page)) == 8
    assert not page.locator("#filter").is_visible()
    core = page.locator("#p1")
    core.locator("summary").click()
    assert "sha256" in core.inner_text()


@pytest.mark.parametrize("viewport", [DESK, PHONE, LOW], ids=["desk", "phone", "low"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_of(demo: Path, show: Opener, scheme: str, viewport: dict[str, int]) -> None:
    page = show(demo, color_scheme=scheme, viewport=viewport)
    assert style(page, "body", "backgroundColor") == rgb({"light": LIGHT_PAPER, "dark": DARK_PAPER}[scheme])
    for opened in (False, True):
        page.evaluate("opened => document.querySelectorAll('details').forEach(each => each.open = opened)", opened)
        # What is out of sight is not laid out, and would not be looked at.
        page.add_style_tag(content="* { content-visibility: visible !important }")
        found: Any = Axe().run(page).response
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
        assert {"color-contrast", "label"} <= {each["id"] for each in found["passes"]}


def test_it_can_be_used_by_keyboard_alone(demo: Path, show: Opener) -> None:
    page = show(demo)

    def focused() -> str:
        found: str = page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        return found

    page.keyboard.press("Tab")
    assert focused() == "Skip to the packages"
    assert page.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused() == "search"
    assert style(page, ":focus-visible", "outlineStyle") == "solid"
    page.keyboard.type("aurora-net")
    assert rows(page) == ["aurora-net"]
    for _ in range(7):  # the button, five boxes, the package
        page.keyboard.press("Tab")
    assert focused() == "more of aurora-net"
    page.keyboard.press("Enter")
    assert page.locator("#p2 .files").is_visible()


def test_on_a_phone_nothing_is_wider_than_the_screen_or_too_small_to_read(demo: Path, show: Opener) -> None:
    page = show(demo, viewport=PHONE, is_mobile=True, has_touch=True)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    sizes = page.evaluate("""[...document.querySelectorAll("main :not(svg *)")]
        .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .map(e => parseFloat(getComputedStyle(e).fontSize))""")
    assert min(sizes) >= 12
    name = page.locator("#p4 > th").bounding_box()
    assert name
    assert name["width"] > 150


def test_on_a_phone_what_a_packages_history_says_has_room_to_be_read(demo: Path, show: Opener) -> None:
    page = show(demo, viewport=PHONE, is_mobile=True, has_touch=True)
    failed = page.locator("#packages > tbody > tr", has_text="aurora-http").first

    widths = [
        each.evaluate("e => e.getBoundingClientRect().width") for each in failed.locator(".history td:last-child").all()
    ]

    assert len(widths) == 6
    assert min(widths) >= 300
    region = failed.locator(".wide").evaluate("e => [e.clientWidth, e.scrollWidth]")
    assert region[0] <= PHONE["width"] < region[1]  # it scrolls by itself, and the page does not


def test_a_name_in_the_graph_keeps_within_its_box(tmp_path: Path, show: Opener) -> None:
    names = ["WideCompanyMonorepoMessagingWorkflow", "org-platform-service-messaging-0105", "core"]
    names += [letter * 40 for letter in "aWMm@0_"]
    state = RunState("0" * 40)
    for name in names:
        state.init_package(name, version="1.0")
    state.save(tmp_path / STATE_FILENAME)

    page = show(reported(tmp_path / STATE_FILENAME))

    sides = page.evaluate("""[...document.querySelectorAll(".graph text")]
        .filter(text => text.getAttribute("font-weight") === "bold").map(text => {
            const box = text.parentElement.querySelector("path, polygon").getBBox(), told = text.getBBox();
            return [told.x - box.x, box.x + box.width - told.x - told.width];
        })""")
    assert len(sides) == len(names)
    assert min(min(each) for each in sides) > 0


def failed_run(directory: Path, texts: Sequence[str]) -> Path:
    """A run in which every package is called, versioned and failed of the same text, twice; all in one place."""
    directory.mkdir()
    state = RunState("0" * 40, index=texts[-1])
    for text in texts:
        state.init_package(text, version=text, requires=texts[:1] if text != texts[0] else ())
    state.init_package("skipped", version="1")
    with RunStore.create(directory / STATE_FILENAME, state) as store:
        store.state["skipped"].skip("\n".join(texts))
        for text in texts:
            package = store.state[text]
            package.start_building()
            package.fail(f"{text}\nagain")
            package.retry()
            package.start_building()
            with suppress(ReleaseKitError):  # not every name can be a file's
                package.record_artifacts({text: "0" * 64})
            if not package.artifacts:
                package.record_artifacts({"file": "0" * 64})
            package.fail(text)
    return directory / STATE_FILENAME


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_names_that_begin_alike_show_their_ends_in_the_timeline(tmp_path: Path, show: Opener, size: Any) -> None:  # noqa: ANN401  # Playwright's
    names = [f"apache-airflow-providers-microsoft-{end}" for end in ("azure", "mssql", "winrm")]
    page = show(reported(failed_run(tmp_path / "run", names)), viewport=size)

    assert page.locator("#lines .name").all_text_contents()[: len(names)] == names
    hidden = page.locator("#lines .name").evaluate_all("all => all.map(each => each.scrollWidth - each.clientWidth)")
    assert max(hidden) <= 0


def test_whatever_names_and_errors_say_they_stay_text(tmp_path: Path, show: Opener) -> None:
    harmless = [f"p{number:02}" for number in range(len(HOSTILE))]
    pages = [
        show(reported(failed_run(tmp_path / name, texts)))
        for name, texts in (("hostile", HOSTILE), ("harmless", harmless))
    ]

    tags = [  # but of the scale: how many ticks it has depends on how long the run took
        page.evaluate("""[...document.querySelectorAll(":not(svg *, .axis *, .layer *)")].reduce((counts, each) =>
            ({...counts, [each.localName]: (counts[each.localName] || 0) + 1}), {})""")
        for page in pages
    ]
    assert tags[0] == tags[1]
    page = pages[0]
    shown = rows(page)
    assert {unescaped(name) for name in shown} == {*HOSTILE, "skipped"}
    assert page.locator("#lines .name").all_text_contents() == shown
    errors = page.locator("#packages > tbody > tr pre.failed").all_text_contents()
    assert sorted(errors) == sorted(map(printable, HOSTILE))
    skipped = page.locator("#packages > tbody > tr", has_text="skipped").locator(".facts dd").last
    assert skipped.text_content() == printable("\n".join(HOSTILE))
    assert commands(page.content()) == []


def test_markup_that_got_through_could_do_nothing(demo: Path, browser: Browser) -> None:
    asked: list[str] = []

    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{server.server_port}"
        got_through = f"""<script>document.title = "taken"</script>
            <img src="{there}/a" onerror="document.title = 'taken'">
            <link rel="stylesheet" href="{there}/b"><iframe src="{there}/c"></iframe>"""
        text = demo.read_text("utf-8")
        page = browser.new_page()
        titles, got = [], []
        for policy in ("Content-Security-Policy", "None"):
            with_markup = text.replace("</main>", f"{got_through}</main>").replace("Content-Security-Policy", policy)
            demo.write_text(with_markup, "utf-8")
            page.goto(demo.as_uri())
            titles.append(page.title())
            got.append(set(asked))
        server.shutdown()
    assert got == [set(), {"/a", "/b", "/c"}]
    assert titles[0].startswith("Release of ")
    assert titles[1] == "taken"


def test_a_run_of_a_thousand_packages_can_be_searched(tmp_path: Path, show: Opener) -> None:
    page = show(reported(runs.large(tmp_path)))

    assert page.locator("#shown").inner_text() == "1000 of 1000 packages shown"
    page.get_by_label("Search").fill("package-0777")
    assert rows(page) == ["package-0777"]
    assert page.locator("#lines li:not([hidden])").count() == 1
    page.locator("#packages > tbody > tr:not([hidden]) summary").click()
    assert "sha256" in page.locator("#packages > tbody > tr:not([hidden])").inner_text()
