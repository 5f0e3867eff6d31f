"""A run, drawn: who requires whom, where each package stands, and why it failed or was skipped.

An arrow leads from a requirement to what waits for it; requirements that a longer path already tells are left
out. An arrow out of a failed package is red: what it leads to is held up.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from releasekit.diagrams import markup
from releasekit.diagrams.render import draw
from releasekit.errors import headline
from releasekit.lifecycle import PackageStatus
from releasekit.palette import PALETTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_NAME_LENGTH: Final = 40
_NOTE_WIDTH: Final = 32
_NOTE_LINES: Final = 2


class Package(Protocol):
    """What is drawn of a package; a `PackageState` has it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def status(self) -> PackageStatus:
        """Where it stands."""

    @property
    def version(self) -> str:
        """The version that is to be published."""

    @property
    def error(self) -> str:
        """Why it failed."""

    @property
    def reason(self) -> str:
        """Why it was skipped."""

    @property
    def requires(self) -> tuple[str, ...]:
        """The names of what must be published before it."""


def run_dot(packages: Iterable[Package]) -> str:
    """Draw a run as Graphviz source; the order of the packages is kept."""
    drawn = list(packages)
    graph = markup.picture("run", ranksep="0.6")
    ids, edges = _edges(drawn)
    for package in drawn:
        look = PALETTE[package.status]
        dashed = {"style": "rounded,filled,dashed"} if package.status is PackageStatus.SKIPPED else {}
        graph.node(
            ids[package.name],
            label=_node(package),
            tooltip=markup.tooltip(_spoken(package)),
            color=look.line,
            fillcolor=look.fill,
            fontcolor=look.line,
            **dashed,
        )
    failed = {p.name for p in drawn if p.status is PackageStatus.FAILED}
    for required, dependent in edges:
        colour = PALETTE[PackageStatus.FAILED].line if required in failed else markup.FAINT
        graph.edge(ids[required], ids[dependent], color=colour)
    graph.graph_attr["label"] = _legend(drawn)
    return str(graph.source)


def run_mermaid(packages: Iterable[Package]) -> str:
    """Draw a run as a Mermaid flowchart; the order of the packages is kept."""
    drawn = list(packages)
    ids, edges = _edges(drawn)
    lines = ["flowchart LR"]
    for package in drawn:
        label = "<br/>".join(markup.to_mermaid(line) for line in (_title(package), *_details(package)))
        lines.append(f'  {ids[package.name]}["{label}"]:::{package.status}')
    lines += [f"  {ids[required]} --> {ids[dependent]}" for required, dependent in edges]
    for status in _statuses(drawn):
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


def _edges(packages: Sequence[Package]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    ids = {package.name: f"n{i}" for i, package in enumerate(packages)}
    return ids, list(markup.reduce({package.name: package.requires for package in packages}))


def _title(package: Package) -> str:
    return f"{PALETTE[package.status].glyph} {markup.shorten(package.name, _NAME_LENGTH)}"


def _details(package: Package) -> list[str]:
    version = [markup.shorten(package.version, _NAME_LENGTH)] if package.version else []
    return version + markup.wrap(_note(package), _NOTE_WIDTH, _NOTE_LINES)


def _note(package: Package) -> str:
    told = package.error or package.reason
    return headline(told) if told else ""


def _node(package: Package) -> str:
    title = [markup.cell(_title(package), tag="b")]
    details = [[markup.cell(line, size=10)] for line in _details(package)]
    return markup.table([title, *details], cellpadding=1)


def _spoken(package: Package) -> str:
    """All that is known, for who points at the node."""
    return ": ".join(filter(None, (f"{package.name} {package.version}", package.status, _note(package))))


def _statuses(packages: Sequence[Package]) -> dict[PackageStatus, int]:
    counts = Counter(package.status for package in packages)
    return {status: counts[status] for status in PackageStatus if counts[status]}


def _legend(packages: Sequence[Package]) -> str:
    cells = [
        markup.cell(
            f"{PALETTE[status].glyph} {status} {count}",
            colour=PALETTE[status].line,
            color=PALETTE[status].line,
            bgcolor=PALETTE[status].fill,
            border="1",
        )
        for status, count in _statuses(packages).items()
    ]
    return markup.legend(cells or [markup.cell("no packages")])
