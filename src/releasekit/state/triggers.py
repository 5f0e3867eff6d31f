"""The trigger methods of a package, typed: one for each `Trigger`, of the same name."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from releasekit.lifecycle import Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping


class Triggers:
    """What can happen to a package. Every method raises what `fire` raises."""

    __slots__ = ()

    @abstractmethod
    def fire(self, trigger: Trigger, **carried: Any) -> None:  # noqa: ANN401  # checked by the rule
        """Fire a trigger."""

    def start_building(self) -> None:
        """Begin the release: `pending` → `building`, one more attempt."""
        self.fire(Trigger.START_BUILDING)

    def record_artifacts(self, artifacts: Mapping[str, str], version: str = "") -> None:
        """Store what was built: file name → sha256 (64 lower-case hex digits); stays `building`.

        Args:
            artifacts: The files.
            version: Their version, for a package that was declared without one. Once stored it does not change.
        """
        learned = {"version": version} if version else {}
        self.fire(Trigger.RECORD_ARTIFACTS, artifacts=artifacts, **learned)

    def start_publishing(self) -> None:
        """Declare that upload is about to begin: `building` → `publishing`."""
        self.fire(Trigger.START_PUBLISHING)

    def start_verifying(self) -> None:
        """Declare that upload is over: `publishing` → `verifying`."""
        self.fire(Trigger.START_VERIFYING)

    def confirm(self) -> None:
        """Declare that the index shows every file: `verifying` → `published`."""
        self.fire(Trigger.CONFIRM)

    def fail(self, error: str) -> None:
        """Give up with an error text, cut at `MAX_TEXT` characters: in flight → `failed`."""
        self.fire(Trigger.FAIL, error=error)

    def skip(self, reason: str) -> None:
        """Leave the package out, and say why: `pending` → `skipped`."""
        self.fire(Trigger.SKIP, reason=reason)

    def retry(self) -> None:
        """Give a failed package another chance: `failed` → `pending`."""
        self.fire(Trigger.RETRY)

    def recover(self) -> None:
        """Take back what a crash interrupted: in flight → `pending`."""
        self.fire(Trigger.RECOVER)
