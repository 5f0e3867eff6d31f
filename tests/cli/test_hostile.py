"""What the commands print of hostile names and errors, read back by a terminal, a JSON parser and a CI runner's eye."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections import Counter
from io import StringIO
from typing import TYPE_CHECKING, Any

import pyte
import pytest
import stamina
from click.testing import CliRunner
from rich.console import Console
from tests.hostile import HOSTILE, SURROGATES, commands, unescaped

from releasekit import ReleaseKitError, RunState, RunStore, cli, logging, pipeline
from releasekit.cli import demo, history, output, plan, publish, status
from releasekit.errors import E, headline, listed
from releasekit.escape import in_one_line, printable
from releasekit.pipeline import Outcome
from releasekit.report import terminal, words
from releasekit.report.table import View
from releasekit.state import STATE_FILENAME
from releasekit.workspace import Note, NoteKind, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import click

HARMLESS = tuple(f"p{number:02}" for number in range(len(HOSTILE)))
WIDTH = 2000  # columns, so that nothing is cut
NAME = max(len(in_one_line(text)) for text in HOSTILE)
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def failed_run(texts: Sequence[str]) -> RunState:
    """A run in which every package is called, versioned and failed of the same text."""
    state = RunState("0" * 40, index=texts[-1])
    for text in texts:
        package = state.init_package(text, version=text)
        package.start_building()
        package.fail(text)
    return state


def styles(printed: str) -> Counter[str]:
    """Count the sequences that set colours, after making sure that there are no others."""
    assert _STYLE.sub("", printed).replace("\n", "").isprintable()
    return Counter(_STYLE.findall(printed))


def screen(printed: str) -> pyte.Screen:
    """Show on a terminal what was printed, which must not be a CI runner's command either."""
    assert commands(_STYLE.sub("", printed)) == []
    shown = pyte.Screen(WIDTH, printed.count("\n") + 1)
    pyte.Stream(shown).feed(printed.replace("\n", "\r\n"))
    return shown


def lines(printed: str) -> list[str]:
    """Read the lines of a terminal that shows what was printed."""
    return [line.rstrip() for line in screen(printed).display[:-1]]


def invoke(command: click.Command, *arguments: object) -> str:
    """Call a command as on a terminal with colours: by its group, which says what every command has."""
    result = CliRunner().invoke(cli.releasekit, [str(command.name), *map(str, arguments)], color=True)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.output


def assert_shows_the_run(shown: Sequence[str]) -> None:
    """Compare the lines of a table, and of the errors below it, with a failed run, cell by cell."""
    names = sorted(HOSTILE)
    assert [*map(str.strip, shown[0].split())] == ["package", "version", "status", "time"]
    shown = shown[1:]
    version, state = 3 + NAME + 2, 3 + 2 * (NAME + 2)
    for line, name in zip(shown, names, strict=False):
        assert line[:3] == "✗  "
        assert unescaped(line[3:version].rstrip()) == name
        assert line[version:state].rstrip() == in_one_line(name)
        assert line[state:].rstrip() == f"failed        {in_one_line(words.shortened(headline(name)))}".rstrip()
    below = []
    for name in failed_run(HOSTILE).failed_packages():
        below += ["", f"{in_one_line(name)} failed:", *(f"  {line}" for line in printable(name).split("\n"))]
    assert shown[len(names) : len(names) + len(below)] == below
    end = ["", f"{'✗' * 40}  0 of {len(names)}", f"{len(names)} packages: {len(names)} failed"]
    assert shown[len(names) + len(below) :][:3] == end


