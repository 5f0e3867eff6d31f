"""JSON, strictly: what a careless reader lets pass, this one refuses.

Refused are text that is not UTF-8, a byte order mark, duplicate keys, NaN and infinities, numbers and nesting
beyond what Python reads safely, half surrogate pairs, and values of another type than asked for: a state file
decides what is uploaded, so a file that could be read in two ways must not be read at all.

Decoding takes the standard library's parser, the only one at hand that can see duplicate keys; types are
checked by msgspec, which also encodes.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, Final, NoReturn, TypeVar

import msgspec

T = TypeVar("T")

_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_TOO_MANY_DIGITS: Final = "has a number with too many digits"
_PLACE: Final = re.compile(r" - at `\$\.?(?P<place>[^`]*)`$")


class CodecError(ValueError):
    """Bytes or values that are not what they should be.

    Attributes:
        place: Where, as a path like ``packages.core.level``; empty for the whole file.
        problem: What is wrong there.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


def decode(data: bytes) -> Any:  # noqa: ANN401  # any JSON
    """Decode one JSON document.

    Raises:
        CodecError: The bytes are not one well-formed, unambiguous JSON document.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        if _ESCAPED_SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise CodecError("", f"is not UTF-8 at byte {error.start}") from None
    except UnicodeEncodeError:
        raise CodecError("", "has half a surrogate pair") from None
    except RecursionError:
        raise CodecError("", "is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise CodecError(f"line {error.lineno} column {error.colno}", f"is not JSON: {error.msg}") from None
    except CodecError:
        raise
    except ValueError:  # Python's own limit on the digits of a number
        raise CodecError("", _TOO_MANY_DIGITS) from None
    return value


def convert(value: Any, wanted: type[T], place: str = "") -> T:  # noqa: ANN401  # any JSON
    """Check a decoded value against a type, exactly: no number for a string, no true for 1.

    Args:
        value: What `decode` returned, or a part of it.
        wanted: The type it must have; usually a `msgspec.Struct`.
        place: Where the value stands, for the error.

    Raises:
        CodecError: It has another type, with the place of the first difference.
    """
    try:
        return msgspec.convert(value, wanted)
    except (msgspec.ValidationError, ValueError) as error:
        # Of a number of too many digits, which it would print, Python tells, or before 3.11.4 nobody.
        message = (isinstance(error, msgspec.ValidationError) and str(error)) or _TOO_MANY_DIGITS
        found = _PLACE.search(message)
        inner = found["place"] if found else ""
        problem = (message[: found.start()] if found else message).replace("missing required", "misses the required")
        raise CodecError(".".join(filter(None, (place, inner))), problem[0].lower() + problem[1:]) from None


def encode(value: Any) -> bytes:  # noqa: ANN401  # any JSON
    """Encode a document indented by two spaces, for people, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise CodecError("", f"has the key {twice!r:.100} twice in one object")
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise CodecError("", f"has {digits:.40}, which is beyond all numbers")
    return number


def _refuse_constant(constant: str) -> NoReturn:
    raise CodecError("", f"has {constant}, which is not JSON")
