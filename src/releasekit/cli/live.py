"""The live table: a run on a terminal, redrawn as it goes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from releasekit.cli import output
from releasekit.escape import in_one_line
from releasekit.lifecycle import IN_FLIGHT, PackageStatus
from releasekit.palette import PALETTE

if TYPE_CHECKING:
    from releasekit.state import PackageState, RunState

REFRESH: Final = 10  # times a second
CHROME: Final = 4  # lines of the screen that are not packages: the header, the counts, one to spare

_FIRST: Final = (*IN_FLIGHT, PackageStatus.FAILED, PackageStatus.PENDING)


def live_table(state: RunState) -> Live:
    """Make a table of a run that redraws itself on stderr while its context lasts.

    What is at work and what failed stands first; what the screen can't hold is counted.
    """
    console = Console(stderr=True)
    return Live(
        console=console,
        get_renderable=lambda: table(state, console.height - CHROME),
        refresh_per_second=REFRESH,
        transient=True,
        redirect_stdout=False,
    )


def table(state: RunState, height: int) -> Group:
    """Draw a run in at most so many lines of packages."""
    blocked = state.blocked_packages()
    drawn = Table(box=None, pad_edge=False, expand=True)
    for heading in ("", "package", "version", "status"):
        drawn.add_column(heading, no_wrap=True, overflow="ellipsis")
    drawn.add_column(ratio=1, no_wrap=True, overflow="ellipsis")  # gets what the others leave
    packages = sorted(state.packages.values(), key=_rank)
    shown = max(1, height if len(packages) <= height else height - 1)
    for package in islice(packages, shown):
        look = PALETTE[package.status]
        why = output.note(package, state, blocked)
        cells = (look.glyph, package.name, package.version, package.status.value, why)
        drawn.add_row(*(Text(in_one_line(cell)) for cell in cells), style=look.style)
    if len(packages) > shown:
        drawn.add_row("", Text(f"and {len(packages) - shown} more"), style="dim")
    return Group(drawn, Text(f"\n{output.counts(state)}", no_wrap=True, overflow="ellipsis"))


def _rank(package: PackageState) -> tuple[int, bool, int, str]:
    waits = package.status is PackageStatus.BUILDING and package.artifacts
    status = PackageStatus.PENDING if waits else package.status
    return _FIRST.index(status) if status in _FIRST else len(_FIRST), not waits, package.level, package.name
