"""Whether what a package requires of its own workspace could be installed: from this run, or from the index.

Looked at are the requirements in the built metadata, so those too that only a build tells. What a package requires of
others is theirs to publish, perhaps to another index, and is not looked at; nor is what only an extra asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python.names import versions_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from releasekit.pipeline.index import Index


async def refuse_missing(
    package: str,
    requirements: Iterable[Requirement],
    versions: Mapping[str, str],
    is_ahead: Callable[[str], bool],
    index: Index,
) -> None:
    """Refuse a package that could not be installed, or not yet when it is published.

    Args:
        package: Its name.
        requirements: Those in its metadata.
        versions: The workspace's packages, each with the version that this run publishes; empty if it does not.
        is_ahead: Tells of a package of the workspace whether it can't be published after this one: it waits for it, or
            it is there, or not of this run.
        index: Where it is going; asked only for what this run does not provide.

    Raises:
        StepError: What it requires is neither in this run nor on the index, or in this run but perhaps later, or it
            requires exactly another version than the one that this run publishes (`E.REQUIREMENT_MISSING`); or the
            index could not be asked.
    """
    for requirement in _of_the_workspace(package, requirements, versions):
        name = canonicalize_name(requirement.name)
        ours = versions[name]
        fits = bool(ours) and requirement.specifier.contains(ours, prereleases=True)
        if (fits or not ours) and not is_ahead(name):
            raise StepError(
                E.REQUIREMENT_MISSING,
                f"{package!r} requires {str(requirement)!r:.300} in its built metadata, which was not known when the "
                f"run began: {package!r} could be published before {name}",
                f"run `uv lock --refresh-package {package}`, or name {name} in its pyproject.toml; commit that, and "
                f"start over with `releasekit publish --fresh`; nothing of {package!r} was sent",
            )
        if fits:
            continue
        pinned = bool(ours and not requirement.marker and _is_exact(requirement.specifier))
        if not pinned:
            there = versions_in(await index.filenames(name), name)
            if any(requirement.specifier.contains(version, prereleases=True) for version in there):
                continue
        why = f"this run publishes {name} {ours}" if ours else f"this run does not publish {name}"
        why += "" if pinned else f", nor has {index.name} such a version"
        raise StepError(
            E.REQUIREMENT_MISSING,
            f"{package!r} requires {str(requirement)!r:.300}, and {why}",
            (f"have it allow {name} {ours}" if ours else f"release {name} too, or first, or mend the requirement")
            + f"; nothing of {package!r} was sent",
        )


def _of_the_workspace(
    package: str, requirements: Iterable[Requirement], versions: Mapping[str, str]
) -> Iterator[Requirement]:
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        if name in versions and name != canonicalize_name(package) and "extra" not in str(requirement.marker or ""):
            yield requirement


def _is_exact(specifiers: SpecifierSet) -> bool:
    return any(each.operator in {"==", "==="} and not each.version.endswith(".*") for each in specifiers)
