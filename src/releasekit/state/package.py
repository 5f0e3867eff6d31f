"""One package of a run: what is known of it, and the triggers that move it.

Nothing can be changed by assignment. A trigger changes the status and the one field it carries, under one
lock, and tells the run's listeners; which field that is, the lifecycle table says.
"""

from __future__ import annotations

from functools import partial
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Never, NoReturn, Protocol, TypeVar

from releasekit.lifecycle import ALLOWED, PackageStatus, Trigger, move, rule_for, trigger_towards
from releasekit.state import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T_co = TypeVar("T_co", covariant=True)

_NO_RUN: Final = ()

LOCK: Final = RLock()
"""Held while a package moves and while a run is copied out. Re-entrant, so that a signal handler or a
listener that looks at the run does not lock itself out."""


class Transition(NamedTuple):
    """A trigger that was fired: what a listener is told, after the package has moved."""

    package: str
    trigger: Trigger
    source: PackageStatus
    target: PackageStatus
    carried: Mapping[str, Any]


class _ReadOnly(Protocol[T_co]):
    """An attribute that type checkers refuse to have assigned, as it is at run time."""

    def __get__(self, package: PackageState, owner: type[PackageState]) -> T_co:
        """Read it."""

    def __set__(self, package: PackageState, value: Never) -> None:
        """Take no value."""


