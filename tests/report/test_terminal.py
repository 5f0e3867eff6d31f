from __future__ import annotations

import re
import signal
import sys
import time
from io import StringIO
from typing import TYPE_CHECKING

import pyte
import pytest
from rich.cells import cell_len
from structlog.testing import capture_logs
from tests.cli.helpers import NAMES, OUT, StuckPackage, wait_for
from tests.cli.terminal import HIDE, SHOW, Terminal

from releasekit import RunState
from releasekit.cli.watching import can_be_live
from releasekit.report import terminal
from releasekit.report.table import View
from releasekit.report.terminal import INTERVAL, frame, live

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

    from tests.support import Workspace


def drawn(state: RunState, height: int, width: int = 100) -> list[str]:
    return [line.text for line in frame(View(state), width, height)]


def some(count: int) -> RunState:
    state = RunState("0" * 40)
    for number in range(count):
        state.init_package(f"p{number:03}", version="1.0", level=number // 10)
    return state


def mixed(count: int) -> RunState:
    """A run with some of every status, some names in Chinese, and a long error."""
    state = RunState("0" * 40)
    for number in range(count):
        name = f"包裹{number}" if number % 3 else f"a-package-with-a-rather-long-name-{number}"
        package = state.init_package(name, version="1.0.0.dev1+local.version")
        for trigger in ("start_building", "start_publishing", "start_verifying", "confirm")[: number % 5]:
            getattr(package, trigger)()
        if number % 7 == 0 and package.may("fail"):  # type: ignore[arg-type]
            package.fail("a long story " * 20)
    return state


@pytest.mark.parametrize("width", [1, 7, 20, 40, 79, 80, 132])
@pytest.mark.parametrize("height", [1, 2, 5, 10, 24, 50])
@pytest.mark.parametrize("count", [0, 1, 8, 200])
def test_a_frame_keeps_within_its_screen(width: int, height: int, count: int) -> None:
    lines = drawn(mixed(count), height, width)

    assert 1 <= len(lines) <= max(1, height - 1)
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("height", [8, 12, 20, 24])
def test_what_the_screen_can_not_hold_is_counted(height: int) -> None:
    lines = drawn(some(200), height, 80)

    packages = [line for line in lines if line.startswith("○  p")]
    (more,) = (line for line in lines if " more: " in line)
    assert len(packages) >= 1
    assert len(packages) + int(more.split()[1]) == 200
    assert lines[-1] == "200 packages: 200 pending"


def test_packages_stand_in_publishing_order_where_there_is_room() -> None:
    state = some(12)
    state["p011"].start_building()

    lines = drawn(state, 24)

    assert [line.split()[1] for line in lines[1:13]] == list(state)


def test_what_is_at_work_and_what_failed_stands_first_where_there_is_not() -> None:
    state = some(200)
    for name in ("p190", "p191", "p192"):
        state[name].start_building()
    state["p191"].record_artifacts({"f": "0" * 64})
    state["p192"].fail("it broke")
    state["p000"].skip("not wanted")

    lines = drawn(state, 24, 80)

    assert [line.split()[1] for line in lines[1:5]] == ["p190", "p192", "p191", "p001"]
    assert "it broke" in lines[2]
    assert len(lines) == 23


def test_an_empty_run_can_be_drawn() -> None:
    assert drawn(RunState(""), 24)[-1] == "0 packages: none"


def test_names_and_errors_are_text_whatever_they_look_like() -> None:
    state = RunState("0" * 40)
    state.init_package("[red]a[/red]", version="[/]")
    state.init_package("b\x1b[2J\u202e", version=":smile:")
    state["[red]a[/red]"].start_building()
    state["[red]a[/red]"].fail("[link=x]click[/link] [/nope]\x9b31m\nand more")

    _, first, second, *_ = drawn(state, 24)

    assert first.split(maxsplit=4)[1:] == [
        "[red]a[/red]",
        "[/]",
        "failed",
        "[link=x]click[/link] [/nope]\\x9b31m and more",
    ]
    assert second.split()[1:] == ["b\\x1b[2J\\u202e", ":smile:", "pending"]


class Pretended(StringIO):
    """A stream that says that it is a terminal."""

    def __init__(self, encoding: str = "utf-8", *, tty: bool = True) -> None:
        super().__init__()
        self._tty, self._encoding = tty, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Pretended(), {"TERM": "xterm"}, True),
        (Pretended("UTF8"), {"TERM": "xterm", "CI": "false", "NO_COLOR": "1"}, True),
        (Pretended(tty=False), {"TERM": "xterm"}, False),
        (Pretended("ascii"), {"TERM": "xterm"}, False),
        (Pretended(), {"TERM": "dumb"}, False),
        (Pretended(), {}, False),
        (Pretended(), {"TERM": "xterm", "CI": "true"}, False),
    ],
)
def test_a_table_is_live_only_where_a_person_sees_it(
    stream: Pretended, environ: Mapping[str, str], expected: object
) -> None:
    assert can_be_live(stream, environ) is expected


