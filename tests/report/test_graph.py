from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from releasekit import RunState
from releasekit.diagrams import render
from releasekit.report import graph

if TYPE_CHECKING:
    import pytest

SVG = b"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<!-- <b>made by hand</b> -->
<svg width="10pt" height="10pt" viewBox="0 0 10 10" onload="alert(1)"
 xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<style>* { fill: url(http://example.org) }</style>
<script>alert(1)</script>
<g id="node1" class="node"><title>n0</title>
<a id="a_node1" xlink:href="javascript:alert(1)" xlink:title="core &lt;b&gt;: failed" target="_top">
<path fill="#ffd8cc" stroke="#a61e0c" d="M0,0" style="fill: url(http://example.org)"/>
<text font-size="13.00">core &lt;/svg&gt; &amp;amp;</text>
<image xlink:href="http://example.org/x.png"/><foreignObject><p>x</p></foreignObject>
</a></g></svg>"""


def test_only_shapes_and_texts_come_through() -> None:
    picture = str(graph.inline(SVG, "The <graph>"))

    assert picture == (
        '<svg width="10pt" height="10pt" viewBox="0 0 10 10" role="img" aria-labelledby="graph-title">'
        '<title id="graph-title">The &lt;graph&gt;</title>'
        "<g><g><title>core &lt;b&gt;: failed</title>"
        '<path fill="#ffd8cc" stroke="#a61e0c" d="M0,0" />'
        '<text font-size="13.00">core &lt;/svg&gt; &amp;amp;</text>'
        "</g></g></svg>"
    )


def some(count: int = 3) -> RunState:
    state = RunState("0" * 40)
    for number in range(count):
        state.init_package(f"p{number}", level=number, requires=[f"p{number - 1}"] if number else [])
    return state


def test_graphviz_draws_what_comes_through() -> None:
    picture = graph.draw_graph(some())

    assert picture.problem == ""
    assert len(re.findall("<path|<polygon", picture.svg)) >= 5
    assert all(f"○ p{number}" in picture.svg for number in range(3))
    assert re.findall(r' id="(.*?)"', picture.svg) == ["graph-title"]
    assert "href" not in picture.svg


def test_without_graphviz_there_is_a_reason_and_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_graphviz", lambda: iter(()))

    picture = graph.draw_graph(some())

    assert picture.svg == ""
    assert "needs Graphviz" in picture.problem
    assert "pip install 'releasekit[diagrams]'" in picture.hint


def test_what_is_no_svg_is_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_graphviz", lambda: iter([("`dot`", [sys.executable, "-c", "print('<svg>')"])]))

    assert "drew no SVG" in graph.draw_graph(some()).problem


def test_the_library_and_status_do_not_import_what_only_the_report_needs() -> None:
    code = "import sys, releasekit.cli.status; sys.exit(bool({'jinja2', 'graphviz', 'xml.etree'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