class PackageState:
    """One package of a run.

    Args:
        name: The package's name, not empty.
        status: Where it stands.
        version: The version that is to be published.
        error: Why it failed; empty unless it did.
        level: How many packages deep its longest chain of requirements is, from 0.
        requires: The names of the packages of this run that must be published before it.
        artifacts: File name → sha256 (64 lower-case hex digits) of what was built.
        attempts: How often it was started, from 0.
        reason: Why it was skipped; empty unless it was.

    All of them can be read as attributes; only the trigger methods change them.

    Raises:
        ReleaseKitError: A value that no run could have (`E.STATE_INVALID_VALUE`).
    """

    __slots__ = (
        "_artifacts",
        "_listeners",
        "attempts",
        "error",
        "level",
        "name",
        "reason",
        "requires",
        "status",
        "version",
    )

    name: _ReadOnly[str]
    status: _ReadOnly[PackageStatus]
    version: _ReadOnly[str]
    error: _ReadOnly[str]
    level: _ReadOnly[int]
    requires: _ReadOnly[tuple[str, ...]]
    attempts: _ReadOnly[int]
    reason: _ReadOnly[str]
    _artifacts: bytes
    _listeners: Iterable[Callable[[Transition], None]]

    def __init__(  # noqa: PLR0913  # one argument a field
        self,
        name: str,
        status: PackageStatus = PackageStatus.PENDING,
        version: str = "",
        error: str = "",
        level: int = 0,
        *,
        requires: Iterable[str] = (),
        artifacts: Mapping[str, str] = MappingProxyType({}),
        attempts: int = 0,
        reason: str = "",
    ) -> None:
        self._store("name", values.name(name))
        self._store("status", values.status(status))
        self._store("version", values.shared("version", version))
        self._store("error", values.text("error", error))
        self._store("level", values.count("level", level))
        self._store("requires", values.names(requires))
        self._store("_artifacts", values.pack(artifacts))
        self._store("attempts", values.count("attempts", attempts))
        self._store("reason", values.text("reason", reason))
        self._store("_listeners", _NO_RUN)

    def start_building(self) -> None:
        """Begin the release: `pending` → `building`, one more attempt."""
        self.fire(Trigger.START_BUILDING)

    def record_artifacts(self, artifacts: Mapping[str, str]) -> None:
        """Store what was built: file name → sha256 (64 lower-case hex digits); stays `building`."""
        self.fire(Trigger.RECORD_ARTIFACTS, artifacts=artifacts)

    def start_publishing(self) -> None:
        """Declare that upload is about to begin: `building` → `publishing`."""
        self.fire(Trigger.START_PUBLISHING)

    def start_verifying(self) -> None:
        """Declare that upload is over: `publishing` → `verifying`."""
        self.fire(Trigger.START_VERIFYING)

    def confirm(self) -> None:
        """Declare that the index shows every file: `verifying` → `published`."""
        self.fire(Trigger.CONFIRM)

    def fail(self, error: str) -> None:
        """Give up with an error text, cut at `MAX_TEXT` characters: in flight → `failed`."""
        self.fire(Trigger.FAIL, error=error)

    def skip(self, reason: str) -> None:
        """Leave the package out, and say why: `pending` → `skipped`."""
        self.fire(Trigger.SKIP, reason=reason)

    def retry(self) -> None:
        """Give a failed package another chance: `failed` → `pending`."""
        self.fire(Trigger.RETRY)

    def recover(self) -> None:
        """Take back what a crash interrupted: in flight → `pending`."""
        self.fire(Trigger.RECOVER)

    def may(self, trigger: Trigger) -> bool:
        """Tell whether a trigger is legal now."""
        return Trigger(trigger) in ALLOWED[self.status]

    def allowed_triggers(self) -> tuple[Trigger, ...]:
        """Name the triggers that are legal now, in the table's order."""
        return ALLOWED[self.status]

    @property
    def artifacts(self) -> Mapping[str, str]:
        """File name → sha256 of what was built, as a read-only mapping. Packed in memory, unpacked here."""
        return MappingProxyType(values.unpack(self._artifacts))

    def fire(self, trigger: Trigger, **carried: Any) -> None:  # noqa: ANN401  # checked by the rule
        """Fire any trigger; what the trigger methods do, for callers that have the trigger as data.

        Args:
            trigger: What happens.
            carried: The one field that the table says this trigger carries.

        Raises:
            IllegalTransitionError: The status does not allow it; nothing was changed.
            ReleaseKitError: A value that can't be stored (`E.STATE_INVALID_VALUE`); nothing was changed.
            TypeError: A field that this trigger does not carry, or not the one it does.
        """
        with LOCK:
            source = self.status
            rule = rule_for(self, trigger)
            if tuple(carried) != ((rule.carries,) if rule.carries else ()):
                msg = f"{rule.trigger} carries {rule.carries or 'nothing'}, not {', '.join(carried) or 'nothing'}"
                raise TypeError(msg)
            stored = [(_CARRIED[field][0], _CARRIED[field][1](value)) for field, value in carried.items()]
            move(self, rule.trigger)
            for slot, value in stored:
                self._store(slot, value)
            if rule.clears:
                self._store(rule.clears, "")
            if rule.counts:
                self._store(rule.counts, getattr(self, rule.counts) + 1)
            moved = Transition(self.name, rule.trigger, source, self.status, carried)
            for listener in self._listeners:
                listener(moved)

    def join(self, listeners: list[Callable[[Transition], None]]) -> None:
        """Tell a run's listeners of every trigger from now on; all its packages share the one list.

        Raises:
            ReleaseKitError: The package is in a run already (`E.STATE_INVALID_VALUE`), which would hear no more.
        """
        if self._listeners is not _NO_RUN:
            raise values.invalid("packages", f"has {self.name!r} of another run: copy it")
        self._store("_listeners", listeners)

    def _store(self, slot: str, value: object) -> None:
        object.__setattr__(self, slot, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        msg = f"{name!r} of package {self.name!r} can't be assigned: only its trigger methods change it"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackageState) and self.fields() == other.fields()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<PackageState {self.name!r} {self.version} {self.status}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(PackageState, **self.fields() | {"artifacts": dict(self.artifacts)}), ()

    def fields(self) -> dict[str, Any]:
        """Name and value of every field, in the order of the state file."""
        return {field: getattr(self, field) for field in FIELDS}


def fire_towards(package: PackageState, status: PackageStatus, text: str = "") -> None:
    """Fire the one trigger that leads a package to a status.

    Args:
        package: The package.
        status: Where it should go.
        text: What the trigger stores, if it carries anything.

    Raises:
        IllegalTransitionError: No trigger leads there; nothing was changed.
        ReleaseKitError: The text can't be stored (`E.STATE_INVALID_VALUE`); nothing was changed.
    """
    trigger = trigger_towards(package.status, status)
    carries = rule_for(package, trigger).carries
    package.fire(trigger, **({carries: text} if carries else {}))


FIELDS: Final = ("name", "status", "version", "error", "level", "requires", "artifacts", "attempts", "reason")


_CARRIED: Final[dict[str, tuple[str, Callable[[Any], object]]]] = {
    "artifacts": ("_artifacts", values.pack),
    "error": ("error", values.error),
    "reason": ("reason", partial(values.text, "reason")),
}
