"""One package: what it can be made of, what it shows, how it is copied."""

from __future__ import annotations

import copy
import pickle
import re
from enum import StrEnum
from typing import Any

import pytest
from tests.support import told

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import PackageStatus, Trigger
from releasekit.state import PackageState, RunState
from releasekit.state.values import MAX_COUNT, MAX_TEXT

DIGEST = "0123456789abcdef" * 4
FULL: dict[str, Any] = {
    "name": "core",
    "status": PackageStatus.FAILED,
    "version": "1.0",
    "error": "it broke",
    "level": 3,
    "requires": ("base", "utils"),
    "artifacts": {"core-1.0.tar.gz": DIGEST, "größe.whl": "f" * 64},
    "attempts": 2,
    "reason": "because",
}


def test_a_package_needs_only_a_name() -> None:
    package = PackageState("core")
    assert package.fields() == {
        "name": "core",
        "status": PackageStatus.PENDING,
        "version": "",
        "error": "",
        "level": 0,
        "requires": (),
        "artifacts": {},
        "attempts": 0,
        "reason": "",
    }


def test_a_package_shows_what_it_was_made_of() -> None:
    package = PackageState(**FULL)
    assert {name: getattr(package, name) for name in FULL} == FULL
    assert package.fields() == FULL
    assert list(package.fields()) == list(FULL)


def test_the_first_five_fields_can_be_given_by_position() -> None:
    package = PackageState("core", PackageStatus.FAILED, "1.0", "it broke", 3)
    assert (package.name, package.status, package.version, package.error, package.level) == tuple(FULL.values())[:5]


def test_a_status_can_be_given_by_its_value() -> None:
    assert PackageState("core", "failed").status is PackageStatus.FAILED  # type: ignore[arg-type]  # as in a file


class Name(StrEnum):
    CORE = "core"


def test_texts_are_stored_as_plain_strings() -> None:
    package = PackageState(Name.CORE, requires=[Name.CORE])
    assert type(package.name) is str
    assert type(package.requires[0]) is str


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", None),
        ("name", b"core"),
        ("name", "x" * (MAX_TEXT + 1)),
        ("name", "half a \udc00 pair"),
        ("status", "nonsense"),
        ("status", None),
        ("version", None),
        ("version", 1.0),
        ("error", None),
        ("error", "x" * (MAX_TEXT + 1)),
        ("reason", 5),
        ("level", -1),
        ("level", True),
        ("level", 1.0),
        ("level", "1"),
        ("level", MAX_COUNT + 1),
        ("level", 10**5000),
        ("attempts", -1),
        ("attempts", None),
        ("requires", "base"),
        ("requires", [None]),
        ("requires", ["\ud800"]),
        ("requires", None),
        ("requires", 5),
        ("artifacts", None),
        ("artifacts", ["core.whl"]),
        ("artifacts", {"a": "b"}),
        ("artifacts", {"a/b": DIGEST}),
        ("artifacts", {".": DIGEST}),
        ("artifacts", {"..": DIGEST}),
    ],
    ids=lambda value: value if isinstance(value, str) and re.fullmatch("[a-z]{1,12}", value) else type(value).__name__,
)
def test_a_value_that_no_run_could_have_is_refused_and_named(field: str, value: object) -> None:
    with pytest.raises(ReleaseKitError) as caught:
        PackageState(**FULL | {field: value})
    assert caught.value.code is E.STATE_INVALID_VALUE
    assert caught.value.message.startswith(f"{field} ")


@pytest.mark.parametrize("level", [0, 1, MAX_COUNT])
def test_counts_go_up_to_their_limit(level: int) -> None:
    assert PackageState("core", level=level).level == level


def test_allowed_triggers_are_in_the_tables_order() -> None:
    assert PackageState("core", PackageStatus.BUILDING).allowed_triggers() == (
        Trigger.RECORD_ARTIFACTS,
        Trigger.START_PUBLISHING,
        Trigger.FAIL,
        Trigger.RECOVER,
    )


def test_packages_are_equal_when_all_their_fields_are() -> None:
    assert PackageState(**FULL) == PackageState(**FULL)
    assert PackageState("core") != "core"
    for field, other in {"name": "other", "attempts": 3, "artifacts": {}, "status": "pending"}.items():
        assert PackageState(**FULL) != PackageState(**FULL | {field: other})


def test_a_package_cant_be_hashed_because_it_changes() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(PackageState("core"))


def test_a_package_says_what_it_is() -> None:
    assert repr(PackageState(**FULL)) == "<PackageState 'core' 1.0 failed>"


@pytest.mark.parametrize(
    "clone",
    [
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(lambda package: pickle.loads(pickle.dumps(package)), id="pickle"),  # noqa: S301  # our own
    ],
)
def test_a_copy_is_equal_and_moves_by_itself(clone: Any) -> None:  # noqa: ANN401  # three functions
    package = PackageState(**FULL)
    run = RunState("abc", {"core": package})
    heard: list[Any] = []
    run.listen(heard.append)
    twin = clone(package)
    assert twin == package
    twin.retry()
    assert package.status is PackageStatus.FAILED
    assert heard == []


def test_a_listener_is_told_after_the_package_has_moved() -> None:
    package = PackageState(**FULL)
    heard: list[tuple[Any, ...]] = []
    package.join(told(lambda moved: heard.append((*moved, package.status, package.error))))
    package.retry()
    assert heard == [("core", Trigger.RETRY, "failed", "pending", {}, "pending", "")]


def test_a_package_cant_be_in_two_runs() -> None:
    package = PackageState("core")
    run = RunState("abc", {"core": package})
    with pytest.raises(ReleaseKitError, match="another run: copy it") as caught:
        RunState("def", run.packages)
    assert caught.value.code is E.STATE_INVALID_VALUE
    heard: list[Any] = []
    run.listen(heard.append)
    package.start_building()
    assert len(heard) == 1


def test_a_field_that_is_deleted_is_named() -> None:
    with pytest.raises(AttributeError, match="'status' of package 'core' can't be assigned"):
        del PackageState("core").status
    with pytest.raises(ReleaseKitError) as caught:
        PackageState("")
    assert caught.value.hint == "see the docstring of PackageState"
