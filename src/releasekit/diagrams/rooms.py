"""The rooms of this package and who imports whom, read from the source.

A room is a module or a package directly below `releasekit`; `__init__` and `__main__` are doors, not rooms.
An import inside a function counts as any other, but is drawn dashed: it is paid for when it is needed. An
import for the type checker alone does not count.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.diagrams import markup
from releasekit.lifecycle import PackageStatus
from releasekit.palette import PALETTE

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).resolve().parent.parent
_PURPOSE_WIDTH: Final = 32
_PURPOSE_LINES: Final = 4
_LOOK: Final = PALETTE[PackageStatus.PUBLISHING]


class Import(NamedTuple):
    """One import statement.

    Attributes:
        module: What is imported, in full: ``package.module`` or ``package.module.name``.
        line: Where it stands.
        lazy: Whether it stands inside a function.
    """

    module: str
    line: int
    lazy: bool


class Room(NamedTuple):
    """A module or package directly below `releasekit`.

    Attributes:
        name: Its name.
        purpose: The first sentence of its docstring.
        imports: File → what it imports.
    """

    name: str
    purpose: str
    imports: dict[Path, list[Import]]

    def requires(self, package: str) -> dict[str, bool]:
        """Name the other rooms that it imports, each with whether it does so only inside functions."""
        found: dict[str, bool] = {}
        for statement in self._statements():
            top, _, rest = statement.module.partition(".")
            room = rest.partition(".")[0]
            if top == package and room not in {"", self.name}:
                found[room] = found.get(room, True) and statement.lazy
        return found

    def libraries(self, package: str) -> list[str]:
        """Name the other packages that it imports, without the standard library."""
        tops = {statement.module.partition(".")[0] for statement in self._statements()}
        return sorted(tops - {package} - sys.stdlib_module_names)

    def _statements(self) -> Iterator[Import]:
        for statements in self.imports.values():
            yield from statements


def read_rooms(package: Path = HERE) -> list[Room]:
    """Read the rooms of a package from its source, by name."""
    rooms = []
    for entry in sorted(package.iterdir()):
        files = sorted(entry.rglob("*.py")) if entry.is_dir() else [entry] if entry.suffix == ".py" else []
        if not files or entry.stem in {"__init__", "__main__"}:
            continue
        front = entry / "__init__.py" if entry.is_dir() else entry
        docstring = ast.get_docstring(ast.parse(front.read_bytes())) if front in files else None
        imports = {file: list(read_imports(file, package)) for file in files}
        rooms.append(Room(entry.stem, _first_sentence(docstring or ""), imports))
    return rooms


def read_imports(file: Path, package: Path = HERE) -> Iterator[Import]:
    """Read what a file of a package imports, but for the type checker's sake alone."""
    parents = (package.name, *file.relative_to(package).parent.parts)
    yield from _walk(ast.parse(file.read_bytes()), parents, lazy=False)


def rooms_dot(package: Path = HERE) -> str:
    """Draw the rooms of a package as Graphviz source; imports that a longer path already tells are left out."""
    rooms = {room.name: room for room in read_rooms(package)}
    graph = markup.picture("rooms", rankdir="TB", ranksep="0.4")
    for name, room in rooms.items():
        graph.node(
            name,
            label=_node(room, room.libraries(package.name)),
            color=_LOOK.line,
            fillcolor="#f8fbff",
            fontcolor=markup.INK,
        )
    for dependent, required, lazy in _arrows(rooms, package):
        graph.edge(dependent, required, color=_LOOK.line, **({"style": "dashed"} if lazy else {}))
    graph.graph_attr["label"] = markup.legend(
        [
            markup.cell("──▶ imports (what longer paths tell is left out)", colour=_LOOK.line),
            markup.cell("╌╌▶ imports when needed", colour=_LOOK.line),
            markup.cell("italics: the libraries that a room imports", colour=markup.FAINT, tag="i"),
        ]
    )
    return str(graph.source)


def rooms_mermaid(package: Path = HERE) -> str:
    """Draw the rooms of a package as a Mermaid flowchart; imports that a longer path already tells are left out."""
    rooms = {room.name: room for room in read_rooms(package)}
    ids = {name: f"n{i}" for i, name in enumerate(rooms)}
    lines = ["flowchart TB"]
    for name, room in rooms.items():
        text = (name, *markup.wrap(room.purpose, _PURPOSE_WIDTH, _PURPOSE_LINES))
        lines.append(f'  {ids[name]}["{"<br/>".join(map(markup.to_mermaid, text))}"]')
    lines += [
        f"  {ids[dependent]} {'-.->' if lazy else '-->'} {ids[required]}"
        for dependent, required, lazy in _arrows(rooms, package)
    ]
    return "\n".join(lines) + "\n"


def _arrows(rooms: dict[str, Room], package: Path) -> Iterator[tuple[str, str, bool]]:
    """Yield who imports whom, and whether only inside functions.

    Reduced apart: what a room always imports must not be left out for a path that is taken when needed.
    """
    requires = {name: room.requires(package.name) for name, room in rooms.items()}
    always = {name: [room for room, lazy in found.items() if not lazy] for name, found in requires.items()}
    for required, dependent in markup.reduce(always):
        yield dependent, required, False
    for required, dependent in markup.reduce(requires):
        if requires[dependent][required]:
            yield dependent, required, True


def _walk(node: ast.AST, parents: tuple[str, ...], *, lazy: bool) -> Iterator[Import]:
    match node:
        case ast.Import(names=names, lineno=line):
            yield from (Import(alias.name, line, lazy) for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level, lineno=line):
            start = ".".join((*parents[: len(parents) - level + 1], *filter(None, [module]))) if level else module
            yield from (Import(f"{start}.{alias.name}", line, lazy) for alias in names)
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), orelse=orelse):
            for statement in orelse:
                yield from _walk(statement, parents, lazy=lazy)
        case _:
            inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from _walk(child, parents, lazy=inside)


def _first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".").replace("`", "")


def _node(room: Room, libraries: list[str]) -> str:
    rows = [[markup.cell(room.name, tag="b", colour=_LOOK.line)]]
    rows += [[markup.cell(line, size=10)] for line in markup.wrap(room.purpose, _PURPOSE_WIDTH, _PURPOSE_LINES)]
    names = markup.wrap(", ".join(libraries), _PURPOSE_WIDTH, _PURPOSE_LINES)
    rows += [[markup.cell(line, size=9, tag="i", colour=markup.FAINT)] for line in names]
    return markup.table(rows, cellpadding=1)
