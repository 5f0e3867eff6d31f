"""What a run can be asked for in vain: a package it does not have, a commit it is not of, the run itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from pathlib import Path


class UnknownPackageError(ReleaseKitError, KeyError):
    """A package that was never declared.

    Attributes:
        package: Its name.
    """

    def __init__(self, package: str, hint: str) -> None:
        super().__init__(E.STATE_UNKNOWN_PACKAGE, f"there is no package {package!r} in this run", hint)
        self.args = (package, hint)
        self.package = package


def no_run(directory: Path) -> ReleaseKitError:
    """Make the error that says that a workspace has no run (`E.STATE_NOT_FOUND`)."""
    return ReleaseKitError(
        E.STATE_NOT_FOUND,
        f"there is no run in {directory.resolve()}",
        "begin one with `releasekit publish --index NAME`, or name the workspace",
    )


def another_commit(git_sha: str, current_sha: str) -> ReleaseKitError:
    """Make the error that says that a run belongs to another commit (`E.STATE_SHA_MISMATCH`)."""
    return ReleaseKitError(
        E.STATE_SHA_MISMATCH,
        f"this run releases commit {git_sha or '(none)'}, but HEAD is {current_sha or '(none)'}",
        f"check {git_sha[:12]} out to finish it, or start over with `releasekit publish --fresh`",
    )
