"""Ways that packages go through the lifecycle, for pictures of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from releasekit.lifecycle import RULES, PackageStatus, Trigger
from releasekit.state.history import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGIN = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


def way_of(
    triggers: str, *, step: float = 1.5, joined: PackageStatus = PackageStatus.PENDING, name: str = "core"
) -> list[Event]:
    """Fire triggers one after another, every `step` seconds."""
    way = [Event(1, BEGIN, name, None, None, joined, 0.0, {})]
    entered = 0
    for number, word in enumerate(triggers.split(), 1):
        source, trigger = way[-1].target, Trigger(word)
        target = RULES[source, trigger].target or source
        time = BEGIN + timedelta(seconds=number * step)
        way.append(Event(number + 1, time, name, trigger, source, target, (number - entered) * step, {}, number * step))
        entered = entered if source is target else number
    return way


STRAIGHT = "start_building record_artifacts start_publishing start_verifying confirm"
WAYS: dict[str, Sequence[Event] | None] = {
    "unknown": None,
    "nothing yet": way_of(""),
    "straight": way_of(STRAIGHT),
    "failed": way_of("start_building record_artifacts start_publishing fail"),
    "skipped": way_of("skip"),
    "recovered, failed twice, then straight": way_of(
        f"start_building recover start_building fail retry start_building fail retry {STRAIGHT}", step=40_000
    ),
    "often retried": way_of("start_building fail retry " * 30),
    "joined as failed": way_of("retry", joined=PackageStatus.FAILED),
}
