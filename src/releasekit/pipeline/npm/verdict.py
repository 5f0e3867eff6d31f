"""What npm says went wrong, told by its code: a status, a word of the network's; one message has no code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from releasekit.errors import E
from releasekit.pipeline.npm.programs import failure_in
from releasekit.pipeline.outcome import StepError, TransientError

if TYPE_CHECKING:
    from releasekit.pipeline import process
    from releasekit.pipeline.npm.programs import Failure

NOT_THERE: Final = "E404"

_BUSY: Final = re.compile(r"E(?:408|409|425|429|5\d\d)")
"""What a server refuses for now. 409 is what registries say to one of two who publish at the same time."""

_NETWORK: Final = re.compile(
    r"E(?:CONN\w+|AI_AGAIN|NOTFOUND|PIPE|NETUNREACH|NETDOWN|HOSTUNREACH|HOSTDOWN|ADDRNOTAVAIL|PROTO)"
    r"|E\w*TIME(?:D)?OUT|ERR_SOCKET_\w+|ERR_STREAM_PREMATURE_CLOSE|FETCH_ERROR|EINTEGRITY|Z_\w+"
)
"""What a connection fails with, or an answer that was cut short or is another's."""

_EXISTS: Final = re.compile(
    r"cannot (?:be )?publish(?:ed)? over|previously published version|over existing version"
    r"|\balready (?:exists|present|published)\b",
    re.IGNORECASE,
)
_AUTHENTICATION: Final = {"ENEEDAUTH", "E401", "EOTP", "E403", NOT_THERE}
_TAG: Final = re.compile(r"must specify a tag", re.IGNORECASE)

_WHO: Final = (
    "npm takes credentials from .npmrc files, as in //host/path/:_authToken=${NPM_TOKEN}, where a variable is set "
    "outside; a token must be allowed to publish this package without a one-time password"
)
_WHICH_TAG: Final = 'write "publishConfig": { "tag": "…" } into its package.json, or set tag=… in .npmrc'
_LATER: Final = "check the network and the registry, then run the same command again"


def publishing_failed(failed: process.CommandError, index: str, filename: str) -> StepError:
    """Say what kind of failure it was to publish a file."""
    failure = failure_in(failed)
    message = f"npm publish of {filename} to {index} failed:\n{_told(failure)}"
    if _EXISTS.search(failure.summary) or _may_pass(failure):
        return TransientError(E.PUBLISH_FAILED, message, _LATER)  # the registry is asked again first
    if _TAG.search(failure.summary):
        return StepError(E.PUBLISH_FAILED, message, _WHICH_TAG)
    hint = _WHO if failure.code in _AUTHENTICATION else "mend what npm complains of, then run the same command again"
    return StepError(E.PUBLISH_FAILED, message, hint)


def reading_failed(failed: process.CommandError, index: str, what: str) -> StepError:
    """Say what kind of failure it was to read something of a registry."""
    failure = failure_in(failed)
    message = f"{index} can't be asked for {what}:\n{_told(failure)}"
    if _may_pass(failure):
        return TransientError(E.INDEX_UNREADABLE, message, _LATER)
    hint = _WHO if failure.code in _AUTHENTICATION else "check the settings that `npm config list` shows"
    return StepError(E.INDEX_UNREADABLE, message, hint)


def untagged(package: str, version: str) -> StepError:
    """Say that npm would refuse a version, since it gives no version before a release the tag ``latest`` by itself."""
    message = f"{package!r} {version} is a version before a release, and nothing says which tag it is to get"
    return StepError(E.PUBLISH_FAILED, message, f"{_WHICH_TAG}; nothing of {package!r} was sent")


def _may_pass(failure: Failure) -> bool:
    return bool(_BUSY.fullmatch(failure.code) or _NETWORK.fullmatch(failure.code))


def _told(failure: Failure) -> str:
    return f"{failure.code}: {failure.summary}" if failure.code else failure.summary
