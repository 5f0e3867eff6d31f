"""The law, against a second copy of it: this table is written out by hand, not derived from the code's."""

from __future__ import annotations

import copy
import logging
import pickle
import sys
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import pytest
import transitions
from tests.support import told

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import (
    ALLOWED,
    FINAL,
    IN_FLIGHT,
    RULES,
    TABLE,
    TERMINAL,
    IllegalTransitionError,
    PackageStatus,
    Rule,
    Trigger,
    graph_machine,
    index_rules,
    move,
    trigger_towards,
)
from releasekit.state import PackageState
from releasekit.state.values import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGEST = "0123456789abcdef" * 4
OTHER_DIGEST = "f" * 64
ARTIFACTS = {"core-1.0.tar.gz": DIGEST, "core-1.0-py3-none-any.whl": OTHER_DIGEST}

EXPECTED = {
    ("pending", "start_building"): "building",
    ("pending", "skip"): "skipped",
    ("building", "record_artifacts"): "building",
    ("building", "start_publishing"): "publishing",
    ("building", "fail"): "failed",
    ("building", "recover"): "pending",
    ("publishing", "start_verifying"): "verifying",
    ("publishing", "fail"): "failed",
    ("publishing", "recover"): "pending",
    ("verifying", "confirm"): "published",
    ("verifying", "fail"): "failed",
    ("verifying", "recover"): "pending",
    ("failed", "retry"): "pending",
}
STATUSES = ("pending", "building", "publishing", "verifying", "published", "skipped", "failed")
TRIGGERS = (
    "start_building",
    "record_artifacts",
    "start_publishing",
    "start_verifying",
    "confirm",
    "fail",
    "skip",
    "retry",
    "recover",
)
CARRIED: dict[str, tuple[object, ...]] = {
    "record_artifacts": (ARTIFACTS,),
    "fail": ("it broke",),
    "skip": ("not wanted",),
}
LEGAL = [pytest.param(status, trigger, id=f"{status}-{trigger}") for status, trigger in EXPECTED]
ILLEGAL = [
    pytest.param(status, trigger, id=f"{status}-{trigger}")
    for status in STATUSES
    for trigger in TRIGGERS
    if (status, trigger) not in EXPECTED
]


def a_package(status: str, error: str = "an old error") -> PackageState:
    return PackageState(
        "core",
        PackageStatus(status),
        "1.0",
        error,
        2,
        requires=("base",),
        artifacts={"old.whl": DIGEST},
        attempts=3,
        reason="an old reason",
    )


def fire(package: PackageState, trigger: str) -> None:
    method: Any = getattr(package, trigger)
    method(*CARRIED.get(trigger, ()))


def test_there_are_the_documented_statuses_and_triggers_and_no_more() -> None:
    assert tuple(PackageStatus) == STATUSES
    assert tuple(Trigger) == TRIGGERS
    assert len(LEGAL) + len(ILLEGAL) == 7 * 9


@pytest.mark.parametrize(("status", "trigger"), LEGAL)
def test_a_legal_trigger_leads_where_the_table_says(status: str, trigger: str) -> None:
    package = a_package(status)
    assert package.may(Trigger(trigger))
    assert Trigger(trigger) in package.allowed_triggers()
    fire(package, trigger)
    assert package.status is PackageStatus(EXPECTED[status, trigger])


@pytest.mark.parametrize(("status", "trigger"), ILLEGAL)
def test_an_illegal_trigger_raises_and_changes_nothing(status: str, trigger: str) -> None:
    package = a_package(status)
    before = package.fields()
    assert not package.may(Trigger(trigger))
    with pytest.raises(IllegalTransitionError) as caught:
        fire(package, trigger)
    assert package.fields() == before
    error = caught.value
    assert isinstance(error, ReleaseKitError)
    assert isinstance(error, transitions.MachineError)
    assert error.code is E.STATE_ILLEGAL_TRANSITION
    assert (error.package, error.status, error.trigger) == ("core", status, trigger)
    assert error.allowed == tuple(t for t in TRIGGERS if (status, t) in EXPECTED) == package.allowed_triggers()
    assert status in str(error)
    assert trigger in str(error)
    told = f"allowed in {error.status}: {', '.join(error.allowed)}"
    assert error.hint == (told if error.allowed else f"{error.status} is final: nothing is allowed any more")
    assert error.value == error.message


