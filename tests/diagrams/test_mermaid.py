"""Every Mermaid diagram is read by mermaid itself, the very program that code hosts draw with."""

from __future__ import annotations

import html
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from tests.diagrams.large_runs import large_run
from tests.diagrams.ways import WAYS, way_of
from tests.hostile import HOSTILE

from releasekit.diagrams import lifecycle_mermaid, package_mermaid, run_mermaid
from releasekit.diagrams.collapse import views
from releasekit.diagrams.run import _details, _title
from releasekit.diagrams.sample import RUN, Sample
from releasekit.lifecycle import RULES, PackageStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROGRAM = Path(__file__).with_name("mermaid_parser.mjs")
MODULES = ("mermaid@11", "jsdom@26")  # this jsdom works with the Node.js of Debian 12 too
INSTALL_TIME, PARSE_TIME = 300, 120  # seconds

Read = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def read() -> Callable[[Mapping[str, str]], Read]:
    """Have mermaid read diagrams: name → {error}, or {type, labels, edges}."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("needs Node.js: node and npm")
    directory = _installed(npm)

    def read(diagrams: Mapping[str, str]) -> Read:
        done = subprocess.run(
            [node, str(directory / PROGRAM.name)],
            input=json.dumps(diagrams),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=PARSE_TIME,
        )
        assert done.returncode == 0, done.stderr
        told: Read = json.loads(done.stdout)
        return told

    return read


def _installed(npm: str) -> Path:
    """Install mermaid, once for all runs of the tests, and put our program beside it."""
    directory = Path(tempfile.gettempdir()) / f"releasekit-tests-{os.getuid()}-{'-'.join(MODULES)}"
    directory.mkdir(mode=0o700, exist_ok=True)
    assert directory.stat().st_uid == os.getuid()
    with FileLock(directory / "lock", timeout=INSTALL_TIME):
        if not (directory / "complete").exists():
            (directory / "package.json").write_text("{}\n")
            options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
            command = [npm, "install", *options, *MODULES]
            done = subprocess.run(
                command, cwd=directory, capture_output=True, text=True, check=False, timeout=INSTALL_TIME
            )
            if done.returncode:
                pytest.skip(f"npm could not install mermaid: {done.stderr[-300:]}")
            (directory / "complete").touch()
        shutil.copy(PROGRAM, directory)
    return directory


HOSTILE_RUN = [
    Sample(name, [*PackageStatus][n % 7], name, HOSTILE[max(0, n - 2) : n], name, name)
    for n, name in enumerate(HOSTILE)
]
RUNS: dict[str, Sequence[Sample]] = {
    "nothing": [],
    "the sample": RUN,
    "hostile, first half": HOSTILE_RUN[:40],
    "hostile, second half": HOSTILE_RUN[40:],
    "hostile, drawn together": HOSTILE_RUN,
    **{f"{size} packages": large_run(size) for size in (8, 60, 300, 1000)},
}


def test_mermaid_reads_every_run_with_its_nodes_labels_and_edges(read: Callable[[Mapping[str, str]], Read]) -> None:
    told = read({name: run_mermaid(run) for name, run in RUNS.items()})

    assert {name: diagram["error"] for name, diagram in told.items() if "error" in diagram} == {}
    for name, run in RUNS.items():
        view = next(views(run))
        assert told[name]["type"] == "flowchart-v2"
        assert told[name]["edges"] == len(view.edges)
        labels = {f"n{i}": [_title(node), *_details(node)] for i, node in enumerate(view.nodes)}
        assert {node: _lines(label) for node, label in told[name]["labels"].items()} == labels


def test_mermaid_reads_the_lifecycle_with_every_rule(read: Callable[[Mapping[str, str]], Read]) -> None:
    (told,) = read({"lifecycle": lifecycle_mermaid()}).values()
    assert "error" not in told
    assert told["edges"] >= len(RULES)


def test_mermaid_reads_every_package(read: Callable[[Mapping[str, str]], Read]) -> None:
    sources = {name: package_mermaid(RUN[0], way) for name, way in WAYS.items()}
    for package in HOSTILE_RUN:
        sources[package.name] = package_mermaid(package, way_of("start_building fail"))

    told = read(sources)

    assert {name: diagram["error"] for name, diagram in told.items() if "error" in diagram} == {}
    moves = sum(rule.target is not None for rule in RULES.values())
    assert {diagram["edges"] for diagram in told.values()} == {moves}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('flowchart LR\n  n0["a"b"]\n', "Parse error"),
        ("flowchart LR\n  n0[a(b)]\n", "Parse error"),
        ("flowchart LR\n" + "  n0 --> n1\n" * 501, "Edge limit exceeded"),
        (f'flowchart LR\n  n0["{"a" * 50_000}"]\n', "more than the 50000 that are drawn"),
        ("stateDiagram-v2\n  a --> \n", "Parse error"),
    ],
    ids=["a quote", "a bracket", "too many edges", "too long", "no target"],
)
def test_what_mermaid_does_not_draw_is_found(
    read: Callable[[Mapping[str, str]], Read], source: str, problem: str
) -> None:
    assert problem in read({"broken": source})["broken"]["error"]


def _lines(label: str) -> list[str]:
    """Read a label back as a browser shows it."""
    return [html.unescape(line).replace("\u2060", "") for line in label.split("<br>")]
