"""What the benchmarks share: a result and the table of them, ways to time, a large run, and which disk it is on."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from timeit import Timer
from typing import TYPE_CHECKING

from releasekit import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUNDS = 9
PATIENCE = 45.0  # seconds for contenders that take turns
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True)
class Result:
    """A figure of ours, beside one that was measured in the same run.

    Attributes:
        name: What was measured.
        measured: The figure, with its unit.
        than: What it is compared with, and how much that is.
        ratio: Ours divided by that; of speeds where a larger one is better.
        must: What the ratio must not exceed, or must reach; None where it only informs.
        goal: What it should not exceed, or should reach.
        larger_is_better: Whether the limits are to be reached.
    """

    name: str
    measured: str
    than: str
    ratio: float
    must: float | None = None
    goal: float | None = None
    larger_is_better: bool = False

    @property
    def verdict(self) -> str:
        """Say whether the figure is as good as it must be."""
        if self.must is None:
            return ""
        if not self._keeps(self.must):
            return "NOT MET"
        return "ok" if self.goal is None or self._keeps(self.goal) else "ok, not the goal"

    def cells(self) -> tuple[str, ...]:
        """Give its line of the table."""
        sign = "≥" if self.larger_is_better else "≤"
        limits = ("" if limit is None else f"{sign} {limit:.3g}" for limit in (self.must, self.goal))
        return (self.name, self.measured, self.than, f"{self.ratio:.2f}", *limits, self.verdict)

    def _keeps(self, limit: float) -> bool:
        return self.ratio >= limit if self.larger_is_better else self.ratio <= limit


def print_table(results: list[Result]) -> None:
    """Print results, a line each."""
    rows = [("", "measured", "compared with", "ratio", "must", "goal", ""), *(result.cells() for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def seconds_a_call(calls: Mapping[str, Callable[[], object]], number: int) -> dict[str, float]:
    """Time functions in turns, so that a busy moment of the machine hits all of them; the best round counts."""
    timers = {name: Timer(call) for name, call in calls.items()}
    rounds = [{name: timer.timeit(number) for name, timer in timers.items()} for _ in range(ROUNDS)]
    return {name: min(times[name] for times in rounds) / number for name in calls}


def in_turns(turns: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Let contenders take turns, in another order every round; each says how many seconds it took.

    Where everything is slow there are fewer rounds than asked for.
    """
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    shuffled = Random(rounds)  # noqa: S311  # so that nobody always comes behind the same one
    deadline = perf_counter() + PATIENCE
    for _ in range(rounds):
        if perf_counter() > deadline:
            break
        for name in shuffled.sample(list(turns), len(turns)):
            seconds[name].append(turns[name]())
    return seconds


def quotient(dividend: list[float], divisor: list[float]) -> float:
    """Take the median of the rounds' quotients: what slows a whole round down is in neither side's favour."""
    return median(a / b for a, b in zip(dividend, divisor, strict=True))


def middle(values: list[float]) -> float:
    """Take the median: a process may be slow for reasons of its own, but none is fast by chance."""
    return median(values)


def python(*arguments: str) -> str:
    """Run a fresh Python to its end; give what it printed."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=True).stdout


def large_run(packages: int) -> RunState:
    """Declare a run of packages that require two others each."""
    run = RunState("0123456789abcdef")
    for n in range(packages):
        requires = [f"package-{n // 2:06d}", f"package-{n // 3:06d}"]
        run.init_package(f"package-{n:06d}", version=f"1.{n % 50}.0", level=n % 9, requires=requires)
    return run


def two_artifacts(n: int) -> dict[str, str]:
    """Name the files of a package, as builds do, with their sha256."""
    files = (f"package_{n:06d}-1.{n % 50}.0-py3-none-any.whl", f"package_{n:06d}-1.{n % 50}.0.tar.gz")
    return {file: sha256(file.encode()).hexdigest() for file in files}


def file_system(directory: Path) -> str:
    """Tell the type of the file system that a directory is on, such as ext4, as far as the system says."""
    if not MOUNTS.exists():
        return "an unknown file system"
    mounts = [line.split() for line in MOUNTS.read_text(encoding="utf-8").splitlines()]
    types = {Path(point.encode().decode("unicode_escape")): kind for _, point, kind, *_ in mounts}
    place = directory.resolve()
    return next(types[parent] for parent in (place, *place.parents) if parent in types)