@pytest.mark.parametrize("clone", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])  # noqa: S301  # our own
def test_an_illegal_transition_crosses_processes_with_its_facts(clone: Any) -> None:  # noqa: ANN401  # three functions
    error = IllegalTransitionError("core", PackageStatus.PENDING, Trigger.RETRY, (Trigger.SKIP,))
    read = clone(error)
    assert type(read) is IllegalTransitionError
    assert vars(read) == vars(error)
    assert str(read) == str(error)


def test_a_final_status_says_that_nothing_is_allowed() -> None:
    with pytest.raises(IllegalTransitionError) as caught:
        a_package("published").retry()
    assert caught.value.hint == "published is final: nothing is allowed any more"


def test_the_named_groups_of_statuses_are_the_documented_ones() -> None:
    assert FINAL == ("published", "skipped")
    assert TERMINAL == ("published", "skipped", "failed")
    assert IN_FLIGHT == ("building", "publishing", "verifying")
    assert {status for status in PackageStatus if not ALLOWED[status]} == set(FINAL)


@pytest.mark.parametrize(("status", "trigger"), LEGAL)
def test_a_trigger_changes_its_own_fields_and_no_others(status: str, trigger: str) -> None:
    package = a_package(status)
    expected = package.fields() | {"status": EXPECTED[status, trigger]}
    effects: dict[str, dict[str, object]] = {
        "start_building": {"attempts": 4},
        "record_artifacts": {"artifacts": ARTIFACTS},
        "confirm": {"error": ""},
        "fail": {"error": "it broke"},
        "skip": {"reason": "not wanted"},
        "retry": {"error": ""},
        "recover": {"error": ""},
    }
    fire(package, trigger)
    assert package.fields() == expected | effects.get(trigger, {})


def test_artifacts_are_replaced_whole_and_can_be_emptied() -> None:
    package = PackageState("core", PackageStatus.BUILDING)
    package.record_artifacts(ARTIFACTS)
    package.record_artifacts({"b.whl": DIGEST})
    assert package.artifacts == {"b.whl": DIGEST}
    package.record_artifacts({})
    assert package.artifacts == {}


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("x" * MAX_TEXT, "x" * MAX_TEXT, id="longest"),
        pytest.param("half a \ud800 pair", "half a \\ud800 pair", id="half-a-surrogate-pair"),
        pytest.param("a\0b\r\n\x1b[31m", "a\0b\r\n\x1b[31m", id="control-characters"),
    ],
)
def test_any_error_text_can_be_stored(error: str, stored: str) -> None:
    package = PackageState("core", PackageStatus.BUILDING)
    package.fail(error)
    assert package.error == stored


def test_a_longer_error_is_cut_and_says_so() -> None:
    package = PackageState("core", PackageStatus.BUILDING)
    package.fail("x" * (MAX_TEXT + 1))
    assert len(package.error) == MAX_TEXT
    assert package.error.endswith("[cut]")


REFUSED_VALUES = [
    pytest.param("building", "fail", (None,), id="error-of-another-type"),
    pytest.param("pending", "skip", (None,), id="reason-of-another-type"),
    pytest.param("pending", "skip", ("x" * (MAX_TEXT + 1),), id="reason-too-long"),
    pytest.param("pending", "skip", ("\ud800",), id="reason-with-half-a-surrogate-pair"),
    pytest.param("building", "record_artifacts", (None,), id="no-artifacts-at-all"),
    pytest.param("building", "record_artifacts", (["core.whl"],), id="artifacts-without-digests"),
    pytest.param("building", "record_artifacts", ({"a/b": DIGEST},), id="file-in-a-directory"),
    pytest.param("building", "record_artifacts", ({"a\\b": DIGEST},), id="file-with-a-backslash"),
    pytest.param("building", "record_artifacts", ({"..": DIGEST},), id="file-named-dot-dot"),
    pytest.param("building", "record_artifacts", ({"": DIGEST},), id="file-without-a-name"),
    pytest.param("building", "record_artifacts", ({"a\0": DIGEST},), id="file-with-a-nul"),
    pytest.param("building", "record_artifacts", ({"a" * 256: DIGEST},), id="file-name-too-long"),
    pytest.param("building", "record_artifacts", ({1: DIGEST},), id="file-name-of-another-type"),
    pytest.param("building", "record_artifacts", ({"a": DIGEST.upper()},), id="digest-in-upper-case"),
    pytest.param("building", "record_artifacts", ({"a": DIGEST[1:]},), id="digest-too-short"),
    pytest.param("building", "record_artifacts", ({"a": DIGEST + "\n"},), id="digest-with-a-newline"),
    pytest.param("building", "record_artifacts", ({"a": b"x"},), id="digest-of-another-type"),
]