@pytest.mark.parametrize("looks_that_work", [0, 2, 3])
def test_an_error_in_the_table_does_not_hurt_what_it_tells_of(
    looks_that_work: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Pretended()
    monkeypatch.setattr(sys, "stderr", terminal)
    looks = iter([View(some(3))] * looks_that_work)

    with capture_logs() as logs, live(sys.stderr, lambda: next(looks), keep=True):
        time.sleep(3 * INTERVAL)
        sys.stderr.write("alive\n")

    assert sys.stderr is terminal
    assert {log["event"] for log in logs} == {"releasekit.table_failed"}
    assert "alive\n" in terminal.getvalue()


def test_an_error_of_who_is_watched_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Pretended())
    before = sys.stderr

    with pytest.raises(ZeroDivisionError), live(sys.stderr, lambda: View(some(3)), keep=False):
        raise ZeroDivisionError

    assert sys.stderr is before


class Emulated(Pretended):
    """A terminal of a size, with what it shows, and what has left it at the top."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__()
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self.screen.set_mode(pyte.modes.LNM)
        self._feed = pyte.Stream(self.screen).feed

    def write(self, text: str) -> int:
        self._feed(text)
        return len(text)

    @property
    def shown(self) -> list[str]:
        old = ["".join(line[x].data for x in range(self.screen.columns)) for line in self.screen.history.top]
        return [*old, *self.screen.display]


@pytest.mark.parametrize("tables_left", [1, 0])
def test_log_lines_stand_whole_above_the_table_and_none_is_lost(
    tables_left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulated = Emulated(60, 20)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    monkeypatch.setattr(terminal, "INTERVAL", 0.001)
    monkeypatch.setattr(sys, "stderr", emulated)
    state = some(50)
    wanted = [f"line {number} {'x' * (number * 3)} end" for number in range(40)]

    with live(emulated, lambda: View(state), keep=bool(tables_left)):
        for line in wanted:
            half = len(line) // 2
            sys.stderr.write(line[:half])
            sys.stderr.write(f"{line[half:]}\n")
        sys.stderr.write("no newline")

    text = "".join(emulated.shown)  # a line that is too long goes on in the next row
    assert [text.count(line) for line in wanted] == [1] * len(wanted)
    assert text.count("no newline") == 1
    assert text.count("50 packages: 50 pending") == tables_left
    assert text.count("package  version") == tables_left


def test_on_a_terminal_a_table_is_redrawn_and_gives_way_to_the_summary(workspace: Workspace) -> None:
    terminal = Terminal(workspace, *OUT)

    assert terminal.end() == 0
    assert HIDE in terminal.screen
    assert terminal.screen.rindex(SHOW) > terminal.screen.rindex(HIDE)
    summary = terminal.screen[terminal.screen.rindex(SHOW) :]
    assert all(name.encode() in summary for name in NAMES)
    assert b"8 packages: 8 published" in summary
    assert terminal.lines[-1].startswith("next: nothing.")
    assert b"package_moved" not in terminal.screen


def test_without_colour_a_table_has_none(workspace: Workspace) -> None:
    terminal = Terminal(workspace, *OUT, NO_COLOR="1")

    assert terminal.end() == 0
    assert HIDE in terminal.screen
    assert not re.findall(rb"\x1b\[(?:\d+;)*[349]\d", terminal.screen)


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"CI": "true"}], ids=str)
def test_a_terminal_that_only_prints_gets_a_line_a_transition(workspace: Workspace, environ: dict[str, str]) -> None:
    terminal = Terminal(workspace, *OUT, **environ)

    assert terminal.end() == 0
    assert HIDE not in terminal.screen
    assert terminal.screen.count(b"package_moved") == 8 * 5
    assert b"8 packages: 8 published" in terminal.screen


def test_a_result_for_machines_leaves_the_last_table_on_the_terminal(workspace: Workspace) -> None:
    terminal = Terminal(workspace, *OUT, "--json")

    assert terminal.end() == 0
    assert b"8 packages: 8 published" in terminal.screen[: terminal.screen.rindex(SHOW)]


def test_an_interrupt_gives_the_terminal_back(workspace: Workspace) -> None:
    stuck = StuckPackage(workspace, "aurora-core")

    def interrupt(child: subprocess.Popen[bytes]) -> None:
        wait_for(stuck.marker, child)
        child.send_signal(signal.SIGINT)

    terminal = Terminal(workspace, *OUT)

    assert terminal.end(interrupt) == 130
    assert terminal.screen.rindex(SHOW) > terminal.screen.rindex(HIDE)
    assert b"Traceback" not in terminal.screen
    assert terminal.lines[-1].startswith("resume: releasekit publish")
