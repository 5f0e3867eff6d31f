"""The requirement graph of a run: who can go on, and who can't because of whom.

Pure: packages go in by name, names come out. Linear in packages plus requirements: see `requirements`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit import requirements
from releasekit.lifecycle import FINAL, TERMINAL, PackageStatus
from releasekit.state.errors import UnknownPackageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.state.package import PackageState


def with_status(packages: Mapping[str, PackageState], *statuses: PackageStatus) -> list[str]:
    """Name the packages that stand in one of some statuses, sorted.

    Args:
        packages: Name → package.
        statuses: The statuses.
    """
    # A list first, made in one step: another thread may declare a package meanwhile.
    return sorted(package.name for package in list(packages.values()) if package.status in statuses)


def unfinished(packages: Mapping[str, PackageState]) -> list[str]:
    """Name the packages that are neither published, skipped nor failed, sorted.

    Args:
        packages: Name → package.
    """
    return with_status(packages, *(status for status in PackageStatus if status not in TERMINAL))


def ready(packages: Mapping[str, PackageState]) -> list[str]:
    """Name the unfinished packages whose requirements are all published or skipped, sorted.

    Args:
        packages: Name → package.

    Raises:
        UnknownPackageError: An unfinished package requires one that is not among them.
    """
    return [
        name
        for name in unfinished(packages)
        if all(_required(packages, name, required).status in FINAL for required in packages[name].requires)
    ]


def cut_off(packages: Mapping[str, PackageState]) -> dict[str, tuple[str, ...]]:
    """Find out who can't be published because of what failed, whatever it is at now.

    Args:
        packages: Name → package.

    Returns:
        Every unfinished package that can't be published → the failed packages at the root of it, both sorted.
        Requirements in a circle can never go on, and may show only some of their roots.

    Raises:
        UnknownPackageError: A package requires one that is not among them.
    """
    for package in list(packages.values()):
        for required in package.requires:
            if required not in packages:
                raise _unknown(package.name, required)
    stuck = requirements.stuck(packages)
    names = {roots: stuck.names(roots) for roots in set(stuck.roots.values())}
    return {name: names[stuck.roots[name]] for name in sorted(stuck.roots)}


def held(packages: Mapping[str, PackageState]) -> dict[str, tuple[str, ...]]:
    """Find out who waits for a failure: those that `cut_off` finds and that are at nothing now, pending or built."""
    return {name: roots for name, roots in cut_off(packages).items() if requirements.waits(packages[name])}


def blocked(packages: Mapping[str, PackageState]) -> dict[str, tuple[str, ...]]:
    """Find out who can't begin because of a failure: those that `cut_off` finds and that are pending."""
    found = cut_off(packages)
    return {name: roots for name, roots in found.items() if packages[name].status is PackageStatus.PENDING}


def _required(packages: Mapping[str, PackageState], name: str, required: str) -> PackageState:
    if required not in packages:
        raise _unknown(name, required)
    return packages[required]


def _unknown(name: str, required: str) -> UnknownPackageError:
    return UnknownPackageError(required, f"{name!r} requires it: declare it, or drop the requirement")
