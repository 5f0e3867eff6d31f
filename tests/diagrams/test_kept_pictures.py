from __future__ import annotations

from pathlib import Path

import pygraphviz
import pytest
from click.testing import CliRunner

from releasekit.diagrams import kept
from releasekit.diagrams.__main__ import main
from releasekit.diagrams.rooms import read_rooms, rooms_dot, rooms_mermaid

KEPT = Path(__file__).parent.parent.parent / "diagrams"
NAMES = [f"{name}{suffix}" for name in ("lifecycle", "run", "rooms") for suffix in (".dot", ".mmd", ".svg")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pictures") / "new"
    result = CliRunner().invoke(main, [str(directory)])
    assert result.exit_code == 0, result.output
    assert result.output.split() == [str(directory / name) for name in NAMES]
    return directory


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    for file in written.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_the_kept_pictures_are_fresh() -> None:
    assert kept.stale(KEPT) == [], "write them again: python -m releasekit.diagrams diagrams"


def test_what_was_just_written_is_fresh(written: Path) -> None:
    result = CliRunner().invoke(main, [str(written), "--check"])
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_picture_is_stale_and_named(copied: Path, name: str) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content.replace(b"sha256 ", b"sha256 0") if name.endswith("svg") else content + b"\n")
    result = CliRunner().invoke(main, [str(copied), "--check"])
    assert result.exit_code == 1
    assert result.stdout == f"{copied / name} is stale\n"
    assert "python -m releasekit.diagrams" in result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_picture_is_stale(copied: Path, name: str) -> None:
    (copied / name).unlink()
    assert kept.stale(copied) == [name]


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path / "none"), "--check"])
    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_every_room_is_drawn_with_its_purpose() -> None:
    picture = pygraphviz.AGraph(string=rooms_dot())
    rooms = read_rooms()
    assert set(picture.nodes()) == {room.name for room in rooms}
    assert [room.name for room in rooms if not room.purpose] == []


def test_an_import_is_an_arrow_dashed_if_it_is_lazy_and_left_out_if_a_longer_path_tells(tmp_path: Path) -> None:
    _write(tmp_path, "a.py", '"""The first: `a` & <b>. More."""')
    _write(tmp_path, "b.py", "from p.a import x\nimport z")
    _write(tmp_path, "c/__init__.py", '"""The third."""\nfrom p import b')
    _write(tmp_path, "c/deep.py", "import p.a\ndef f():\n    from p import d")
    _write(tmp_path, "d.py", "import p.b")
    _write(tmp_path, "__init__.py", "import p.a")
    picture = pygraphviz.AGraph(string=rooms_dot(tmp_path / "p"))
    arrows = {tuple(edge): edge.attr["style"] or "" for edge in picture.edges()}
    assert arrows == {("b", "a"): "", ("c", "b"): "", ("d", "b"): "", ("c", "d"): "dashed"}
    assert "The first: a &amp; &lt;b&gt;<" in picture.get_node("a").attr["label"]
    assert "<i>z</i>" in picture.get_node("b").attr["label"]
    assert "  n2 -.-> n3\n" in rooms_mermaid(tmp_path / "p")


def _write(directory: Path, name: str, source: str) -> None:
    file = directory / "p" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, "utf-8")
