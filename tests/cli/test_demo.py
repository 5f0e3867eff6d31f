from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tests.cli.helpers import NAMES
from tests.support import Workspace, digests

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_kills_a_release_and_finishes_it(tmp_path: Path) -> None:
    place = tmp_path / "new" / "demo"
    job = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(tmp_path / "o"), "GITHUB_STEP_SUMMARY": str(tmp_path / "s")}
    done = Workspace(tmp_path).releasekit("demo", "--to", str(place), environ=job)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["new"]  # it tells a CI job nothing
    said = done.stdout
    steps = [said.index(f"\n{number}. ") for number in range(1, 8)]
    assert steps == sorted(steps)
    assert "killed" in said[steps[1] : steps[2]]
    assert re.search(r"packages: .*[34] published", said[steps[2] : steps[3]])  # one may not have been durable
    assert said.rstrip().splitlines()[-1].startswith("next: releasekit status ")
    workspace = Workspace(place / "workspace")
    assert workspace.statuses() == dict.fromkeys(NAMES, "published")
    assert digests(place / "index") == workspace.recorded()
    for picture in ("lifecycle.svg", "run.svg"):
        root = ET.parse(place / picture).getroot()  # noqa: S314  # our own output
        assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_the_demo_does_not_mix_its_files_with_others(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    refused = Workspace(tmp_path).releasekit("demo", "--to", ".")

    assert refused.returncode == 1
    assert "RK-DEMO-DIRECTORY" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
