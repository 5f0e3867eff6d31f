"""A writer that is killed at random, again and again: what a commit has acknowledged is there, and it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.faults import forks

if TYPE_CHECKING:
    from pathlib import Path


def kill(directory: Path, kills: int, timeout: float) -> None:
    counts = forks.run("tests.faults.killer", directory, kills, timeout=timeout)
    print(counts)  # noqa: T201  # the figures
    assert counts["kills"] >= kills
    assert counts["acknowledged"] > kills
    assert 0 < counts["kills before the run was open"] < kills
    assert not counts["failed"] + counts["lost"] + counts["invented"] + counts["resumed elsewhere"]


@pytest.mark.timeout(300)
def test_300_random_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill(tmp_path, 300, timeout=280)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_10_000_random_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill(tmp_path, 10_000, timeout=3500)
