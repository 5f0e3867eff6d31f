"""A version that only a build tells: what is asked of the index and of earlier runs once it is known.

Of other packages that is asked before anything is built. The answers are the same: what may have been sent as this
version is sent as it was, and a version that is complete on the index is not sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from packaging.version import Version

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import git
from releasekit.pipeline.outcome import RebuiltError, StepError
from releasekit.pipeline.reconcile import Decision, decide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from releasekit.pipeline.built import Built
    from releasekit.pipeline.index import Index
    from releasekit.workspace import Package

_SHOWN: Final = 5  # packages of many


class Memory(Protocol):
    """Who knows what earlier runs may have sent: `sent.Earlier`."""

    def files(self, package: str, version: str) -> Mapping[str, str]:
        """Tell what may have been sent as a version of a package: file name → sha256."""

    def bring_back(self, package: str, artifacts: Mapping[str, str]) -> bool:
        """Put those files where built ones are kept; False if they are lost."""


def settle(  # noqa: PLR0913  # all that is known of it
    package: Package,
    built: Built,
    shown: Mapping[str, str],
    index: Index,
    earlier: Memory | None,
    *,
    given: Mapping[str, str],
) -> Built:
    """Say what is to be sent of a package, now that its build has told the version.

    Args:
        package: The package, with that version.
        built: What was built.
        shown: What the index shows of that version.
        index: Where it is going; not asked.
        earlier: Knows what earlier runs may have sent.
        given: Those of its files that were built elsewhere.

    Returns:
        What was built; or what an earlier run may have sent of this version, which is brought back; or that nothing
        is wanted, as the index has the version already.

    Raises:
        ConflictError: The index shows something else than what an earlier run may have sent.
        RebuiltError: That is lost, and what was built now is something else.
        StepError: It could not be brought back (`E.FILE_FAILED`), or is not all that is given (`E.WHEELS_REFUSED`).
    """
    first = earlier.files(package.name, built.version) if earlier else {}
    if not (earlier and first):
        taken = is_taken(package, built.artifacts, shown, index, given)
        return built.unwanted(index.name) if taken else built
    _refuse_more(package.name, built.version, first, given)
    if first != built.artifacts:
        try:
            brought = earlier.bring_back(package.name, first)
        except OSError as error:
            message = f"the built files of an earlier run of {package.name!r} could not be copied: {error}"
            hint = "mend the disk (space? permissions?) and run the same command again"
            raise StepError(E.FILE_FAILED, message, hint) from error
        if decide(first, first if brought else {}, shown, index.name) is Decision.BUILD:
            raise RebuiltError(first, built.artifacts, index.name)
    return built._replace(artifacts=first)


def is_taken(
    package: Package, artifacts: Mapping[str, str], shown: Mapping[str, str], index: Index, given: Mapping[str, str]
) -> bool:
    """Tell whether an index has a version complete already, with all that is given, and not as it was built here."""
    whole = index.is_whole(shown, package.name, package.version)
    return whole and given.items() <= shown.items() and not artifacts.items() <= shown.items()


def _refuse_more(package: str, version: str, first: Mapping[str, str], given: Mapping[str, str]) -> None:
    if others := sorted(name for name in given if first.get(name) != given[name]):
        raise StepError(
            E.WHEELS_REFUSED,
            f"{', '.join(others)}, which --wheels gave, {'is' if len(others) == 1 else 'are'} not what an earlier run "
            f"may have sent of {package!r} {version}",
            "choose a new version; or start over without them: `releasekit publish --fresh`",
        )


def refuse_local(package: str, version: str, index: Index) -> None:
    """Refuse a version that tells of a commit rather than of a release, unless it goes into a directory.

    Raises:
        StepError: It has a local part (`E.VERSION_LOCAL`).
    """
    if Version(version).local and not index.directory:
        raise StepError(
            E.VERSION_LOCAL,
            f"{package!r} was built as version {version}; what is behind the + is for this machine, and package "
            f"indexes refuse it",
            "release from a commit that has a tag, and with nothing uncommitted; if there is one, fetch it: "
            "`git fetch --tags`; or leave out what is not to be released, with --only, --exclude or --since",
        )


def refuse_shallow(packages: Iterable[Package]) -> None:
    """Refuse to take versions from a repository whose tags and history are not all there: they would be wrong.

    Args:
        packages: Those that are to be released.

    Raises:
        ReleaseKitError: There is one (`E.GIT_SHALLOW`), or git could not tell (`E.GIT_FAILED`).
    """
    reading = {package.directory.resolve(): package for package in packages if package.reads_git}
    for top, directories in git.shallow_repositories(reading).items():
        named = [f"{package.name} ({package.reads_git})" for package in map(reading.__getitem__, directories)]
        shown = ", ".join(named[:_SHOWN]) + (f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else "")
        raise ReleaseKitError(
            E.GIT_SHALLOW,
            f"{top} is a shallow clone, which lacks tags and commits that these take their version from: {shown}",
            "run `git fetch --unshallow --tags` there; with actions/checkout, set `fetch-depth: 0`",
        )
