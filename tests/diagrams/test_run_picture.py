from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from itertools import takewhile
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pygraphviz
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hostile import HOSTILE, commands

from releasekit.diagrams import draw_run, markup, run_dot, run_mermaid
from releasekit.diagrams.render import svg
from releasekit.diagrams.sample import RUN, Sample
from releasekit.errors import headline
from releasekit.lifecycle import PackageStatus
from releasekit.palette import PALETTE
from releasekit.state import PackageState, RunState

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (*HOSTILE, " ", "日本", "x" * 16_000)
PARTS = (NAMES[:40], NAMES[40:])  # so few are not drawn together
TEXTS = st.one_of(st.text(min_size=1), st.sampled_from(NAMES), st.text('"\\<>&[]{}|;:#%\n-n', min_size=1))


@st.composite
def runs(draw: st.DrawFn) -> list[Sample]:
    names = draw(st.lists(TEXTS, max_size=6, unique=True))
    return [
        Sample(
            name,
            draw(st.sampled_from(PackageStatus)),
            draw(TEXTS | st.just("")),
            tuple(draw(st.lists(st.sampled_from(names)))),
            draw(TEXTS | st.just("")),
            draw(TEXTS | st.just("")),
        )
        for name in names
    ]


@settings(deadline=None, max_examples=50)
@given(runs())
def test_any_run_gives_dot_that_reads_back_with_its_packages_and_nothing_else(run: list[Sample]) -> None:
    picture = pygraphviz.AGraph(string=run_dot(run))
    ids = {package.name: f"n{i}" for i, package in enumerate(run)}
    assert list(picture.nodes()) == list(ids.values())
    wanted = {(ids[required], ids[package.name]) for package in run for required in package.requires}
    assert {tuple(edge) for edge in picture.edges()} <= wanted
    for package in run:
        assert _of_itself(_cells(picture.get_node(ids[package.name]).attr["label"])) == _told(package)
        assert picture.get_node(ids[package.name]).attr["fillcolor"] == PALETTE[package.status].fill


@settings(deadline=None, max_examples=50)
@given(runs())
def test_any_run_gives_mermaid_of_one_line_a_thing(run: list[Sample]) -> None:
    head, *lines = run_mermaid(run).splitlines()
    assert head == "flowchart LR"
    nodes = [line for line in lines if re.fullmatch(r'  n\d+\["[^"\[\]{}()`]*"\]:::[a-z]+', line)]
    edges = [line for line in lines if re.fullmatch(r"  n\d+ --> n\d+", line)]
    styles = [line for line in lines if re.fullmatch(r"  (classDef [a-z]+|linkStyle [\d,]+) [a-z#0-9:,]+", line)]
    assert [_of_itself(_mermaid_label(line)) for line in nodes] == [_told(package) for package in run]
    assert len(nodes) + len(edges) + len(styles) == len(lines)


@pytest.mark.parametrize("names", PARTS)
def test_every_hostile_text_is_in_its_picture_and_tooltip_as_it_is(names: tuple[str, ...]) -> None:
    run = [Sample(name, PackageStatus.FAILED, name, names[:3], name, name) for name in names]
    dot = run_dot(run)
    picture = pygraphviz.AGraph(string=dot)

    assert [_cells(node.attr["label"]) for node in picture.nodes()] == [_told(package) for package in run]
    for node, name in zip(picture.nodes(), names, strict=True):
        spoken = f"{name} {name}: failed: {headline(name)}"
        assert _joined(html.unescape(node.attr["tooltip"])) == markup.shorten(spoken, 500)
    required = {(f"n{i}", f"n{j}") for i in range(3) for j in range(len(names))}
    assert {tuple(edge) for edge in picture.edges()} == required - {(f"n{i}", f"n{i}") for i in range(3)}
    assert commands(dot) == commands(run_mermaid(run)) == []


@pytest.mark.parametrize("names", PARTS)
def test_every_hostile_name_is_shown_as_it_is(names: tuple[str, ...]) -> None:
    picture = svg(run_dot([Sample(name, PackageStatus.PENDING, "") for name in names]))
    texts = ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314  # our own output
    legend, *shown = [_joined(text.text or "") for text in texts]
    assert legend == f"○ pending {len(names)}"
    assert shown == [f"○ {markup.shorten(name, 40)}" for name in names]
    assert commands(picture.decode()) == []


def test_a_node_says_name_version_and_error() -> None:
    failed = Sample(
        "core", PackageStatus.FAILED, "1.2.3", error="HTTP 403:\n  no permission\n  to upload to here, ever"
    )
    (node,) = _labels(run_dot([failed]))
    assert node == "✗ core 1.2.3 HTTP 403: no permission to upload to here, ever"


def test_a_long_error_is_shortened_in_the_node_and_longer_in_the_tooltip() -> None:
    failed = Sample("core", PackageStatus.FAILED, "1", error="word " * 1000)
    picture = pygraphviz.AGraph(string=run_dot([failed]))
    assert len(_labels(run_dot([failed]))[0]) < 90
    assert 400 < len(picture.get_node("n0").attr["tooltip"]) <= 500


def test_a_skipped_package_says_why() -> None:
    assert _labels(run_dot([Sample("docs", PackageStatus.SKIPPED, "", reason="private")])) == ["⊘ docs private"]


