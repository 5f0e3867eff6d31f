"""What a run's journal says: its header, the packages that joined, and every trigger that was fired.

The first line tells the run and how many packages it began with. They stand in the records behind it, many in
one, under ``declared``; one that joins later has such a record for itself. Each trigger is a record with ``package``,
``trigger``, ``from``, ``to`` and what it carried: ``artifacts`` (of a package that was declared without a version,
also the ``version`` that its build had), ``error`` or ``reason``. What the lines are made of besides, and when one is
a torn write, `persistence.journal` says.

Replaying is strict: a record that the lifecycle table does not allow where the package stands is refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from releasekit.errors import ReleaseKitError
from releasekit.lifecycle import PackageStatus, Trigger  # noqa: TC001  # msgspec reads the annotations
from releasekit.persistence.journal import MAX_LINE, Position
from releasekit.persistence.reader import JournalError
from releasekit.state import values
from releasekit.state.package import PackageState
from releasekit.state.values import Count, Name, Text  # noqa: TC001  # msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from releasekit.persistence.reader import Reader
    from releasekit.state.audience import Transition


class Header(Struct, kw_only=True, forbid_unknown_fields=True):
    """The first line."""

    journal: int
    git_sha: Text
    created_at: Text
    run_id: Text
    index: Text
    packages: Annotated[int, Meta(ge=0)]
    check: str


class Declared(Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """What a package was when it joined the run."""

    name: Name
    version: Text = ""
    level: Count = 0
    requires: tuple[Text, ...] = ()
    status: PackageStatus = PackageStatus.PENDING
    error: Text = ""
    artifacts: dict[str, str] = {}
    attempts: Count = 0
    reason: Text = ""


class Event(Struct, omit_defaults=True):
    """What a record says; `Record` is this and what the journal adds."""

    time: datetime
    package: str = ""
    trigger: Trigger | None = None
    source: PackageStatus | None = field(default=None, name="from")
    target: PackageStatus | None = field(default=None, name="to")
    artifacts: dict[str, str] | None = None
    version: str | None = None
    error: str | None = None
    reason: str | None = None
    declared: list[Declared] | None = None


class Record(Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A line after the first, in the order in which it is written."""

    seq: Count
    time: str
    package: str = ""
    trigger: Trigger | None = None
    source: PackageStatus | None = field(default=None, name="from")
    target: PackageStatus | None = field(default=None, name="to")
    artifacts: dict[str, str] | None = None
    version: Text | None = None
    error: Text | None = None
    reason: Text | None = None
    declared: list[Declared] | None = None
    flushed: Count
    check: str


_encode: Final = msgspec.json.Encoder().encode
_TOGETHER: Final = 100  # packages in one record


def declaration(*packages: PackageState) -> bytes:
    """Encode the record of packages that join the run."""
    declared = [Declared(**p.fields() | {"artifacts": dict(p.artifacts)}) for p in packages]
    return _encode(Event(datetime.now(UTC), declared=declared))


def transition(package: PackageState, moved: Transition) -> bytes:
    """Encode the record of a trigger that has moved a package."""
    event = Event(datetime.now(UTC), *moved[:4])
    for name in moved.carried:  # as it was stored, which may not be as it was given
        setattr(event, name, dict(package.artifacts) if name == "artifacts" else getattr(package, name))
    return _encode(event)


def begin(run: Mapping[str, str], packages: Sequence[PackageState]) -> tuple[bytes, Position]:
    """Make the lines that a run's journal begins with.

    Args:
        run: What its header tells besides the number of packages.
        packages: The packages it begins with.

    Returns:
        The lines, and the position behind them.

    Raises:
        ValueError: They are more than a journal may have: see `Position.behind_record`.
    """
    line, position = Position().behind_header(_encode({**run, "packages": len(packages)}))
    lines = [line]
    for payload in _declarations(packages):
        line, position = position.behind_record(payload, 0)
        lines.append(line)
    return b"".join(lines), position


def _declarations(packages: Sequence[PackageState]) -> Iterator[bytes]:
    """Declare packages together, as many as easily fit into a line."""
    for start in range(0, len(packages), _TOGETHER):
        group = packages[start : start + _TOGETHER]
        payload = declaration(*group)
        yield from [payload] if len(payload) < MAX_LINE // 2 else map(declaration, group)


def replay(reader: Reader[Header, Record], keep: list[Record] | None = None) -> dict[str, PackageState]:
    """Make the packages of a run from its journal, by the lifecycle table.

    Args:
        reader: The journal, of which nothing but the header has been read; afterwards all has.
        keep: Gets every record, if it is given.

    Returns:
        Name → package, in the order of declaration.

    Raises:
        JournalError: A record can't be trusted, or says what can't have happened.
    """
    packages: dict[str, PackageState] = {}
    for record in reader if keep is None else _kept(reader, keep):
        try:
            if record.trigger is None or record.declared is not None:
                _declare(packages, record)
            elif package := packages.get(record.package):
                package.replay(record.trigger, record)
            else:
                raise values.invalid(f"{record.package!r:.100}", "was never declared")
        except ReleaseKitError as error:
            raise JournalError(record.seq + 1, f"can't have happened: {error.message}") from None
    if len(packages) < reader.header.packages:
        problem = f"is missing: the run began with {reader.header.packages} packages, and {len(packages)} are there"
        raise JournalError(reader.position.seq + 2, problem)
    return packages


def _kept(reader: Reader[Header, Record], keep: list[Record]) -> Iterator[Record]:
    for record in reader:
        keep.append(record)
        yield record


def _declare(packages: dict[str, PackageState], record: Record) -> None:
    if record.declared is None or record.package or any(getattr(record, name) is not None for name in _OF_A_TRIGGER):
        raise values.invalid("the record", "neither declares packages nor moves one")
    for declared in record.declared:
        package = PackageState.restored(declared)
        if packages.setdefault(package.name, package) is not package:
            raise values.invalid(f"{declared.name!r:.100}", "is declared a second time")


_OF_A_TRIGGER: Final = ("trigger", "source", "target", "artifacts", "version", "error", "reason")
