"""The requirement graph of a run: who can go on, and who can't because of whom.

Pure: packages go in by name, names come out. Iterative and linear in packages plus requirements, so that a
chain of any length is fine.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from releasekit.lifecycle import FINAL, TERMINAL, PackageStatus
from releasekit.state.errors import UnknownPackageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def blocked(packages: Mapping[str, PackageState]) -> dict[str, tuple[str, ...]]:
    """Find out who waits for a failure: the roots of a package are the bits of one number.

    Args:
        packages: Name → package.

    Returns:
        Every pending package that can't go on → the failed packages at the root of it, both sorted. Requirements
        in a circle can never go on, and may show only some of their roots.

    Raises:
        UnknownPackageError: A package requires one that is not among them.
    """
    waiting = [name for name in requirements_first(packages) if packages[name].status not in TERMINAL]
    required = {required for name in waiting for required in packages[name].requires}
    failed = [name for name in with_status(packages, PackageStatus.FAILED) if name in required]
    roots = {name: 1 << bit for bit, name in enumerate(failed)}
    for name in waiting:
        roots[name] = reduce(or_, (roots.get(required, 0) for required in packages[name].requires), 0)
    held = {name: roots[name] for name in with_status(packages, PackageStatus.PENDING) if roots[name]}
    names = {bits: tuple(failed[bit] for bit in _bits_of(bits)) for bits in set(held.values())}
    return {name: names[bits] for name, bits in held.items()}


def requirements_first(packages: Mapping[str, PackageState]) -> Iterator[str]:
    """Yield the name of every package after what it requires; in a cycle, from anywhere.

    Args:
        packages: Name → package.

    Raises:
        UnknownPackageError: A package requires one that is not among them.
    """
    visited: set[str] = set()
    for start in packages:
        if start in visited:
            continue
        visited.add(start)
        stack = [(start, iter(packages[start].requires))]
        while stack:
            name, rest = stack[-1]
            required = next((r for r in rest if r not in visited), None)
            if required is None:
                stack.pop()
                yield name
            else:
                visited.add(required)
                stack.append((required, iter(_required(packages, name, required).requires)))


def _required(packages: Mapping[str, PackageState], name: str, required: str) -> PackageState:
    if required not in packages:
        raise UnknownPackageError(required, f"{name!r} requires it: declare it, or drop the requirement")
    return packages[required]


def _bits_of(number: int) -> Iterator[int]:
    """Yield the positions of the bits that are set, from the lowest."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
