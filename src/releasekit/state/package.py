"""One package of a run: what is known of it, and the triggers that move it.

Nothing can be changed by assignment. A trigger changes the status and the one field it carries, under one
lock, and tells the run's listeners; which field that is, the lifecycle table says.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import ALLOWED, PackageStatus, Trigger, move, rule_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_TEXT: Final = 16_384
"""Characters of a name, version, error or reason; a longer error is cut, so that a record stays bounded."""

MAX_COUNT: Final = 2**31 - 1
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NO_RUN: Final = ()
_DIGEST_SIZE: Final = 32  # bytes
_FILE_NAME: Final = re.compile(r"[^/\\\x00]{1,255}")

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

    name: str
    status: PackageStatus
    version: str
    error: str
    level: int
    requires: tuple[str, ...]
    attempts: int
    reason: str
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
        if not name:
            raise _invalid("name", "is empty")
        self._store("name", text_of("name", name))
        self._store("status", _status(status))
        self._store("version", text_of("version", version))
        self._store("error", text_of("error", error))
        self._store("level", _count("level", level))
        self._store("requires", _names(requires))
        self._store("_artifacts", _pack_artifacts(artifacts))
        self._store("attempts", _count("attempts", attempts))
        self._store("reason", text_of("reason", reason))
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
        return MappingProxyType(_unpack_artifacts(self._artifacts))

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
            raise _invalid("packages", f"has {self.name!r} of another run: copy it")
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


FIELDS: Final = ("name", "status", "version", "error", "level", "requires", "artifacts", "attempts", "reason")


def _invalid(field: str, problem: str) -> ReleaseKitError:
    return ReleaseKitError(E.STATE_INVALID_VALUE, f"{field} {problem}", "see the docstring of PackageState")


def text_of(field: str, value: str) -> str:
    """Check a text that is to be stored, and share it with its equals.

    Raises:
        ReleaseKitError: It is none, too long, or can't be stored (`E.STATE_INVALID_VALUE`).
    """
    if not isinstance(value, str):
        raise _invalid(field, f"must be a string, not {type(value).__name__}")
    if len(value) > MAX_TEXT:
        raise _invalid(field, f"has {len(value)} characters, more than {MAX_TEXT}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _invalid(field, "has half a surrogate pair, which no file can hold") from None
    return sys.intern(str.__str__(value))  # names and versions stand in many packages


def _error_text(value: str) -> str:
    """Make any error text storable: a failure must never be lost because of what it says."""
    if not isinstance(value, str):
        raise _invalid("error", f"must be a string, not {type(value).__name__}")
    text = value.encode(errors="backslashreplace").decode()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - len(_CUT)] + _CUT


def _count(field: str, value: int) -> int:
    if type(value) is not int:
        raise _invalid(field, f"must be a whole number, not {type(value).__name__}")
    if not 0 <= value <= MAX_COUNT:  # the number itself may be too long to print
        raise _invalid(field, f"is out of range: from 0 to {MAX_COUNT}")
    return value


def _status(value: PackageStatus) -> PackageStatus:
    try:
        return PackageStatus(value)
    except ValueError:
        raise _invalid("status", f"is {value!r:.40}, not one of {', '.join(PackageStatus)}") from None


def _names(values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):  # it would be taken for the names of its letters
        raise _invalid("requires", f"must be a list of names, not the string {values!r:.40}")
    return tuple(text_of("requires", value) for value in values)


def _pack_artifacts(artifacts: Mapping[str, str]) -> bytes:
    for name, digest in artifacts.items():
        if not _FILE_NAME.fullmatch(text_of("artifacts", name)) or name in {".", ".."}:
            raise _invalid("artifacts", f"has {name!r:.300}, which is no file name")
        if not _SHA256.fullmatch(text_of("artifacts", digest)):
            raise _invalid("artifacts", f"has {digest!r:.80} for {name!r}: not a sha256 of 64 lower-case hex digits")
    return b"".join(bytes.fromhex(digest) + name.encode() + b"\0" for name, digest in artifacts.items())


def _unpack_artifacts(packed: bytes) -> dict[str, str]:
    artifacts = {}
    start = 0
    while start < len(packed):
        name = start + _DIGEST_SIZE
        end = packed.index(b"\0", name)
        artifacts[packed[name:end].decode()] = packed[start:name].hex()
        start = end + 1
    return artifacts


_CUT: Final = " … [cut]"
_CARRIED: Final[dict[str, tuple[str, Callable[[Any], object]]]] = {
    "artifacts": ("_artifacts", _pack_artifacts),
    "error": ("error", _error_text),
    "reason": ("reason", partial(text_of, "reason")),
}
