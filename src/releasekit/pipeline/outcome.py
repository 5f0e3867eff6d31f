"""How a step can go wrong. The orchestrator records any of these as the package's error and goes on.

They are told apart by what to do about them: a transient error goes away by itself and is retried in place, a
conflict needs a person, anything else needs a change.
"""

from __future__ import annotations

import copy
from typing import Self

from releasekit.errors import E, ReleaseKitError


class StepError(ReleaseKitError):
    """A step failed, and trying again would not help."""

    def reworded(self, code: E, message: str) -> Self:
        """Make the same error with another code and message: what to do about it stays."""
        other = copy.copy(self)
        other.args = (code, message, self.hint)
        other.code, other.message = code, message
        return other


class TransientError(StepError):
    """A step failed in a way that may pass: the network, a server that is busy or broken.

    Attributes:
        retry_after: Seconds that the other side asked to wait before the next try; 0 if it asked for nothing.
    """

    def __init__(self, code: E, message: str, hint: str = "", *, retry_after: float = 0.0) -> None:
        super().__init__(code, message, hint)
        self.retry_after = retry_after


class NotShownError(TransientError):
    """The index does not show every file yet."""

    def __init__(self, package: str, missing: list[str], index: str) -> None:
        super().__init__(
            E.VERIFY_TIMEOUT,
            f"{index} does not show {', '.join(missing)} of {package!r}",
            "an index may lag for minutes: run the same command again, nothing is sent twice",
        )
        self.args = (package, missing, index)


class ConflictError(StepError):
    """The index has other content under a name that we built: a person must decide.

    Attributes:
        filename: The file.
        local: The sha256 of ours.
        remote: The sha256 of theirs.
    """

    def __init__(self, filename: str, local: str, remote: str, index: str) -> None:
        super().__init__(
            E.INDEX_CONFLICT,
            f"{filename} is on {index} with other content. Local: sha256={local}, remote: sha256={remote}",
            "a published file can't be replaced: choose a new version, or find out who published this one",
        )
        self.args = (filename, local, remote, index)
        self.filename = filename
        self.local = local
        self.remote = remote


class RebuiltError(ConflictError):
    """A file that may have been sent is lost, and was built again with other content: a person must decide.

    The index may show the first one yet: an index lags. To send the second could give one name two contents.
    """

    def __init__(self, filename: str, local: str, remote: str, index: str) -> None:
        super().__init__(filename, local, remote, index)
        self.message = (
            f"{filename} may have been sent to {index} before the built file was lost, and built again it has other "
            f"content. Sent: sha256={remote}, built now: sha256={local}"
        )
        self.hint = (
            "put the lost file back into .releasekit-dist, choose a new version, or, if you know that the index never "
            "got it, start over with `releasekit publish --fresh`"
        )
