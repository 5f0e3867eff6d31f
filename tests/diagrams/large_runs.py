"""Runs of any size that look like those of a monorepo, half-way and with failures: for tests and benchmarks."""

from __future__ import annotations

from random import Random

from releasekit.diagrams.sample import Sample
from releasekit.lifecycle import PackageStatus

KINDS = ("auth", "cli", "core", "data", "http", "queue", "store", "ui")
LEVELS = {8: 4, 60: 6, 300: 9, 1000: 12}


def large_run(size: int) -> list[Sample]:
    """Make a run: most of the lower levels is published, something failed, something is on its way."""
    random = Random(size)  # noqa: S311  # the same run every time
    levels = LEVELS.get(size, 10)
    names = [f"acme-{random.choice(KINDS)}-{n:04d}" for n in range(size)]
    floors = [names[size * i // levels : size * (i + 1) // levels] for i in range(levels)]
    failing = {random.choice(floor) for floor in floors[1:3] for _ in range(1 + size // 400)}
    run: dict[str, Sample] = {}
    for level, floor in enumerate(floors):
        below = [name for lower in floors[:level] for name in lower]
        for name in floor:
            requires = {random.choice(floors[level - 1])} if level else set()
            requires |= {random.choice(below) for _ in range(random.randrange(3)) if below}
            run[name] = _package(name, tuple(sorted(requires)), run, failed=name in failing, late=level > levels // 2)
    return list(run.values())


def _package(name: str, requires: tuple[str, ...], run: dict[str, Sample], *, failed: bool, late: bool) -> Sample:
    through = (PackageStatus.PUBLISHED, PackageStatus.SKIPPED)
    if any(run[required].status not in through for required in requires):
        return Sample(name, PackageStatus.PENDING, "2.1.0", requires)
    if failed:
        return Sample(name, PackageStatus.FAILED, "2.1.0", requires, error="RK-BUILD-FAILED: no module named acme")
    if len(run) % 17 == 0:
        return Sample(name, PackageStatus.SKIPPED, "2.0.0", requires, reason="version 2.0.0 is already on pypi")
    busy = sum(package.status is PackageStatus.PUBLISHING for package in run.values())
    status = PackageStatus.PUBLISHING if late and busy < len(KINDS) else PackageStatus.PUBLISHED
    return Sample(name, PackageStatus.PENDING if late and busy >= len(KINDS) else status, "2.1.0", requires)
