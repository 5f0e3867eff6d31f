"""What to do about a package's files, given what is recorded, what is on disk and what the index shows.

Pure: the facts go in, the decision comes out. Two rules stand above the rest: one name has one content for
ever, and what was built first is what is sent.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from releasekit.errors import E
from releasekit.pipeline.outcome import FileConflictError, RebuiltError, StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Files = Mapping[str, str]


class Decision(Enum):
    """Where a package's files come from."""

    BUILD = auto()
    """Nothing usable is recorded, or it is gone and the index does not have all of it."""

    REUSE = auto()
    """What was recorded is still on disk."""

    ADOPT = auto()
    """What was recorded is gone from the disk, but the index has all of it: nothing to build or to send."""


def decide(recorded: Files, on_disk: Files, shown: Files, index: str) -> Decision:
    """Decide where a package's files come from; each argument maps file name → sha256.

    Args:
        recorded: What an earlier attempt built.
        on_disk: What lies in the package's directory of built files.
        shown: What the index shows of this version.
        index: Its name, for messages.

    Raises:
        ConflictError: The index shows a recorded name with other content.
    """
    missing = to_send(recorded, shown, index)
    if not recorded:
        return Decision.BUILD
    if recorded.items() <= on_disk.items():
        return Decision.REUSE
    return Decision.BUILD if missing else Decision.ADOPT


def to_send(artifacts: Files, shown: Files, index: str) -> list[str]:
    """Name the files that the index does not show yet, sorted.

    Raises:
        ConflictError: It shows one of them with other content.
    """
    for filename, digest in artifacts.items():
        if shown.get(filename, digest) != digest:
            raise FileConflictError(filename, digest, shown[filename], index)
    return sorted(artifacts.keys() - shown.keys())


def refuse_fewer(recorded: Files, built: Files, package: str, *, takes_wheels: bool = True) -> None:
    """Refuse to go on with fewer files than are recorded: a wheel for another platform is not built here again.

    Args:
        recorded: What an earlier attempt built, or was given.
        built: What the build gave now.
        package: Whose files they are.
        takes_wheels: Whether lost ones can be given again.

    Raises:
        StepError: Some are missing (`E.BUILD_INCOMPLETE`).
    """
    if lost := sorted(recorded.keys() - built.keys()):
        are, them = ("is", "it") if len(lost) == 1 else ("are", "them")
        raise StepError(
            E.BUILD_INCOMPLETE,
            f"this run has recorded {', '.join(lost)} of {package!r}, which {are} lost, "
            f"and the build did not give {them}",
            (f"run the same command again with --wheels and a directory that has {them}, or " if takes_wheels else "")
            + "start over with `releasekit publish --fresh`",
        )


def refuse_others(sent: Files, built: Files, index: str) -> None:
    """Compare what was built again with what may have been sent.

    Raises:
        RebuiltError: It is not the same.
    """
    if sent != built:
        raise RebuiltError(sent, built, index)
