"""Logs: on stderr, one event per fact, and no secret in any of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from tests.hostile import HOSTILE, SURROGATES, commands, unescaped

from releasekit.escape import in_one_line, printable
from releasekit.logging import configure, get_logger
from releasekit.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-0123456789"
LOGIN = f"https://user:{CANARY}@index.test/legacy/"


@pytest.fixture(autouse=True)
def _structlog_as_it_was() -> Iterator[None]:
    config = structlog.get_config()
    yield
    structlog.configure(**config)


class Place(Enum):
    LOGIN = LOGIN


@pytest.mark.parametrize("form", ["logfmt", "json"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(CANARY, id="string"),
        pytest.param(LOGIN, id="url"),
        pytest.param(f'"{CANARY}"\n', id="quoted"),
        pytest.param(OSError(5, CANARY), id="exception"),
        pytest.param(Path(CANARY), id="path"),
        pytest.param(CANARY.encode(), id="bytes"),
        pytest.param({"deep": {"deeper": [CANARY, (LOGIN,)]}}, id="nested"),
        pytest.param({CANARY: 1}, id="key"),
        pytest.param({CANARY}, id="set"),
        pytest.param(Place.LOGIN, id="enum"),
    ],
)
def test_no_canary_gets_into_a_log(
    value: object, form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UV_PUBLISH_PASSWORD", CANARY)
    configure(json=form == "json")
    get_logger("test").info(f"releasekit.{CANARY}_sent", value=value, number=5, nothing=None, flag=True, ratio=0.5)
    out, err = capsys.readouterr()
    assert out == ""
    assert CANARY not in err
    assert REDACTED in err
    if form == "json":
        event = json.loads(err)
        assert (event["number"], event["nothing"], event["flag"], event["ratio"]) == (5, None, True, 0.5)


def test_an_event_is_one_line_of_key_and_values_with_the_time_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    get_logger("test").warning("releasekit.package_moved", package="core", status="building")
    line = capsys.readouterr().err
    assert line.endswith("level=warning event=releasekit.package_moved package=core status=building\n")
    assert datetime.fromisoformat(line.split()[0].removeprefix("timestamp=")).utcoffset() is not None


def read_logfmt(line: str) -> dict[str, str]:
    """Read a line of ``key=value``: a value in quotes has its backslashes and quotes escaped, another nothing."""
    pair = r'([^ ="]+)=(?:"((?:[^"\\\n]|\\["\\])*)"|([^ ="\n]*))'
    assert re.fullmatch(rf"{pair}(?: {pair})*\n", line)
    return {key: plain or re.sub(r"\\(.)", r"\1", quoted) for key, quoted, plain in re.findall(pair, line)}


@pytest.mark.parametrize("text", [*HOSTILE, *SURROGATES, "\ud800"], ids=ascii)
def test_a_hostile_text_is_one_line_that_is_read_back(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    get_logger().warning(f"releasekit.{text}", value=text, nested={text: [text]}, **{f"key{text}": 1})
    line = capsys.readouterr().err

    assert line[:-1].isprintable()
    assert commands(line) == []
    told = read_logfmt(line)
    assert told["event"] == in_one_line(f"releasekit.{text}")
    assert told["value"] == in_one_line(text)
    assert told["nested"] == str({in_one_line(text): [in_one_line(text)]})
    (key,) = told.keys() - {"timestamp", "level", "event", "value", "nested"}
    assert unescaped(key) == f"key{text}"


@pytest.mark.parametrize("text", [*HOSTILE, *SURROGATES, "\ud800"], ids=ascii)
def test_a_hostile_text_is_read_back_as_json_too(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True)
    get_logger().warning("releasekit.something_happened", value=text, nested={text: [text]}, **{f"key{text}": 1})
    line = capsys.readouterr().err

    assert line[:-1].isprintable()
    assert commands(line) == []
    told = json.loads(line)
    assert told["value"] == printable(text)
    assert told["nested"] == {printable(text): [printable(text)]}
    assert text in {unescaped(key).removeprefix("key") for key in told}


def test_a_secret_is_found_before_it_is_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("A_SECRET", "tell\u200bnobody")
    configure()
    get_logger().warning("releasekit.something_happened", value="tell\u200bnobody", **{"tell\u200bnobody": 1})

    assert "nobody" not in capsys.readouterr().err


def test_json_events_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=True)
    for _ in range(2):
        get_logger().info("releasekit.package_moved", package="core", text="two\nlines")
    for line in capsys.readouterr().err.splitlines():
        event = json.loads(line)
        assert event.pop("timestamp")
        assert event == {
            "level": "info",
            "event": "releasekit.package_moved",
            "package": "core",
            "text": "two\nlines",
        }


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_events_below_the_level_are_not_printed(level: str, shown: int, capsys: pytest.CaptureFixture[str]) -> None:
    configure(level=level)
    log = get_logger()
    for method in (log.debug, log.info, log.warning, log.error):
        method("releasekit.something_happened")
    assert len(capsys.readouterr().err.splitlines()) == shown


def test_a_logger_names_its_module_for_applications_that_want_it() -> None:
    with structlog.testing.capture_logs() as logs:
        get_logger("releasekit.somewhere").info("releasekit.something_happened")
    assert logs == [{"event": "releasekit.something_happened", "log_level": "info", "module": "releasekit.somewhere"}]


def test_the_library_neither_imports_nor_configures_structlog_by_itself() -> None:
    program = """
import sys
from releasekit import RunState, RunStore
RunState("abc").init_package("core").start_building()
assert "structlog" not in sys.modules, "imported"
import structlog
assert not structlog.is_configured(), "configured"
"""
    subprocess.run([sys.executable, "-c", program], check=True)


EXPECT = """
from releasekit import logging
import sys
logging.expect("warning")
assert "structlog" not in sys.modules
logging.get_logger().info("quiet")
logging.get_logger("module").warning("loud", key="a value")
import structlog
structlog.configure(processors=[lambda *_: "the user's own"])
logging.get_logger().warning("loud")
"""


def test_logging_that_is_expected_is_set_up_when_something_is_logged_and_never_over_the_users_own() -> None:
    done = subprocess.run([sys.executable, "-c", EXPECT], capture_output=True, text=True, check=True)
    assert 'level=warning event=loud key="a value"\n' in done.stderr
    assert "quiet" not in done.stderr
    assert done.stderr.endswith("\nthe user's own\n")
    assert done.stdout == ""


LEAN = """
import sys
from releasekit import logging
{before}
logging.get_logger()
assert ("rich" not in sys.modules) is {hidden}
logging.absent = None
logging.get_logger()
import rich.traceback
import structlog.dev
assert (structlog.dev.rich is None) is {hidden}
"""


@pytest.mark.parametrize(("before", "hidden"), [('logging.expect("warning")', "True"), ("", "False")])
def test_structlog_goes_without_rich_in_our_own_process_only(before: str, hidden: str) -> None:
    subprocess.run([sys.executable, "-c", LEAN.format(before=before, hidden=hidden)], check=True)