@pytest.mark.parametrize(("status", "trigger", "carried"), REFUSED_VALUES)
def test_a_value_that_cant_be_stored_changes_nothing(status: str, trigger: str, carried: tuple[object, ...]) -> None:
    package = a_package(status)
    before = package.fields()
    method: Any = getattr(package, trigger)
    with pytest.raises(ReleaseKitError) as caught:
        method(*carried)
    assert caught.value.code is E.STATE_INVALID_VALUE
    field = {"fail": "error", "skip": "reason", "record_artifacts": "artifacts"}[trigger]
    assert caught.value.message.startswith(f"{field} ")
    assert package.fields() == before


def test_more_artifacts_than_a_record_can_hold_are_refused() -> None:
    package = a_package("building")
    most = {f"{n:0255}": DIGEST for n in range((1 << 17) // (255 + 32 + 1))}
    package.record_artifacts(most)
    with pytest.raises(ReleaseKitError) as caught:
        package.record_artifacts(most | {"x" * 200: DIGEST})
    assert caught.value.message == "artifacts take 131273 bytes packed, more than 131072"
    assert package.artifacts == most


def test_an_error_of_another_type_is_named() -> None:
    with pytest.raises(ReleaseKitError) as caught:
        a_package("building").fail(5)  # type: ignore[arg-type]
    assert caught.value.message == "error must be a string, not int"


@pytest.mark.parametrize(
    ("trigger", "carried", "message"),
    [
        pytest.param(Trigger.FAIL, {}, "fail carries error, not nothing", id="without-what-it-carries"),
        pytest.param(Trigger.FAIL, {"reason": "x"}, "fail carries error, not reason", id="with-another-field"),
        pytest.param(
            Trigger.FAIL, {"error": "x", "reason": "x"}, "fail carries error, not error, reason", id="with-two-fields"
        ),
        pytest.param(
            Trigger.START_PUBLISHING,
            {"status": "published"},
            "start_publishing carries nothing, not status",
            id="with-a-status",
        ),
        pytest.param(Trigger.START_PUBLISHING, {"": ""}, "start_publishing carries nothing, not nothing", id="no-name"),
    ],
)
def test_fire_refuses_fields_that_the_trigger_does_not_carry(
    trigger: Trigger, carried: dict[str, str], message: str
) -> None:
    package = a_package("building")
    before = package.fields()
    with pytest.raises(TypeError) as caught:
        package.fire(trigger, **carried)
    assert str(caught.value) == message
    assert package.fields() == before


def test_fire_takes_the_trigger_by_its_value_too() -> None:
    package = PackageState("core")
    heard: list[Any] = []
    package.join(told(heard.append))
    package.fire("start_building")  # type: ignore[arg-type]  # as it stands in a file
    assert package.status is PackageStatus.BUILDING
    assert heard[0].trigger is Trigger.START_BUILDING


def test_two_rules_for_the_same_status_and_trigger_fail() -> None:
    once = Rule(Trigger.SKIP, (PackageStatus.PENDING,), PackageStatus.SKIPPED)
    again = Rule(Trigger.SKIP, (PackageStatus.BUILDING, PackageStatus.PENDING), PackageStatus.FAILED)
    with pytest.raises(ValueError, match="two rules for skip in pending"):
        index_rules([once, again])


def test_the_table_is_indexed_by_status_and_trigger() -> None:
    rules = index_rules(TABLE)
    assert rules == RULES
    assert all(rules[source, rule.trigger] is rule for rule in TABLE for source in rule.sources)


def test_the_indexed_table_cant_be_changed() -> None:
    rules: Any = index_rules(TABLE)
    with pytest.raises(TypeError):
        rules[PackageStatus.PUBLISHED, Trigger.RETRY] = TABLE[0]
    allowed: Any = ALLOWED
    with pytest.raises(TypeError):
        allowed[PackageStatus.PUBLISHED] = tuple(Trigger)


@pytest.mark.parametrize("target", STATUSES)
@pytest.mark.parametrize("source", STATUSES)
def test_the_trigger_towards_a_status_leads_there_or_is_illegal(source: str, target: str) -> None:
    trigger = trigger_towards(PackageStatus(source), PackageStatus(target))
    leading = [t for t in TRIGGERS if t != "record_artifacts" and EXPECTED.get((source, t)) == target]
    if leading:
        assert [trigger] == leading
    else:
        assert (source, trigger) not in EXPECTED
        assert target in EXPECTED.values()


@pytest.mark.parametrize("field", ["status", "_status", "name", "error", "artifacts", "attempts", "anything", "state"])
def test_no_field_can_be_assigned_or_deleted(field: str) -> None:
    package = a_package("pending")
    before = package.fields()
    with pytest.raises(AttributeError, match="only its trigger methods"):
        setattr(package, field, PackageStatus.PUBLISHED)
    with pytest.raises(AttributeError, match="only its trigger methods"):
        delattr(package, field)
    assert package.fields() == before
    assert not hasattr(package, "__dict__")


@pytest.mark.parametrize("status", STATUSES)
def test_there_is_no_shortcut_to_a_status(status: str) -> None:
    package = PackageState("core")
    shortcuts = [f"to_{status}", f"to_{status.upper()}", f"is_{status}", "set_status", "set_state", "state", "trigger"]
    assert [name for name in shortcuts if hasattr(package, name)] == []


def test_what_a_package_hands_out_cant_be_used_to_change_it() -> None:
    mine = dict(ARTIFACTS)
    package = PackageState("core", PackageStatus.BUILDING)
    package.record_artifacts(mine)
    mine.clear()
    artifacts: Any = package.artifacts
    with pytest.raises(TypeError):
        artifacts["other.whl"] = DIGEST
    package.fields().clear()
    assert package.artifacts == ARTIFACTS


def test_the_machine_itself_refuses_what_the_table_does_not_allow() -> None:
    package = a_package("published")
    with pytest.raises(transitions.MachineError, match="Can't trigger event retry"):
        move(package, Trigger.RETRY)
    assert package.status is PackageStatus.PUBLISHED


def test_a_package_is_never_registered_with_the_machine() -> None:
    package = PackageState("core")
    package.start_building()
    with pytest.raises(transitions.MachineError):
        graph_machine(graph_engine="graphviz").events["start_building"].trigger(package)
    assert package.status is PackageStatus.BUILDING


def test_the_machine_for_pictures_has_the_same_rules() -> None:
    machine = graph_machine(graph_engine="graphviz", title="Lifecycle")
    drawn = {
        (transition.source.lower(), name): (transition.dest or transition.source).lower()
        for name, event in machine.events.items()
        for transitions_of_source in event.transitions.values()
        for transition in transitions_of_source
    }
    assert drawn == EXPECTED


def test_the_transitions_library_formats_no_debug_lines() -> None:
    assert not logging.getLogger("transitions").isEnabledFor(logging.INFO)


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Have the interpreter change threads as often as it can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty_threads")
def test_of_many_threads_that_fire_the_same_trigger_exactly_one_wins() -> None:
    for _ in range(25):
        package = PackageState("core")
        outcomes: list[str] = []
        together = Barrier(32)

        def compete(package: PackageState = package, outcomes: list[str] = outcomes, gate: Barrier = together) -> None:
            gate.wait()
            try:
                package.start_building()
            except IllegalTransitionError as error:
                outcomes.append(error.status)
            else:
                outcomes.append("won")

        threads = [Thread(target=compete) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["building"] * 31 + ["won"]
        assert package.attempts == 1


@pytest.mark.usefixtures("hasty_threads")
def test_listeners_hear_every_trigger_of_every_thread_in_order() -> None:
    package = PackageState("core")
    heard: list[Any] = []
    package.join(told(heard.append))

    def cycle() -> None:
        for _ in range(50):
            for trigger in (Trigger.START_BUILDING, Trigger.RECOVER):
                try:
                    package.fire(trigger)
                except IllegalTransitionError:
                    continue

    threads = [Thread(target=cycle) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = "pending"
    for moved in heard:
        assert moved.source == status
        status = EXPECTED[status, moved.trigger]
        assert moved.target == status
    assert package.status == status
    assert package.attempts == sum(moved.trigger == "start_building" for moved in heard)
