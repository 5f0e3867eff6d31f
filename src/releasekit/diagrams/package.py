"""One package's machine, drawn: the lifecycle from its table, where the package stands, and the way it came.

An arrow that was taken is strong and says as which of the package's moves, counted from 1, and when; the others are
faint. A status says how long the package has stood in it. Where nothing is known of the way, only the status is marked,
and the picture says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from releasekit.diagrams import markup
from releasekit.diagrams.lifecycle import BELOW, STRAIGHT_WAY, STYLES, kind
from releasekit.diagrams.render import draw
from releasekit.durations import exact
from releasekit.errors import headline
from releasekit.lifecycle import ALLOWED, FINAL, RULES, PackageStatus, Trigger
from releasekit.palette import PALETTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from releasekit.diagrams.collapse import Package

_FAINT_LINE: Final = "#ced4da"
_NAME_LENGTH: Final = 60
_NOTE_WIDTH: Final = 100
_NOTE_LINES: Final = 3
_GAP: Final = '<td height="4"></td>'  # between a label and a strong arrow
_MOST_NUMBERS: Final = 4
_UNKNOWN: Final = "this run has no journal: only where the package stands is known, not the way it came"
_KEY: Final = "strong: the way it came; numbers: its order; times: the last one, UTC; seconds: how long it stood there"


class Move(Protocol):
    """What is drawn of an event; `releasekit.state.history.Event` has it."""

    @property
    def time(self) -> datetime:
        """When it happened, in UTC."""

    @property
    def trigger(self) -> Trigger | None:
        """What happened; None if the package joined the run."""

    @property
    def source(self) -> PackageStatus | None:
        """Where the package stood."""

    @property
    def target(self) -> PackageStatus:
        """Where it stands since."""

    @property
    def seconds(self) -> float:
        """How long it had stood in `source`."""


class _Way(NamedTuple):
    """What is told of the way that a package came.

    Attributes:
        taken: (status, trigger) → which of the package's moves it was, and when, line by line.
        stood: Status → seconds that the package stood in it, and left it.
    """

    taken: Mapping[tuple[PackageStatus | None, Trigger | None], Sequence[str]]
    stood: Mapping[PackageStatus | None, float]


def package_dot(package: Package, way: Sequence[Move] | None) -> str:
    """Draw one package's machine as Graphviz source.

    Args:
        package: The package.
        way: What happened to it, in order; None if that is not known.
    """
    told = _tell(way)
    graph = markup.picture("package", ranksep="0.45")
    for status in PackageStatus:
        title, *lines = _lines(package, status, told)
        rows = [[markup.cell(title, tag="b", size=15)], *([markup.cell(line, size=10)] for line in lines)]
        look = _colours(package, status, told)
        graph.node(
            status.name,
            label=markup.table(rows, cellpadding=1),
            color=look.line,
            fillcolor=look.fill,
            fontcolor=look.text,
            peripheries="2" if status in FINAL else "1",
            penwidth="4" if status is package.status else "1.4",
            **({"group": "straight"} if status in STRAIGHT_WAY else {}),
        )
    recovered = any(trigger is Trigger.RECOVER for _, trigger in told.taken)
    for (source, trigger), rule in RULES.items():
        if rule.target is not None:
            looks = STYLES[kind(source, rule.target)] | _arrow(trigger, told.taken.get((source, trigger)))
            if recovered and trigger is Trigger.RECOVER and (source, trigger) not in told.taken:
                looks["arrowhead"] = "none"  # all of these end in one point, and Graphviz may draw the faint ones last
            graph.edge(source.name, rule.target.name, **looks)
    for above, below in BELOW:
        with graph.subgraph(graph_attr={"rank": "same"}) as column:
            column.node(above.name)
            column.node(below.name)
    name, *caption = _caption(package, way)
    rows = [[markup.cell(name, tag="b", size=15)], *([markup.cell(line)] for line in caption)]
    graph.graph_attr["label"] = markup.table([[markup.cell("")], *rows], cellpadding=2)
    return str(graph.source)


def package_mermaid(package: Package, way: Sequence[Move] | None) -> str:
    """Draw one package's machine as a Mermaid flowchart: see `package_dot`."""
    told = _tell(way)
    lines = ["flowchart LR", f'  subgraph package["{_mermaid(_caption(package, way))}"]', "  direction LR"]
    lines += [f'  {status.name}["{_mermaid(_lines(package, status, told))}"]' for status in PackageStatus]
    for (source, trigger), rule in RULES.items():
        if rule.target is not None:
            when = told.taken.get((source, trigger))
            arrow = "==>" if when else "-.->"
            # Few lines: mermaid lets the labels of arrows there and back overlap.
            label = _mermaid([trigger, " · ".join(when)] if when else [trigger])
            lines.append(f'  {source.name} {arrow}|"{label}"| {rule.target.name}')
    lines.append("  end")
    for status in PackageStatus:
        look = _colours(package, status, told)
        width = ",stroke-width:4px" if status is package.status else ""
        lines.append(f"  style {status.name} fill:{look.fill},stroke:{look.line},color:{look.text}{width}")
    lines.append(f"  style package fill:none,stroke:{_FAINT_LINE}")  # arrows have the colour of the page's theme
    return "\n".join(lines) + "\n"


