"""What a build gave."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Built(NamedTuple):
    """What a build gave.

    Attributes:
        artifacts: File name → sha256 in hex.
        version: The version of the files; may be empty where the plan has one.
        not_wanted: Why they are not to be sent, and the package is to be skipped; empty if they are.
    """

    artifacts: Mapping[str, str] = MappingProxyType({})
    version: str = ""
    not_wanted: str = ""

    def unwanted(self, index: str) -> Built:
        """Say the same of a version that an index has already: its files are others, and complete."""
        return self._replace(not_wanted=f"version {self.version} is already on {index}")
