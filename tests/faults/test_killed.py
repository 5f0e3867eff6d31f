"""A release that is killed with SIGKILL, anywhere, and run again."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from tests.support import INDEX, digests

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Workspace

PUBLISH = ("publish", "--index", INDEX, "--verify-timeout", "20")


def publish_and_die(workspace: Workspace, status: str, seconds: float = 0) -> None:
    killed = workspace.killed_at(status, seconds, *PUBLISH)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@pytest.mark.parametrize("seconds", [0, 0.03])
@pytest.mark.parametrize("status", ["building", "publishing", "verifying"])
def test_a_killed_release_goes_on_and_publishes_each_file_once(
    indexed: Workspace, served: tuple[str, Path], status: str, seconds: float
) -> None:
    publish_and_die(indexed, status, seconds)
    if not seconds:
        assert status in indexed.statuses().values()
    recorded_by_then = indexed.recorded()

    resumed = indexed.releasekit(*PUBLISH)

    assert resumed.returncode == 0, resumed.stderr
    assert set(indexed.statuses().values()) == {"published"}
    assert digests(served[1]) == indexed.recorded()
    assert len(indexed.recorded()) == 16
    assert not list(indexed.root.rglob("*.tmp")) + list(indexed.root.rglob("*.building*"))
    assert recorded_by_then.items() <= indexed.recorded().items()


def test_what_was_built_before_the_kill_is_not_built_again(indexed: Workspace, served: tuple[str, Path]) -> None:
    publish_and_die(indexed, "publishing")
    for module in indexed.root.glob("packages/*/src"):
        module.rename(module.with_name("gone"))  # a second build would fail

    resumed = indexed.releasekit(*PUBLISH, "--allow-dirty")

    assert resumed.returncode == 0, resumed.stderr
    assert digests(served[1]) == indexed.recorded()


def test_killed_again_and_again_it_still_publishes_each_file_once(indexed: Workspace, served: tuple[str, Path]) -> None:
    for status in ("building", "publishing", "verifying", "verifying", "building", "publishing"):
        publish_and_die(indexed, status)

    resumed = indexed.releasekit(*PUBLISH)

    assert resumed.returncode == 0, resumed.stderr
    assert digests(served[1]) == indexed.recorded()
    assert len(indexed.recorded()) == 16
