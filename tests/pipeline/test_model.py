"""Every promise, in every state that a release of three packages can come to; and what breaks which of them.

The model stands for the code only as far as it does what the code does, so what counts is also that it can fail: each
bug that is seeded, in the steps, in the order or in the table, breaks the promises that it should, and no others.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.pipeline.explorer import explore
from tests.pipeline.model import GRAPH, Model
from tests.pipeline.package_model import PackageModel, Promise

from releasekit.lifecycle import RULES, PackageStatus, Trigger

if TYPE_CHECKING:
    from tests.pipeline.explorer import Explored

PENDING, FAILED, PUBLISHED = PackageStatus.PENDING, PackageStatus.FAILED, PackageStatus.PUBLISHED
PUBLISHING, VERIFYING = PackageStatus.PUBLISHING, PackageStatus.VERIFYING
START_VERIFYING = RULES[PUBLISHING, Trigger.START_VERIFYING]


def told(explored: Explored) -> str:
    """Say which promises are broken, and a shortest way to each."""
    lines = [f"{explored.states:,} states"]
    for promise, way in explored.broken.items():
        lines += ["", f"broken: {promise}", *(f"{place:4}. {label}" for place, label in enumerate(way, 1))]
    return "\n".join(lines)


def test_no_order_of_moves_crashes_and_lags_breaks_a_promise(capsys: pytest.CaptureFixture[str]) -> None:
    model = Model(crashes=3)
    began = time.process_time()
    explored = explore(model)
    took = time.process_time() - began
    with capsys.disabled():
        sys.stderr.write(
            f"\na model of {len(GRAPH)} packages and {model.crashes} crashes, explored completely: "
            f"{explored.states:,} states, {explored.transitions:,} transitions, {took:.1f} s\n"
        )
    assert not explored.broken, told(explored)


def test_the_model_makes_use_of_the_whole_table_but_skip_and_comes_to_every_kind_of_end() -> None:
    model = Model(crashes=1)
    explored = explore(model)
    assert RULES.keys() - model.package.fired == {(PENDING, Trigger.SKIP)}
    assert {tuple(sorted(package.status for package in end.packages)) for end in explored.ends} == {
        (PUBLISHED, PUBLISHED, PUBLISHED),
        (FAILED, PUBLISHED, PUBLISHED),
        (FAILED, FAILED, PUBLISHED),
        (FAILED, FAILED, PENDING),
        (FAILED, PENDING, PENDING),
    }


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(Model(crashes=3, strangers=0, loses=False), id="built files outlast a crash"),
        pytest.param(Model(PackageModel(reproducible=True), crashes=3, strangers=0), id="builds are reproducible"),
    ],
)
def test_crashes_and_lags_alone_never_need_a_person(model: Model) -> None:
    explored = explore(model)
    assert not explored.broken, told(explored)
    assert {package.status for end in explored.ends for package in end.packages} == {PUBLISHED}


@pytest.mark.parametrize(
    ("package", "strangers", "broken"),
    [
        pytest.param(
            PackageModel(asks_first=False),
            1,
            {Promise.NOT_AGAIN, Promise.NOT_OVER},
            id="publishes without asking the index first",
        ),
        pytest.param(
            PackageModel(asks_first=False, guards=False, lags=False),
            0,
            {Promise.NOT_AGAIN, Promise.NOT_OVER, Promise.ONE_CONTENT},
            id="publishes without comparing anything, to an index that does not even lag",
        ),
        pytest.param(
            PackageModel(guards=False),
            0,
            {Promise.ONE_CONTENT},
            id="sends what was built again though other content may have been sent",
        ),
        pytest.param(
            PackageModel(intends_first=False),
            0,
            {Promise.INTENT, Promise.ONE_CONTENT},
            id="uploads before publishing is durable",
        ),
        pytest.param(
            PackageModel(verifies=False),
            0,
            {Promise.SHOWN},
            id="counts as published what was not verified",
        ),
        pytest.param(
            PackageModel({**RULES, (PUBLISHING, Trigger.START_VERIFYING): START_VERIFYING._replace(target=PUBLISHED)}),
            0,
            {Promise.SHOWN},
            id="has a table that leaves verifying out",
        ),
        pytest.param(
            PackageModel({key: rule for key, rule in RULES.items() if key != (VERIFYING, Trigger.RECOVER)}),
            0,
            {Promise.LEGAL, Promise.GOES_ON},
            id="has a table that can't recover what is being verified",
        ),
        pytest.param(
            PackageModel({key: rule for key, rule in RULES.items() if key != (FAILED, Trigger.RETRY)}),
            0,
            {Promise.LEGAL, Promise.GOES_ON},
            id="has a table in which what failed can't be tried again",
        ),
    ],
)
def test_a_release_with_a_bug_breaks_a_promise(package: PackageModel, strangers: int, broken: set[Promise]) -> None:
    explored = explore(Model(package, crashes=1, strangers=strangers))
    assert explored.broken.keys() == broken, told(explored)


@pytest.mark.parametrize(
    ("model", "broken"),
    [
        pytest.param(Model(crashes=0, strangers=0, waits=False), {Promise.ORDER}, id="does not wait"),
        pytest.param(Model(crashes=1, strangers=0, gate=False), {Promise.GATE}, id="has no gate, and keeps the rest"),
        pytest.param(Model(crashes=0, strangers=0, catches_up=False), {Promise.GOES_ON}, id="its index lags for ever"),
    ],
)
def test_a_release_that_goes_on_otherwise_breaks_that_promise_alone(model: Model, broken: set[Promise]) -> None:
    explored = explore(model)
    assert explored.broken.keys() == broken, told(explored)


def test_a_broken_promise_comes_with_a_shortest_way_to_it() -> None:
    explored = explore(Model(PackageModel(guards=False), crashes=1, strangers=0))
    way = explored.broken[Promise.ONE_CONTENT]
    core = [label.removeprefix("core: ") for label in way if not label.startswith(("left: ", "right: "))]
    assert core == [
        "a process starts",
        "start_building",
        "a build gives content 0",
        "record_artifacts",
        "everything is built",
        "start_publishing",
        "is to be sent",
        "sends content 0",
        "a crash that takes the built files of core",
        "a process starts",
        "start_building",
        "a build gives content 1",
        "record_artifacts",
        "everything is built",
        "start_publishing",
        "is to be sent",
        "sends content 1, which is refused: fail",
    ], told(explored)
