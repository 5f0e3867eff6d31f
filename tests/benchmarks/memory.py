"""Bytes a package of a large run, everything counted: its names, its fields and its place in the run."""

from __future__ import annotations

import tracemalloc

from tests.benchmarks.measure import Result

from releasekit import RunState

PACKAGES = 100_000
MOST = 700  # bytes
GOAL = 300  # bytes


def bytes_a_package(*, artifacts: bool, error: bool) -> float:
    """Fill every field of every package, with or without the large ones."""
    tracemalloc.start()
    run = RunState("0123456789abcdef")
    for n in range(PACKAGES):
        package = run.init_package(
            f"package-{n:06d}",
            version=f"1.{n % 50}.0",
            level=n % 9,
            requires=[f"package-{n // 2:06d}", f"package-{n // 3:06d}"],
        )
        package.start_building()
        if artifacts:
            package.record_artifacts({f"{file}-{n:06d}-1.0": f"{n + 2**200:064x}" for file in ("package.whl", "sdist")})
        if error:
            package.fail(f"upload of package-{n:06d} was refused: 400 Bad Request")
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / len(run)


def results() -> list[Result]:
    """Measure."""
    return [
        Result(
            name,
            f"{used:.0f} bytes",
            f"the most, {MOST} bytes",
            used / MOST,
            1,
            GOAL / MOST,
        )
        for name, used in {
            "a package with 2 artifacts, 2 requirements and an error": bytes_a_package(artifacts=True, error=True),
            "a package with 2 artifacts and 2 requirements": bytes_a_package(artifacts=True, error=False),
            "a package with 2 requirements": bytes_a_package(artifacts=False, error=False),
        }.items()
    ]
