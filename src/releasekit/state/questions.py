"""The questions that an orchestrator asks of a run. The answers are derived, never stored."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from releasekit.lifecycle import FINAL, TERMINAL, PackageStatus
from releasekit.state import graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.state.package import PackageState


class Questions:
    """What can be asked of packages by name."""

    @property
    @abstractmethod
    def packages(self) -> Mapping[str, PackageState]:
        """Name → package."""

    def pending_packages(self) -> list[str]:
        """Name the packages that wait, sorted."""
        return graph.with_status(self.packages, PackageStatus.PENDING)

    def failed_packages(self) -> list[str]:
        """Name the packages that failed, sorted."""
        return graph.with_status(self.packages, PackageStatus.FAILED)

    def published_packages(self) -> list[str]:
        """Name the packages that are published, sorted."""
        return graph.with_status(self.packages, PackageStatus.PUBLISHED)

    def skipped_packages(self) -> list[str]:
        """Name the packages that are left out, sorted."""
        return graph.with_status(self.packages, PackageStatus.SKIPPED)

    def unfinished_packages(self) -> list[str]:
        """Name the packages that are neither published, skipped nor failed, sorted."""
        return graph.unfinished(self.packages)

    def ready_packages(self) -> list[str]:
        """Name the unfinished packages whose requirements are all published or skipped, sorted.

        Takes time linear in packages plus requirements.

        Raises:
            UnknownPackageError: A package requires one that was never declared.
        """
        return graph.ready(self.packages)

    def blocked_packages(self) -> dict[str, tuple[str, ...]]:
        """Map every pending package that can't go on to the failed packages at the root of it, both sorted.

        Takes a number of steps linear in packages plus requirements. Requirements in a circle can never go on,
        and may show only some of their roots.

        Raises:
            UnknownPackageError: A package requires one that was never declared.
        """
        return graph.blocked(self.packages)

    def is_complete(self) -> bool:
        """Tell whether every package is published, skipped or failed."""
        return all(package.status in TERMINAL for package in self.packages.values())

    def is_finished(self) -> bool:
        """Tell whether nothing is left to do: every package is published or skipped."""
        return all(package.status in FINAL for package in self.packages.values())
