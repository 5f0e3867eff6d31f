"""A picture into a file: the suffix chooses the format, Graphviz makes SVG and PNG.

Graphviz runs in a child process, also when it comes with pygraphviz: the caller may be in the middle of
publishing, and neither a crash of a C library nor what it prints about fonts may reach it.

An SVG carries the sha256 of the DOT that it was made from. The layout differs between versions of Graphviz and
between fonts, so whether an SVG is stale can't be told by its bytes.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SUFFIXES: Final = (".dot", ".svg", ".png", ".mmd")
_OPTIONS: Final = {"svg": ["-Tsvg"], "png": ["-Tpng", "-Gdpi=144"]}
_PYGRAPHVIZ: Final = """
import sys, pygraphviz
output, *options = sys.argv[1:]
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=output.removeprefix("-T"), prog="dot", args=" ".join(options)))
"""


def draw(path: Path, dot: Callable[[], str], mermaid: Callable[[], str]) -> None:
    """Write a picture.

    Args:
        path: The file; its suffix chooses the format: .dot .svg .png .mmd.
        dot: Makes its DOT.
        mermaid: Makes its Mermaid.

    Raises:
        ReleaseKitError: Another suffix (`E.DIAGRAM_FORMAT`), or .svg or .png without Graphviz
            (`E.GRAPHVIZ_MISSING`).
        OSError: The file could not be written.
    """
    match path.suffix.lower():
        case ".dot":
            data = dot().encode()
        case ".mmd":
            data = mermaid().encode()
        case ".svg":
            data = svg(dot())
        case ".png":
            data = _layout(dot(), "png")
        case suffix:
            raise ReleaseKitError(
                E.DIAGRAM_FORMAT,
                f"the suffix {suffix!r} of the file chooses no picture format",
                f"name a file that ends in one of {' '.join(SUFFIXES)}",
            )
    path.write_bytes(data)


def svg(dot: str) -> bytes:
    """Make an SVG that says which DOT it was made from.

    Raises:
        ReleaseKitError: There is no Graphviz (`E.GRAPHVIZ_MISSING`).
    """
    picture = _layout(dot, "svg")
    at = picture.index(b"<svg")
    return picture[:at] + f"<!-- {_stamp(dot)} -->\n".encode() + picture[at:]


def is_made_from(picture: bytes, dot: str) -> bool:
    """Tell whether an SVG was made from this DOT."""
    return _stamp(dot).encode() in picture


def _stamp(dot: str) -> str:
    return f"made by releasekit from DOT with sha256 {hashlib.sha256(dot.encode()).hexdigest()}"


def _layout(dot: str, output: str) -> bytes:
    problems = []
    for name, command in _graphviz():
        done = subprocess.run(  # noqa: S603  # our own interpreter, or the `dot` that the user installed
            [*command, *_OPTIONS[output]], input=dot.encode(), capture_output=True, check=False
        )
        if not done.returncode:
            return done.stdout
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        problems.append(f"{name} ended with {done.returncode}: {last}")
    raise ReleaseKitError(
        E.GRAPHVIZ_MISSING,
        f"{output.upper()} needs Graphviz: neither pygraphviz nor `dot` is "
        + (f"usable: {'; '.join(problems)}" if problems else "there"),
        "install pygraphviz with `pip install 'releasekit[diagrams]'`, or Graphviz so that `dot` is on PATH; "
        ".dot and .mmd need neither",
    )


def _graphviz() -> Iterator[tuple[str, list[str]]]:
    if find_spec("pygraphviz"):
        yield "pygraphviz", [sys.executable, "-P", "-c", _PYGRAPHVIZ]
    if dot := shutil.which("dot"):
        yield "`dot`", [dot]
