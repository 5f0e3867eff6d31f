"""Three packages, released by the real store and the real orchestrator, with steps that cost nothing: to be hit.

Run as a program, it forks a child for each line of its input, so that a fault costs no start of Python. The child
releases, or resumes, in a directory, and tells what happens there on its standard output, a JSON object a line: what
was told before a SIGKILL is known after it. `Nursery` is the other end, and what every release must keep to,
whatever hits it, is in `survived` and `goes_on`.

Two things are other than in a real release, so that every run makes the same system calls in the same order:
temporary files are numbered, and the snapshot is refreshed in one certain step, not 0.8 seconds after a change.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from ctypes import CDLL, c_ulong
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from threading import get_native_id
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias
from unittest.mock import patch

from releasekit import ReleaseKitError, RunState, RunStore, logging
from releasekit.persistence.group_commit import GroupCommit
from releasekit.persistence.lock import LOCK_FILENAME
from releasekit.persistence.refresher import Refresher
from releasekit.pipeline import Orchestrator
from releasekit.pipeline.built import Built
from releasekit.state import STATE_FILENAME, journal_path, there_is_a_run
from releasekit.workspace import Package

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    import pytest

    from releasekit.pipeline.carrier import Sending
    from releasekit.state import Transition

Picture: TypeAlias = "dict[str, list[Any]]"

GRAPH: Final = {"core": (), "left": ("core",), "right": ("core",)}
HANG: Final = 20.0  # seconds after which a release is taken to hang
UNTRACED: Final = "untraced"
"""A file that is not there. A thread that is told it could truncate it knows that it is being traced."""


def picture(state: RunState) -> Picture:
    """Say all of a run that moves."""
    return {p.name: [p.status.value, p.attempts, sorted(p.artifacts), p.error] for p in state.packages.values()}


def on_disk(directory: Path) -> Picture | None:
    """Read the run in a directory, if there is one."""
    path = directory / STATE_FILENAME
    return picture(RunState.load(path)) if there_is_a_run(path) else None


@dataclass
class Told:
    """What is known of a release that has ended.

    Attributes:
        states: All that the run was, in order.
        acknowledged: The place among them of the last one that a commit had returned for; -1 for none.
        uploads: The packages that were sent, each with what had been acknowledged by then.
        waiting: The commits that neither returned nor raised `ReleaseKitError`, of those begun before one did.
        refused: How many commits raised that.
        error: What it ended with, as the command line says it.
        text: What else it said: the log, and anything unforeseen.
        code: Its exit code; negative for a signal.
    """

    states: list[Picture] = field(default_factory=list)
    acknowledged: int = -1
    uploads: list[tuple[str, int]] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)
    refused: int = 0
    error: str = ""
    text: str = ""
    code: int | None = None

    @property
    def ending(self) -> str:
        """Say in a word how it ended."""
        if self.code == 0:
            return "published, with a warning" if "snapshot_failed" in self.text else "published"
        if self.code == 1:
            return self.error.partition(":")[0] if self.error.startswith("RK-") else "OSError"
        return "killed"

    def hear(self, fact: dict[str, Any]) -> None:
        """Take note of what the release told."""
        match fact:
            case {"state": state}:
                self.states.append(state)
            case {"waiting": commit} if not self.refused:
                self.waiting.add(commit)
            case {"acknowledged": place, "commit": commit}:
                self.waiting.discard(commit)
                self.acknowledged = max(self.acknowledged, place)
            case {"refused": commit}:
                self.waiting.discard(commit)
                self.refused += 1
            case {"upload": name}:
                self.uploads.append((name, self.acknowledged))
            case {"error": error}:
                self.error = error
            case {"ended": code}:
                self.code = code


class Nursery:
    """Starts releases; a context manager."""

    def __enter__(self) -> Self:
        # Measuring coverage would take longer than the release.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self._program = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._program.communicate()  # it ends with its input

    def release(self, directory: Path, *strace: str, thread: str = "main", limit: int | None = None) -> Told:
        """Release in a directory, or resume there, and return when the process has ended.

        Args:
            directory: Where the run is, or is to be.
            strace: The command of an strace that traces the release; it gets `--attach`.
            thread: The thread that it is attached to: `main`, or `flush`, which waits for the disk.
            limit: How many bytes a file may have.
        """
        assert self._program.stdin
        assert self._program.stdout
        request = {"directory": str(directory), "traced": thread if strace else "", "limit": limit}
        print(json.dumps(request), file=self._program.stdin, flush=True)
        told = Told()
        tracer = None
        while told.code is None:
            line = self._program.stdout.readline()
            assert line, told.text
            if not line.startswith("{"):
                told.text += line
                continue
            fact = json.loads(line)
            told.hear(fact)
            if "thread" in fact:
                tracer = subprocess.Popen([*strace, f"--attach={fact['thread']}"], stderr=subprocess.DEVNULL)
        if tracer:
            tracer.wait(HANG)
        return told


def survived(directory: Path, told: Told, before: Picture | None) -> None:
    """Check that a release that was hit kept every promise.

    Args:
        directory: Where it was.
        told: What it told.
        before: The run that it found there.
    """
    assert told.code in {0, 1, -signal.SIGKILL}, told
    assert "Traceback" not in told.text, told.text
    assert told.error.startswith(("RK-STATE-NOT-DURABLE: ", "[Errno", "Failed to read")) == (told.code == 1), told
    possible: list[Picture | None] = [*told.states[max(told.acknowledged, 0) :]]
    if told.acknowledged < 0:
        possible.append(before)
    now = on_disk(directory)
    assert now in possible
    if before and told.states:
        assert told.states[0] == before
    for name, place in told.uploads:
        durable = told.states[place]
        assert durable[name][0] == "publishing"
        assert {durable[required][0] for required in GRAPH[name]} <= {"published"}
    if told.code == 0:
        assert now
        assert {status for status, *_ in now.values()} == {"published"}


def goes_on(nursery: Nursery, directory: Path) -> None:
    """Check that the same release, not hit any more, comes to its end and leaves no litter."""
    before = on_disk(directory)
    told = nursery.release(directory)
    survived(directory, told, before)
    assert told.code == 0, told
    path = directory / STATE_FILENAME
    assert {entry.name for entry in directory.iterdir()} == {path.name, journal_path(path).name, LOCK_FILENAME}
    snapshot = json.loads(path.read_bytes())["packages"]
    assert {package["status"] for package in snapshot.values()} == {"published"}


def report(capsys: pytest.CaptureFixture[str], what: str, counted: Counter[str]) -> None:
    """Print counts so that they stand in the output of the tests, also when pytest-xdist runs them."""
    counts = ", ".join(f"{times} {name}" for name, times in sorted(counted.items()))
    with capsys.disabled():
        sys.stderr.write(f"\n{what}: {counts}\n")


class _Watched(RunStore):
    """A store that tells what its run is, and what of it is durable."""

    _last = 0  # the place of the state among those that were told
    _commits = count()

    def watch(self) -> None:
        """Tell from now on; the state of this moment was told, and is durable."""
        with self._telling():
            self.state.listen(self._moved)

    def commit(self) -> None:
        with self._telling():
            super().commit()

    async def acommit(self) -> None:
        with self._telling():
            await super().acommit()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        wanted, commit = self._last, next(self._commits)
        _tell(waiting=commit)
        try:
            yield
        except ReleaseKitError:
            _tell(refused=commit)
            raise
        _tell(acknowledged=wanted, commit=commit)

    def _moved(self, _: Transition) -> None:
        self._last += 1
        _tell(state=picture(self.state))


class _Steps:
    """Steps that only tell of the one effect that can't be undone."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    async def build(self, package: Package, artifacts: Mapping[str, str]) -> Built:
        return Built(artifacts or {f"{package.name}-1.0.tar.gz": "a" * 64}, package.version)

    async def check(self, package: Package, *_: object) -> None:
        """Nothing is missing."""

    async def publish(self, package: Package, artifacts: Mapping[str, str], sending: Sending) -> None:
        del artifacts
        with sending():
            _tell(upload=package.name)

    async def verify(self, package: Package, artifacts: Mapping[str, str], patience: float) -> None:
        del artifacts, patience
        if package.name == "left":
            self._store._refresh()


