from __future__ import annotations

import os
import struct
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from releasekit.diagrams import draw_lifecycle, render
from releasekit.diagrams.sample import RUN
from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from pathlib import Path

DOT = "digraph { a -> b }"


def _find_nothing(_name: str) -> None:
    return None


@pytest.fixture
def no_pygraphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "find_spec", _find_nothing)


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that is the whole PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def _install_dot(directory: Path, script: str) -> None:
    (directory / "dot").write_text(f"#!{sys.executable}\nimport sys\n{script}\n", "utf-8")
    (directory / "dot").chmod(0o755)


def test_an_svg_is_xml_with_a_light_background(tmp_path: Path) -> None:
    draw_lifecycle(tmp_path / "lifecycle.svg")
    root = ET.parse(tmp_path / "lifecycle.svg").getroot()  # noqa: S314  # our own output
    background = root.find(".//{http://www.w3.org/2000/svg}polygon")
    assert background is not None
    assert background.get("fill") == "#ffffff"


def test_a_png_is_a_png(tmp_path: Path) -> None:
    draw_lifecycle(tmp_path / "LIFECYCLE.PNG")
    assert (tmp_path / "LIFECYCLE.PNG").read_bytes().startswith(b"\x89PNG\r\n")


def test_an_svg_says_which_dot_it_was_made_from() -> None:
    picture = render.svg(DOT)
    assert render.is_made_from(picture, DOT)
    assert not render.is_made_from(picture, DOT + " ")


def test_graphviz_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    render.svg(DOT)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["run.jpg", "run", ".svg", "run.svg.gz"])
def test_another_suffix_is_refused_and_the_right_ones_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReleaseKitError, match="no picture format") as caught:
        draw_lifecycle(tmp_path / name)
    assert caught.value.code is E.DIAGRAM_FORMAT
    assert all(suffix in caught.value.hint for suffix in (".dot", ".svg", ".png", ".mmd"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_pygraphviz", "only_path")
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_without_graphviz_the_error_names_both_ways_to_get_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"lifecycle{suffix}"
    with pytest.raises(ReleaseKitError, match="neither pygraphviz nor `dot` is there") as caught:
        draw_lifecycle(path)
    assert caught.value.code is E.GRAPHVIZ_MISSING
    assert "releasekit[diagrams]" in caught.value.hint
    assert "`dot` is on PATH" in caught.value.hint
    assert not path.exists()


@pytest.mark.usefixtures("no_pygraphviz", "only_path")
@pytest.mark.parametrize("suffix", [".dot", ".mmd"])
def test_text_needs_no_graphviz(tmp_path: Path, suffix: str) -> None:
    draw_lifecycle(tmp_path / f"lifecycle{suffix}")


@pytest.mark.usefixtures("no_pygraphviz")
def test_without_pygraphviz_the_dot_on_path_draws(only_path: Path) -> None:
    _install_dot(only_path, "sys.stdout.write(f'<svg>{sys.argv[1:]} {sys.stdin.read()}</svg>')")
    assert render.svg(DOT).endswith(f"<svg>['-Tsvg'] {DOT}</svg>".encode())


def test_a_pygraphviz_that_does_not_work_gives_way_to_dot(only_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_PYGRAPHVIZ", "raise SystemExit('no library')")
    _install_dot(only_path, "sys.stdout.write('<svg/>')")
    assert render.svg(DOT).endswith(b"<svg/>")


def test_when_neither_works_the_error_says_why(only_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_PYGRAPHVIZ", "raise SystemExit('no library')")
    _install_dot(only_path, "sys.exit('no fonts')")
    with pytest.raises(ReleaseKitError, match=r"pygraphviz ended with 1: no library; `dot` ended with 1: no fonts"):
        render.svg(DOT)


@pytest.mark.usefixtures("no_pygraphviz")
def test_a_graphviz_that_never_ends_is_stopped(only_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install_dot(only_path, "import time; time.sleep(600)")
    monkeypatch.setattr(render, "PATIENCE", 0.5)
    with pytest.raises(ReleaseKitError, match=r"`dot` took more than 0\.5 s"):
        render.svg(DOT)


def test_a_pygraphviz_whose_compiled_module_is_elsewhere_draws_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_PYGRAPHVIZ", render._PYGRAPHVIZ.replace("import _graphviz as", "import no_such as"))
    assert b"<svg" in render.svg(DOT)


def test_what_is_no_dot_is_an_error_of_one_line() -> None:
    with pytest.raises(ReleaseKitError, match=r"pygraphviz ended with 1: [^\n]+"):
        render.svg("no graph")


def test_a_png_is_drawn_at_one_and_a_half_times_the_size_of_a_screen(tmp_path: Path) -> None:
    render.draw(tmp_path / "a.png", lambda: "digraph { a [fixedsize=true width=1 height=1] graph [pad=0] }", str)
    width, height = struct.unpack(">II", (tmp_path / "a.png").read_bytes()[16:24])
    assert 144 <= width == height <= 150


def test_a_picture_may_be_read_by_others(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        draw_lifecycle(tmp_path / "lifecycle.dot")
    finally:
        os.umask(mask)
    assert (tmp_path / "lifecycle.dot").stat().st_mode & 0o777 == 0o644


def test_a_directory_that_is_not_there_is_left_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        draw_lifecycle(tmp_path / "none" / "lifecycle.dot")


def test_a_run_of_sixty_packages_is_drawn_in_seconds(tmp_path: Path) -> None:
    from releasekit.diagrams import draw_run  # noqa: PLC0415

    run = [
        RUN[i % len(RUN)]._replace(name=f"p{i}", requires=tuple(f"p{j}" for j in range(i % 7, i, 9))) for i in range(60)
    ]
    draw_run(run, tmp_path / "run.svg")
    assert (tmp_path / "run.svg").stat().st_size > 10_000
