"""Signals at every moment of the command line's life: real ones, to real processes."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from tests.cli.helpers import OUT, PATIENCE, running, wait_for
from tests.faulty_index import Fault, Kind, On
from tests.support import INDEX

from releasekit.cli import releasekit
from releasekit.cli.stop import Stop, resume_command

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faulty_index import FaultyIndex
    from tests.support import Workspace

SIGNALS = [signal.SIGINT, signal.SIGTERM]
PUBLISH = ("publish", "--index", INDEX)

_ON_IMPORT = """
import os, runpy, sys

class Sender:
    def find_spec(self, name, *_):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number:d})

sys.meta_path.insert(0, Sender())
sys.argv = ["releasekit", *{arguments!r}]
runpy.run_module("releasekit", run_name="__main__")
"""
"""The command line, which gets a signal at the moment it begins to import a module."""

_ON_PRINTING = """
import os, sys
from releasekit.cli import {module} as module

def then(*arguments):
    os.kill(os.getpid(), {number:d})
    return before(*arguments)

before, module.{function} = module.{function}, then
sys.argv = ["releasekit", *{arguments!r}]
from releasekit.cli import main
sys.exit(main())
"""
"""The command line, which gets a signal at the moment it begins to print its result."""

_ON_HANDLING = """
import os, signal, sys
from releasekit.cli import main

def then(number, handler):
    before = set_handler(number, handler)
    signal.signal = set_handler
    os.kill(os.getpid(), number)
    return before

def end(stop, handlers):
    os.kill(os.getpid(), {number:d})
    before(stop, handlers)

set_handler = signal.signal
if {beginning}:
    signal.signal = then
else:
    from releasekit.cli.stop import Stop
    before, Stop.end = Stop.end, end
sys.argv = ["releasekit", "explain", "RK-UV-MISSING"]
sys.exit(main())
"""
"""The command line, which gets a signal just as it begins, or ceases, to handle them."""


@contextmanager
def full_pipe() -> Iterator[int]:
    """The writing end of a pipe that is full, and that nobody reads."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    try:
        for size in (1 << 12, 1):  # to the last byte
            with suppress(BlockingIOError):
                while True:
                    os.write(theirs, bytes(size))
        os.set_blocking(theirs, True)
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


def wait_until(happened: Callable[[], object], child: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert child.poll() is None, f"it ended with {child.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["click", "releasekit.redaction", "releasekit.cli.publish", "msgspec", "structlog"])
def test_a_signal_while_it_is_being_imported_ends_it_in_order(workspace: Workspace, module: str, number: int) -> None:
    ended = workspace.python("-c", _ON_IMPORT.format(module=module, number=number, arguments=OUT))

    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "error: interrupted" in ended.stderr
    assert "resume: releasekit publish --index ./out" in ended.stderr
    assert ended.stdout == ""
    assert not list(workspace.root.glob(".releasekit-*"))


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["click", "releasekit.cli.status", "releasekit.state"])
def test_other_commands_end_in_order_too(workspace: Workspace, module: str, number: int) -> None:
    ended = workspace.python("-c", _ON_IMPORT.format(module=module, number=number, arguments=["status"]))

    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "error: interrupted" in ended.stderr


def test_a_signal_before_the_command_is_known_ends_it_too(workspace: Workspace) -> None:
    ended = workspace.python("-c", _ON_IMPORT.format(module="releasekit.cli", number=15, arguments=["--help"]))
    assert ended.returncode == 130, ended.stderr


def test_a_signal_as_it_begins_to_handle_them_ends_it_in_order(workspace: Workspace) -> None:
    ended = workspace.python("-c", _ON_HANDLING.format(beginning=True, number=0))

    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "error: interrupted" in ended.stderr


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_when_all_is_said_changes_nothing(workspace: Workspace, number: int) -> None:
    ended = workspace.python("-c", _ON_HANDLING.format(beginning=False, number=number))

    assert (ended.returncode, ended.stderr) == (0, "")


