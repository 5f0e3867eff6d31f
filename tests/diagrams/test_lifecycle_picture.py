from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pygraphviz
import pytest

from releasekit.diagrams import draw_lifecycle, lifecycle_dot, lifecycle_mermaid
from releasekit.diagrams.lifecycle import STRAIGHT_WAY
from releasekit.lifecycle import FINAL, RULES, PackageStatus
from releasekit.palette import PALETTE

if TYPE_CHECKING:
    from pathlib import Path

MOVES = sorted((s.name, rule.target.name, t.value) for (s, t), rule in RULES.items() if rule.target)
STAYS = sorted((s.name, t.value) for (s, t), rule in RULES.items() if rule.target is None)


@pytest.fixture(scope="module")
def picture() -> pygraphviz.AGraph:
    return pygraphviz.AGraph(string=lifecycle_dot())


def _text(label: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", label).split())


def test_the_dot_has_every_status_with_its_glyph_and_colours(picture: pygraphviz.AGraph) -> None:
    assert set(picture.nodes()) == {status.name for status in PackageStatus}
    for status, look in PALETTE.items():
        node = picture.get_node(status.name)
        assert f"{look.glyph} {status}" in _text(node.attr["label"])
        assert (node.attr["fillcolor"], node.attr["color"]) == (look.fill, look.line)


def test_the_dot_has_every_move_of_the_table_and_no_other(picture: pygraphviz.AGraph) -> None:
    drawn = sorted((edge[0], edge[1], _text(edge.attr["label"])) for edge in picture.edges())
    assert drawn == MOVES


def test_what_stays_where_it_is_stands_in_its_node(picture: pygraphviz.AGraph) -> None:
    for status, trigger in STAYS:
        assert f"⟲ {trigger}" in _text(picture.get_node(status).attr["label"])


def test_failure_is_red_and_what_leads_back_is_dashed(picture: pygraphviz.AGraph) -> None:
    red = PALETTE[PackageStatus.FAILED].line
    for edge in picture.edges():
        assert (edge.attr["color"] == red) == (edge[1] == "FAILED")
        assert (edge.attr["style"] == "dashed") == (edge[1] == "PENDING")


def test_final_statuses_have_a_double_border(picture: pygraphviz.AGraph) -> None:
    double = {node for node in picture.nodes() if node.attr["peripheries"] == "2"}
    assert double == {status.name for status in FINAL}


def test_the_straight_way_is_one_straight_line_and_failure_is_below_it(capfd: pytest.CaptureFixture[str]) -> None:
    picture = pygraphviz.AGraph(string=lifecycle_dot())
    picture.layout("dot")
    capfd.readouterr()  # what the library says about fonts
    x, y = ({n: float(n.attr["pos"].split(",")[i]) for n in picture.nodes()} for i in (0, 1))
    names = [status.name for status in STRAIGHT_WAY]
    assert len({y[name] for name in names}) == 1
    assert [x[name] for name in names] == sorted(x[name] for name in names)
    assert max(y["FAILED"], y["SKIPPED"]) < y["PENDING"]


def test_the_mermaid_has_every_status_and_every_move() -> None:
    source = lifecycle_mermaid()
    assert source.startswith("---\ntitle: ")
    for status, look in PALETTE.items():
        assert f'state "{look.glyph} {status}" as {status.name}\n' in source
        assert f"Class {status.name} s_{status}\n" in source
        assert f"classDef s_{status} fill:{look.fill},stroke:{look.line},color:{look.line}\n" in source
    moves = re.findall(r"^  (\w+) --> (\w+): (\w+)$", source, re.MULTILINE)
    assert sorted(moves) == MOVES
    for name, trigger in STAYS:
        assert f"{name} --> {name}: {trigger} [internal]" in source


def test_the_lifecycle_is_drawn_into_a_file(tmp_path: Path) -> None:
    draw_lifecycle(tmp_path / "lifecycle.dot")
    draw_lifecycle(tmp_path / "lifecycle.mmd")
    assert (tmp_path / "lifecycle.dot").read_text("utf-8") == lifecycle_dot()
    assert (tmp_path / "lifecycle.mmd").read_text("utf-8") == lifecycle_mermaid()
