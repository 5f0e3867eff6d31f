"""A version that only a build tells: stored once, with the artifacts, and never changed after that."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import told

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import RULES, PackageStatus, Trigger
from releasekit.persistence.journal import Position
from releasekit.persistence.reader import JournalError, Reader
from releasekit.state import STATE_FILENAME, PackageState, RunState, journal_path, records
from releasekit.state.history import read_history
from releasekit.state.records import Header, Record
from releasekit.state.values import MAX_TEXT
from releasekit.store import RunStore

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "ab" * 32
ARTIFACTS = {"core-1.2.tar.gz": DIGEST}
RUN = {"git_sha": "abc", "created_at": "2026-01-02T03:04:05+00:00", "run_id": "r", "index": "pypi"}


def building(version: str = "") -> PackageState:
    return PackageState("core", PackageStatus.BUILDING, version)


def test_a_build_tells_the_version_of_a_package_that_was_declared_without_one() -> None:
    package = building()
    heard: list[Any] = []
    package.join(told(heard.append))

    package.record_artifacts(ARTIFACTS, "1.2")

    assert (package.version, dict(package.artifacts), package.status) == ("1.2", ARTIFACTS, "building")
    assert [dict(moved.carried) for moved in heard] == [{"artifacts": ARTIFACTS, "version": "1.2"}]


def test_artifacts_may_be_recorded_without_a_version_and_then_say_none() -> None:
    package = building()
    heard: list[Any] = []
    package.join(told(heard.append))

    package.record_artifacts(ARTIFACTS)

    assert package.version == ""
    assert [dict(moved.carried) for moved in heard] == [{"artifacts": ARTIFACTS}]


def test_the_order_in_which_both_are_given_is_no_matter() -> None:
    package = building()
    package.fire(Trigger.RECORD_ARTIFACTS, version="1.2", artifacts=ARTIFACTS)
    assert (package.version, dict(package.artifacts)) == ("1.2", ARTIFACTS)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_version_that_is_known_does_not_change(version: str) -> None:
    package = building("1.2")
    before = package.fields()

    with pytest.raises(ReleaseKitError) as caught:
        package.record_artifacts(ARTIFACTS, version)

    assert caught.value.code is E.STATE_INVALID_VALUE
    assert caught.value.message == "version is '1.2' already, and does not change"
    assert package.fields() == before


def test_a_recorded_version_does_not_change_at_the_next_build_either() -> None:
    package = building()
    package.record_artifacts(ARTIFACTS, "1.2")
    package.recover()
    package.start_building()
    package.record_artifacts({"core-1.2.tar.gz": "cd" * 32})
    assert package.version == "1.2"
    with pytest.raises(ReleaseKitError, match="does not change"):
        package.record_artifacts(ARTIFACTS, "1.2")
    assert package.artifacts == {"core-1.2.tar.gz": "cd" * 32}


@pytest.mark.parametrize(
    ("version", "message"),
    [
        pytest.param("", "version is empty", id="empty"),
        pytest.param(12, "version must be a string, not int", id="a-number"),
        pytest.param("\ud800", "version has half a surrogate pair, which no file can hold", id="half-a-pair"),
        pytest.param(
            "1" * (MAX_TEXT + 1), f"version has {MAX_TEXT + 1} characters, more than {MAX_TEXT}", id="too-long"
        ),
    ],
)
def test_a_version_that_no_run_could_have_is_refused(version: Any, message: str) -> None:  # noqa: ANN401
    package = building()
    before = package.fields()
    with pytest.raises(ReleaseKitError) as caught:
        package.fire(Trigger.RECORD_ARTIFACTS, artifacts=ARTIFACTS, version=version)
    assert caught.value.message == message
    assert package.fields() == before


@pytest.mark.parametrize("trigger", [trigger for trigger in Trigger if trigger is not Trigger.RECORD_ARTIFACTS])
def test_no_other_trigger_carries_a_version(trigger: Trigger) -> None:
    source, rule = next((source, rule) for (source, fired), rule in RULES.items() if fired is trigger)
    package = PackageState("core", source)
    carried = {rule.carries: "x"} if rule.carries else {}
    with pytest.raises(TypeError, match=f"^{trigger} carries {rule.carries or 'nothing'}, not .*version$"):
        package.fire(trigger, **carried, version="1.2")
    assert (package.version, package.status) == ("", source)


def test_a_version_alone_is_not_enough() -> None:
    package = building()
    with pytest.raises(TypeError, match=r"^record_artifacts carries artifacts, not version$"):
        package.fire(Trigger.RECORD_ARTIFACTS, version="1.2")
    assert package.version == ""


# on disk


def event(**said: object) -> bytes:
    return json.dumps({"time": "2026-11-25T12:00:00Z", **said}).encode()


def recorded(**said: object) -> bytes:
    return event(package="core", trigger="record_artifacts", **{"from": "building", "to": "building"}, **said)


def replay(path: Path, *payloads: bytes, version: str = "", status: str = "building") -> PackageState:
    """Replay a journal that says anything of one package."""
    line, position = Position().behind_header(json.dumps({**RUN, "packages": 1}).encode())
    declared = {"name": "core", "status": status} | ({"version": version} if version else {})
    lines = [line]
    for payload in (event(declared=[declared]), *payloads):
        line, position = position.behind_record(payload, position.seq)
        lines.append(line)
    path.write_bytes(b"".join(lines))
    fd = os.open(path, os.O_RDONLY)
    try:
        return records.replay(Reader(fd, Header, Record))["core"]
    finally:
        os.close(fd)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.journal"


def test_a_record_without_a_version_is_what_it_always_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte: what was written before there were such versions reads on, and is written on."""
    written: list[bytes] = []
    state = RunState("abc")
    state.init_package("core", version="1.2")
    state.record(_Recorder(written))
    monkeypatch.setattr(records, "datetime", _Noon())
    state["core"].start_building()
    state["core"].record_artifacts(ARTIFACTS)
    assert [line.decode() for line in written] == [
        '{"time":"2026-11-25T12:00:00Z","package":"core","trigger":"start_building","from":"pending","to":"building"}',
        (
            '{"time":"2026-11-25T12:00:00Z","package":"core","trigger":"record_artifacts","from":"building",'
            f'"to":"building","artifacts":{{"core-1.2.tar.gz":"{DIGEST}"}}}}'
        ),
    ]