def test_what_a_failed_package_holds_up_is_at_the_end_of_a_red_arrow() -> None:
    run = [
        Sample("good", PackageStatus.PUBLISHED, ""),
        Sample("bad", PackageStatus.FAILED, ""),
        Sample("held", PackageStatus.PENDING, "", ("good", "bad")),
    ]
    picture = pygraphviz.AGraph(string=run_dot(run))
    red = [tuple(edge) for edge in picture.edges() if edge.attr["color"] == PALETTE[PackageStatus.FAILED].line]
    assert red == [("n1", "n2")]
    assert f"  linkStyle 1 stroke:{PALETTE[PackageStatus.FAILED].line}\n" in run_mermaid(run)
    assert _labels(run_dot(run)) == ["✓ good", "✗ bad holds up 1", "○ held held up by bad"]


def test_the_legend_counts_the_statuses_that_occur() -> None:
    run = [Sample(str(i), PackageStatus.PUBLISHED if i else PackageStatus.FAILED, "") for i in range(60)]
    assert _legend(run_dot(run)) == "✓ published 59 ✗ failed 1"


def test_a_run_of_nothing_is_drawn() -> None:
    assert _legend(run_dot([])) == "no packages"
    assert run_mermaid([]) == "flowchart LR\n"


def test_the_sample_shows_every_status_and_no_requirement_that_is_not_there() -> None:
    assert {package.status for package in RUN} == set(PackageStatus)
    assert {required for package in RUN for required in package.requires} <= {package.name for package in RUN}


def test_the_aggregate_draws_itself(tmp_path: Path) -> None:
    state = RunState("a" * 40, {"core": PackageState("core", version="1.0")})
    state.init_package("cli", requires=["core"])
    assert _labels(state.to_dot()) == ["○ core 1.0", "○ cli"]
    state.draw(tmp_path / "run.mmd")
    assert "n0 --> n1" in (tmp_path / "run.mmd").read_text("utf-8")


def test_packages_may_come_from_a_generator(tmp_path: Path) -> None:
    draw_run((package for package in RUN), tmp_path / "run.dot")
    assert (tmp_path / "run.dot").read_text("utf-8") == run_dot(RUN)


@pytest.mark.parametrize("make", ["lifecycle_dot()", "lifecycle_mermaid()", "run_dot(RUN)", "run_mermaid(RUN)"])
def test_the_text_does_not_depend_on_the_hash_seed(make: str) -> None:
    code = f"from releasekit.diagrams import *\nfrom releasekit.diagrams.sample import RUN\nprint({make})"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def _told(package: Sample) -> list[str]:
    """Say what stands in a package's node, line by line."""
    version = [markup.shorten(package.version, 40)] if package.version else []
    note = markup.wrap(headline(told), 32, 2) if (told := package.error or package.reason) else []
    return [f"{PALETTE[package.status].glyph} {markup.shorten(package.name, 40)}", *version, *note]


def _of_itself(lines: list[str]) -> list[str]:
    """Leave out what a package says of others: whom it holds up, or who holds it up."""
    return [*takewhile(lambda line: not re.match(r"holds up \d+$|held up by( |$)", line), lines)]


def _cells(label: str) -> list[str]:
    """Read back the lines of an HTML-like label; one blank stands for nothing, which Graphviz would refuse."""
    lines = (ET.fromstring(f"<p>{line}</p>") for line in label.split("<br/>"))  # noqa: S314  # our own output
    return ["" if (text := _joined("".join(line.itertext()))) == " " else text for line in lines]


def _joined(text: str) -> str:
    """Leave out the word joiners, which can't be seen."""
    return text.replace("\u2060", "")


def _mermaid_label(line: str) -> list[str]:
    """Read back the lines of a quoted label as Mermaid does: `<br/>` parts them, `#…;` is a character."""
    label = line.partition('["')[2].rpartition('"]')[0]
    return [re.sub(r"#(\w+);", _mermaid_character, _joined(part)) for part in label.split("<br/>")]


def _mermaid_character(code: re.Match[str]) -> str:
    return chr(int(code[1])) if code[1].isdecimal() else html.unescape(f"&{code[1]};")


def _labels(dot: str) -> list[str]:
    picture: Any = pygraphviz.AGraph(string=dot)
    return [_text(node.attr["label"]) for node in picture.nodes()]


def _legend(dot: str) -> str:
    picture: Any = pygraphviz.AGraph(string=dot)
    return _text(picture.graph_attr["label"])


def _text(label: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", label).split())


def test_what_is_built_and_waits_is_counted_apart_as_everywhere() -> None:
    def building(count: int, files: dict[str, str], prefix: str) -> list[Sample]:
        return [Sample(f"{prefix}-{n}", PackageStatus.BUILDING, "1.0", artifacts=files) for n in range(count)]

    few = run_dot([*building(2, {}, "a"), *building(3, {"f": ""}, "b")])
    assert "◐ building 2" in few
    assert "◐ built 3" in few
    assert "◐ 90 built" in run_dot(building(90, {"f": ""}, "b"))
    assert "◐ 91 building" in run_dot([*building(1, {}, "a"), *building(90, {"f": ""}, "b")])
