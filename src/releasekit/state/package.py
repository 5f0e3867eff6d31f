"""One package of a run: what is known of it, and the triggers that move it.

Nothing can be changed by assignment. A trigger changes the status and the one field it carries, under one
lock, and tells the run's listeners; which field that is, the lifecycle table says.
"""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from sys import intern
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Never, NoReturn, Protocol, TypeVar

from releasekit.lifecycle import ALLOWED, RULES, PackageStatus, Trigger, move, rule_for, trigger_towards
from releasekit.state import values
from releasekit.state.audience import LOCK, Transition
from releasekit.state.triggers import Triggers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from releasekit.lifecycle import Rule
    from releasekit.state.audience import Audience

T_co = TypeVar("T_co", covariant=True)

_set: Final = object.__setattr__  # a package refuses plain assignment


class _ReadOnly(Protocol[T_co]):
    """An attribute that type checkers refuse to have assigned, as it is at run time."""

    def __get__(self, package: PackageState, owner: type[PackageState]) -> T_co:
        """Read it."""

    def __set__(self, package: PackageState, value: Never) -> None:
        """Take no value."""


class Recorded(Protocol):
    """What the journal has of a trigger."""

    source: PackageStatus | None
    target: PackageStatus | None
    artifacts: dict[str, str] | None
    version: str | None
    error: str | None
    reason: str | None


class Declared(Protocol):
    """What the journal has of a package that joins."""

    name: str
    version: str
    level: int
    requires: tuple[str, ...]
    status: PackageStatus
    error: str
    artifacts: dict[str, str]
    attempts: int
    reason: str


class PackageState(Triggers):
    """One package of a run.

    Args:
        name: The package's name, not empty.
        status: Where it stands.
        version: The version that is to be published; empty while only its build can tell.
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
        "_audience",
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
    _audience: Audience | None

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
        _set(self, "name", values.name(name))
        _set(self, "status", values.status(status))
        _set(self, "version", values.shared("version", version))
        _set(self, "error", values.text("error", error))
        _set(self, "level", values.count("level", level))
        _set(self, "requires", values.names(requires))
        _set(self, "_artifacts", values.pack(artifacts))
        _set(self, "attempts", values.count("attempts", attempts))
        _set(self, "reason", values.text("reason", reason))
        _set(self, "_audience", None)

    @classmethod
    def restored(cls, declared: Declared) -> PackageState:
        """Make a package of values that were checked already, but for the artifacts: see `values.Text` and its like.

        Raises:
            ReleaseKitError: Artifacts that no package could have (`E.STATE_INVALID_VALUE`).
        """
        package = cls.__new__(cls)
        _put_name(package, intern(declared.name))
        _put_status(package, declared.status)
        _put_version(package, intern(declared.version))
        _put_error(package, declared.error)
        _put_level(package, declared.level)
        _put_requires(package, tuple(map(intern, declared.requires)))
        _put_artifacts(package, values.pack(declared.artifacts) if declared.artifacts else b"")
        _put_attempts(package, declared.attempts)
        _put_reason(package, declared.reason)
        _put_audience(package, None)
        return package

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
            carried: The one field that the table says this trigger carries, and the one that it may learn.

        Raises:
            IllegalTransitionError: The status does not allow it; nothing was changed.
            ReleaseKitError: A value that can't be stored (`E.STATE_INVALID_VALUE`); nothing was changed.
            TypeError: A field that this trigger does not carry, or not the one it does.
        """
        with LOCK:
            audience = self._audience
            if audience and audience.moving:
                audience.check()
            source = self.status
            rule = rule_for(self, trigger)
            stored = _checked(self, rule, carried) if rule.carries or carried else ()
            if audience:
                audience.moving = True
            move(self, rule.trigger)
            for slot, value in stored:
                _set(self, slot, value)
            if rule.clears:
                _set(self, rule.clears, "")
            if rule.counts:
                _set(self, rule.counts, getattr(self, rule.counts) + 1)
            if audience:
                audience.tell(self, Transition(self.name, rule.trigger, source, self.status, carried))

    def replay(self, trigger: Trigger, recorded: Recorded) -> None:
        """Do what a trigger did that the journal has, if the table allows that now, and tell nobody.

        This is most of what loading a large run takes, so it asks little of others.

        Args:
            trigger: What happened.
            recorded: What the journal says of it besides.

        Raises:
            ReleaseKitError: It can't have happened here (`E.STATE_INVALID_VALUE`); nothing was changed.
        """
        moved = _MOVES.get((recorded.source, trigger, recorded.target))
        if moved is None or recorded.source is not self.status:
            allowed = (self.status, trigger) in RULES
            problem = f"no {trigger} moves to {recorded.target}" if allowed else f"does not allow {trigger}"
            raise values.invalid(self.name, f"is {self.status}, which {problem}")
        carries, clears, counts, learns = moved
        learned = recorded.version
        if learned is not None:
            if not learns:
                raise values.invalid(self.name, f"has a version, which {trigger} does not carry")
            learned = values.learned(learns, getattr(self, learns), learned)
        if carries:
            _replay_value(self, recorded, carries)
        elif recorded.artifacts is not None or recorded.error is not None or recorded.reason is not None:
            raise values.invalid(self.name, f"has something that {trigger} does not carry")
        if learned:
            _set(self, learns, learned)
        _put_status(self, recorded.target)
        if clears:
            _set(self, clears, "")
        if counts:
            _set(self, counts, getattr(self, counts) + 1)

    def join(self, audience: Audience) -> None:
        """Tell a run's audience of every trigger from now on.

        Raises:
            ReleaseKitError: The package is in a run already (`E.STATE_INVALID_VALUE`), which would hear no more.
        """
        if self._audience:
            raise values.invalid("packages", f"has {self.name!r} of another run: copy it")
        _put_audience(self, audience)

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

    def row(self) -> tuple[Any, ...]:
        """The values of every field, in the order of `FIELDS`, the artifacts packed: a copy that is made at once."""
        return _ROW(self)