def test_a_record_with_a_version_says_it_behind_the_artifacts(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    state = RunState("abc")
    state.init_package("core")
    state["core"].start_building()
    state.record(_Recorder(written))
    monkeypatch.setattr(records, "datetime", _Noon())
    state["core"].record_artifacts(ARTIFACTS, "1.2")
    assert [line.decode() for line in written] == [
        (
            '{"time":"2026-11-25T12:00:00Z","package":"core","trigger":"record_artifacts","from":"building",'
            f'"to":"building","artifacts":{{"core-1.2.tar.gz":"{DIGEST}"}},"version":"1.2"}}'
        )
    ]


def test_replaying_stores_the_version(path: Path) -> None:
    package = replay(path, recorded(artifacts=ARTIFACTS, version="1.2"))
    assert (package.version, dict(package.artifacts)) == ("1.2", ARTIFACTS)


def test_replaying_what_has_no_version_keeps_the_declared_one(path: Path) -> None:
    assert replay(path, recorded(artifacts=ARTIFACTS)).version == ""
    assert replay(path, recorded(artifacts=ARTIFACTS), version="1.0").version == "1.0"


@pytest.mark.parametrize(
    ("payloads", "version", "problem"),
    [
        pytest.param(
            [recorded(artifacts=ARTIFACTS, version="1.2")] * 2,
            "",
            "version is '1.2' already, and does not change",
            id="twice",
        ),
        pytest.param(
            [recorded(artifacts=ARTIFACTS, version="1.2")],
            "1.0",
            "version is '1.0' already, and does not change",
            id="of-a-package-that-has-one",
        ),
        pytest.param([recorded(artifacts=ARTIFACTS, version="")], "", "version is empty", id="empty"),
        pytest.param([recorded(version="1.2")], "", "core has something else than artifacts", id="alone"),
        pytest.param(
            [recorded(artifacts=ARTIFACTS, version="1.2", error="x")],
            "",
            "core has something else than artifacts",
            id="with-an-error",
        ),
        pytest.param(
            [
                event(
                    package="core",
                    trigger="fail",
                    **{"from": "building", "to": "failed", "error": "x", "version": "1.2"},
                )
            ],
            "",
            "core has a version, which fail does not carry",
            id="of-another-trigger",
        ),
        pytest.param(
            [event(package="core", trigger="recover", **{"from": "building", "to": "pending", "version": "1.2"})],
            "",
            "core has a version, which recover does not carry",
            id="of-one-that-carries-nothing",
        ),
        pytest.param(
            [event(declared=[{"name": "other"}], version="1.2")],
            "",
            "the record neither declares packages nor moves one",
            id="of-a-declaration",
        ),
    ],
)
def test_a_journal_with_a_version_that_was_never_stored_is_refused(
    path: Path, payloads: list[bytes], version: str, problem: str
) -> None:
    with pytest.raises(JournalError) as caught:
        replay(path, *payloads, version=version)
    assert caught.value.problem == f"can't have happened: {problem}"
    assert caught.value.line == len(payloads) + 2


@pytest.mark.parametrize("version", [5, None, ["1.2"], "1" * (MAX_TEXT + 1)], ids=lambda value: type(value).__name__)
def test_a_version_of_another_type_is_none(path: Path, version: object) -> None:
    if version is None:  # as every record that has none
        assert replay(path, recorded(artifacts=ARTIFACTS, version=None)).version == ""
        return
    with pytest.raises(JournalError):
        replay(path, recorded(artifacts=ARTIFACTS, version=version))


def test_a_package_that_refuses_a_record_is_as_it_was() -> None:
    package = building("1.0")
    before = package.fields()
    record = Record(
        seq=1,
        time="",
        trigger=Trigger.RECORD_ARTIFACTS,
        source=PackageStatus.BUILDING,
        target=PackageStatus.BUILDING,
        artifacts=ARTIFACTS,
        version="1.2",
        flushed=0,
        check="",
    )
    with pytest.raises(ReleaseKitError):
        package.replay(Trigger.RECORD_ARTIFACTS, record)
    assert package.fields() == before
    record.artifacts, unversioned = {"../x": DIGEST}, building()
    with pytest.raises(ReleaseKitError):
        unversioned.replay(Trigger.RECORD_ARTIFACTS, record)
    assert unversioned.version == ""


def test_what_was_learned_survives_journal_and_snapshot(tmp_path: Path) -> None:
    path = tmp_path / STATE_FILENAME
    state = RunState("abc")
    state.init_package("core")
    with RunStore.create(path, state) as store:
        store.state["core"].start_building()
        store.state["core"].record_artifacts(ARTIFACTS, "1.2")
    assert json.loads(path.read_bytes())["packages"]["core"]["version"] == "1.2"
    assert RunState.load(path)["core"].version == "1.2"
    event = read_history(path).events[-1]
    assert dict(event.carried) == {"artifacts": ARTIFACTS, "version": "1.2"}
    journal_path(path).unlink()
    assert RunState.load(path)["core"].version == "1.2", "the snapshot has it too"
    with RunStore.open(path) as store:
        store.state.recover()
        store.state["core"].start_building()
        with pytest.raises(ReleaseKitError, match="does not change"):
            store.state["core"].record_artifacts(ARTIFACTS, "1.3")


class _Recorder:
    def __init__(self, written: list[bytes]) -> None:
        self.written = written

    def declared(self, package: PackageState) -> None:
        raise AssertionError(package)

    def moved(self, package: PackageState, moved: Any) -> None:  # noqa: ANN401  # a Transition
        self.written.append(records.transition(package, moved))


class _Noon:
    @staticmethod
    def now(_zone: object) -> datetime:
        return datetime(2026, 11, 25, 12, tzinfo=UTC)
