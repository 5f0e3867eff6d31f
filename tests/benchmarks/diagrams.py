"""Drawing a run as SVG, from its packages to the bytes, against the seconds that it may take.

What counts is the time of the processor, ours and that of the process that Graphviz is in, and the best of the rounds:
other programs on the machine must not decide. What the wall says stands beside it.
"""

from __future__ import annotations

from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.measure import Result
from tests.diagrams.large_runs import large_run

from releasekit.diagrams import run_dot
from releasekit.diagrams.render import svg

if TYPE_CHECKING:
    from releasekit.diagrams.sample import Sample

LIMITS = {60: 0.05, 300: 0.5, 1000: 5.0}  # packages: seconds
ROUNDS = 25


def draw(run: list[Sample]) -> tuple[float, float]:
    """Draw a run; give the seconds on the processor, with all child processes, and on the wall."""
    begun, clock = _on_the_processor(), perf_counter()
    svg(run_dot(run))
    return _on_the_processor() - begun, perf_counter() - clock


def results() -> list[Result]:
    """Measure."""
    draw(large_run(8))  # imports, and the cache of fonts
    rows = []
    for packages, limit in LIMITS.items():
        run = large_run(packages)
        processor, wall = map(min, zip(*(draw(run) for _ in range(ROUNDS)), strict=True))
        measured = f"{processor:.3f} s ({wall:.3f} s of the wall)"
        rows.append(Result(f"SVG of a run, {packages:,} packages", measured, f"{limit:g} s", processor / limit, 1))
    return rows


def _on_the_processor() -> float:
    usages = (getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
