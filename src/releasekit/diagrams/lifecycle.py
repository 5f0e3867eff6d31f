"""The lifecycle, drawn from its table by the GraphMachine of `transitions`.

The machine names the nodes and the arrows; here they get their looks. The straight way is one straight line,
what leads back to `pending` goes dashed above it, what fails goes red below it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from releasekit.diagrams import markup
from releasekit.diagrams.render import draw
from releasekit.lifecycle import ALLOWED, FINAL, IN_FLIGHT, RULES, PackageStatus, graph_machine
from releasekit.palette import PALETTE

if TYPE_CHECKING:
    from pathlib import Path

TITLE: Final = "The lifecycle of a package"
STRAIGHT_WAY: Final = (PackageStatus.PENDING, *IN_FLIGHT, PackageStatus.PUBLISHED)
BELOW: Final = (
    (PackageStatus.PENDING, PackageStatus.SKIPPED),
    (PackageStatus.PUBLISHING, PackageStatus.FAILED),
)
"""(status of the straight way, status that stands below it): in one column, in this order."""

_RED: Final = PALETTE[PackageStatus.FAILED].line
STYLES: Final = {
    "forward": {"weight": "100"},
    "aside": {"color": PALETTE[PackageStatus.SKIPPED].line},
    "failure": {"color": _RED, "fontcolor": _RED},
    "recovery": {"style": "dashed", "tailport": "n", "headport": "n"},
    "retry": {"style": "dashed"},
}
"""The arrows' looks, by what `kind` says of them."""

_EDGE: Final = re.compile(r'\t(\w+) -> (\w+) \[label=(?:"([^"]*)"|(\w+))(.*)\]\n')


def lifecycle_dot() -> str:
    """Draw the lifecycle as Graphviz source."""
    machine, styles = _machine("graphviz")
    for source, target in {(s, rule.target) for (s, _), rule in RULES.items() if rule.target}:
        styles["edge"][source.name][target.name] = kind(source, target)
    graph = machine.get_graph(title=TITLE)
    graph.body = [_EDGE.sub(_arrow, line) for line in graph.body]
    for status in PackageStatus:
        graph.node(status.name, label=_node(status))
    for above, below in BELOW:
        with graph.subgraph(graph_attr={"rank": "same"}) as column:
            column.node(above.name)
            column.node(below.name)
    graph.graph_attr["label"] = _legend()
    return str(graph.source)


def lifecycle_mermaid() -> str:
    """Draw the lifecycle as a Mermaid state diagram."""
    machine, _ = _machine("mermaid")
    source: str = machine.get_graph(title=f"title: {TITLE}").source
    for status in PackageStatus:
        source = source.replace(f'state "{status.name}" as', f'state "{PALETTE[status].glyph} {status}" as')
    return "\n".join(line.rstrip() for line in source.strip().splitlines()) + "\n"


def draw_lifecycle(path: Path) -> None:
    """Draw the lifecycle into a file whose suffix chooses the format: .dot .svg .png .mmd.

    Raises:
        ReleaseKitError: Another suffix (`E.DIAGRAM_FORMAT`), or .svg or .png without Graphviz
            (`E.GRAPHVIZ_MISSING`).
        OSError: The file could not be written.
    """
    draw(path, lifecycle_dot, lifecycle_mermaid)


def _machine(engine: str) -> tuple[Any, dict[str, Any]]:
    """Make the machine that draws, and its table of styles: node or edge -> name -> style."""
    machine = graph_machine(graph_engine=engine)
    machine.machine_attributes = {"rankdir": "LR"} if engine == "mermaid" else markup.GRAPH | {"ranksep": "0.45"}
    machine.style_attributes = {
        "graph": {},
        "edge": {"default": markup.EDGE} | STYLES,
        "node": {status.value: _look(status, engine) for status in PackageStatus}
        | ({} if engine == "mermaid" else {"default": markup.NODE}),
    }
    styles: dict[str, Any] = machine.model_graphs[id(machine)].custom_styles
    for status in PackageStatus:
        styles["node"][status.name] = status.value
    return machine, styles


def _look(status: PackageStatus, engine: str) -> dict[str, str]:
    look = PALETTE[status]
    if engine == "mermaid":
        return {"fill": look.fill, "stroke": look.line, "color": look.line}
    place = {"group": "straight"} if status in STRAIGHT_WAY else {}
    final = {"peripheries": "2"} if status in FINAL else {}
    return {"fillcolor": look.fill, "color": look.line, "fontcolor": look.line} | place | final


def kind(source: PackageStatus, target: PackageStatus) -> str:
    """Say what sort of an arrow leads from one status to another: a key of `STYLES`."""
    if target is PackageStatus.PENDING:
        return "recovery" if source in STRAIGHT_WAY else "retry"
    if target is PackageStatus.FAILED:
        return "failure"
    return "forward" if target in STRAIGHT_WAY else "aside"


def _arrow(edge: re.Match[str]) -> str:
    """Give an arrow's label some air; leave out what stays where it is, since that stands in the node."""
    source, target, quoted, word, attributes = edge.groups("")
    if source == target:
        return ""
    label = markup.table([[markup.cell(quoted or word)]])
    return f"\t{source} -> {target} [label={label}{attributes}]\n"


def _node(status: PackageStatus) -> str:
    look = PALETTE[status]
    stays = [trigger for trigger in ALLOWED[status] if RULES[status, trigger].target is None]
    rows = [[markup.cell(f"{look.glyph} {status}", tag="b", size=15)]]
    rows += [[markup.cell(f"⟲ {trigger}", size=10)] for trigger in stays]
    return markup.table(rows, cellpadding=1)


def _legend() -> str:
    entries = (
        ("──▶ forward", markup.INK),
        ("╌╌▶ back to pending: nothing is lost, nothing is done twice", markup.INK),
        ("──▶ failure", _RED),
        ("⟲ stays where it is", PALETTE[PackageStatus.BUILDING].line),
        ("double border: final", PALETTE[PackageStatus.PUBLISHED].line),
    )
    return markup.legend(markup.cell(text, colour=colour) for text, colour in entries)
