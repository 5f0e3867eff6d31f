"""Which packages of a run are drawn as one: what failed, what is on its way and what is held up can always be read."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.diagrams.large_runs import large_run

from releasekit import PackageState, RunState
from releasekit.diagrams import run_dot, run_mermaid
from releasekit.diagrams.collapse import LIMITS, MAX_ALONE, MAX_BANDS, MAX_EDGES, views
from releasekit.diagrams.run import MAX_MERMAID, _mermaid
from releasekit.diagrams.sample import Sample
from releasekit.lifecycle import IN_FLIGHT, PackageStatus
from releasekit.state import graph

if TYPE_CHECKING:
    from releasekit.diagrams.collapse import Node, View

PENDING, FAILED, PUBLISHED = PackageStatus.PENDING, PackageStatus.FAILED, PackageStatus.PUBLISHED
CODE_HOSTS = (50_000, 500)
"""Characters and edges of a Mermaid diagram that code hosts draw, as mermaid itself has it by default."""


def alone(view: View) -> set[str]:
    return {node.members[0].name for node in view.nodes if len(node.members) == 1}


def together(view: View) -> list[Node]:
    return [node for node in view.nodes if len(node.members) > 1]


def many(count: int, status: PackageStatus, *requires: str, prefix: str = "") -> list[Sample]:
    return [Sample(f"{prefix or status}-{n}", status, "1.0", requires) for n in range(count)]


@st.composite
def any_runs(draw: st.DrawFn) -> list[Sample]:
    size = draw(st.integers(0, 150))
    random = draw(st.randoms(use_true_random=False))
    reach = draw(st.sampled_from([1, 3, 20, size + 1]))
    circles = draw(st.booleans())
    run = []
    for n in range(size):
        others = range(size) if circles else range(max(0, n - reach), n)
        required = random.sample(others, min(len(others), random.randrange(6)))
        requires = tuple(f"p{m}" for m in required)
        files = random.choice([{}, {"f": ""}])
        run.append(Sample(f"p{n}", random.choice([*PackageStatus]), "1.0", requires, artifacts=files))
    return run


@settings(deadline=None, max_examples=40)
@given(any_runs())
def test_every_view_has_each_package_once_and_can_be_read(run: list[Sample]) -> None:
    for view in views(run):
        assert sorted(p.name for node in view.nodes for p in node.members) == sorted(p.name for p in run)
        assert all(len({p.status for p in node.members}) == 1 for node in view.nodes)
        assert len(view.nodes) <= MAX_ALONE
        assert len(view.edges) <= MAX_EDGES
        names = [{p.name for p in node.members} for node in view.nodes]
        for required, dependent in view.edges:
            assert any(names[required] & set(p.requires) for p in view.nodes[dependent].members)


@settings(deadline=None, max_examples=30)
@given(any_runs())
def test_any_mermaid_is_within_what_code_hosts_draw(run: list[Sample]) -> None:
    source = run_mermaid([package._replace(name=package.name + "#" * 50, error="<" * 200) for package in run])
    assert len(source) <= MAX_MERMAID < CODE_HOSTS[0]
    assert source.count("-->") <= MAX_EDGES < CODE_HOSTS[1]


@pytest.mark.parametrize("sign", ["~", "\N{SNAKE}"], ids=["escaped by six characters", "counted twice by JavaScript"])
def test_names_that_take_much_room_are_drawn_together_before_mermaid_has_too_much(sign: str) -> None:
    names = [f"{n:02}{sign * 100}" for n in range(MAX_ALONE)]
    run = [
        Sample(name, FAILED, sign * 100, tuple(names[max(0, n - 3) : max(0, n - 1)]), error=f"{sign * 31} " * 2)
        for n, name in enumerate(names)
    ]
    source, alone = run_mermaid(run), _mermaid(run, next(views(run)))
    assert len(source.encode("utf-16-le")) // 2 <= MAX_MERMAID
    assert (source == alone) == (len(alone.encode("utf-16-le")) // 2 <= MAX_MERMAID)
    if sign == "~":
        assert len(alone) > MAX_MERMAID


def test_a_run_that_can_be_read_is_shown_as_it_is() -> None:
    view = next(views(large_run(MAX_ALONE)))
    assert [node.members[0] for node in view.nodes] == large_run(MAX_ALONE)
    assert together(view) == []


def test_a_small_run_with_more_arrows_than_can_be_followed_is_drawn_together() -> None:
    run = many(20, PUBLISHED) + many(20, PENDING, *(f"published-{n}" for n in range(20)))
    view = next(views(run))
    assert [(len(node.members), node.levels) for node in view.nodes] == [(20, (0, 0)), (20, (1, 1))]
    assert list(view.edges) == [(0, 1)]


@pytest.mark.parametrize("size", [300, 1000])
def test_in_a_large_run_what_failed_and_what_is_on_its_way_stays_alone(size: int) -> None:
    run = large_run(size)
    view = next(views(run))
    assert {p.name for p in run if p.status in {FAILED, *IN_FLIGHT}} <= alone(view)
    assert len(view.nodes) <= LIMITS[0]


@pytest.mark.parametrize("size", [300, 1000])
def test_what_a_failure_holds_up_hangs_on_it(size: int) -> None:
    run = large_run(size)
    view = next(views(run))
    held = {p.name for node in view.nodes if node.held for p in node.members}
    failed = {p.name for p in run if p.status is FAILED}
    waiting: set[str] = set()
    for package in run:  # requirements come first
        if package.status is PENDING and (waiting | failed) & set(package.requires):
            waiting.add(package.name)
    assert held == waiting
    reached = {i for i, node in enumerate(view.nodes) if node.status is FAILED}
    for _ in view.nodes:
        reached |= {dependent for required, dependent in view.edges if required in reached}
    assert {i for i, node in enumerate(view.nodes) if node.held} <= reached


def test_few_that_are_held_up_stay_alone_too() -> None:
    run = [*many(100, PUBLISHED), Sample("bad", FAILED, "1.0"), *many(10, PENDING, "bad")]
    view = next(views(run))
    assert alone(view) == {"bad", *(f"pending-{n}" for n in range(10))}
    assert next(node.holds for node in view.nodes if node.status is FAILED) == 10


def test_many_that_one_failure_holds_up_are_one_node_that_names_it() -> None:
    run = [
        *many(50, PUBLISHED),
        Sample("bad", FAILED, "1.0"),
        *many(90, PENDING, "bad"),
        *many(90, PENDING, prefix="p"),
    ]
    view = next(views(run))
    (held,) = [node for node in together(view) if node.held]
    assert (len(held.members), held.roots, held.levels) == (90, ("bad",), (1, 1))
    assert "held up by bad" in run_dot(run)
    (free,) = [node for node in together(view) if node.status is PENDING and not node.held]
    assert {p.name for p in free.members} == {f"p-{n}" for n in range(90)}


@pytest.mark.parametrize("status", PackageStatus)
def test_a_failure_holds_up_through_what_is_under_way_and_not_through_what_is_done(status: PackageStatus) -> None:
    run = [Sample("a", FAILED, ""), Sample("b", status, "", ("a",)), Sample("c", PENDING, "", ("b",))]
    failed, between, waiting = next(views(run)).nodes
    under_way = status is PENDING or status in IN_FLIGHT
    assert waiting.roots == (("a",) if under_way else ("b",) if status is FAILED else ())
    assert between.roots == (("a",) if status is PENDING else ())
    assert failed.holds == under_way + (status is PENDING)
    assert ("held up by a" in run_dot(run)) == under_way


def test_what_is_built_and_waits_is_held_up_like_what_is_pending() -> None:
    run = [*many(50, PUBLISHED), Sample("bad", FAILED, "1.0")]
    run += [Sample(f"built-{n}", PackageStatus.BUILDING, "1.0", ("bad",), artifacts={"f": ""}) for n in range(90)]
    run += [*many(90, PENDING, "bad"), *many(9, PackageStatus.BUILDING, "bad")]
    view = next(views(run))
    held = {(node.status, len(node.members), node.roots) for node in view.nodes if node.held}
    assert held == {(PackageStatus.BUILDING, 90, ("bad",)), (PENDING, 90, ("bad",))}
    assert next(node.holds for node in view.nodes if node.status is FAILED) == 180


@settings(deadline=None, max_examples=60)
@given(any_runs())
def test_the_picture_and_the_table_agree_on_who_is_held_up(run: list[Sample]) -> None:
    files = {"f": "0" * 64}
    packages = {
        p.name: PackageState(p.name, p.status, requires=p.requires, artifacts=files if p.artifacts else {}) for p in run
    }
    told = graph.held(RunState("0" * 40, packages).packages)
    for view in views(packages.values()):
        assert {p.name for node in view.nodes if node.held for p in node.members} == {*told}
        for node in (node for node in view.nodes if node.roots):
            assert all(set(told[p.name]) == set(node.roots) for p in node.members)


def test_what_several_failures_hold_up_is_one_node() -> None:
    bad = [Sample(f"bad-{n}", FAILED, "1.0") for n in range(3)]
    both = many(60, PENDING, "bad-0", "bad-1", prefix="x") + many(60, PENDING, "bad-1", "bad-2", prefix="y")
    view = next(views(bad + both))
    assert [(len(node.members), node.roots) for node in view.nodes if node.held] == [(120, ())]
    assert "held up by several failures" in run_dot(bad + both)
    assert [node.holds for node in view.nodes if node.status is FAILED] == [60, 120, 60]


def test_one_of_few_that_several_failures_hold_up_names_the_worst() -> None:
    run = [Sample("a", FAILED, ""), Sample("b", FAILED, ""), Sample("c", PENDING, "", ("b",))]
    run.append(Sample("d", PENDING, "", ("a", "b")))
    assert next(views(run)).nodes[3].roots == ("b", "a")
    assert "held up by b and 1 more" in run_dot(run)


def test_of_more_failures_than_there_is_room_for_those_stay_alone_that_hold_up_most() -> None:
    bad = [Sample(f"bad-{n}", FAILED, "1.0") for n in range(200)]
    held = [p for n in range(150, 155) for p in many(n, PENDING, f"bad-{n}", prefix=f"held-{n}")]
    view = next(views(bad + held))
    assert {f"bad-{n}" for n in range(150, 155)} <= alone(view)
    (rest,) = [node for node in together(view) if node.status is FAILED]
    assert len(rest.members) > 150
    assert rest.holds == 0


def test_failures_that_are_drawn_as_one_say_how_many_they_hold_up_together() -> None:
    bad = [Sample(f"bad-{n}", FAILED, "1.0") for n in range(200)]
    held = [Sample(f"held-{n}", PENDING, "1.0", (f"bad-{n}", f"bad-{n - 1}")) for n in range(200)]
    view = next(views(bad + held))
    (rest,) = [node for node in together(view) if node.status is FAILED]
    names = {p.name for p in rest.members}
    assert rest.holds == sum(bool(names & set(p.requires)) for p in held)


def test_before_the_gate_opens_all_that_is_building_is_drawn_by_level() -> None:
    view = next(views([p._replace(status=PackageStatus.BUILDING) for p in large_run(1000)]))
    assert len(view.nodes) == MAX_BANDS
    assert list(view.edges) == [(n, n + 1) for n in range(MAX_BANDS - 1)]


def test_a_chain_of_any_length_has_few_bands() -> None:
    run = [Sample(f"p{n}", PUBLISHED, "", (f"p{n - 1}",) if n else ()) for n in range(3000)]
    view = next(views(run))
    assert [node.levels for node in view.nodes] == [(n * 500, n * 500 + 499) for n in range(6)]


def test_groups_that_require_each_other_are_parted() -> None:
    run = []
    for n in range(100):
        status = PUBLISHED if n % 2 else PackageStatus.SKIPPED
        run.append(Sample(f"p{n}", status, "", (f"p{n - 1}",) if n else ()))
    view = next(views(run))
    requires: dict[int, set[int]] = {}
    for required, dependent in view.edges:
        requires.setdefault(dependent, set()).add(required)
    assert [*TopologicalSorter(requires).static_order()]


def test_statuses_at_many_levels_make_wider_bands() -> None:
    run = [Sample(f"{n}", [*PackageStatus][n % 7], "", (f"{n - 7}",) if n > 6 else ()) for n in range(700)]
    assert all(len(view.nodes) <= LIMITS[0] for view in views(run))


def test_a_group_says_how_many_of_which_status_at_which_levels_and_names_them_to_who_points_at_it() -> None:
    dot = run_dot(many(100, PUBLISHED))
    assert "✓ 100 published" in dot
    assert "level 0" in dot
    assert 'tooltip="100 published: published-0, published-1' in dot
    assert "double border: packages drawn as one" in dot
    assert "double border" not in run_dot(many(10, PUBLISHED))
    assert '  n0[["✓ 100 published<br/>level 0"]]:::published\n' in run_mermaid(many(100, PUBLISHED))