def test_signals_that_come_all_at_once_are_more_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Came(list[int]):
        def append(self, number: int) -> None:
            super().append(number)
            if len(self) < 3:  # before anything is made of it
                os.kill(os.getpid(), signal.SIGTERM)

    left = threading.Event()

    def leave(_stop: Stop, heard: int) -> None:
        if os.read(heard, 1):
            left.set()

    monkeypatch.setattr(Stop, "_leave", leave)
    stop = Stop(came := Came())
    with stop.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert left.wait(PATIENCE)
    assert len(came) == 3


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("options", "function"),
    [((), "output.print_run"), (("--json",), "output.print_json"), (("--dry-run",), "dry_run.columns")],
)
def test_a_signal_while_the_result_is_printed_changes_nothing(
    workspace: Workspace, options: tuple[str, ...], function: str, number: int
) -> None:
    arguments = (*OUT, *options)
    module, _, name = function.partition(".")
    program = _ON_PRINTING.format(module=module, function=name, number=number, arguments=arguments)
    ended = workspace.python("-c", program)

    assert ended.returncode == 0, ended.stderr
    assert "resume" not in ended.stderr
    if "--json" in options:
        assert json.loads(ended.stdout)["exit_code"] == 0
    else:
        assert ended.stdout.splitlines()[-1].startswith("next: ")


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("more", [1, 2])
def test_a_second_signal_ends_it_though_nobody_reads_what_it_says(
    small: Workspace, faulty: FaultyIndex, number: int, more: int
) -> None:
    faulty.faults = [Fault(Kind.HANG, On.PAGE)] * 9
    with full_pipe() as pipe, running(small, *PUBLISH, "--log-level", "debug", stdout=pipe, stderr=pipe) as child:
        wait_until(lambda: faulty.happened[Kind.HANG], child)
        child.send_signal(number)
        with pytest.raises(AssertionError):  # it waits to say so
            wait_until_ended(child, 1)
        for _ in range(more):
            child.send_signal(number)
            time.sleep(0.1)
        wait_until_ended(child, PATIENCE)

    assert child.returncode == 130


def wait_until_ended(child: subprocess.Popen[Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_release_that_is_over_ends_with_its_own_code_though_nobody_reads_its_result(workspace: Workspace) -> None:
    with full_pipe() as pipe, running(workspace, *OUT, stdout=pipe) as child:
        wait_for(workspace.root / ".releasekit-state.json", child)
        wait_until(lambda: set(workspace.statuses().values()) == {"published"}, child)
        time.sleep(1)
        for _ in range(2):
            child.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        wait_until_ended(child, PATIENCE)
        assert child.stderr
        said = child.stderr.read()

    assert child.returncode == 0
    assert "left at once" not in said


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_of_the_terminal_while_git_is_asked_is_an_interruption(
    workspace: Workspace, tmp_path: Path, number: int
) -> None:
    """A terminal sends it to the whole foreground group."""
    asked, program = tmp_path / "asked", tmp_path / "bin" / "git"
    program.parent.mkdir()
    real = f"PATH='{os.environ['PATH']}' exec git \"$@\""
    program.write_text(f"#!/bin/sh\ncase \"$*\" in *status*) touch '{asked}'; sleep 1;; esac\n{real}\n")
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        with running(workspace, *OUT, start_new_session=True) as child:
            wait_for(asked, child)
            os.killpg(child.pid, number)
            stdout, stderr = child.communicate(timeout=PATIENCE)

    assert child.returncode == 130, stderr
    assert "git" not in stderr.replace("releasekit", "")
    assert "resume: releasekit publish --index ./out" in stderr
    assert stdout == ""


def test_an_interruption_before_there_is_a_run_is_a_document_too(small: Workspace, faulty: FaultyIndex) -> None:
    faulty.faults = [Fault(Kind.HANG, On.PAGE)] * 9
    with running(small, *PUBLISH, "--json") as child:
        wait_until(lambda: faulty.happened[Kind.HANG], child)
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=PATIENCE)

    assert child.returncode == 130, stderr
    document = json.loads(stdout)
    assert document.keys() == {"error", "code", "hint", "exit_code"}
    assert document["error"].startswith("interrupted")
    assert document["hint"] == f"resume: releasekit {' '.join(PUBLISH)} --json"
    assert document["exit_code"] == 130


def test_how_to_go_on_is_told_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PUBLISH_PASSWORD", "canary 'password'")
    words = ["releasekit", "publish", "--fresh", "--index", "https://user:canary@x.invalid/", "canary 'password'"]
    monkeypatch.setattr("sys.argv", words)

    assert resume_command() == "resume: releasekit publish --index 'https://[redacted]@x.invalid/' '[redacted]'"


def test_called_by_another_program_a_release_leaves_it_its_own_handlers(workspace: Workspace) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]

    done = CliRunner().invoke(releasekit, ["publish", str(workspace.root), "--index", "./out", "--dry-run"])

    assert done.exit_code == 0, done.output
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_system_without_threads_left_is_no_reason_not_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    came: list[int] = []
    with Stop(came).listening():
        os.kill(os.getpid(), signal.SIGTERM)
    assert came == [signal.SIGTERM]


def test_in_another_thread_no_signal_is_handled() -> None:
    listened: list[object] = []
    thread = threading.Thread(target=lambda: listened.append(Stop().listen()))
    thread.start()
    thread.join()

    assert listened == [{}]
