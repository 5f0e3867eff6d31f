"""The aggregate: every question an orchestrator asks, and every way to change a run."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import pytest

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import IllegalTransitionError, PackageStatus, Trigger
from releasekit.state import STATE_FILENAME, PackageState, RunState, graph, no_run
from releasekit.state.errors import UnknownPackageError

if TYPE_CHECKING:
    from pathlib import Path

S = PackageStatus
DIGEST = "0123456789abcdef" * 4


def a_run(**statuses: PackageStatus) -> RunState:
    """A run whose packages have these statuses and require nothing."""
    return RunState("abc", {name: PackageState(name, status) for name, status in statuses.items()})


def a_graph(requires: dict[str, list[str]], **statuses: PackageStatus) -> RunState:
    packages = {name: PackageState(name, statuses.get(name, S.PENDING), requires=r) for name, r in requires.items()}
    return RunState("abc", packages)


def one_of_each() -> RunState:
    return a_run(**{f"{status}-{n}": status for n, status in product((2, 1), PackageStatus)})


def test_the_state_file_has_its_documented_name() -> None:
    assert STATE_FILENAME == ".releasekit-state.json"


def test_a_run_begins_now_in_utc_and_has_an_identity_of_its_own() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    run = RunState("abc")
    created = datetime.fromisoformat(run.created_at)
    assert before <= created <= datetime.now(UTC)
    assert created.utcoffset() == timedelta(0)
    assert run.run_id != RunState("abc").run_id


def test_a_run_keeps_what_it_is_given() -> None:
    run = RunState("abc", {}, "2026-01-02T03:04:05+00:00", run_id="r", index="pypi")
    assert (run.git_sha, run.created_at, run.run_id, run.index) == ("abc", "2026-01-02T03:04:05+00:00", "r", "pypi")


@pytest.mark.parametrize("field", ["git_sha", "created_at", "run_id", "index"])
@pytest.mark.parametrize("value", [None, 5, "\ud800", "x" * 20_000], ids=["none", "number", "surrogate", "long"])
def test_a_text_that_cant_be_stored_is_refused_at_once(field: str, value: Any) -> None:  # noqa: ANN401  # wrong ones
    with pytest.raises(ReleaseKitError, match=field) as caught:
        RunState(**{"git_sha": "abc"} | {field: value})
    assert caught.value.code is E.STATE_INVALID_VALUE


def test_a_package_under_another_name_is_refused() -> None:
    with pytest.raises(ReleaseKitError, match="'core' stands under the key 'other'") as caught:
        RunState("abc", {"other": PackageState("core")})
    assert caught.value.code is E.STATE_INVALID_VALUE


@pytest.mark.parametrize("packages", [{"x": 1}, {"x": None}, ["x"], None, "x"], ids=repr)
def test_what_is_no_mapping_of_packages_is_refused(packages: Any) -> None:  # noqa: ANN401  # wrong ones
    with pytest.raises(ReleaseKitError) as caught:
        RunState("abc", packages)
    assert caught.value.code is E.STATE_INVALID_VALUE
    assert caught.value.message.startswith("packages ")


def test_packages_are_shown_in_the_order_of_declaration_and_read_only() -> None:
    run = RunState("abc")
    for name in ("b", "a", "c"):
        run.init_package(name)
    assert list(run) == list(run.packages) == ["b", "a", "c"]
    assert len(run) == 3
    assert "a" in run
    assert "d" not in run
    packages: Any = run.packages
    with pytest.raises(TypeError):
        packages["d"] = PackageState("d")


def test_init_package_declares_a_package() -> None:
    run = RunState("abc")
    package = run.init_package("core", version="1.0", level=2, requires=["base"])
    assert run["core"] is package
    assert package == PackageState("core", version="1.0", level=2, requires=["base"])


def test_init_package_can_declare_a_skipped_one() -> None:
    package = RunState("abc").init_package("core", status=S.SKIPPED, reason="private")
    assert (package.status, package.reason) == (S.SKIPPED, "private")


@pytest.mark.parametrize("status", [s for s in PackageStatus if s not in {S.PENDING, S.SKIPPED}])
def test_init_package_declares_in_no_other_status(status: PackageStatus) -> None:
    run = RunState("abc")
    with pytest.raises(ReleaseKitError) as caught:
        run.init_package("core", status=status)
    assert caught.value.code is E.STATE_INVALID_VALUE
    assert "core" not in run


def test_init_package_refuses_a_name_that_exists() -> None:
    run = a_run(core=S.FAILED)
    with pytest.raises(ReleaseKitError, match="already a package 'core'") as caught:
        run.init_package("core")
    assert caught.value.code is E.STATE_PACKAGE_EXISTS
    assert run["core"].status is S.FAILED


def test_init_package_that_is_refused_declares_nothing() -> None:
    run = RunState("abc")
    with pytest.raises(ReleaseKitError):
        run.init_package("core", status=S.SKIPPED, reason="\ud800")
    assert len(run) == 0


def test_an_unknown_name_is_both_a_releasekit_error_and_a_key_error() -> None:
    run = a_run(core=S.PENDING, base=S.PENDING)
    with pytest.raises(UnknownPackageError, match="no package 'cor' in this run") as caught:
        run["cor"]
    assert isinstance(caught.value, ReleaseKitError)
    assert isinstance(caught.value, KeyError)
    assert caught.value.code is E.STATE_UNKNOWN_PACKAGE
    assert caught.value.package == "cor"
    assert caught.value.hint == "it has base, core"
    read = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own
    assert (type(read), str(read), vars(read)) == (UnknownPackageError, str(caught.value), vars(caught.value))


def test_an_unknown_name_in_a_large_run_is_told_twenty_others_and_how_many_there_are_more() -> None:
    run = RunState("abc")
    for n in range(30):
        run.init_package(f"p{n:02}")
    with pytest.raises(UnknownPackageError) as caught:
        run["cor"]
    assert caught.value.hint == f"it has {', '.join(f'p{n:02}' for n in range(20))} and 10 more"


def test_an_unknown_name_in_an_empty_run_says_that_it_is_empty() -> None:
    with pytest.raises(KeyError, match="it has none"):
        RunState("abc")["core"]


def test_a_directory_without_a_run_is_an_error_that_names_it(tmp_path: Path) -> None:
    error = no_run(tmp_path)
    assert error.code is E.STATE_NOT_FOUND
    assert error.message == f"there is no run in {tmp_path}"
    assert error.hint == "begin one with `releasekit publish --index NAME`, or name the workspace"


LEADS_TO = {
    (S.PENDING, S.BUILDING): Trigger.START_BUILDING,
    (S.PENDING, S.SKIPPED): Trigger.SKIP,
    (S.BUILDING, S.PUBLISHING): Trigger.START_PUBLISHING,
    (S.PUBLISHING, S.VERIFYING): Trigger.START_VERIFYING,
    (S.VERIFYING, S.PUBLISHED): Trigger.CONFIRM,
    (S.BUILDING, S.FAILED): Trigger.FAIL,
    (S.PUBLISHING, S.FAILED): Trigger.FAIL,
    (S.VERIFYING, S.FAILED): Trigger.FAIL,
    (S.BUILDING, S.PENDING): Trigger.RECOVER,
    (S.PUBLISHING, S.PENDING): Trigger.RECOVER,
    (S.VERIFYING, S.PENDING): Trigger.RECOVER,
    (S.FAILED, S.PENDING): Trigger.RETRY,
}


@pytest.mark.parametrize(("source", "target"), [*product(PackageStatus, PackageStatus)])
def test_set_status_fires_the_one_trigger_that_leads_there_or_raises(
    source: PackageStatus, target: PackageStatus
) -> None:
    run = a_run(core=source)
    heard: list[Any] = []
    run.listen(heard.append)
    if (source, target) in LEADS_TO:
        run.set_status("core", target, error="because")
        assert [moved.trigger for moved in heard] == [LEADS_TO[source, target]]
        assert run["core"].status is target
        assert run["core"].error == ("because" if target == S.FAILED else "")
        assert run["core"].reason == ("because" if target == S.SKIPPED else "")
    else:
        with pytest.raises(IllegalTransitionError) as caught:
            run.set_status("core", target)
        assert caught.value.package == "core"
        assert caught.value.status == source
        assert heard == []
        assert run["core"] == PackageState("core", source)


@pytest.mark.parametrize("target", PackageStatus)
def test_set_status_declares_an_unknown_package_as_pending_first(target: PackageStatus) -> None:
    run = RunState("abc")
    heard: list[Any] = []
    run.listen(heard.append)
    if target == S.PENDING or (S.PENDING, target) in LEADS_TO:
        run.set_status("core", target)
        assert run["core"].status is target
        assert len(heard) == (target != S.PENDING)
    else:
        with pytest.raises(IllegalTransitionError):
            run.set_status("core", target)
        assert "core" not in run


def test_set_status_with_a_value_that_cant_be_stored_declares_nothing() -> None:
    run = RunState("abc")
    with pytest.raises(ReleaseKitError) as caught:
        run.set_status("core", S.SKIPPED, error="\ud800")
    assert caught.value.code is E.STATE_INVALID_VALUE
    assert "core" not in run


@pytest.mark.parametrize("status", ["nonsense", "", None, 5, []], ids=repr)
@pytest.mark.parametrize("name", ["core", "new"], ids=["declared", "undeclared"])
def test_set_status_to_what_is_no_status_changes_nothing(name: str, status: Any) -> None:  # noqa: ANN401  # wrong ones
    run = a_run(core=S.BUILDING)
    with pytest.raises(ReleaseKitError, match="not one of pending, building") as caught:
        run.set_status(name, status)
    assert caught.value.code is E.STATE_INVALID_VALUE
    assert dict(run.packages) == {"core": PackageState("core", S.BUILDING)}


def test_every_query_names_its_packages_sorted() -> None:
    run = one_of_each()
    assert run.pending_packages() == ["pending-1", "pending-2"]
    assert run.failed_packages() == ["failed-1", "failed-2"]
    assert run.published_packages() == ["published-1", "published-2"]
    assert run.skipped_packages() == ["skipped-1", "skipped-2"]
    flight = ["building", "pending", "publishing", "verifying"]
    assert run.unfinished_packages() == [f"{status}-{n}" for status in flight for n in (1, 2)]


@pytest.mark.parametrize("status", PackageStatus)
def test_a_run_is_complete_when_no_package_can_go_on_by_itself(status: PackageStatus) -> None:
    assert a_run(a=S.PUBLISHED, b=status).is_complete() == (status in {S.PUBLISHED, S.SKIPPED, S.FAILED})


def test_an_empty_run_is_complete_and_answers_every_question() -> None:
    run = RunState("abc")
    assert run.is_complete()
    assert run.ready_packages() == run.unfinished_packages() == run.recover() == []
    assert run.blocked_packages() == {}


@pytest.mark.parametrize("status", PackageStatus)
def test_a_package_is_ready_when_all_it_requires_is_published_or_skipped(status: PackageStatus) -> None:
    run = a_graph({"z": ["a", "b"], "a": [], "b": []}, a=S.PUBLISHED, b=status)
    assert ("z" in run.ready_packages()) == (status in {S.PUBLISHED, S.SKIPPED})


@pytest.mark.parametrize("status", PackageStatus)
def test_only_unfinished_packages_are_ready(status: PackageStatus) -> None:
    run = a_run(core=status)
    assert run.ready_packages() == (["core"] if status in {S.PENDING, S.BUILDING, S.PUBLISHING, S.VERIFYING} else [])


def test_blocked_packages_name_the_failures_at_the_root() -> None:
    requires = {
        "top": ["left", "right"],
        "left": ["bad-1", "good"],
        "right": ["bad-2", "left"],
        "free": ["good"],
        "good": [],
        "bad-1": [],
        "bad-2": ["bad-0"],
        "bad-0": [],
        "alone": [],
    }
    run = a_graph(requires, **{"good": S.PUBLISHED, "bad-0": S.FAILED, "bad-1": S.FAILED, "bad-2": S.FAILED})
    assert run.blocked_packages() == {
        "left": ("bad-1",),
        "right": ("bad-1", "bad-2"),
        "top": ("bad-1", "bad-2"),
    }
    assert list(run.blocked_packages()) == ["left", "right", "top"]


@pytest.mark.parametrize("status", PackageStatus)
def test_a_failure_blocks_through_what_is_under_way_and_not_through_what_is_done(status: PackageStatus) -> None:
    run = a_graph({"top": ["middle"], "middle": ["bad"], "bad": []}, middle=status, bad=S.FAILED)
    blocked = run.blocked_packages().get("top", ())
    under_way = {S.PENDING, S.BUILDING, S.PUBLISHING, S.VERIFYING}
    assert blocked == (("bad",) if status in under_way else ("middle",) if status == S.FAILED else ())


@pytest.mark.parametrize("status", PackageStatus)
@pytest.mark.parametrize("artifacts", [{}, {"f": "0" * 64}], ids=["no files", "files"])
def test_what_waits_for_a_failure_is_held_whether_it_is_pending_or_built(
    status: PackageStatus, artifacts: dict[str, str]
) -> None:
    bad = PackageState("bad", S.FAILED)
    packages = {"bad": bad, "top": PackageState("top", status, requires=["bad"], artifacts=artifacts)}
    waits = status == S.PENDING or (status == S.BUILDING and bool(artifacts))
    under_way = status in {S.PENDING, S.BUILDING, S.PUBLISHING, S.VERIFYING}
    assert graph.held(packages) == ({"top": ("bad",)} if waits else {})
    assert graph.blocked(packages) == ({"top": ("bad",)} if status == S.PENDING else {})
    assert graph.cut_off(packages) == ({"top": ("bad",)} if under_way else {})


@pytest.mark.parametrize("query", ["ready_packages", "blocked_packages"])
def test_a_requirement_that_was_never_declared_is_an_error_that_names_both(query: str) -> None:
    run = a_graph({"top": ["ghost"]})
    with pytest.raises(UnknownPackageError, match="'ghost'") as caught:
        getattr(run, query)()
    assert "'top' requires it" in caught.value.hint


def test_a_requirement_may_be_declared_later() -> None:
    run = RunState("abc")
    run.init_package("top", requires=["base"])
    run.init_package("base")
    assert run.ready_packages() == ["base"]


def test_requirements_in_a_circle_end_and_are_never_ready() -> None:
    run = a_graph({"a": ["b"], "b": ["a", "bad"], "self": ["self"], "bad": []}, bad=S.FAILED)
    assert run.ready_packages() == []
    assert run.blocked_packages()["b"] == ("bad",)


def test_validate_sha_accepts_the_runs_commit() -> None:
    RunState("abc").validate_sha("abc")


@pytest.mark.parametrize(("mine", "head"), [("abc", "abd"), ("abc", ""), ("", "abc"), ("abc", "ABC"), ("abc", "abcd")])
def test_validate_sha_refuses_any_other_commit_with_a_hint(mine: str, head: str) -> None:
    with pytest.raises(ReleaseKitError) as caught:
        RunState(mine).validate_sha(head)
    assert caught.value.code is E.STATE_SHA_MISMATCH
    told = f"this run releases commit {mine or '(none)'}, but HEAD is {head or '(none)'}"
    assert caught.value.message == told
    start_over = "out to finish it, or start over with `releasekit publish --fresh`"
    assert caught.value.hint == f"check {mine} {start_over}"


def test_a_long_commit_is_shortened_in_the_hint() -> None:
    with pytest.raises(ReleaseKitError, match="0123456789abcdef") as caught:
        RunState("0123456789abcdef").validate_sha("")
    assert caught.value.hint.startswith("check 0123456789ab out ")


def test_recover_takes_back_what_was_in_flight_and_nothing_else() -> None:
    run = one_of_each()
    heard: list[Any] = []
    run.listen(heard.append)
    flight = [f"{status}-{n}" for status in ("building", "publishing", "verifying") for n in (1, 2)]
    assert run.recover() == flight
    assert [(moved.package, moved.trigger) for moved in heard] == [(name, "recover") for name in flight]
    assert run.pending_packages() == sorted([*flight, "pending-1", "pending-2"])
    assert run.recover() == []


def test_every_listener_hears_every_package_also_those_declared_later() -> None:
    run = a_run(a=S.PENDING)
    first: list[Any] = []
    second: list[Any] = []
    run.listen(first.append)
    run.listen(second.append)
    run.init_package("b")
    run.set_status("c", S.BUILDING)
    run["a"].start_building()
    run["b"].skip("x")
    assert first == second
    assert [(m.package, m.trigger, m.source, m.target, m.carried) for m in first] == [
        ("c", "start_building", "pending", "building", {}),
        ("a", "start_building", "pending", "building", {}),
        ("b", "skip", "pending", "skipped", {"reason": "x"}),
    ]


def full_run() -> RunState:
    run = one_of_each()
    core = run.init_package("größe", version="1.0", level=1, requires=["pending-1"])
    core.start_building()
    core.record_artifacts({"a.whl": DIGEST})
    core.fail('it "broke"\n\x00\\')
    return run


def test_a_saved_run_loads_again_as_it_was(tmp_path: Path) -> None:
    run = full_run()
    run.save(tmp_path / STATE_FILENAME)
    read = RunState.load(str(tmp_path / STATE_FILENAME))
    assert read == run
    assert list(read) == list(run)
    assert read.to_bytes() == run.to_bytes()


def test_saving_leaves_nothing_but_the_file(tmp_path: Path) -> None:
    for _ in range(3):
        full_run().save(tmp_path / STATE_FILENAME)
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILENAME]


def test_a_copy_has_the_runs_identity() -> None:
    run = RunState("abc", created_at="2026-01-01T00:00:00+00:00", run_id="a run", index="./out")
    for other in (copy.copy(run), copy.deepcopy(run)):
        told = (other.git_sha, other.created_at, other.run_id, other.index)
        assert told == ("abc", "2026-01-01T00:00:00+00:00", "a run", "./out")


def test_a_run_differs_from_one_with_another_identity_or_package() -> None:
    run = full_run()
    assert run == copy.deepcopy(run)
    assert run != RunState("abc")
    assert run != "abc"
    other = copy.deepcopy(run)
    other["pending-1"].start_building()
    assert run != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(run)


@pytest.mark.parametrize(
    "clone",
    [
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(lambda run: pickle.loads(pickle.dumps(run)), id="pickle"),  # noqa: S301  # our own
    ],
)
def test_a_copy_of_a_run_leaves_the_run_its_packages(clone: Any) -> None:  # noqa: ANN401  # three functions
    run = full_run()
    heard: list[Any] = []
    run.listen(heard.append)
    twin = clone(run)
    assert twin == run
    twin["pending-1"].start_building()
    assert heard == []
    assert run["pending-1"].status is S.PENDING
    run["pending-1"].start_building()
    assert len(heard) == 1


def test_a_run_says_what_it_is() -> None:
    assert repr(RunState("0123456789abcdef")) == "<RunState 0123456789ab of 0 packages>"


def test_a_run_can_be_drawn(tmp_path: Path) -> None:
    run = full_run()
    assert run.to_dot().startswith("digraph")
    run.draw(tmp_path / "run.dot")
    assert (tmp_path / "run.dot").read_text(encoding="utf-8").strip() == run.to_dot().strip()


class CountingPackages(dict[str, PackageState]):
    """The packages of a run, counting how often one is looked up."""

    looked_up = 0

    def __getitem__(self, name: str) -> PackageState:
        self.looked_up += 1
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.looked_up += 1
        return super().__contains__(name)


def look_ups(requires: dict[str, list[str]], **statuses: PackageStatus) -> Counter[str]:
    """Count the look-ups of each query."""
    run = a_graph(requires, **statuses)
    counts: Counter[str] = Counter()
    for query in ("ready_packages", "blocked_packages", "is_complete", "recover"):
        counting = CountingPackages(run.packages)
        run._packages = counting
        getattr(run, query)()
        counts[query] = counting.looked_up
    return counts


def a_chain(length: int) -> dict[str, list[str]]:
    names = [f"p{n:06d}" for n in range(length)]
    return {names[0]: [], **{name: [before] for before, name in pairwise(names)}}


def a_dense_graph(size: int) -> dict[str, list[str]]:
    """Every package of each half requires every one of the half before."""
    names = [f"p{n:06d}" for n in range(size)]
    half = size // 2
    return {name: names[:half] if n >= half else [] for n, name in enumerate(names)}


@pytest.mark.parametrize("shape", [a_chain, a_dense_graph])
@pytest.mark.parametrize("size", [100, 200])
def test_queries_look_each_package_and_requirement_up_a_few_times(shape: Any, size: int) -> None:  # noqa: ANN401  # two functions
    requires = shape(size)
    work = size + sum(map(len, requires.values()))
    for query, count in look_ups(requires, p000000=S.FAILED).items():
        assert count <= 6 * work, query


def test_the_work_of_a_query_doubles_with_the_length_of_a_chain() -> None:
    short, long = (look_ups(a_chain(size), p000000=S.FAILED) for size in (500, 1000))
    for query, count in long.items():
        assert count <= 2.1 * short[query]


def test_a_chain_of_100_000_packages_blocks_without_recursion() -> None:
    requires = a_chain(100_000)
    run = a_graph(dict(reversed(requires.items())), p000000=S.FAILED)
    blocked = run.blocked_packages()
    assert len(blocked) == 99_999
    assert set(blocked.values()) == {("p000000",)}
    assert run.ready_packages() == []


def test_many_failures_that_block_nobody_take_no_room() -> None:
    names = [f"p{n:06d}" for n in range(20_000)]
    run = RunState("abc", {name: PackageState(name, S.FAILED) for name in names})
    run.init_package("top", requires=[names[0], names[-1]])
    tracemalloc.start()
    blocked = run.blocked_packages()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert blocked == {"top": (names[0], names[-1])}
    assert most < 500 * len(names)  # bytes; a number with a bit for each of them has 2500


def test_a_run_is_finished_when_nothing_failed_and_nothing_is_left() -> None:
    state = RunState("abc")
    assert state.is_finished()
    state.init_package("a")
    assert not state.is_finished()
    state["a"].start_building()
    state["a"].fail("no")
    assert state.is_complete()
    assert not state.is_finished()
    state["a"].retry()
    state["a"].skip("no")
    assert state.is_finished()


def test_a_status_that_is_set_without_an_error_has_none() -> None:
    run = RunState("abc")
    run.init_package("core")
    run["core"].start_building()
    run.set_status("core", PackageStatus.FAILED)
    assert not run["core"].error


def test_a_package_that_is_only_named_has_nothing_else() -> None:
    package = RunState("abc").init_package("core")
    assert (package.version, package.level, package.reason, package.status) == ("", 0, "", PackageStatus.PENDING)


def test_a_new_package_that_is_neither_pending_nor_skipped_is_refused_with_what_to_do() -> None:
    with pytest.raises(ReleaseKitError) as caught:
        RunState("abc").init_package("core", status=PackageStatus.PUBLISHED)
    assert caught.value.code is E.STATE_INVALID_VALUE
    assert caught.value.message == "status of a new package is pending or skipped, not published"
    assert caught.value.hint == "fire its triggers to move it"


def test_a_second_declaration_is_refused_with_what_to_do() -> None:
    state = RunState("abc")
    state.init_package("core")
    with pytest.raises(ReleaseKitError) as caught:
        state.init_package("core")
    assert caught.value.code is E.STATE_PACKAGE_EXISTS
    assert caught.value.message == "there is already a package 'core' in this run"
    assert caught.value.hint == "declare each package once"


@pytest.mark.parametrize("field", ["git_sha", "created_at", "run_id", "index"])
def test_a_field_of_a_run_that_can_not_be_stored_is_named(field: str) -> None:
    given: dict[str, Any] = {"git_sha": "abc", field: 7}
    with pytest.raises(ReleaseKitError, match=f"^RK-STATE-INVALID-VALUE: {field} must be a string, not int"):
        RunState(**given)


def test_what_is_no_package_or_another_runs_is_refused_by_its_name() -> None:
    with pytest.raises(ReleaseKitError) as caught:
        RunState("abc", {"core": 7})  # type: ignore[dict-item]  # that is the point
    assert caught.value.message == "packages has 7 under the key 'core', which is no package"

    theirs = RunState("abc").init_package("core")
    with pytest.raises(ReleaseKitError) as caught:
        RunState("abc", {"core": theirs})
    assert caught.value.message == "packages has 'core' of another run: copy it"
