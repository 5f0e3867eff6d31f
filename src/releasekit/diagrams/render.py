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
from pathlib import Path
from typing import TYPE_CHECKING, Final

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUFFIXES: Final = (".dot", ".svg", ".png", ".mmd")
PATIENCE: Final = 120.0
"""Seconds that Graphviz may take: a run's picture is never so large that it comes near."""

_RESOLUTION: Final = 144  # dots per inch of a PNG
_PYGRAPHVIZ: Final = """
import posix, sys
compiled, packages, output = sys.argv[1:]
sys.path.append(compiled)
try:
    import _graphviz as graphviz
except ImportError:
    sys.path.append(packages)
    from pygraphviz import graphviz
graph = graphviz.agread(sys.stdin, None)
context = graphviz.gvContextWithBuiltins()
problem = graphviz.gvLayout(context, graph, b"dot")
if not problem:
    problem, picture = graphviz.gvRenderData(context, graph, output.removeprefix("-T").encode())
if problem:
    sys.exit(f"Graphviz error {problem}")
sys.stdout.buffer.write(picture)
sys.stdout.flush()
posix._exit(0)
"""
"""Draws with the Graphviz that comes with pygraphviz, whose own modules take longer to import than most pictures
take to draw: of them only the one that is compiled is used, where it stands in its usual place. And nothing is tidied
up at the end."""


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
            # It stands in the text, where any Graphviz reads it; a text that is no graph has no brace.
            data = _layout(dot().replace("{", f"{{ graph [dpi={_RESOLUTION}]", 1), "png")
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
        try:
            done = subprocess.run(  # noqa: S603  # our own interpreter, or the `dot` that the user installed
                [*command, f"-T{output}"], input=dot.encode(), capture_output=True, check=False, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired:
            problems.append(f"{name} took more than {PATIENCE:g} s")
            continue
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
    spec = find_spec("pygraphviz")
    if spec and spec.submodule_search_locations:
        directory = Path(spec.submodule_search_locations[0])
        # Isolated and without the directories of packages: starting takes half as long, and only these two are needed.
        yield "pygraphviz", [sys.executable, "-I", "-S", "-c", _PYGRAPHVIZ, str(directory), str(directory.parent)]
    if dot := shutil.which("dot"):
        yield "`dot`", [dot]
