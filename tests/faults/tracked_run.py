"""A run on a failing device, and what is known of it: all that was recorded, and how much of that is acknowledged.

Everything is done twice, to the run and to a model of dictionaries, and whatever the run shows is compared: a store
that was opened, a reader without the lock, the state file.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from structlog.testing import capture_logs
from tests.faults import memory
from tests.faults.device import Device
from tests.test_lifecycle import ARTIFACTS, EXPECTED, TRIGGERS

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import IllegalTransitionError, PackageStatus, Trigger
from releasekit.persistence import writer
from releasekit.persistence.refresher import Refresher
from releasekit.state import STATE_FILENAME, PackageState, RunState, files, snapshot
from releasekit.store import RunStore

if TYPE_CHECKING:
    from collections import Counter
    from random import Random

Model = dict[str, dict[str, Any]]

_SPACE: Final = 1500  # bytes: less than three sectors, so that a run outgrows it again and again
_CARRIED: Final = {"record_artifacts": "artifacts", "fail": "error", "skip": "reason"}
_CLEARS_ERROR: Final = {"confirm", "retry", "recover"}
_EMPTY: Final = {"version": "", "error": "", "level": 0, "requires": (), "artifacts": {}, "attempts": 0, "reason": ""}


class TrackedRun:
    """One run, from its first file to whatever it comes to.

    Args:
        counts: Gets what was lost and what was kept.

    Attributes:
        device: What the files are on.
        store: The run while it is open.
        history: What the run was behind each record, from the last of those that it began with.
        acknowledged: The number of the last record that must never get lost.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._cleanup = ExitStack()
        patch = self._cleanup.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(writer, "SPACE", _SPACE)
        patch.setattr(Refresher, "changed", lambda _: None)  # `refresh` is called instead
        patch.setattr(files, "_PATIENCE", 0)
        self._cleanup.enter_context(capture_logs())
        self._path = self._cleanup.enter_context(memory.directory()) / STATE_FILENAME
        self.device = Device(self._path.parent)
        self._cleanup.enter_context(self.device.installed())
        self._loop = asyncio.new_event_loop()
        self._cleanup.callback(self._loop.close)
        self.store: RunStore | None = None
        self.history: list[Model] = []
        self.acknowledged = self._base = 0
        self._troubled = self._poisoned = False  # since it was opened

    def clean_up(self) -> None:
        """Leave nothing."""
        self._abandon()
        self._cleanup.close()

    # what a user does

    def begin(self, names: list[str], *, saved: bool) -> None:
        """Make the run, as a store does or by opening a state file; see to it that there is one, whatever happens."""
        self.history = [{name: _EMPTY | {"name": name, "status": "pending"} for name in names}]
        self.acknowledged = self._base = 1 if names else 0
        try:
            self._create(names, saved=saved)
        except (ReleaseKitError, OSError):
            assert self.device.troubled
        self._troubled = self.device.troubled

    def begin_again(self) -> None:
        """Begin the run if there is none; otherwise go on with it."""
        if not files.there_is_a_run(self._path):
            assert not self.store
            self._create(list(self.model))
        elif not self.store:
            self.open()

    def declare(self, status: str, text: str) -> None:
        """Declare one more package."""
        name = f"p{len(self.model)}"
        self.state.init_package(name, status=PackageStatus(status), version=text[:9], reason=text)
        reason = text if status == "skipped" else ""
        new = _EMPTY | {"name": name, "status": status, "version": text[:9], "reason": reason}
        self.history.append(self.model | {name: new})

    def fire(self, number: int, text: str = "again") -> None:
        """Fire any of the legal triggers, if there is one."""
        legal = [(name, trigger) for name in self.model for trigger in TRIGGERS if self._target(name, trigger)]
        if not legal:
            return
        name, trigger = legal[number % len(legal)]
        package = self.model[name] | {"status": self._target(name, trigger)}
        if trigger in _CARRIED:
            carried = package[_CARRIED[trigger]] = ARTIFACTS if trigger == "record_artifacts" else text
            getattr(self.state[name], trigger)(carried)
        else:
            getattr(self.state[name], trigger)()
        if trigger in _CLEARS_ERROR:
            package["error"] = ""
        package["attempts"] += trigger == "start_building"
        self.history.append(self.model | {name: package})

    def fire_illegally(self, number: int) -> None:
        """Fire any of the illegal triggers, for nothing."""
        illegal = [(name, trigger) for name in self.model for trigger in TRIGGERS if not self._target(name, trigger)]
        name, trigger = illegal[number % len(illegal)]
        with pytest.raises(IllegalTransitionError):
            self.state[name].fire(Trigger(trigger))

    def read(self) -> None:
        """Read the run as who has no lock."""
        assert fields(RunState.load(self._path)) in self.history[self.acknowledged - self._base :]

    # what makes system calls, and may fail if the device does

    def operate(self, operation: str, fired: list[int]) -> None:
        """Fire some triggers and `commit`, `commit_together`, `refresh` or `close`."""
        if operation == "commit_together":
            self._loop.run_until_complete(self._commit_together(fired))
        else:
            for number in fired:
                self.fire(number)
            getattr(self, operation)()
        self._troubled |= self.device.troubled

    def commit(self) -> None:
        """Commit; once that has failed, no flush may be tried again."""
        assert self.store
        flushes = self.device.flushes
        try:
            self.store.commit()
        except ReleaseKitError as error:
            assert not self._poisoned or self.device.flushes == flushes
            self._excuse(error)
            self._poisoned = True
        else:
            self._acknowledge(self._recorded)

    async def _commit_together(self, fired: list[int]) -> None:
        await asyncio.gather(*map(self._fire_and_commit, fired))

    async def _fire_and_commit(self, number: int) -> None:
        assert self.store
        self.fire(number)
        recorded = self._recorded
        try:
            await self.store.acommit()
        except ReleaseKitError as error:
            self._excuse(error)
            self._poisoned = True
        else:
            self._acknowledge(recorded)

    def refresh(self) -> None:
        """Write the snapshot."""
        assert self.store
        self.store._refresh()
        self._look_at_snapshot()

    def close(self) -> None:
        """Close the store: if it says nothing, and no commit has failed, that commits."""
        assert self.store
        try:
            self.store.close()
        except ReleaseKitError as error:
            self._excuse(error)
        else:
            if not self._poisoned:
                self._acknowledge(self._recorded)
        self.store = None
        self._look_at_snapshot()

    def open(self) -> None:
        """Open the store: what it shows is acknowledged, whatever it was before."""
        self.store = RunStore.open(self._path)
        kept = self.store._writer.recorded
        assert self.acknowledged <= kept <= self._recorded
        self._counts["unacknowledged records lost"] += self._recorded - kept
        self._counts["unacknowledged records kept"] += kept - self.acknowledged
        del self.history[kept - self._base + 1 :]
        self._poisoned = False
        self._troubled = self.device.troubled
        self._acknowledge(kept)
        self.check()
        if not self._troubled:
            assert not list(self._path.parent.glob("*.tmp"))

    def try_to_open(self) -> None:
        """Open the store, unless the device fails."""
        try:
            self.open()
        except (ReleaseKitError, OSError) as error:
            self._excuse(error)

    def cut_power(self, random: Random) -> None:
        """Cut the power and bring it back."""
        self._abandon()
        self.device.cut_power(random)
        self._look_at_snapshot()

    # what is known

    @property
    def state(self) -> RunState:
        """The open run."""
        assert self.store
        return self.store.state

    @property
    def model(self) -> Model:
        """What the run must be."""
        return self.history[-1]

    def check(self) -> None:
        """Compare the open run with its model."""
        assert fields(self.state) == self.model

    @property
    def _recorded(self) -> int:
        return self._base + len(self.history) - 1

    def _target(self, name: str, trigger: str) -> str | None:
        return EXPECTED.get((self.model[name]["status"], trigger))

    def _create(self, names: list[str], *, saved: bool = False) -> None:
        run = RunState("abc", {name: PackageState(name) for name in names})
        if saved:
            run.save(self._path)
            self.open()
        else:
            self.store = RunStore.create(self._path, run)

    def _abandon(self) -> None:
        """End the process, as far as the files can tell."""
        if self.store:
            self.store._shared.close()
            os.close(self.store._writer._fd)
            self.store._lock.release()
            self.store = None

    def _look_at_snapshot(self) -> None:
        """Check that the snapshot, if there is one, is whole; what it tells the journal must have."""
        if self._path.exists():
            read = snapshot.read(self._path)
            told = max(read.records, self._base)
            assert {package.name: package.fields() for package in read.packages} == self.history[told - self._base]
            self.acknowledged = max(self.acknowledged, told)

    def _acknowledge(self, number: int) -> None:
        assert not self._poisoned
        self.acknowledged = max(self.acknowledged, number)

    def _excuse(self, error: Exception) -> None:
        """Check that a failure has a cause, and is told as documented."""
        assert self._troubled or self.device.troubled
        assert isinstance(error, ReleaseKitError)
        assert error.code is E.STATE_NOT_DURABLE


def fields(run: RunState) -> Model:
    """Give everything that a run says of its packages."""
    return {name: package.fields() for name, package in run.packages.items()}
