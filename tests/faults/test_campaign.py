"""The campaign: eight packages, an index that goes wrong, kills at random; each file is published once, as built.

Every failure names the seed of its round. `CAMPAIGN_SEED=… pytest …` gives the same rounds again, as far as the
machine's own timing permits.
"""

from __future__ import annotations

import os
import secrets
import sys
from typing import TYPE_CHECKING, Final

import pytest
from tests.faults.campaign import Campaign
from tests.faults.three_packages import report
from tests.warm import interpreter

if TYPE_CHECKING:
    from pathlib import Path

SEED: Final = "CAMPAIGN_SEED"
PARTS: Final = 4  # so that pytest-xdist can share them out
ROUNDS: Final = 200
ROUNDS_BY_HAND: Final = 2_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")


def rounds(directory: Path, capsys: pytest.CaptureFixture[str], part: int, number: int) -> None:
    seed = os.environ.get(SEED) or secrets.token_hex(4)
    found: list[str] = []
    with interpreter() as python:
        campaign = Campaign(directory, python)
        for place in range(number):
            name = f"{seed}-{part}-{place}"
            found += [f"{name}: {promise}: {facts}" for promise, facts in campaign.round(name)]
    report(capsys, f"part {part} of the campaign {SEED}={seed}", campaign.counts)
    if found:
        pytest.fail("\n".join(found))  # whole, as an assertion would not show them
    assert campaign.counts["rounds"] == number
    assert campaign.counts["kills"] > number / 2
    assert campaign.counts["faults"] > number


@pytest.mark.parametrize("part", range(PARTS))
def test_200_rounds_of_kills_and_faults_publish_each_file_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    rounds(tmp_path, capsys, part, ROUNDS // PARTS)


@pytest.mark.campaign
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_2_000_rounds_of_kills_and_faults_publish_each_file_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    rounds(tmp_path, capsys, part, ROUNDS_BY_HAND // PARTS)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        ("build_again", "one content per file name"),
        ("forget_a_file", "everything published"),
        ("leave_litter", "no litter"),
        ("leave_a_process", "no orphan"),
    ],
)
def test_a_broken_releasekit_is_found_out_within_a_few_rounds(tmp_path: Path, broken: str, promise: str) -> None:
    with interpreter() as python:
        campaign = Campaign(tmp_path, python, broken)
        found = (violation.promise for place in range(20) for violation in campaign.round(f"{broken}-{place}"))
        assert promise in found
