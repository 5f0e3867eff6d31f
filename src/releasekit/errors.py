"""What can go wrong: one code per kind of error, one exception that carries it.

A code is stable and can be looked up with ``releasekit explain CODE``; a message says what happened and
where; a hint says what to do next.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMED: Final = 8
"""How many packages a sentence names, unless it is said otherwise."""

_HINT: Final = re.compile(r"\s*hint:")
_CAUSE: Final = re.compile(r"(?:cause|error|[\w.]*Error):", re.IGNORECASE)


class E(StrEnum):
    """The error codes."""

    BUILD_FAILED = "RK-BUILD-FAILED"
    BUILD_INCOMPLETE = "RK-BUILD-INCOMPLETE"
    BUILD_MISMATCH = "RK-BUILD-MISMATCH"
    BUILD_TIMEOUT = "RK-BUILD-TIMEOUT"
    CONFIG_INVALID = "RK-CONFIG-INVALID"
    DEMO_DIRECTORY = "RK-DEMO-DIRECTORY"
    DEMO_FAILED = "RK-DEMO-FAILED"
    DIAGRAM_FORMAT = "RK-DIAGRAM-FORMAT"
    FILE_FAILED = "RK-FILE-FAILED"
    GIT_DIRTY = "RK-GIT-DIRTY"
    GIT_FAILED = "RK-GIT-FAILED"
    GIT_SHALLOW = "RK-GIT-SHALLOW"
    GRAPHVIZ_MISSING = "RK-GRAPHVIZ-MISSING"
    INDEX_CONFLICT = "RK-INDEX-CONFLICT"
    INDEX_UNKNOWN = "RK-INDEX-UNKNOWN"
    INDEX_UNREADABLE = "RK-INDEX-UNREADABLE"
    NPM_MISSING = "RK-NPM-MISSING"
    PUBLISH_FAILED = "RK-PUBLISH-FAILED"
    PUBLISH_PARTIAL = "RK-PUBLISH-PARTIAL"
    PUBLISH_TIMEOUT = "RK-PUBLISH-TIMEOUT"
    PUBLISHED_MISSING = "RK-PUBLISHED-MISSING"
    REBUILT_DIFFERS = "RK-REBUILT-DIFFERS"
    REQUIREMENT_MISSING = "RK-REQUIREMENT-MISSING"
    SELECTION_EMPTY = "RK-SELECTION-EMPTY"
    STATE_CLOSED = "RK-STATE-CLOSED"
    STATE_CORRUPTED = "RK-STATE-CORRUPTED"
    STATE_EXISTS = "RK-STATE-EXISTS"
    STATE_ILLEGAL_TRANSITION = "RK-STATE-ILLEGAL-TRANSITION"
    STATE_INVALID_VALUE = "RK-STATE-INVALID-VALUE"
    STATE_LOCKED = "RK-STATE-LOCKED"
    STATE_NO_HISTORY = "RK-STATE-NO-HISTORY"
    STATE_NOT_DURABLE = "RK-STATE-NOT-DURABLE"
    STATE_NOT_FOUND = "RK-STATE-NOT-FOUND"
    STATE_PACKAGE_EXISTS = "RK-STATE-PACKAGE-EXISTS"
    STATE_PLAN_MISMATCH = "RK-STATE-PLAN-MISMATCH"
    STATE_SHA_MISMATCH = "RK-STATE-SHA-MISMATCH"
    STATE_TRACKED = "RK-STATE-TRACKED"
    STATE_UNFINISHED = "RK-STATE-UNFINISHED"
    STATE_UNKNOWN_PACKAGE = "RK-STATE-UNKNOWN-PACKAGE"
    UV_MISSING = "RK-UV-MISSING"
    VERIFY_TIMEOUT = "RK-VERIFY-TIMEOUT"
    VERSION_LOCAL = "RK-VERSION-LOCAL"
    WHEELS_REFUSED = "RK-WHEELS-REFUSED"
    WORKSPACE_CYCLE = "RK-WORKSPACE-CYCLE"
    WORKSPACE_INVALID = "RK-WORKSPACE-INVALID"
    WORKSPACE_NOT_FOUND = "RK-WORKSPACE-NOT-FOUND"


class ReleaseKitError(Exception):
    """An error that releasekit foresaw.

    Args:
        code: What kind of error it is.
        message: What happened, and where.
        hint: What to do next; empty when the message says it all.
    """

    def __init__(self, code: E, message: str, hint: str = "") -> None:
        Exception.__init__(self, code, message, hint)  # not super(): subclasses have a second base
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{self.code}: {self.message}{hint}"


def code_of(error: str) -> E | None:
    """Tell the code that an error's text begins with; None if it begins with none."""
    code = error.partition(":")[0]
    return E(code) if code in set(E) else None


def headline(error: str) -> str:
    """Say an error's text in one line: its code and the last cause of a tool's output, or all but the hint."""
    first, *more = error.splitlines()
    told = [line.strip() for line in more if line.strip() and not _HINT.match(line)]
    causes = [line for line in told if _CAUSE.match(line)]
    code = first.partition(": ")[0]
    if told and code in set(E):
        return f"{code}: {(causes or told)[-1]}"
    return " ".join((first, *told))


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """List names in a sentence, at most so many of them, and say how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
