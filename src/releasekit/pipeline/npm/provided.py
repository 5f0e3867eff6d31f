"""Whether what a packed package requires of its own workspace could be installed: from this run, or the index.

Looked at is the package.json in the file that was packed. What only this workspace understands (``workspace:``,
``file:`` and their like) is refused in `dependencies`, `peerDependencies` and `optionalDependencies`. Of these, the
first two may ask other packages of the workspace only for what there is; not looked at are what is optional, what is
bundled, tags and addresses, and what others publish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.errors import E
from releasekit.pipeline.npm import names
from releasekit.pipeline.npm.package_json import FILENAME
from releasekit.pipeline.outcome import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from releasekit.pipeline.index import Index
    from releasekit.pipeline.npm.package_json import PackageJson


async def refuse_missing(
    package: str, content: PackageJson, versions: Mapping[str, str], is_ahead: Callable[[str], bool], index: Index
) -> None:
    """Refuse a package that could not be installed, or not yet when it is published.

    Args:
        package: Its name.
        content: The package.json of its file.
        versions: The workspace's packages, each with the version that this run publishes; empty if it does not.
        is_ahead: Tells of a package of the workspace whether it can't be published after this one.
        index: Where it is going; asked only for what this run does not provide.

    Raises:
        StepError: It could not (`E.REQUIREMENT_MISSING`), or the index could not be asked.
    """
    for key, name, wanted in _all(content):
        if names.is_local(wanted):
            raise StepError(
                E.REQUIREMENT_MISSING,
                f"{package!r} was packed with {name!r}: {wanted!r:.200} in its {key}, which nobody could install",
                "write a range of versions, which npm takes from the workspace too; or use pnpm, which replaces "
                f"workspace: and catalog: when it packs; nothing of {package!r} was sent",
            )
    for key, name, wanted in _needed(content):
        target, its_range = names.target_of(name, wanted)
        spec = names.range_of(its_range)
        if target not in versions or target == package or spec is None:
            continue
        ours = versions[target]
        fitting = bool(ours) and names.fits(ours, spec)
        if (fitting or not ours) and key == "dependencies" and not is_ahead(target):
            raise StepError(
                E.REQUIREMENT_MISSING,
                f"{package!r} was packed with {name!r} in its dependencies, which was not known when the run began: it "
                f"could be published before {target!r}",
                f"name {target} in the dependencies of its {FILENAME}, commit that, and start over with `releasekit "
                f"publish --fresh`; nothing of {package!r} was sent",
            )
        if fitting:
            continue
        pinned = bool(ours) and names.is_exact(its_range)
        if not pinned:
            there = names.versions_in(await index.filenames(target), target)
            if any(names.fits(version, spec) for version in there):
                continue
        why = f"this run publishes {target} {ours}" if ours else f"this run does not publish {target}"
        why += "" if pinned else f", nor has {index.name} such a version"
        raise StepError(
            E.REQUIREMENT_MISSING,
            f"{package!r} requires {name!r}: {wanted!r:.200} in its {key}, and {why}",
            f"release {target} too, or mend the requirement; nothing of {package!r} was sent",
        )


def _all(content: PackageJson) -> Iterator[tuple[str, str, str]]:
    """Give what may be asked for at run time, but for what is in the file itself: the key, the name, the range."""
    for key, some in (
        ("dependencies", content.dependencies),
        ("peerDependencies", content.peer_dependencies),
        ("optionalDependencies", content.optional_dependencies),
    ):
        for name, wanted in (some or {}).items():
            if name not in content.bundled:
                yield key, name, wanted


def _needed(content: PackageJson) -> Iterator[tuple[str, str, str]]:
    """Give of these what can't be done without."""
    optional = {*(content.optional_dependencies or {})}
    for key, name, wanted in _all(content):
        is_optional = name in (content.optional_peers if key == "peerDependencies" else optional)
        if not is_optional:
            yield key, name, wanted