def draw_package(package: Package, way: Sequence[Move] | None, path: Path) -> None:
    """Draw one package's machine into a file whose suffix chooses the format: .dot .svg .png .mmd.

    Args:
        package: The package.
        way: What happened to it, in order; None if that is not known.
        path: The file.

    Raises:
        ReleaseKitError: Another suffix (`E.DIAGRAM_FORMAT`), or .svg or .png without Graphviz
            (`E.GRAPHVIZ_MISSING`).
        OSError: The file could not be written.
    """
    draw(path, lambda: package_dot(package, way), lambda: package_mermaid(package, way))


class _Colours(NamedTuple):
    fill: str
    line: str
    text: str


def _colours(package: Package, status: PackageStatus, told: _Way) -> _Colours:
    if status is not package.status and status not in told.stood:
        return _Colours(markup.PAPER, _FAINT_LINE, markup.FAINT)
    look = PALETTE[status]
    return _Colours(look.fill, look.line, look.line)


def _arrow(trigger: Trigger, when: Sequence[str] | None) -> dict[str, str]:
    if when is None:
        label = markup.table([[markup.cell(trigger, colour=markup.FAINT)]])
        return {"color": _FAINT_LINE, "penwidth": "1", "label": label}
    # Lines are kept short: beside an arrow between two statuses of a column dot makes room for a square.
    rows = [[markup.cell(trigger, tag="b")], *([markup.cell(line, size=10)] for line in when), [_GAP]]
    return {"penwidth": "3", "label": markup.table(rows, cellpadding=1)}


def _lines(package: Package, status: PackageStatus, told: _Way) -> list[str]:
    """Say what stands in a status."""
    lines = [f"{PALETTE[status].glyph} {status}"]
    if status in told.stood:
        lines.append(exact(told.stood[status]))
    stays = [trigger for trigger in ALLOWED[status] if RULES[status, trigger].target is None]
    lines += [" ".join((f"⟲ {trigger}", *told.taken.get((status, trigger), ()))) for trigger in stays]
    if status is package.status:
        lines.append("▲ the package is here")
    return lines


def _caption(package: Package, way: Sequence[Move] | None) -> list[str]:
    """Say which package it is, why it is where it is, and how to read the picture."""
    name = markup.shorten(f"{package.name} {package.version}", _NAME_LENGTH)
    why = package.error or package.reason
    first = next((move.target for move in way or () if move.trigger is None), PackageStatus.PENDING)
    joined = f"it joined the run's journal as {first}; nothing is known from before"
    return [
        f"{name}: {PALETTE[package.status].glyph} {package.status}",
        *markup.wrap(headline(why) if why else "", _NOTE_WIDTH, _NOTE_LINES),
        *([joined] if first is not PackageStatus.PENDING else []),
        _UNKNOWN if way is None else _KEY,
    ]


def _tell(way: Sequence[Move] | None) -> _Way:
    """Number the moves, and gather them by where they began and what they were."""
    moves = [move for move in way or () if move.trigger]
    numbers: dict[tuple[PackageStatus | None, Trigger | None], list[int]] = {}
    stood: dict[PackageStatus | None, float] = {}
    for number, move in enumerate(moves, 1):
        numbers.setdefault((move.source, move.trigger), []).append(number)
        if move.source is not move.target:
            stood[move.source] = stood.get(move.source, 0.0) + move.seconds
    shown = ("%Y-%m-%d", "%H:%M:%S") if len({move.time.date() for move in moves}) > 1 else ("%H:%M:%S",)
    return _Way(
        {key: (*_told(places), *map(moves[places[-1] - 1].time.strftime, shown)) for key, places in numbers.items()},
        stood,
    )


def _told(numbers: Sequence[int]) -> Iterator[str]:
    if len(numbers) <= _MOST_NUMBERS:
        yield ", ".join(map(str, numbers))
    else:
        yield f"{numbers[0]}, {numbers[1]}, …, {numbers[-1]}"
        yield f"{len(numbers)} times"


def _mermaid(lines: Iterable[str]) -> str:
    return "<br/>".join(map(markup.to_mermaid, lines))