def fire_towards(package: PackageState, status: PackageStatus, text: str) -> None:
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


def _replay_value(package: PackageState, recorded: Recorded, carries: str) -> None:
    value = getattr(recorded, carries)
    if value is None or (recorded.artifacts, recorded.error, recorded.reason).count(None) < len(_CARRIED) - 1:
        raise values.invalid(package.name, f"has something else than {carries}")
    slot, check = _CARRIED[carries]
    _set(package, slot, check(value))


def _checked(package: PackageState, rule: Rule, carried: Mapping[str, Any]) -> tuple[tuple[str, object], ...]:
    """Check what a trigger carries; give the slots that store it, each with what is to be stored."""
    learns = rule.learns in carried
    if carried.keys() != {rule.carries, rule.learns if learns else rule.carries} - {""}:
        msg = f"{rule.trigger} carries {rule.carries or 'nothing'}, not {', '.join(carried) or 'nothing'}"
        raise TypeError(msg)
    slot, check = _CARRIED[rule.carries]
    stored = ((slot, check(carried[rule.carries])),)
    if not learns:
        return stored
    return *stored, (rule.learns, values.learned(rule.learns, getattr(package, rule.learns), carried[rule.learns]))


FIELDS: Final = ("name", "status", "version", "error", "level", "requires", "artifacts", "attempts", "reason")
_ROW: Final = attrgetter(*("_artifacts" if field == "artifacts" else field for field in FIELDS))

_CARRIED: Final[dict[str, tuple[str, Callable[[Any], object]]]] = {
    "artifacts": ("_artifacts", values.pack),
    "error": ("error", values.error),
    "reason": ("reason", partial(values.text, "reason")),
}
_MOVES: Final[Mapping[tuple[PackageStatus | None, Trigger, PackageStatus | None], tuple[str, ...]]] = {
    (status, trigger, rule.target or status): rule[3:] for (status, trigger), rule in RULES.items()
}
"""(source, trigger, target), as the journal has them → what the trigger carries, clears and counts."""

# What `_set` does without a look-up of the name: loading a large run sets a million fields.
(
    _put_artifacts,
    _put_audience,
    _put_attempts,
    _put_error,
    _put_level,
    _put_name,
    _put_reason,
    _put_requires,
    _put_status,
    _put_version,
) = (vars(PackageState)[slot].__set__ for slot in PackageState.__slots__)
