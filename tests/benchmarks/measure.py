"""What the benchmarks share: a result, and the table of them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from timeit import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUNDS = 9


@dataclass(frozen=True)
class Result:
    """A figure of ours, beside one that was measured in the same run.

    Attributes:
        name: What was measured.
        measured: The figure, with its unit.
        than: What it is compared with, and how much that is.
        ratio: Ours divided by that.
        must: What the ratio must not exceed; None where it only informs.
        goal: What it should not exceed.
    """

    name: str
    measured: str
    than: str
    ratio: float
    must: float | None = None
    goal: float | None = None

    @property
    def verdict(self) -> str:
        """Say whether the figure is as good as it must be."""
        if self.must is None:
            return ""
        if self.ratio > self.must:
            return "NOT MET"
        return "ok" if self.goal is None or self.ratio <= self.goal else "ok, not the goal"


def print_table(results: list[Result]) -> None:
    """Print results, a line each."""
    rows = [("", "measured", "compared with", "ratio", "must", "goal", "")]
    rows += [(r.name, r.measured, r.than, f"{r.ratio:.2f}", _limit(r.must), _limit(r.goal), r.verdict) for r in results]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _limit(limit: float | None) -> str:
    return "" if limit is None else f"≤ {limit:g}"


def seconds_a_call(calls: Mapping[str, Callable[[], object]], number: int) -> dict[str, float]:
    """Time functions in turns, so that a busy moment of the machine hits all of them; the best round counts."""
    timers = {name: Timer(call) for name, call in calls.items()}
    rounds = [{name: timer.timeit(number) for name, timer in timers.items()} for _ in range(ROUNDS)]
    return {name: min(times[name] for times in rounds) / number for name in calls}


def middle(values: list[float]) -> float:
    """Take the median: a process may be slow for reasons of its own, but none is fast by chance."""
    return median(values)