@pytest.fixture
def all_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the errors of all that failed told, rather than some of many."""
    monkeypatch.setattr(output, "ERRORS", len(HOSTILE))


@pytest.mark.usefixtures("all_errors")
def test_status_shows_every_text_in_its_cell(tmp_path: Path) -> None:
    printed: dict[tuple[str, ...], str] = {}
    for texts in (HOSTILE, HARMLESS):
        failed_run(texts).save(tmp_path / STATE_FILENAME)
        printed[texts] = invoke(status.command, tmp_path)

    assert styles(printed[HOSTILE]) == styles(printed[HARMLESS])
    shown = lines(printed[HOSTILE])
    assert f", index {HOSTILE[-1]}, " in shown[0]
    assert_shows_the_run(shown[2:])
    assert shown[-1].startswith(f"next: mend the errors of {in_one_line(listed(sorted(HOSTILE)))}, then ")


def test_a_row_has_the_colour_of_its_status_from_end_to_end(tmp_path: Path) -> None:
    failed_run(HOSTILE).save(tmp_path / STATE_FILENAME)
    shown = screen(invoke(status.command, tmp_path))

    for y, line in enumerate(shown.display[3 : 3 + len(HOSTILE)], 3):
        assert {shown.buffer[y][x].fg for x in range(len(line.rstrip()))} == {"red"}
    assert shown.buffer[3 + len(HOSTILE) + 1][0].fg == "default"


@pytest.mark.usefixtures("all_errors")
def test_the_end_of_a_release_shows_every_text_in_its_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def release(*_: object) -> Outcome:
        return Outcome(
            failed_run(HOSTILE),
            interrupted=False,
            error=ReleaseKitError(E.GIT_FAILED, *["\n".join(HOSTILE)] * 2),
            arrived=False,
        )

    monkeypatch.setattr(publish, "release", release)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(stamina.instrumentation, "set_on_retry_hooks", lambda _: None)
    monkeypatch.setattr(logging, "configure", lambda **_: None)
    monkeypatch.setattr(sys, "argv", ["releasekit", *HOSTILE])

    printed = invoke(publish.command, tmp_path, "--index", "x")

    assert not set(styles(printed)) - {"\x1b[31m", "\x1b[1m", "\x1b[0m"}
    shown = lines(printed)
    assert_shows_the_run(shown)
    assert "\n".join(shown[-len(HOSTILE) :]).endswith(printable(output.command_line(*HOSTILE)).rsplit("\n", 1)[-1])


def test_history_shows_every_text_in_its_cell(tmp_path: Path) -> None:
    printed: dict[tuple[str, ...], str] = {}
    for texts in (HOSTILE, HARMLESS):
        path = tmp_path / str(len(printed)) / STATE_FILENAME
        path.parent.mkdir()
        state = RunState("0" * 40)
        for text in texts:
            state.init_package(text)
        with RunStore.create(path, state) as store:
            for text in texts:
                store.state[text].start_building()
                store.state[text].fail(text)
        printed[texts] = invoke(history.command, path.parent)

    assert styles(printed[HOSTILE]) == styles(printed[HARMLESS]) == {}
    shown = lines(printed[HOSTILE])
    start = shown[2].index("package")
    trigger = shown[2].index("trigger")
    assert trigger == start + NAME + 2
    moves = [line for line in shown[3:] if line[trigger:].startswith("fail ")]
    assert [unescaped(line[start:trigger].rstrip()) for line in moves] == list(HOSTILE)
    for line, text in zip(moves, HOSTILE, strict=True):
        assert line[trigger:].endswith(in_one_line(words.shortened(headline(text))))
    summary = shown[shown.index("", 3) + 2 :]
    assert {unescaped(line[:NAME].rstrip()) for line in summary} == set(HOSTILE)


def test_a_plan_shows_every_reason_and_requirement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No workspace can have such names; its classifiers can say anything."""
    state = RunState("0" * 40)
    for text in HOSTILE:
        state.init_package(text, version=text, requires=[text])
    notes = tuple(Note(NoteKind.LOCK_DIFFERS, text, (text,), text, text) for text in HOSTILE)
    monkeypatch.setattr(pipeline, "load_selected", lambda *_, **__: Workspace(tmp_path, {}, {}, notes=notes))
    monkeypatch.setattr(pipeline, "declare", lambda *_: state)

    shown = lines(invoke(plan.command, tmp_path / "##[error]x"))

    assert [unescaped(line[7 : 7 + NAME].rstrip()) for line in shown[1 : 1 + len(HOSTILE)]] == list(HOSTILE)
    for line, text in zip(shown[1:], HOSTILE, strict=False):
        assert line.endswith(in_one_line(f"after {text}"))
    for line, text in zip(shown[2 + len(HOSTILE) :], HOSTILE, strict=False):
        assert line == f"note: {in_one_line(f'{text} {text} ({text})')}"
    assert "#\\x23[error]x" in shown[-1]


