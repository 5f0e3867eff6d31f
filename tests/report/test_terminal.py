from __future__ import annotations

import errno
import os
import pty
import signal
import subprocess
import sys
import threading
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.cli.helpers import NAMES, OUT, StuckPackage, wait_for

from releasekit import RunState
from releasekit.cli.live import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Workspace

HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


def drawn(state: RunState, height: int, width: int = 100) -> list[str]:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(table(state, height))
    return [line.rstrip() for line in capture.get().splitlines()]


def some(count: int) -> RunState:
    state = RunState("0" * 40)
    for number in range(count):
        state.init_package(f"p{number:02}", version="1.0")
    return state


@pytest.mark.parametrize("height", [-5, 0, 1, 2, 9, 10, 11, 50])
def test_the_table_keeps_within_its_height_and_counts_the_rest(height: int) -> None:
    lines = drawn(some(10), height)

    packages = [line for line in lines if " p0" in line]
    more = [line for line in lines if " more" in line]
    assert len(packages) + len(more) <= max(height, 2)
    assert len(packages) + sum(int(line.split()[1]) for line in more) == 10
    assert "10 packages: 10 pending" in lines[-1]


def test_what_is_at_work_and_what_failed_stands_first() -> None:
    state = some(10)
    state["p09"].start_building()
    state["p08"].start_building()
    state["p08"].fail("it broke")
    state["p07"].skip("not wanted")

    lines = drawn(state, 3)

    assert "p09" in lines[1]
    assert "building" in lines[1]
    assert "p08" in lines[2]
    assert "it broke" in lines[2]
    assert "and 8 more" in lines[3]


def test_a_package_is_drawn_all_the_way() -> None:
    state = some(1)
    for trigger in ("start_building", "start_publishing", "start_verifying", "confirm"):
        getattr(state["p00"], trigger)()
        assert state["p00"].status in drawn(state, 5)[1]


def test_an_empty_run_can_be_drawn() -> None:
    assert "0 packages: none" in drawn(RunState(""), 5)[-1]


def test_names_and_errors_are_text_whatever_they_look_like() -> None:
    state = RunState("0" * 40)
    state.init_package("[red]a[/red]", version="[/]")
    state.init_package("b\x1b[2J\u202e", version=":smile:")
    state["[red]a[/red]"].start_building()
    state["[red]a[/red]"].fail("[link=x]click[/link] [/nope]\x9b31m\nand more")

    _, first, second, *_ = drawn(state, 5)

    assert first.split(maxsplit=4)[1:] == [
        "[red]a[/red]",
        "[/]",
        "failed",
        "[link=x]click[/link] [/nope]\\x9b31m and more",
    ]
    assert second.split()[1:] == ["b\\x1b[2J\\u202e", ":smile:", "pending"]


def test_a_narrow_terminal_cuts_and_does_not_wrap() -> None:
    state = some(3)
    state["p01"].start_building()
    state["p01"].fail("a long story " * 10)

    lines = drawn(state, 5, width=30)

    assert len(lines) == 6
    assert max(map(len, lines)) <= 30


class Terminal:
    """A pseudo-terminal with the command line at work in it."""

    def __init__(self, workspace: Workspace, *arguments: str) -> None:
        self.screen = b""
        self.ours, theirs = pty.openpty()
        environ = workspace.environ() | {"TERM": "xterm-256color", "LINES": "12", "COLUMNS": "100"}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "releasekit", *arguments],
            cwd=workspace.root,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self.ours, 65536):
                self.screen += piece
        except OSError as error:
            if error.errno != errno.EIO:  # Linux says so when the other end is closed
                raise

    def end(self, during: Callable[[subprocess.Popen[bytes]], object] = lambda _child: None) -> int:
        """Do something while it works, wait for its end, return its exit code."""
        try:
            during(self.child)
            return self.child.wait(60)
        finally:
            self.child.kill()
            self.child.wait()
            self._reading.join()
            os.close(self.ours)

    @property
    def lines(self) -> list[str]:
        return self.screen.decode().replace("\r", "").rstrip("\n").split("\n")


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
