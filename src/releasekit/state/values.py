"""What a run may hold: every value is checked before it is stored, so that whatever is saved can be loaded.

A value that can't be stored is a `ReleaseKitError` (`E.STATE_INVALID_VALUE`) whose message begins with the
name of its field. Names and versions stand in many packages and are shared; artifacts are packed, since they
are most of what a large run holds: the 32 bytes of the digest, the file's name, a zero byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, TypeVar

from msgspec import Meta

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import PackageStatus

K = TypeVar("K")
V = TypeVar("V")

MAX_TEXT: Final = 16_384
"""Characters of a name, version, error or reason; a longer error is cut, so that a record stays bounded."""

MAX_ARTIFACTS: Final = 1 << 17
"""Bytes of one package's artifacts, packed: a thousand files and more. It keeps a line of the journal bounded."""

MAX_REQUIRES: Final = 1 << 18
"""Characters of the names that one package requires, for the same reason: ten thousand names and more."""

MAX_COUNT: Final = 2**31 - 1
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
"""What `text` accepts, for msgspec, which reads no half surrogate pairs."""

Name = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]

_CUT: Final = " … [cut]"
_DIGEST_SIZE: Final = 32  # bytes
_MAPPINGS: Final = (dict, Mapping)  # the first is found out ten times faster
_MAX_FILE_NAME: Final = 255  # characters


def invalid(field: str, problem: str) -> ReleaseKitError:
    """Make the error that says what is wrong with a field."""
    return ReleaseKitError(E.STATE_INVALID_VALUE, f"{field} {problem}", "see the docstring of PackageState")


def text(field: str, value: str) -> str:
    """Check a text that is to be stored."""
    if not isinstance(value, str):
        raise invalid(field, f"must be a string, not {type(value).__name__}")
    if len(value) > MAX_TEXT:
        raise invalid(field, f"has {len(value)} characters, more than {MAX_TEXT}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(field, "has half a surrogate pair, which no file can hold") from None
    return str.__str__(value)  # a plain one, also of an enumeration


def shared(field: str, value: str) -> str:
    """Check a text that many packages have, and keep it once."""
    return sys.intern(text(field, value))


def learned(field: str, known: str, value: str) -> str:
    """Check a text that is found out once, and then stays: it is `known` already, or empty."""
    if known:
        raise invalid(field, f"is {known!r:.100} already, and does not change")
    if not value:
        raise invalid(field, "is empty")
    return shared(field, value)


def name(value: str) -> str:
    """Check the name of a package."""
    if not value:
        raise invalid("name", "is empty")
    return shared("name", value)


def names(values: Iterable[str]) -> tuple[str, ...]:
    """Check the names of the packages that one requires."""
    if isinstance(values, str):  # it would be taken for the names of its letters
        raise invalid("requires", f"must be a list of names, not the string {values!r:.40}")
    if not isinstance(values, Iterable):
        raise invalid("requires", f"must be a list of names, not {type(values).__name__}")
    checked = tuple(shared("requires", value) for value in values)
    if (length := sum(map(len, checked))) > MAX_REQUIRES:
        raise invalid("requires", f"have {length} characters together, more than {MAX_REQUIRES}")
    return checked


def error(value: str) -> str:
    """Make any error text storable: a failure must never be lost because of what it says."""
    if not isinstance(value, str):
        raise invalid("error", f"must be a string, not {type(value).__name__}")
    storable = value.encode(errors="backslashreplace").decode()
    return storable if len(storable) <= MAX_TEXT else storable[: MAX_TEXT - len(_CUT)] + _CUT


def count(field: str, value: int) -> int:
    """Check a number of levels or attempts."""
    if type(value) is not int:
        raise invalid(field, f"must be a whole number, not {type(value).__name__}")
    if not 0 <= value <= MAX_COUNT:  # the number itself may be too long to print
        raise invalid(field, f"is out of range: from 0 to {MAX_COUNT}")
    return value


def status(value: PackageStatus) -> PackageStatus:
    """Check a status; its value will do."""
    try:
        return PackageStatus(value)
    except ValueError:
        raise invalid("status", f"is {value!r:.40}, not one of {', '.join(PackageStatus)}") from None


def mapping(field: str, value: Mapping[K, V]) -> Mapping[K, V]:
    """Check that something is a mapping; what it maps is checked by who asks."""
    if not isinstance(value, _MAPPINGS):
        raise invalid(field, f"must be a mapping, not {type(value).__name__}")
    return value


def pack(artifacts: Mapping[str, str]) -> bytes:
    """Check artifacts, file name → sha256 in hex, and pack them."""
    packed: list[bytes] = []
    for file_name, digest in mapping("artifacts", artifacts).items():
        try:
            binary, encoded = bytes.fromhex(digest), file_name.encode()
        except (AttributeError, TypeError, ValueError):
            raise _no_artifact(file_name, digest) from None
        # Upper case and spaces are hex too, but not as it is written here.
        if len(binary) != _DIGEST_SIZE or binary.hex() != digest or not _is_file_name(file_name):
            raise _no_artifact(file_name, digest)
        packed += (binary, encoded, b"\0")
    data = b"".join(packed)
    if len(data) > MAX_ARTIFACTS:
        raise invalid("artifacts", f"take {len(data)} bytes packed, more than {MAX_ARTIFACTS}")
    return data


def _no_artifact(file_name: str, digest: str) -> ReleaseKitError:
    if not _is_file_name(text("artifacts", file_name)):
        return invalid("artifacts", f"has {file_name!r:.300}, which is no file name")
    problem = f"has {text('artifacts', digest)!r:.80} for {file_name!r}: not a sha256 of 64 lower-case hex digits"
    return invalid("artifacts", problem)


def _is_file_name(name: str) -> bool:
    """Tell whether this names a file in a directory. A regular expression takes twice as long."""
    has_separator = "/" in name or "\\" in name or "\0" in name
    return 0 < len(name) <= _MAX_FILE_NAME and name not in {".", ".."} and not has_separator


def unpack(packed: bytes) -> dict[str, str]:
    """Undo `pack`."""
    artifacts = {}
    start = 0
    while start < len(packed):
        middle = start + _DIGEST_SIZE
        end = packed.index(b"\0", middle)
        artifacts[packed[middle:end].decode()] = packed[start:middle].hex()
        start = end + 1
    return artifacts
