"""The README tells the truth: its example runs, its tables are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from releasekit.cli import COMMANDS, releasekit
from releasekit.lifecycle import TABLE, PackageStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


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
