"""The state file: a run as one JSON document, for people, `jq` and other tools.

A file with `schema` is ours and is read strictly: every field has exactly its type, nothing is unknown,
nothing stands twice. A file without `schema` comes from the tool that this one follows, which writes
`git_sha`, `created_at` and per package `name status version error level`; it is read leniently: missing fields
have defaults, more fields are ignored, and an unknown status becomes pending, with a warning in the log.
Either way a file is read whole or refused whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Struct, UnsetType  # noqa: TC002  # msgspec reads the annotations

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import PackageStatus
from releasekit.logging import get_logger
from releasekit.persistence import codec
from releasekit.state import values
from releasekit.state.package import FIELDS, PackageState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SCHEMA: Final = 1
MAX_BYTES: Final = 256 << 20
"""A larger state file is neither written nor read; 100,000 packages with two artifacts each take 70 MB."""

_ARTIFACTS: Final = FIELDS.index("artifacts")
_MAX_SHOWN: Final = 300  # characters of what a file holds, in a message


class StateCorruptedError(ReleaseKitError):
    """A state file that can't be trusted; nothing of it was used.

    Attributes:
        path: The file.
        place: Where in it, as a path like ``packages.core.level``; empty for the whole file.
    """

    def __init__(self, path: Path, place: str, problem: str, hint: str = "") -> None:
        where = f"{place:.{_MAX_SHOWN}} " if place else ""
        super().__init__(
            E.STATE_CORRUPTED,
            f"{path}: {where}{problem:.{_MAX_SHOWN}}",
            hint
            or "restore the file from a copy, or run `releasekit publish --fresh` to start over: "
            "the old file is kept aside, and the index is asked what is already there",
        )
        self.args = (path, place, problem, hint)
        self.path = path
        self.place = place


class Snapshot(Struct):
    """What a state file holds, without behaviour; `records` is how many of its journal's records are in it."""

    git_sha: str
    created_at: str
    run_id: str
    index: str
    packages: list[PackageState]
    records: int = 0


class _Lenient(Struct):
    """The file of the tool that this one follows."""

    git_sha: str
    packages: dict[str, Any]
    created_at: str = ""


class _Strict(Struct, forbid_unknown_fields=True):
    """Our own file."""

    schema: int
    git_sha: str
    created_at: str
    packages: dict[str, Any]
    run_id: str = ""
    index: str = ""
    records: values.Count = 0


class _LenientPackage(Struct):
    name: str | UnsetType = UNSET
    status: str = PackageStatus.PENDING
    version: str = ""
    error: str = ""
    level: int = 0


class _StrictPackage(Struct, forbid_unknown_fields=True, gc=False):
    name: str
    status: PackageStatus
    version: str
    error: str
    level: int
    requires: tuple[str, ...] = ()
    artifacts: dict[str, str] = {}
    attempts: int = 0
    reason: str = ""


def encode(run: Mapping[str, Any], rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Encode a run as the content of its state file.

    Args:
        run: What stands in it besides the packages.
        rows: The packages: see `PackageState.row`.

    Raises:
        ReleaseKitError: It has more than `MAX_BYTES`: `decode` would refuse it (`E.STATE_INVALID_VALUE`).
    """
    packages = {}
    for row in rows:
        package = _StrictPackage(*row)
        package.artifacts = values.unpack(row[_ARTIFACTS])
        packages[package.name] = package
    data = codec.encode({"schema": SCHEMA, **run, "packages": packages})
    if len(data) > MAX_BYTES:
        raise ReleaseKitError(E.STATE_INVALID_VALUE, f"the run takes {len(data)} bytes; a state file has {MAX_BYTES}")
    return data


def read(path: Path) -> Snapshot:
    """Read a state file.

    Raises:
        OSError: It could not be read, ``Failed to read …``; its `errno` says why.
        StateCorruptedError: It can't be trusted.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    return decode(data, path)


def unreadable(path: Path, cause: OSError) -> OSError:
    """Make the error that says that a file of a run could not be read, of the same kind as its cause."""
    if not cause.strerror:  # it says so already, of another file
        return cause
    error = type(cause)(f"Failed to read {path}: {cause.strerror}")
    error.errno = cause.errno
    return error


def decode(data: bytes, path: Path) -> Snapshot:
    """Decode the content of a state file.

    Args:
        data: The bytes.
        path: Where they came from, for messages.

    Raises:
        StateCorruptedError: They are not a state file, or not one that could have been written.
    """
    if len(data) > MAX_BYTES:
        raise StateCorruptedError(path, "", f"has {len(data)} bytes, more than the {MAX_BYTES} that are read")
    if not data:
        raise StateCorruptedError(path, "", "is empty")
    try:
        document = codec.decode(data)
        strict = isinstance(document, dict) and "schema" in document
        if strict:
            _check_schema(document["schema"], path)
        top: _Strict | _Lenient = codec.convert(document, _Strict) if strict else codec.convert(document, _Lenient)
        read = _strict_package if strict else _lenient_package
        packages = [read(name, fields, path) for name, fields in top.packages.items()]
    except codec.CodecError as error:
        raise StateCorruptedError(path, error.place, error.problem) from None
    texts = {field: getattr(top, field, "") for field in ("git_sha", "created_at", "run_id", "index")}
    try:
        checked = {field: values.text(field, text) for field, text in texts.items()}
        return Snapshot(**checked, packages=packages, records=getattr(top, "records", 0))
    except ReleaseKitError as error:
        raise _unstorable(error, path) from None


def _check_schema(schema: object, path: Path) -> None:
    if type(schema) is int and schema > SCHEMA:
        problem = f"is newer than {SCHEMA}, the newest that this releasekit reads"  # it may be too long to print
        raise StateCorruptedError(path, "schema", problem, "use the newer releasekit that wrote the file")
    if type(schema) is not int or schema != SCHEMA:
        raise StateCorruptedError(path, "schema", f"must be {SCHEMA}, not {schema!r:.40}")


def _strict_package(key: str, fields: object, path: Path) -> PackageState:
    place = f"packages.{key}"
    record = codec.convert(fields, _StrictPackage, place)
    return _package(key, {f: getattr(record, f) for f in record.__struct_fields__}, path)


def _lenient_package(key: str, fields: object, path: Path) -> PackageState:
    place = f"packages.{key}"
    record = codec.convert(fields, _LenientPackage, place)
    if record.name is UNSET:
        record.name = key
    if record.status not in set(PackageStatus):
        get_logger(__name__).warning(
            "releasekit.status_unknown", file=str(path), package=key, status=record.status, becomes="pending"
        )
        record.status = PackageStatus.PENDING
    return _package(key, {f: getattr(record, f) for f in record.__struct_fields__}, path)


def _package(key: str, fields: dict[str, Any], path: Path) -> PackageState:
    place = f"packages.{key}"
    if fields["name"] != key:
        raise StateCorruptedError(path, f"{place}.name", f"is {fields['name']!r:.100}, not its key")
    try:
        return PackageState(**fields)
    except ReleaseKitError as error:
        raise _unstorable(error, path, f"{place}.") from None


def _unstorable(error: ReleaseKitError, path: Path, prefix: str = "") -> StateCorruptedError:
    field, _, problem = error.message.partition(" ")
    return StateCorruptedError(path, f"{prefix}{field}", problem)
