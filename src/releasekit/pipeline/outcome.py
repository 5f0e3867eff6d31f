"""How a step can go wrong. The orchestrator records any of these as the package's error and goes on.

They are told apart by what to do about them: a transient error goes away by itself and is retried in place, a
conflict needs a person, anything else needs a change.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final, Self

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    """The index does not show every file yet.

    Attributes:
        missing: The files that it does not show.
    """

    def __init__(self, package: str, missing: list[str], index: str) -> None:
        super().__init__(
            E.VERIFY_TIMEOUT,
            f"{index} does not show {', '.join(missing)} of {package!r}",
            "an index may lag for minutes: run the same command again, nothing is sent twice",
        )
        self.args = (package, missing, index)
        self.missing = missing


class ConflictError(StepError):
    """The index has other content than what we built: a person must decide.

    Attributes:
        filename: The file, if it is known which.
    """

    filename = ""

    def __init__(self, message: str) -> None:
        super().__init__(
            E.INDEX_CONFLICT,
            message,
            "a published file can't be replaced: choose a new version, or find out who published this one",
        )
        self.args = (message,)


class FileConflictError(ConflictError):
    """The index has other content under the name of a file that we built.

    Attributes:
        filename: The file.
        local: The sha256 of ours.
        remote: The sha256 of theirs.
    """

    def __init__(self, filename: str, local: str, remote: str, index: str) -> None:
        super().__init__(f"{filename} is on {index} with other content. Local: sha256={local}, remote: sha256={remote}")
        self.args = (filename, local, remote, index)
        self.filename = filename
        self.local = local
        self.remote = remote


class RebuiltError(StepError):
    """Files that may have been sent are lost, and were built again with other content: a person must decide.

    The index may show the first ones yet: an index lags. To send the second could give one name two contents.

    Attributes:
        sent: What may have been sent: file name → sha256.
        built: What was built again.
    """

    def __init__(self, sent: Mapping[str, str], built: Mapping[str, str], index: str) -> None:
        changed = sorted(name for name in sent.keys() | built.keys() if sent.get(name) != built.get(name))
        differences = (f"{name}: sha256={sent.get(name)} then, sha256={built.get(name)} now" for name in changed)
        super().__init__(
            E.REBUILT_DIFFERS,
            f"what may have been sent to {index} was lost before the index showed it, and what is built now is not "
            f"the same. {'; '.join(differences)}",
            "run the same command again when the index shows the files, put them back into .releasekit-dist, or choose "
            "a new version; only if you know that the index never got them, forget them: `releasekit clean --force`",
        )
        self.args = (sent, built, index)
        self.sent = sent
        self.built = built


PERHAPS: Final = {E.PUBLISH_PARTIAL, E.PUBLISH_TIMEOUT}
"""The codes of errors after which the index may have some of what was sent."""

UNDECIDED: Final = {E.INDEX_CONFLICT, E.REBUILT_DIFFERS}
"""The codes of errors that a person must decide about."""
