"""What `uv publish` says went wrong, told by stable signs: a digest, a status code, a word of the network's.

It prints traces, which repeat what the server said, and at last its own verdict: a line ``error: …``, then lines
``  cause: …`` (older ones: ``  Caused by: …``), and below each of them, indented deeper, what else belongs to it. The
last cause may end with ``Server says: …``. What follows is the server's, and can be any text: it is looked at only to
see whether a file is there already.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.outcome import ConflictError, FileConflictError, StepError, TransientError
from releasekit.pipeline.python.simple_api import BETTER_LATER, seconds_of

if TYPE_CHECKING:
    from collections.abc import Collection

_FIRST_SERVER_ERROR: Final = 500
_UNAUTHORIZED: Final = {401, 403}
_CONFLICT: Final = 409
_ERROR_BEGINS: Final = re.compile(r"^error: ", re.MULTILINE)
_CAUSE_BEGINS: Final = re.compile(r"^(?:error|  cause|  Caused by): ", re.MULTILINE)
_SERVER_SAYS: Final = re.compile(r"\bServer (?:says|message):")
_STATUS: Final = re.compile(r"(?:status code |HTTP status (?:client|server) error \()(\d{3})\b")  # sending, asking
_EXISTS: Final = re.compile(r"\balready exists\b", re.IGNORECASE)
_FILE_EXISTS: Final = re.compile(
    r"(?:^|[>\"]) ?(?:\d{3} )?File already exists\b(?!\?)", re.IGNORECASE
)  # as PyPI begins
_UPLOADING: Final = re.compile(r"^Uploading (\S+) \(", re.MULTILINE)  # uv sends one file after the other
_NETWORK: Final = re.compile(
    r"error sending request|error decoding response|timed out|connection (?:reset|closed|refused)"
    r"|dns error|failed to lookup",
    re.IGNORECASE,
)
_RETRY_AFTER: Final = re.compile(r"^TRACE Response headers for .*\"retry-after\": \"([^\"\n]*)\"", re.MULTILINE)
_MISMATCH: Final = re.compile(
    r"Local file and index file do not match for `?(?P<filename>[^`\s]+?)`?\. "
    r"Local: sha256=(?P<local>\w+), Remote: sha256=(?P<remote>\w+)"
)


def failure_of(failed: process.CommandError, index: str, filenames: Collection[str]) -> StepError:
    """Say what kind of failure it was, and whether the index may have taken files before it.

    Args:
        failed: How `uv publish` ended, and what it printed.
        index: The index's name.
        filenames: What was to be sent.
    """
    error = _failure(failed, index, filenames)
    begun = [found[1] for found in _UPLOADING.finditer(failed.output) if found[1] in filenames]
    if len(begun) < 2 or isinstance(error, ConflictError):  # noqa: PLR2004  # one file failed before any other
        return error
    message = f"{index} may have taken {', '.join(dict.fromkeys(begun[:-1]))}: {error.message}"
    return error.reworded(E.PUBLISH_PARTIAL, message)


def _failure(failed: process.CommandError, index: str, filenames: Collection[str]) -> StepError:
    # What is before the last one is traces, or that uv tried trusted publishing first, which it does when it is given
    # no credentials.
    *_, begins = (0, *(found.start() for found in _ERROR_BEGINS.finditer(failed.output)))
    told, server = _split(failed.output[begins:])
    causes = [" ".join(cause.split()) for cause in _CAUSE_BEGINS.split(told)]  # one may have several lines
    for cause in causes:
        theirs = _MISMATCH.match(cause)  # sent by another since the index was asked
        if theirs and theirs["filename"] in filenames and theirs["local"] != theirs["remote"].lower():
            return FileConflictError(**theirs.groupdict(), index=index)
    message = f"uv publish to {index} failed:\n{process.shorten(failed.output[begins:])}"
    found = next(filter(None, map(_STATUS.search, causes)), None)
    status = int(found[1]) if found else 0
    busy = status in BETTER_LATER or status >= _FIRST_SERVER_ERROR
    if busy or _lags(status, server) or (not found and any(map(_NETWORK.search, causes))):
        asked = _RETRY_AFTER.findall(failed.output)
        retry_after = seconds_of(asked[-1]) if asked else 0.0
        hint = "check the network and the index, then run the same command again"
        return TransientError(E.PUBLISH_FAILED, message, hint, retry_after=retry_after)
    hint = "credentials come from UV_PUBLISH_TOKEN, or UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD"
    if found and status not in _UNAUTHORIZED:
        hint = "mend what the index complains of, then run the same command again"
    return StepError(E.PUBLISH_FAILED, message, hint)


def _split(verdict: str) -> tuple[str, str]:
    """Part what uv itself says from what it says that the server said."""
    found = _SERVER_SAYS.search(verdict)
    return (verdict[: found.start()], " ".join(verdict[found.end() :].split())) if found else (verdict, "")


def _lags(status: int, server: str) -> bool:
    """Tell whether a file is there and not shown yet: what it is, ours or another's, will be seen."""
    if status == _CONFLICT:
        return bool(_EXISTS.search(server))
    return bool(status and _FILE_EXISTS.search(server))
