"""The aggregate: every package of one run, and the questions an orchestrator asks of them.

A `RunState` lives in memory. `RunStore` keeps it on disk while a run is open; `save` and `load` are for who
needs the file only. Everything that can be derived, such as who is blocked by whom, is derived.
"""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

from releasekit.errors import E, ReleaseKitError, listed
from releasekit.lifecycle import IN_FLIGHT, PackageStatus
from releasekit.persistence import atomic
from releasekit.state import files, graph, records, snapshot, values
from releasekit.state.audience import LOCK, Audience
from releasekit.state.errors import UnknownPackageError, another_commit
from releasekit.state.package import PackageState, fire_towards
from releasekit.state.questions import Questions

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from releasekit.persistence.journal import Position
    from releasekit.state.audience import Recorder, Transition

STATE_FILENAME: Final = ".releasekit-state.json"
_MOST_NAMED: Final = 20  # packages of a run that has not the one that was meant


class RunState(Questions):
    """Every package of one run.

    Args:
        git_sha: The commit that is released.
        packages: Name → package, to begin with.
        created_at: When the run began, ISO 8601; empty means now, in UTC.
        run_id: What tells this run from all others; empty means a new one.
        index: What the run publishes to, as the user named it.

    Raises:
        ReleaseKitError: A key is not its package's name, a package is none or another run's, or a text can't be
            stored (`E.STATE_INVALID_VALUE`).
    """

    def __init__(
        self,
        git_sha: str,
        packages: Mapping[str, PackageState] = MappingProxyType({}),
        created_at: str = "",
        *,
        run_id: str = "",
        index: str = "",
    ) -> None:
        self.git_sha: Final = values.text("git_sha", git_sha)
        self.created_at: Final = values.text("created_at", created_at) or _now()
        self.run_id: Final = values.text("run_id", run_id) or uuid4().hex
        self.index: Final = values.text("index", index)
        self._packages: dict[str, PackageState] = {}
        self._audience = Audience()
        for name, package in values.mapping("packages", packages).items():
            if not isinstance(package, PackageState):
                raise values.invalid("packages", f"has {package!r:.40} under the key {name!r}, which is no package")
            if name != package.name:
                message = f"the package {package.name!r} stands under the key {name!r}"
                raise ReleaseKitError(E.STATE_INVALID_VALUE, message)
            package.join(self._audience)
            self._packages[name] = package

    @property
    def packages(self) -> Mapping[str, PackageState]:
        """Name → package, read only, in the order of declaration."""
        return MappingProxyType(self._packages)

    def init_package(  # noqa: PLR0913  # one argument a field
        self,
        name: str,
        *,
        version: str = "",
        level: int = 0,
        status: PackageStatus = PackageStatus.PENDING,
        requires: Iterable[str] = (),
        reason: str = "",
    ) -> PackageState:
        """Declare a package.

        Args:
            name: Its name; it must be new.
            version: The version that is to be published.
            level: How many packages deep its longest chain of requirements is, from 0.
            status: `PENDING`, or `SKIPPED` for one that is not to be released.
            requires: The names of the packages that must be published before it; they may be declared later.
            reason: Why it is skipped.

        Raises:
            ReleaseKitError: The name exists (`E.STATE_PACKAGE_EXISTS`), or a value that no run could have
                (`E.STATE_INVALID_VALUE`).
        """
        if status not in {PackageStatus.PENDING, PackageStatus.SKIPPED}:
            message = f"status of a new package is pending or skipped, not {status}"
            raise ReleaseKitError(E.STATE_INVALID_VALUE, message, "fire its triggers to move it")
        package = PackageState(name, version=version, level=level, requires=requires)
        with LOCK:
            if name in self._packages:
                message = f"there is already a package {name!r} in this run"
                raise ReleaseKitError(E.STATE_PACKAGE_EXISTS, message, "declare each package once")
            if status == PackageStatus.SKIPPED:
                package.skip(reason)
            self._adopt(package)
        return package

    def set_status(self, name: str, status: PackageStatus, *, error: str = "") -> None:
        """Fire the one trigger that leads to a status.

        Args:
            name: The package; one that is not declared is declared as pending first.
            status: Where it should go.
            error: What `fail` stores as the error, or `skip` as the reason.

        Raises:
            IllegalTransitionError: No trigger leads there; nothing was changed.
            ReleaseKitError: A value that can't be stored (`E.STATE_INVALID_VALUE`); nothing was changed.
        """
        status = values.status(status)
        with LOCK:
            if name in self._packages:
                fire_towards(self[name], status, error)
            elif status == PackageStatus.PENDING:
                self._adopt(PackageState(name))
            else:
                fire_towards(PackageState(name), status, error)  # raises before anything is declared
                self._adopt(PackageState(name))
                fire_towards(self[name], status, error)

    def validate_sha(self, current_sha: str) -> None:
        """Check that this run belongs to a commit.

        Raises:
            ReleaseKitError: It belongs to another (`E.STATE_SHA_MISMATCH`).
        """
        if self.git_sha != current_sha:
            raise another_commit(self.git_sha, current_sha)

    def recover(self) -> list[str]:
        """Fire `recover` on every package that a crash caught in flight; return their names, sorted."""
        with LOCK:
            interrupted = graph.with_status(self._packages, *IN_FLIGHT)
            for name in interrupted:
                self[name].recover()
        return interrupted

    def listen(self, listener: Callable[[Transition], None]) -> None:
        """Have a function called after every trigger, in order, under the run's lock: be quick, don't commit."""
        self._audience.listeners.append(listener)

    def record(self, recorder: Recorder) -> None:
        """Have someone write down every trigger and every package that joins, before any listener is told."""
        self._audience.recorders.append(recorder)

    def check(self) -> None:
        """Return if the run is what was recorded of it.

        Raises:
            ReleaseKitError: An interrupt hit while a package was being moved (`E.STATE_NOT_DURABLE`).
        """
        if self._audience.moving:
            with LOCK:  # another thread may be at it
                self._audience.check()

    def to_bytes(self) -> bytes:
        """Encode the run as the content of its state file.

        Raises:
            ReleaseKitError: It would be larger than what `load` reads (`E.STATE_INVALID_VALUE`).
        """
        return self.frozen()()

    def frozen(self, records: int = 0) -> Callable[[], bytes]:
        """Copy the run as it is now, quickly, for encoding it as the content of its state file later.

        Args:
            records: How many records of a journal are in it.

        Returns:
            What does as `to_bytes` does.
        """
        top = self._top() | ({"records": records} if records else {})
        with LOCK:
            rows = [package.row() for package in self._packages.values()]
        return partial(snapshot.encode, top, rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state file, durably and atomically.

        Raises:
            OSError: It could not be written; the old file is untouched, unless it is an
                `atomic.UnknownOutcomeError`.
            ReleaseKitError: It would be larger than what `load` reads (`E.STATE_INVALID_VALUE`), or there is a
                journal, which `load` would read instead (`E.STATE_EXISTS`).
        """
        path = Path(path)
        if (journal := files.journal_path(path)).exists():
            message = f"{journal} has the truth about the run in {path}, and would be read instead of what is saved"
            raise ReleaseKitError(E.STATE_EXISTS, message, "open that run with `RunStore.open` to change it")
        atomic.replace(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RunState:
        """Read a run: its journal, or its state file where it has none. Nothing is locked or changed.

        Raises:
            OSError: It could not be read, ``Failed to read …``; its `errno` says why.
            ReleaseKitError: It can't be trusted (`E.STATE_CORRUPTED`).
        """
        return cls.of(files.read(Path(path)))

    @classmethod
    def of(cls, read: snapshot.Snapshot) -> Self:
        """Make a run of what a file holds, whose packages are taken over."""
        run = cls(read.git_sha, {}, read.created_at, run_id=read.run_id, index=read.index)
        for package in read.packages:
            package.join(run._audience)
            run._packages[package.name] = package
        return run

    def begin_journal(self) -> tuple[bytes, Position]:
        """Make the lines that a journal of this run begins with, and the position behind them.

        Raises:
            ValueError: They are more than a journal may have.
        """
        return records.begin(self._top(), list(self._packages.values()))

    def to_dot(self) -> str:
        """Draw the run as Graphviz source."""
        from releasekit import diagrams  # noqa: PLC0415  # only for pictures

        return diagrams.run_dot(self.packages.values())

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Draw the run into a file whose suffix chooses the format: .dot .svg .png .mmd.

        Raises:
            ReleaseKitError: Another suffix (`E.DIAGRAM_FORMAT`), or .svg or .png without Graphviz
                (`E.GRAPHVIZ_MISSING`).
            OSError: The file could not be written.
        """
        from releasekit import diagrams  # noqa: PLC0415  # only for pictures

        diagrams.draw_run(self.packages.values(), Path(path))

    def __getitem__(self, name: str) -> PackageState:
        try:
            return self._packages[name]
        except KeyError:
            hint = f"it has {listed(sorted(self._packages), _MOST_NAMED) or 'none'}"
            raise UnknownPackageError(name, hint) from None

    def __contains__(self, name: object) -> bool:
        return name in self._packages

    def __iter__(self) -> Iterator[str]:
        return iter(self._packages)

    def __len__(self) -> int:
        return len(self._packages)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunState) and self.__reduce__() == other.__reduce__()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<RunState {self.git_sha[:12]} of {len(self)} packages>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.git_sha, self._packages, self.created_at, self.run_id, self.index)

    def _top(self) -> dict[str, str]:
        return {field: getattr(self, field) for field in ("git_sha", "created_at", "run_id", "index")}

    def _adopt(self, package: PackageState) -> None:
        audience = self._audience
        audience.check()
        package.join(audience)
        audience.moving = True
        self._packages[package.name] = package
        audience.declare(package)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _restore(git_sha: str, packages: Mapping[str, PackageState], created_at: str, run_id: str, index: str) -> RunState:
    own = {name: copy(package) for name, package in packages.items()}  # copy() would hand over another run's
    return RunState(git_sha, own, created_at, run_id=run_id, index=index)