def _tell(**fact: object) -> None:
    os.write(1, json.dumps(fact).encode() + b"\n")  # at once and whole: a kill may follow


def _open(path: Path) -> _Watched:
    """Begin the run, or resume it, as `pipeline.resume` does."""
    if there_is_a_run(path):
        store = _Watched.open(path)
        _tell(state=picture(store.state))
        store.watch()
        store.state.recover()
        store.commit()
        return store
    plan = RunState("0" * 40, index="memory")
    for name, requires in GRAPH.items():
        plan.init_package(name, version="1.0", level=len(requires), requires=requires)
    _tell(state=picture(plan))
    store = _Watched.create(path, plan)
    store.watch()
    return store


def _release(directory: Path) -> int:
    packages = {name: Package(name, "1.0", directory, requires, len(requires)) for name, requires in GRAPH.items()}
    try:
        with _open(directory / STATE_FILENAME) as store:
            asyncio.run(Orchestrator(store, packages, _Steps(store), jobs=len(packages)).run())
    except (ReleaseKitError, OSError) as error:  # which the command line turns into a message
        _tell(error=str(error))
        return 1
    return 0


def _wait_for_tracer(directory: Path) -> None:
    # Where only a parent may trace its child, it must be let: PR_SET_PTRACER, PR_SET_PTRACER_ANY of prctl(2).
    CDLL(None).prctl(0x59616D61, c_ulong(-1))
    _tell(thread=get_native_id())
    while True:
        try:
            os.truncate(directory / UNTRACED, 0)
        except FileNotFoundError:
            time.sleep(0.001)
        else:
            return


def _child(directory: Path, traced: str, limit: int | None) -> int:
    faulthandler.dump_traceback_later(HANG, exit=True)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    work = GroupCommit._work

    def traced_work(shared: GroupCommit) -> None:
        _wait_for_tracer(directory)
        work(shared)

    if traced == "main":
        _wait_for_tracer(directory)
    elif traced:
        patch.object(GroupCommit, "_work", traced_work).start()
    return _release(directory)


def _main() -> int:
    logging.configure()
    import_module("filelock")  # as the first run that is opened does
    gc.freeze()
    numbers = count()
    patch("secrets.token_hex", lambda size: f"{next(numbers):0{2 * size}x}").start()
    patch.object(Refresher, "changed", lambda _: None).start()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            request = json.loads(line)
            code = _child(Path(request["directory"]), request["traced"], request["limit"])
            os._exit(code)  # clearing this interpreter up would take longer than the release
        _, status = os.waitpid(child, 0)
        _tell(ended=os.waitstatus_to_exitcode(status))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
