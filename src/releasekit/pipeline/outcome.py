"""How a step can go wrong. The orchestrator records any of these as the package's error and goes on.

They are told apart by what to do about them: a transient error goes away by itself and is retried in place, a
conflict needs a person, anything else needs a change.
"""

from __future__ import annotations

from releasekit.errors import E, ReleaseKitError


class StepError(ReleaseKitError):
    """A step failed, and trying again would not help."""


class TransientError(StepError):
    """A step failed in a way that may pass: the network, a server that is busy or broken."""


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
