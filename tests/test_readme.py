"""The README tells the truth: its example runs, its tables are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from releasekit import RunState, Trigger
from releasekit.cli import COMMANDS, demo_workspace, output, releasekit
from releasekit.lifecycle import TABLE, PackageStatus
from releasekit.report.table import View, foot, table
from releasekit.report.words import spell

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_what_the_demo_left_is_told_as_status_tells_such_a_run() -> None:
    told = README[README.index("3. Look at what it left") : README.index("4. Run the same command again")].splitlines()
    state = RunState("c4e986bfb09a" + "0" * 28)
    for name, version, requires in demo_workspace.MEMBERS:
        level = 1 + max((state[required].level for required in requires), default=-1)
        state.init_package(name, version=version, level=level, requires=requires)
        state[name].start_building()
        state[name].record_artifacts({"file": "0" * 64})
    triggers = (Trigger.START_PUBLISHING, Trigger.START_VERIFYING, Trigger.CONFIRM)
    shown = {name: line for line in told for name in state if f" {name} " in line}
    assert shown.keys() == {*state}
    for name, line in shown.items():
        while f" {state[name].status} " not in line:
            state[name].fire(next(trigger for trigger in triggers if state[name].may(trigger)))

    printed = [line.text for line in (*table(View(state)), *foot(View(state)))]

    assert _without_times(told[3:]) == _without_times([*printed, output.next_step(state, at_rest=True)])
    times = re.findall(r"\b[\d.]+ s\b", "\n".join(told))
    assert len(times) == len(state) + 1
    assert [spell(float(time.removesuffix(" s"))) for time in times] == times


def _without_times(lines: Iterable[str]) -> list[str]:
    return [shown for line in lines if (shown := " ".join(re.sub(r",? [\d.]+ s\b", "", line).split()))]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs_as_it_stands(example: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_table_names_every_command_and_what_it_does() -> None:
    for name, summary in COMMANDS.items():
        assert re.search(rf"^\| `{name}\b[^|]*\| {re.escape(summary)}", README, re.MULTILINE), name


def test_the_exit_codes_are_those_of_the_help() -> None:
    told = re.findall(r"^ +(\d+)  ", releasekit.help or "", re.MULTILINE)
    assert re.findall(r"^\| (\d+) \|", README, re.MULTILINE) == told


def test_every_trigger_and_status_is_named() -> None:
    words: Iterable[str] = [rule.trigger for rule in TABLE] + list(PackageStatus)
    assert not [word for word in words if word not in README]


def test_every_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
