"""One package's machine, drawn: all of the table, where the package stands, and the way it came."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pygraphviz
import pytest
from tests.diagrams.ways import STRAIGHT, WAYS, way_of
from tests.hostile import HOSTILE, commands

from releasekit.diagrams import draw_package, markup, package_dot, package_mermaid
from releasekit.diagrams.render import svg
from releasekit.diagrams.sample import Sample
from releasekit.lifecycle import FINAL, RULES, PackageStatus
from releasekit.palette import PALETTE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from releasekit.state.history import Event

PUBLISHED = Sample("core", PackageStatus.PUBLISHED, "1.4.0")
FAILED = Sample("core", PackageStatus.FAILED, "1.4.0", error="RK-BUILD-FAILED: error: no module")
MOVES = sorted((s.name, t.value, rule.target.name) for (s, t), rule in RULES.items() if rule.target)


def arrows(dot: str) -> dict[tuple[str, str, str], dict[str, str]]:
    """Read the arrows of a picture: (status, trigger, status) → what its arrow looks like."""
    picture = pygraphviz.AGraph(string=dot)  # its edges live no longer than it
    return {(e[0], text(e.attr["label"]).split()[0], e[1]): e.attr.to_dict() for e in picture.edges()}


def strong(dot: str) -> dict[tuple[str, str], str]:
    """Read the arrows that were taken: (status, trigger) → what stands at it."""
    taken = {key: arrow for key, arrow in arrows(dot).items() if float(arrow["penwidth"]) > 2}
    return {key[:2]: text(arrow["label"]).partition(" ")[2] for key, arrow in taken.items()}


def nodes(dot: str) -> dict[str, dict[str, str]]:
    picture = pygraphviz.AGraph(string=dot)
    return {node.name: node.attr.to_dict() for node in picture.nodes()}


def caption(dot: str) -> str:
    picture = pygraphviz.AGraph(string=dot)
    return text(picture.graph_attr["label"])


def text(label: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", label).replace("\u2060", "").split())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_picture_has_every_status_and_every_move_of_the_table(way: Sequence[Event] | None) -> None:
    dot = package_dot(PUBLISHED, way)
    assert sorted(arrows(dot)) == MOVES
    assert set(nodes(dot)) == {status.name for status in PackageStatus}
    mermaid = package_mermaid(PUBLISHED, way)
    drawn = re.findall(r'^  (\w+) (?:==|-\.-)>\|"([a-z_]+)[^"]*"\| (\w+)$', mermaid, re.MULTILINE)
    assert sorted(drawn) == MOVES


def test_arrows_that_were_taken_are_strong_and_say_in_which_order_and_when() -> None:
    dot = package_dot(PUBLISHED, way_of(STRAIGHT))
    assert strong(dot) == {
        ("PENDING", "start_building"): "1 12:00:01",
        ("BUILDING", "start_publishing"): "3 12:00:04",
        ("PUBLISHING", "start_verifying"): "4 12:00:06",
        ("VERIFYING", "confirm"): "5 12:00:07",
    }
    mermaid = package_mermaid(PUBLISHED, way_of(STRAIGHT))
    assert '  PENDING ==>|"start_building<br/>1 · 12#58;00#58;01"| BUILDING\n' in mermaid
    assert '  PENDING -.->|"skip"| SKIPPED\n' in mermaid
    assert mermaid.count("==>") == 4


def test_what_stays_where_it_is_stands_in_its_status_with_its_order() -> None:
    label = text(nodes(package_dot(PUBLISHED, way_of(STRAIGHT)))["BUILDING"]["label"])
    assert label == "◐ building 3.000 s ⟲ record_artifacts 2 12:00:03"


def test_what_was_done_several_times_says_how_often_and_the_last_time() -> None:
    dot = package_dot(FAILED, way_of("start_building fail retry " * 2 + "start_building fail"))
    assert strong(dot)["BUILDING", "fail"] == "2, 5, 8 12:00:12"
    dot = package_dot(FAILED, way_of("start_building fail retry " * 4 + "start_building fail"))
    assert strong(dot)["BUILDING", "fail"] == "2, 5, …, 14 5 times 12:00:21"


def test_times_on_several_days_say_which() -> None:
    dot = package_dot(PUBLISHED, way_of(STRAIGHT, step=40_000))
    assert strong(dot)["VERIFYING", "confirm"] == "5 2026-11-27 19:33:20"


def test_the_current_status_is_marked_and_those_it_never_stood_in_are_faint() -> None:
    drawn = nodes(package_dot(FAILED, way_of("start_building fail")))
    assert [name for name, node in drawn.items() if "the package is here" in node["label"]] == ["FAILED"]
    assert [name for name, node in drawn.items() if float(node["penwidth"]) > 2] == ["FAILED"]
    coloured = [name for name, node in drawn.items() if node["fillcolor"] != markup.PAPER]
    assert coloured == ["PENDING", "BUILDING", "FAILED"]
    assert drawn["FAILED"]["fillcolor"] == PALETTE[PackageStatus.FAILED].fill
    assert {name for name, node in drawn.items() if node["peripheries"] == "2"} == {s.name for s in FINAL}
    mermaid = package_mermaid(FAILED, way_of("start_building fail"))
    assert re.findall(r"style (\w+) .*stroke-width", mermaid) == ["FAILED"]


@pytest.mark.parametrize(
    ("step", "told"),
    [(0.25, "0.250 s"), (599, "599.000 s"), (600, "600.000 s"), (7199, "7199.000 s"), (86_400, "86400.000 s")],
)
def test_a_status_says_how_long_the_package_stood_in_it(step: float, told: str) -> None:
    drawn = nodes(package_dot(FAILED, way_of("start_building fail", step=step)))
    assert text(drawn["PENDING"]["label"]) == f"○ pending {told}"
    assert text(drawn["FAILED"]["label"]) == "✗ failed ▲ the package is here"


def test_without_a_journal_only_the_status_is_marked_and_that_is_said() -> None:
    dot = package_dot(FAILED, None)
    assert strong(dot) == {}
    assert [name for name, node in nodes(dot).items() if node["fillcolor"] != markup.PAPER] == ["FAILED"]
    assert caption(dot) == (
        "core 1.4.0: ✗ failed RK-BUILD-FAILED: error: no module "
        "this run has no journal: only where the package stands is known, not the way it came"
    )
    assert "this run has no journal" in package_mermaid(FAILED, None)


def test_a_package_that_joined_late_says_as_what() -> None:
    assert "joined the run's journal as failed" in caption(
        package_dot(FAILED, way_of("", joined=PackageStatus.FAILED))
    ).replace("&#x27;", "'")
    assert "joined" not in caption(package_dot(PUBLISHED, way_of(STRAIGHT)))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_any_name_version_and_error_is_text(name: str) -> None:
    package = Sample(name, PackageStatus.SKIPPED, name, reason=name)
    dot, mermaid = package_dot(package, way_of("skip")), package_mermaid(package, way_of("skip"))
    assert sorted(arrows(dot)) == MOVES
    assert commands(dot) == commands(mermaid) == []
    plain = package_mermaid(Sample("a", PackageStatus.SKIPPED, "a", reason="a"), way_of("skip"))
    assert mermaid.splitlines()[2:] == plain.splitlines()[2:]


def test_the_hostile_are_drawn_by_graphviz() -> None:
    name = "".join(HOSTILE)
    assert b"<svg" in svg(package_dot(Sample(name, PackageStatus.FAILED, name, error=name), None))


@pytest.mark.parametrize("suffix", [".dot", ".svg", ".png", ".mmd"])
def test_it_is_drawn_in_every_format(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"core{suffix}"
    draw_package(PUBLISHED, way_of(STRAIGHT), file)
    begin = {".dot": b"digraph", ".svg": b"<?xml", ".png": b"\x89PNG", ".mmd": b"flowchart"}[suffix]
    assert file.read_bytes().startswith(begin)


def test_no_head_of_a_faint_arrow_lies_on_that_of_one_that_was_taken() -> None:
    def heads(way: str) -> dict[str, bool]:
        drawn = arrows(package_dot(PUBLISHED, way_of(way)))
        return {
            source: arrow.get("arrowhead") != "none"
            for (source, trigger, _), arrow in drawn.items()
            if trigger == "recover"
        }

    recovered = "start_building start_publishing recover start_building"
    assert heads(recovered) == {"BUILDING": False, "PUBLISHING": True, "VERIFYING": False}
    assert heads("start_building") == dict.fromkeys(("BUILDING", "PUBLISHING", "VERIFYING"), True)
