"""Drawing a run as SVG, from its packages to the bytes, against the seconds that it may take.

What counts is the time of the processor, ours and that of the process that Graphviz is in: other programs on the machine
must not decide. What the wall says stands beside it.
"""

from __future__ import annotations

import os
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.measure import Result, middle
from tests.diagrams.large_runs import large_run

from releasekit.diagrams import run_dot
from releasekit.diagrams.render import svg

if TYPE_CHECKING:
    from collections.abc import Callable

    from releasekit.diagrams.sample import Sample

LIMITS = {60: 0.05, 300: 0.5, 1000: 5.0}  # packages: seconds
ROUNDS = 15


def draw(run: list[Sample]) -> bytes:
    return svg(run_dot(run))


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Time a call: on the processor with all its children, and on the wall."""
    begun, clock = os.times(), perf_counter()
    call()
    ended = os.times()
    return sum(ended[:4]) - sum(begun[:4]), perf_counter() - clock


def results() -> list[Result]:
    """Measure."""
    draw(large_run(8))  # imports, fonts
    rows = []
    for packages, limit in LIMITS.items():
        taken = [seconds(partial(draw, large_run(packages))) for _ in range(ROUNDS)]
        cpu, wall = (middle([pair[i] for pair in taken]) for i in (0, 1))
        measured = f"{cpu:.3f} s of the processor, {wall:.3f} s of the wall"
        rows.append(Result(f"SVG of a run, {packages:,} packages", measured, f"{limit:g} s", cpu / limit, 1))
    return rows
