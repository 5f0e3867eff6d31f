"""Runs to report, with a history on a clock of their own."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from unittest import mock

from releasekit import STATE_FILENAME, RunState, RunStore
from releasekit.cli import demo_workspace
from releasekit.errors import E

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from releasekit import PackageState

BEGUN = datetime(2026, 11, 23, 21, 20, 1, tzinfo=UTC)
BUILD_ERROR = f"""{E.BUILD_FAILED}: uv build of 'aurora-http' failed:
Building source distribution (uv build backend)...
Building wheel from source distribution (uv build backend)...
  x Failed to build `packages/aurora-http`
  ╰─▶ expected a Python module at: src/aurora_http/__init__.py
error: the build backend returned an error
  hint: mend the package, then run the same command again"""


class Clock:
    """The time that the journal tells, which passes only when it is told to."""

    def __init__(self) -> None:
        self.time = BEGUN

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def now(self, _zone: object) -> datetime:
        return self.time

    @contextmanager
    def ruling(self) -> Iterator[None]:
        with mock.patch("releasekit.state.records.datetime", self):
            yield


def files_of(package: PackageState) -> dict[str, str]:
    stem = f"{package.name.replace('-', '_')}-{package.version}"
    names = (f"{stem}-py3-none-any.whl", f"{stem}.tar.gz")
    return {name: hashlib.sha256(name.encode()).hexdigest() for name in names}


def demo(directory: Path) -> Path:
    """Eight packages: killed half-way, gone on with an hour later; one fails and holds others up. The state file."""
    run = RunState("9f71ad7b6987" + "0" * 28, index="./out")
    levels: dict[str, int] = {}
    for name, version, requires in demo_workspace.MEMBERS:
        levels[name] = 1 + max((levels[required] for required in requires), default=-1)
        run.init_package(name, version=version, level=levels[name], requires=requires)
    clock = Clock()
    path = directory / STATE_FILENAME
    with clock.ruling():
        with RunStore.create(path, run) as store:
            state = store.state
            clock.wait(0.2)
            for name in state:
                state[name].start_building()
                clock.wait(0.4)
                if name not in {"aurora-http", "aurora-api"}:
                    state[name].record_artifacts(files_of(state[name]))
            state["aurora-http"].fail("RK-BUILD-TIMEOUT: aurora-http did not build\nwithin 1 second")
            _send(state, clock, "aurora-core", 0.7)
        clock.wait(3600)
        with RunStore.open(path) as store:
            state = store.state
            state.recover()
            state["aurora-http"].retry()
            clock.wait(0.1)
            state["aurora-http"].start_building()
            for name in ("aurora-net", "aurora-text", "aurora-parse"):
                state[name].start_building()
                clock.wait(0.3)
                _send(state, clock, name, 0.5)
            state["aurora-http"].fail(BUILD_ERROR)
            state["aurora-store"].start_building()
            clock.wait(0.3)
            state["aurora-store"].start_publishing()
            clock.wait(0.4)
    return path


def large(directory: Path, count: int = 1000) -> Path:
    """So many packages, six records each, a few of which fail. The state file."""
    random = Random(1)  # noqa: S311  # the same run every time
    run = RunState("9f71ad7b6987" + "0" * 28, index="./out")
    levels: list[int] = []
    for number in range(count):
        first = max(0, number - 200)
        chosen = (
            {random.randrange(first, number) for _ in range(random.randrange(4))} if number > count // 50 else set()
        )
        levels.append(1 + max((levels[other] for other in chosen), default=-1))
        requires = [f"package-{other:04}" for other in sorted(chosen)]
        run.init_package(f"package-{number:04}", version=f"1.{number % 50}.0", level=levels[-1], requires=requires)
    clock = Clock()
    path = directory / STATE_FILENAME
    with clock.ruling(), RunStore.create(path, run) as store:
        state = store.state
        for package in list(state.packages.values()):
            package.start_building()
            clock.wait(random.random() * 0.2)
            package.record_artifacts(files_of(package))
        for name in list(state):
            package = state[name]
            if any(state[required].status != "published" for required in package.requires):
                package.recover()
                continue
            package.start_publishing()
            clock.wait(random.random() * 0.2)
            if random.random() < 0.004:
                package.fail(f"{E.PUBLISH_FAILED}: uv publish of {name!r} failed:\nerror: 403 Forbidden")
                continue
            package.start_verifying()
            clock.wait(random.random() * 0.1)
            package.confirm()
    return path


def _send(state: RunState, clock: Clock, name: str, seconds: float) -> None:
    state[name].start_publishing()
    clock.wait(seconds)
    state[name].start_verifying()
    clock.wait(seconds / 3)
    state[name].confirm()
