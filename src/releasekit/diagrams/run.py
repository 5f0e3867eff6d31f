"""A run, drawn: who requires whom, where each package stands, and why it failed or was skipped.

An arrow leads from a requirement to what waits for it; requirements that a longer path already tells are left
out. An arrow out of a failed package is red: what it leads to is held up. Of more packages than can be read many are
drawn as one: see `collapse`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from releasekit.diagrams import markup
from releasekit.diagrams.collapse import views
from releasekit.diagrams.render import draw
from releasekit.errors import headline
from releasekit.lifecycle import PackageStatus
from releasekit.palette import PALETTE
from releasekit.requirements import standing, tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from releasekit.diagrams.collapse import Node, Package, View

_NAME_LENGTH: Final = 40
_NOTE_WIDTH: Final = 32
_NOTE_LINES: Final = 2
_MARGIN: Final = 0.12  # inches
_TOO_LOW: Final = 0.0045  # inches a character
_MOST_NAMES: Final = 40  # more are cut off anyway

MAX_MERMAID: Final = 45_000
"""Characters as JavaScript counts them; code hosts draw no Mermaid of more than 50,000, or of more than 500 edges."""


def run_dot(packages: Iterable[Package]) -> str:
    """Draw a run as Graphviz source; the order of the packages is kept."""
    drawn = list(packages)
    view = next(views(drawn))
    graph = markup.picture("run", ranksep="0.6")
    graph.edge_attr["color"] = markup.FAINT
    for i, node in enumerate(view.nodes):
        look = PALETTE[node.status]
        skipped = {"style": "rounded,filled,dashed"} if node.status is PackageStatus.SKIPPED else {}
        stacked = {"peripheries": "2"} if len(node.members) > 1 else {}
        graph.node(
            f"n{i}",
            label=_label(node),
            tooltip=markup.tooltip(_spoken(node)),
            margin=_margin(node),
            color=look.line,
            fillcolor=look.fill,
            fontcolor=look.line,
            **skipped,
            **stacked,
        )
    for required, dependent in view.edges:
        failed = view.nodes[required].status is PackageStatus.FAILED
        graph.edge(f"n{required}", f"n{dependent}", **({"color": PALETTE[PackageStatus.FAILED].line} if failed else {}))
    graph.graph_attr["label"] = _legend(drawn, view)
    return str(graph.source)


def run_mermaid(packages: Iterable[Package]) -> str:
    """Draw a run as a Mermaid flowchart that keeps to what code hosts draw; the order of the packages is kept."""
    drawn = list(packages)
    sources = (_mermaid(drawn, view) for view in views(drawn))
    return next(source for source in sources if len(source.encode("utf-16-le")) // 2 <= MAX_MERMAID)


def _mermaid(packages: Sequence[Package], view: View) -> str:
    lines = ["flowchart LR"]
    for i, node in enumerate(view.nodes):
        label = "<br/>".join(markup.to_mermaid(line) for line in (_title(node), *_details(node)))
        opening, closing = ("[[", "]]") if len(node.members) > 1 else ("[", "]")
        lines.append(f'  n{i}{opening}"{label}"{closing}:::{node.status}')
    lines += [f"  n{required} --> n{dependent}" for required, dependent in view.edges]
    failures = [str(i) for i, (source, _) in enumerate(view.edges) if view.nodes[source].status is PackageStatus.FAILED]
    if failures:
        lines.append(f"  linkStyle {','.join(failures)} stroke:{PALETTE[PackageStatus.FAILED].line}")
    for status in dict.fromkeys(each.status for each in tally(packages)):
        look = PALETTE[status]
        lines.append(f"  classDef {status} fill:{look.fill},stroke:{look.line},color:{look.line}")
    return "\n".join(lines) + "\n"


def draw_run(packages: Iterable[Package], path: Path) -> None:
    """Draw a run into a file whose suffix chooses the format: .dot .svg .png .mmd.

    Raises:
        ReleaseKitError: Another suffix (`E.DIAGRAM_FORMAT`), or .svg or .png without Graphviz
            (`E.GRAPHVIZ_MISSING`).
        OSError: The file could not be written.
    """
    drawn = list(packages)
    draw(path, lambda: run_dot(drawn), lambda: run_mermaid(drawn))


def _title(node: Node) -> str:
    count = len(node.members)
    standings = {standing(package) for package in node.members}
    alike = standings.pop() if len(standings) == 1 else node.status
    told = f"{count} {alike}" if count > 1 else markup.shorten(node.members[0].name, _NAME_LENGTH)
    return f"{PALETTE[node.status].glyph} {told}"


def _details(node: Node) -> list[str]:
    failure = [f"holds up {node.holds}"] if node.holds else []
    failure += [f"held up by {_roots(node)}"] if node.held else []
    if len(node.members) > 1:
        low, high = node.levels
        own = [f"level {low}" if low == high else f"levels {low} to {high}"]
    else:
        (package,) = node.members
        own = [markup.shorten(package.version, _NAME_LENGTH)] if package.version else []
        own += markup.wrap(_note(package), _NOTE_WIDTH, _NOTE_LINES)
    return [*own, *(line for told in failure for line in markup.wrap(told, _NOTE_WIDTH, _NOTE_LINES))]


def _roots(node: Node) -> str:
    first, *more = node.roots or ("several failures",)
    return f"{markup.shorten(first, _NOTE_WIDTH)} and {len(more)} more" if more else first


def _note(package: Package) -> str:
    told = package.error or package.reason
    return headline(told) if told else ""


def _margin(node: Node) -> str:
    """Leave room for Graphviz's guess of how wide a text is: it has not the fonts of who looks, and guesses too low."""
    longest = max(map(len, (_title(node), *_details(node))))
    return f"{_MARGIN + longest * _TOO_LOW:.2f},{_MARGIN / 2:.2f}"


def _label(node: Node) -> str:
    details = (markup.line(line, size=10) for line in _details(node))
    return markup.lines([markup.line(_title(node), tag="b"), *details])


def _spoken(node: Node) -> str:
    """All that is known, for who points at the node."""
    if len(node.members) > 1:
        return f"{len(node.members)} {node.status}: {', '.join(package.name for package in node.members[:_MOST_NAMES])}"
    (package,) = node.members
    return ": ".join(filter(None, (f"{package.name} {package.version}", package.status, _note(package))))


def _legend(packages: Sequence[Package], view: View) -> str:
    cells = [
        markup.cell(
            f"{PALETTE[status].glyph} {told} {count}",
            colour=PALETTE[status].line,
            color=PALETTE[status].line,
            bgcolor=PALETTE[status].fill,
            border="1",
        )
        for told, status, count in tally(packages)
    ]
    together = [markup.cell("double border: packages drawn as one")] if len(view.nodes) < len(packages) else []
    return markup.legend([*cells, *together] or [markup.cell("no packages")])
