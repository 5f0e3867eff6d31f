"""Which version of each package a run publishes, looked up when it is asked for: a build may have told it just now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from releasekit.lifecycle import PackageStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from releasekit.state import RunState


class Versions(Mapping[str, str]):
    """Package → the version that a run publishes; empty if it does not publish the package.

    A copy for each of many packages would take a square of them.

    Args:
        state: The run.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state

    def __getitem__(self, name: str) -> str:
        package = self._state.packages[name]
        return "" if package.status is PackageStatus.SKIPPED else package.version

    def __iter__(self) -> Iterator[str]:
        return iter(self._state.packages)

    def __len__(self) -> int:
        return len(self._state.packages)
