"""`releasekit status --watch`, beside a run that another process is at work on."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.helpers import OUT, StuckPackage, running
from tests.cli.terminal import HIDE, SHOW, Terminal
from tests.schemas import checked

from releasekit import RunState, RunStore, Trigger
from releasekit.cli import watch
from releasekit.pipeline.aside import set_aside
from releasekit.state import STATE_FILENAME

if TYPE_CHECKING:
    import subprocess

    from tests.support import Workspace

    from releasekit.state.history import Event

PATIENCE = 60.0


@pytest.fixture
def stuck(workspace: Workspace) -> StuckPackage:
    return StuckPackage(workspace, "aurora-http")


def until_it_says(watching: subprocess.Popen[str], words: str) -> list[str]:
    """Read lines until one has some words."""
    assert watching.stdout
    lines = []
    for line in watching.stdout:
        lines.append(line)
        if words in line:
            break
    return lines


def test_a_watch_tells_every_transition_and_ends_with_the_run(workspace: Workspace, stuck: StuckPackage) -> None:
    with running(workspace, *OUT) as release:
        stuck.wait(release)
        with running(workspace, "status", "--watch") as watching:
            first = until_it_says(watching, "packages: ")
            release.send_signal(signal.SIGTERM)
            release.communicate()
            rest, stderr = watching.communicate(timeout=PATIENCE)

    assert (watching.returncode, stderr) == (0, "")
    assert re.fullmatch(r"8 packages: .*building.*\n", first[-1])
    moves = [line for line in rest.splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)]
    assert "○  aurora-http  building → pending" in [line[10:] for line in moves]
    assert rest.splitlines()[-1].startswith("next: run the same")
    assert "8 packages: 8 pending" in rest


def test_a_watch_of_a_run_that_was_killed_ends(workspace: Workspace) -> None:
    killed = workspace.killed_at("publishing", 0, *OUT)
    assert killed.returncode == -signal.SIGKILL

    watched = workspace.releasekit("status", "--watch")

    assert watched.returncode == 0
    assert watched.stdout.splitlines()[-1].startswith("next: run the same")


def test_a_watch_goes_on_with_a_run_that_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / STATE_FILENAME
    with RunStore.create(path, _one("old")) as store:
        store.state["old"].start_building()
    watching = watch._Watch(path)
    told: list[Event] = []
    watching.tell = told.append

    set_aside(path, unfinished=True)
    watching.look_again()
    assert told == []
    assert "old" in watching.view.state
    with RunStore.create(path, _one("new")) as store:
        store.state["new"].start_building()
        store.commit()
        watching.look_again()
        watching.look_again()
        store.state["new"].fail("it broke")
        store.commit()
        watching.look_again()

    moves = [(event.package, event.trigger) for event in told if event.trigger]
    assert moves == [("new", Trigger.START_BUILDING), ("new", Trigger.FAIL)]
    assert watching.view.working


def _one(name: str) -> RunState:
    state = RunState("0" * 40)
    state.init_package(name)
    return state


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_watch_and_not_the_run(
    workspace: Workspace, stuck: StuckPackage, number: signal.Signals
) -> None:
    with running(workspace, *OUT) as release:
        stuck.wait(release)
        with running(workspace, "status", "--watch") as watching:
            until_it_says(watching, "packages: ")
            watching.send_signal(number)
            rest, stderr = watching.communicate(timeout=PATIENCE)
        assert release.poll() is None

    assert watching.returncode == 130
    assert stderr == ""
    assert "aurora-http" in rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_watch_for_a_machine_leaves_it_a_document(
    workspace: Workspace, stuck: StuckPackage, number: signal.Signals
) -> None:
    with running(workspace, *OUT) as release:
        stuck.wait(release)
        with running(workspace, "status", "--watch", "--json") as watching:
            while not _catches(watching, number):
                assert watching.poll() is None
                time.sleep(0.01)
            time.sleep(0.5)  # it is at its looking
            watching.send_signal(number)
            stdout, stderr = watching.communicate(timeout=PATIENCE)
        assert release.poll() is None

    assert watching.returncode == 130
    assert checked("error", stdout)["exit_code"] == 130
    assert "interrupted" in stderr


def _catches(child: subprocess.Popen[str], number: signal.Signals) -> bool:
    """Tell whether a process handles a signal."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{child.pid}/status").read_text(), re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


def test_on_a_terminal_a_watch_redraws_the_table_and_gives_it_back(workspace: Workspace, stuck: StuckPackage) -> None:
    with running(workspace, *OUT) as release:
        stuck.wait(release)
        watching = Terminal(workspace, "status", "--watch")

        def see(_: object) -> None:
            deadline = time.monotonic() + PATIENCE
            while watching.screen.count(b"aurora-http ") < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            release.send_signal(signal.SIGTERM)

        assert watching.end(see) == 0

    assert watching.screen.rindex(SHOW) > watching.screen.rindex(HIDE)
    assert b"building" in watching.screen
    assert b"8 packages: 8 pending" in watching.screen[watching.screen.rindex(SHOW) :]
    assert watching.lines[-1].startswith("next: run the same")


def test_what_is_not_there_can_not_be_watched(workspace: Workspace) -> None:
    assert "RK-STATE-NOT-FOUND" in workspace.releasekit("status", "--watch").stderr


def test_a_reader_that_goes_away_ends_a_watch(workspace: Workspace, stuck: StuckPackage) -> None:
    with running(workspace, *OUT) as release:
        stuck.wait(release)
        with running(workspace, "status", "--watch") as watching:
            until_it_says(watching, "packages: ")
            assert watching.stdout
            watching.stdout.close()
            release.send_signal(signal.SIGTERM)
            release.communicate()
            assert watching.wait(PATIENCE) == 1
            assert watching.stderr
            assert "Traceback" not in watching.stderr.read()


def test_status_knows_whether_anybody_is_at_work(workspace: Workspace) -> None:
    killed = workspace.killed_at("building", 0, *OUT)
    assert killed.returncode == -signal.SIGKILL

    assert workspace.releasekit("status").stdout.splitlines()[-1].startswith("next: run the same")
    with RunStore.open(workspace.root / STATE_FILENAME):
        assert workspace.releasekit("status").stdout.splitlines()[-1].startswith("next: wait.")
    with RunStore.open(workspace.root / STATE_FILENAME) as store:
        store.state.recover()
        store.state["aurora-core"].start_building()
        store.state["aurora-core"].fail("it broke")
        store.commit()
        told = workspace.releasekit("status").stdout.splitlines()[-1]
    assert told.startswith("next: wait until the run is over, then mend the errors of aurora-core")
    told = workspace.releasekit("status").stdout.splitlines()[-1]
    assert told.startswith("next: mend the errors of aurora-core")


@pytest.mark.parametrize("columns", [40, 80])
def test_which_run_it_is_takes_one_line_of_a_terminal(workspace: Workspace, columns: int) -> None:
    RunState("0" * 40, index="https://upload.example.org/a/rather/long/path/legacy/").save(
        workspace.root / STATE_FILENAME
    )

    terminal = Terminal(workspace, "status", COLUMNS=str(columns))

    assert terminal.end() == 0
    first, second = terminal.screen.decode().splitlines()[:2]
    assert first.startswith("commit 000000000000, index https:")
    assert (len(first), first[-1], second) == (columns, "…", "")
    assert "begun 20" in workspace.releasekit("status").stdout.splitlines()[0]