def test_the_live_table_shows_every_text_in_its_cell() -> None:
    printed: dict[tuple[str, ...], str] = {}
    for texts in (HOSTILE, HARMLESS):
        console = Console(file=StringIO(), width=WIDTH, height=200, force_terminal=True, color_system="standard")
        with console.capture() as capture:
            console.print(terminal.renderable(terminal.frame(View(failed_run(texts)), WIDTH, 200)))
        printed[texts] = capture.get()

    assert styles(printed[HOSTILE]) == styles(printed[HARMLESS])
    header, *shown = lines(printed[HOSTILE])
    name, version, state = (header.index(heading) for heading in ("package", "version", "status"))
    for line, text in zip(shown, sorted(HOSTILE), strict=False):
        assert line[:name].rstrip() == "✗"
        assert unescaped(line[name:version].rstrip()) == text
        assert line[version:state].rstrip() == in_one_line(text)
        assert line[state:] == f"failed        {in_one_line(words.shortened(headline(text)))}"
    assert shown[len(HOSTILE) :][-1] == f"{len(HOSTILE)} packages: {len(HOSTILE)} failed"


WRONG: tuple[Callable[[str], tuple[str, ...]], ...] = (
    lambda text: (text,),
    lambda text: ("explain", text),
    lambda text: ("explain", "--", text),
    lambda text: ("status", "--", text),
    lambda text: ("status", "a", text),
    lambda text: ("status", f"--{text}"),
    lambda text: ("retry", "--workspace", text),
    lambda text: ("skip", "a", "--workspace", text, "--json"),
    lambda text: ("plan", "--index", f"{text}\n::error::"),
    lambda text: ("publish", "--jobs", text),
    lambda text: ("publish", "--index", "x", "--log-level", text),
    lambda text: ("diagram", "--lifecycle", "-o", f"x.{text}"),
    lambda text: ("demo", "--to", f"pyproject.toml/{text}"),
)


@pytest.mark.parametrize("text", [text for text in (*HOSTILE, *SURROGATES) if "\0" not in text], ids=ascii)
def test_a_wrong_command_line_is_told_of_in_text(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'a'\nversion = '1'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging, "_expected", [])
    for arguments in WRONG:
        monkeypatch.setattr(sys, "argv", ["releasekit", *arguments(text)])
        cli.main()
        for printed in capsys.readouterr():
            assert styles(printed) == {}
            assert commands(printed) == []
            if printed.startswith("{"):
                json.loads(printed)


def test_a_message_is_told_whole_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "\n".join(HOSTILE)
    monkeypatch.setattr(cli, "_COLOUR", True)

    cli._complain(message)

    printed = capsys.readouterr().err
    assert styles(printed) == {"\x1b[31m": 1, "\x1b[1m": 1, "\x1b[0m": 1}
    assert unescaped("\n".join(lines(printed))) == f"error: {message}"


def test_what_the_demos_release_prints_besides_its_log_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    program = "import sys\nfor line in sys.argv[1:]: print(line, file=sys.stderr)"

    demo._watch([sys.executable, "-c", program, *(text for text in HOSTILE if "\0" not in text)])

    printed = capsys.readouterr().out
    assert styles(printed) == {}
    assert commands(printed) == []


def loaded(printed: str) -> Any:  # noqa: ANN401  # any JSON
    """Read JSON that was printed, which must be harmless as it is."""
    assert styles(printed) == {}
    assert commands(printed) == []
    return json.loads(printed)


def test_json_is_read_back_as_the_run_that_it_tells(tmp_path: Path) -> None:
    state = failed_run(HOSTILE)
    with RunStore.create(tmp_path / STATE_FILENAME, state):
        pass

    document = loaded(invoke(status.command, tmp_path, "--json"))

    assert document == json.loads(json.dumps(output.result(state)))
    assert {name: fields["error"] for name, fields in document["packages"].items()} == {name: name for name in HOSTILE}
    told = loaded(invoke(history.command, tmp_path, "--json"))
    assert [event["package"] for event in told["events"]] == list(HOSTILE)


def test_json_is_utf_8_with_its_letters_as_they_are(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    output.print_json({"a": "naïve 日本語"})

    assert capsysbinary.readouterr().out == '{\n  "a": "naïve 日本語"\n}\n'.encode()
