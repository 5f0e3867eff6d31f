"""How long the report of a thousand packages takes, beside telling the same history as JSON.

Every figure is the median over fresh processes that take turns. The report's has Graphviz in it, which lays the graph
out.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.measure import Result, in_turns, middle, python, quotient
from tests.report import runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKAGES = 1000
ROUNDS = 5


def seconds(*arguments: str) -> float:
    begun = perf_counter()
    python("-m", "releasekit", *arguments)
    return perf_counter() - begun


def results(directory: Path) -> list[Result]:
    """Measure."""
    workspace = directory / "reported"
    workspace.mkdir()
    runs.large(workspace, PACKAGES)
    turns: dict[str, Callable[[], float]] = {
        "report": partial(seconds, "report", str(workspace)),
        "history": partial(seconds, "history", "--json", str(workspace)),
    }
    python("-m", "releasekit", "report", str(workspace))  # to compile
    taken = in_turns(turns, ROUNDS)
    ours, theirs = taken["report"], taken["history"]
    name, than = f"releasekit report, {PACKAGES:,} packages", f"releasekit history --json, {middle(theirs):.2f} s"
    return [Result(name, f"{middle(ours):.2f} s", than, quotient(ours, theirs))]
