"""What a journal says of a run: the records as they are written, and none that can't have happened."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from releasekit.lifecycle import RULES, PackageStatus, Trigger
from releasekit.persistence.journal import MAX_LINE, Position, seal
from releasekit.persistence.reader import JournalError, Reader
from releasekit.state import PackageState, RunState, records, values
from releasekit.state.audience import Transition
from releasekit.state.records import Header, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

TIME = "2026-11-25T12:00:00Z"
SHA = "0123456789abcdef" * 4
RUN = {"git_sha": "abc", "created_at": "2026-01-02T03:04:05+00:00", "run_id": "r", "index": "pypi"}
PENDING, BUILDING, PUBLISHING, FAILED = (
    PackageStatus.PENDING,
    PackageStatus.BUILDING,
    PackageStatus.PUBLISHING,
    PackageStatus.FAILED,
)


class Noon:
    """A clock that stands still."""

    def now(self, zone: object) -> datetime:
        assert zone is UTC
        return datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "datetime", Noon())


def event(**said: object) -> bytes:
    """Encode what a record says."""
    return json.dumps({"time": TIME} | said).encode()


def fired(trigger: str, source: str, target: str, package: str = "core", /, **said: object) -> bytes:
    return event(package=package, trigger=trigger, **{"from": source, "to": target}, **said)


def declared(*names: str) -> bytes:
    return event(declared=[{"name": name} for name in names])


def forged(*payloads: bytes, packages: object = 1) -> bytes:
    """Make a journal that says anything, sealed as if it had been written."""
    line, position = Position().behind_header(json.dumps({**RUN, "packages": packages}).encode())
    lines = [line]
    for payload in payloads:
        line, position = position.behind_record(payload, position.seq)
        lines.append(line)
    return b"".join(lines)


class Replay:
    """Replays the bytes of a journal."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "x.journal"

    @contextmanager
    def reader(self, data: bytes) -> Iterator[Reader[Header, Record]]:
        self.path.write_bytes(data)
        fd = os.open(self.path, os.O_RDONLY)
        try:
            yield Reader(fd, Header, Record)
        finally:
            os.close(fd)

    def __call__(self, data: bytes) -> dict[str, PackageState]:
        with self.reader(data) as reader:
            return records.replay(reader)

    def refused(self, data: bytes) -> tuple[int, str]:
        with pytest.raises(JournalError) as caught:
            self(data)
        return caught.value.line, caught.value.problem


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    return Replay(tmp_path)


# as they are written


def test_a_declaration_says_what_is_known_of_each_package_and_no_more() -> None:
    full = PackageState(
        "top",
        FAILED,
        "1.0",
        "it broke",
        2,
        requires=["core", "größe"],
        artifacts={"top-1.0.tar.gz": SHA},
        attempts=3,
        reason="none",
    )
    assert records.declaration(PackageState("core"), full).decode() == (
        '{"time":"2026-11-25T12:00:00Z","declared":[{"name":"core"},'
        '{"name":"top","version":"1.0","level":2,"requires":["core","größe"],"status":"failed","error":"it broke",'
        f'"artifacts":{{"top-1.0.tar.gz":"{SHA}"}},"attempts":3,"reason":"none"}}]}}'
    )


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Transition("core", Trigger.START_BUILDING, PENDING, BUILDING, {}), ""),
        (
            Transition("core", Trigger.RECORD_ARTIFACTS, BUILDING, BUILDING, {"artifacts": {}}),
            f',"artifacts":{{"a":"{SHA}"}}',
        ),
        (Transition("core", Trigger.FAIL, BUILDING, FAILED, {"error": "given"}), ',"error":"stored"'),
        (Transition("core", Trigger.SKIP, PENDING, PackageStatus.SKIPPED, {"reason": "given"}), ',"reason":"why"'),
    ],
    ids=["nothing", "artifacts", "error", "reason"],
)
def test_a_trigger_says_from_where_to_where_and_what_it_stored(rule: Transition, said: str) -> None:
    package = PackageState("core", error="stored", reason="why", artifacts={"a": SHA})
    assert records.transition(package, rule).decode() == (
        f'{{"time":"{TIME}","package":"core","trigger":"{rule.trigger}","from":"{rule.source}","to":"{rule.target}"'
        f"{said}}}"
    )


def test_an_empty_text_or_no_artifacts_are_said_too() -> None:
    package = PackageState("core")
    for trigger, field, said in (
        (Trigger.FAIL, "error", b'"error":""}'),
        (Trigger.SKIP, "reason", b'"reason":""}'),
        (Trigger.RECORD_ARTIFACTS, "artifacts", b'"artifacts":{}}'),
    ):
        assert records.transition(package, Transition("core", trigger, PENDING, PENDING, {field: None})).endswith(said)


def written(packages: Sequence[PackageState]) -> list[dict[str, Any]]:
    data, position = records.begin(RUN, packages)
    lines = data.splitlines(keepends=True)
    assert position == Position().behind(data, len(lines) - 1)
    return [json.loads(line) for line in lines]


def names(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


def test_a_journal_begins_with_the_run_and_its_packages() -> None:
    header, record = written([PackageState("core"), PackageState("top", version="2")])
    del header["check"], record["check"]
    assert list(header.items()) == [("journal", 1), *RUN.items(), ("packages", 2)]
    assert list(record.items()) == [
        ("seq", 1),
        ("time", TIME),
        ("declared", [{"name": "core"}, {"name": "top", "version": "2"}]),
        ("flushed", 0),
    ]


@pytest.mark.parametrize(("count", "groups"), [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])])
def test_packages_are_declared_a_hundred_in_a_record(replay: Replay, count: int, groups: list[int]) -> None:
    packages = [PackageState(name) for name in names(count)]
    header, *lines = written(packages)
    assert header["packages"] == count
    assert [len(line["declared"]) for line in lines] == groups
    assert {line["flushed"] for line in lines} <= {0}
    assert list(replay(records.begin(RUN, packages)[0]).values()) == packages


def declaration_of(size: int) -> list[PackageState]:
    """Make four packages whose common declaration has so many bytes."""
    most = values.MAX_TEXT
    packages = [PackageState(name, requires=["x" * most] * 7) for name in names(4)]
    missing = size - len(records.declaration(*packages))
    more, rest = divmod(missing, most + 3)
    packages[3] = PackageState("p3", requires=["x" * most] * (7 + more), version="v" * (rest - len(',"version":""')))
    assert len(records.declaration(*packages)) == size
    return packages


def test_packages_that_would_fill_half_a_line_are_declared_one_by_one(replay: Replay) -> None:
    for size, groups in ((MAX_LINE // 2 - 1, [4]), (MAX_LINE // 2, [1, 1, 1, 1])):
        packages = declaration_of(size)
        assert [len(line["declared"]) for line in written(packages)[1:]] == groups
        assert list(replay(records.begin(RUN, packages)[0]).values()) == packages


def test_a_package_that_fits_into_no_line_is_refused() -> None:
    huge = PackageState("core", requires=["\x01" * values.MAX_TEXT] * 16)
    with pytest.raises(ValueError, match=r"^a line of \d+ bytes is longer than 1048576, which nobody would read$"):
        records.begin(RUN, [huge])


@pytest.mark.parametrize("character", ["x", "\x01", "\U0001f4a5", '"'], ids=["ascii", "control", "wide", "quote"])
def test_the_largest_values_that_a_trigger_can_carry_fit_into_a_line(character: str) -> None:
    package = PackageState("n" * values.MAX_TEXT)
    package.start_building()
    files = {f"{number:03}{character * (240 // len(character.encode()))}": SHA for number in range(450)}
    package.record_artifacts(files)
    artifacts = Transition(package.name, Trigger.RECORD_ARTIFACTS, BUILDING, BUILDING, {"artifacts": {}})
    package.fail(character * values.MAX_TEXT)
    failed = Transition(package.name, Trigger.FAIL, BUILDING, FAILED, {"error": ""})
    for moved in (artifacts, failed):
        line, _ = Position().behind_record(records.transition(package, moved), 0)
        assert len(line) <= MAX_LINE


# as they are replayed


FIRE: dict[Trigger, Callable[[PackageState], None]] = {
    Trigger.START_BUILDING: PackageState.start_building,
    Trigger.RECORD_ARTIFACTS: lambda package: package.record_artifacts({"core-1.0.tar.gz": SHA, "größe.whl": SHA}),
    Trigger.START_PUBLISHING: PackageState.start_publishing,
    Trigger.START_VERIFYING: PackageState.start_verifying,
    Trigger.CONFIRM: PackageState.confirm,
    Trigger.FAIL: lambda package: package.fail('it "broke" \\ \n\U0001f4a5'),
    Trigger.SKIP: lambda package: package.skip("private"),
    Trigger.RETRY: PackageState.retry,
    Trigger.RECOVER: PackageState.recover,
}


class Recorder:
    """Writes a run down in memory."""

    def __init__(self, run: RunState) -> None:
        self.data, self.position = run.begin_journal()
        run.record(self)

    def declared(self, package: PackageState) -> None:
        self._take(records.declaration(package))

    def moved(self, package: PackageState, moved: Transition) -> None:
        self._take(records.transition(package, moved))

    def _take(self, payload: bytes) -> None:
        line, self.position = self.position.behind_record(payload, 0)
        self.data += line


@pytest.mark.parametrize(("source", "trigger"), list(RULES), ids=str)
def test_every_trigger_replayed_does_what_it_did(replay: Replay, source: PackageStatus, trigger: Trigger) -> None:
    package = PackageState("core", source, "1.0", "old error", requires=["base"], attempts=1)
    run = RunState("abc", {"core": package})
    recorder = Recorder(run)
    FIRE[trigger](package)
    assert replay(recorder.data) == run.packages


def test_a_package_that_joined_later_is_replayed_with_all_that_it_was(replay: Replay) -> None:
    run = RunState("abc")
    recorder = Recorder(run)
    late = run.init_package("late", version="1.0", level=1, requires=["core"])
    late.start_building()
    run.init_package("left-out", status=PackageStatus.SKIPPED, reason="private")
    assert replay(recorder.data) == run.packages
    assert list(replay(recorder.data)) == ["late", "left-out"]


def test_replaying_keeps_the_records_if_it_is_asked_to(replay: Replay) -> None:
    data = forged(declared("core"), fired("start_building", "pending", "building"))
    kept: list[Record] = []
    with replay.reader(data) as reader:
        packages = records.replay(reader, kept)
    assert packages["core"].status is BUILDING
    assert [(record.seq, record.time, record.trigger) for record in kept] == [
        (1, TIME, None),
        (2, TIME, "start_building"),
    ]


def test_replaying_tells_nobody_and_leaves_packages_that_can_join_a_run(replay: Replay) -> None:
    packages = replay(forged(declared("core")))
    assert RunState("abc", packages)["core"] is packages["core"]


# what can't have happened


def at_first(trigger: Trigger, source: PackageStatus) -> bytes:
    """Declare a package in a status, and have something happen to it that may not."""
    target = {trigger: rule.target for (_, trigger), rule in RULES.items()}[trigger] or source
    carries = {trigger: rule.carries for (_, trigger), rule in RULES.items()}[trigger]
    said: Mapping[str, object] = {carries: {} if carries == "artifacts" else "x"} if carries else {}
    package = event(declared=[{"name": "core", "status": source}])
    return forged(package, fired(trigger, source, target, **said))


@pytest.mark.parametrize(
    ("source", "trigger"),
    sorted(set(product(PackageStatus, Trigger)) - set(RULES)),
    ids=str,
)
def test_a_trigger_that_the_table_does_not_allow_is_refused(
    replay: Replay, source: PackageStatus, trigger: Trigger
) -> None:
    problem = f"can't have happened: core is {source}, which does not allow {trigger}"
    assert replay.refused(at_first(trigger, source)) == (3, problem)


NEITHER: dict[str, dict[str, object]] = {
    "nothing": {},
    "only a package": {"package": "core"},
    "a source": {"from": "pending"},
    "a declaration of a package": {"package": "new", "declared": [{"name": "new"}]},
    "a declaration with a trigger": {"trigger": "start_building", "declared": [{"name": "new"}]},
    "a trigger that declares": {
        "package": "core",
        "trigger": "start_building",
        "from": "pending",
        "to": "building",
        "declared": [],
    },
    "a declaration with a source": {"from": "pending", "declared": [{"name": "new"}]},
    "a declaration with a target": {"to": "pending", "declared": [{"name": "new"}]},
    "a declaration with artifacts": {"artifacts": {}, "declared": [{"name": "new"}]},
    "a declaration with an error": {"error": "", "declared": [{"name": "new"}]},
    "a declaration with a reason": {"reason": "", "declared": [{"name": "new"}]},
}

ILLEGAL: dict[str, tuple[Sequence[bytes], int, str]] = {
    "fired twice": (
        [fired("start_building", "pending", "building")] * 2,
        4,
        "core is building, which does not allow start_building",
    ),
    "one missing before it": (
        [fired("start_verifying", "publishing", "verifying")],
        3,
        "core is pending, which does not allow start_verifying",
    ),
    "another source": (
        [fired("start_building", "failed", "building")],
        3,
        "core is pending, which no start_building moves to building",
    ),
    "another target": (
        [fired("start_building", "pending", "published")],
        3,
        "core is pending, which no start_building moves to published",
    ),
    "the source as target": (
        [fired("start_building", "pending", "pending")],
        3,
        "core is pending, which no start_building moves to pending",
    ),
    "no source": (
        [event(package="core", trigger="start_building", to="building")],
        3,
        "core is pending, which no start_building moves to building",
    ),
    "no target": (
        [event(package="core", trigger="start_building", **{"from": "pending"})],
        3,
        "core is pending, which no start_building moves to None",
    ),
    "an internal one that moves": (
        [
            fired("start_building", "pending", "building"),
            fired("record_artifacts", "building", "publishing", artifacts={}),
        ],
        4,
        "core is building, which no record_artifacts moves to publishing",
    ),
    "nothing carried": ([fired("skip", "pending", "skipped")], 3, "core has something else than reason"),
    "something else carried": (
        [fired("skip", "pending", "skipped", error="x")],
        3,
        "core has something else than reason",
    ),
    "more carried": (
        [fired("skip", "pending", "skipped", reason="x", artifacts={})],
        3,
        "core has something else than reason",
    ),
    **{
        f"{field} carried by what carries nothing": (
            [fired("start_building", "pending", "building", **{field: value})],
            3,
            "core has something that start_building does not carry",
        )
        for field, value in (("artifacts", {}), ("error", ""), ("reason", ""))
    },
    "artifacts that are none": (
        [
            fired("start_building", "pending", "building"),
            fired("record_artifacts", "building", "building", artifacts={"../x": SHA}),
        ],
        4,
        "artifacts has '../x', which is no file name",
    ),
    "a digest that is none": (
        [
            fired("start_building", "pending", "building"),
            fired("record_artifacts", "building", "building", artifacts={"x": SHA.upper()}),
        ],
        4,
        f"artifacts has {SHA.upper()!r} for 'x': not a sha256 of 64 lower-case hex digits",
    ),
    "an undeclared package": (
        [fired("start_building", "pending", "building", "other")],
        3,
        "'other' was never declared",
    ),
    "an undeclared package with a long name": (
        [fired("start_building", "pending", "building", "x" * 1000)],
        3,
        f"'{'x' * 99} was never declared",
    ),
    "no package": (
        [event(trigger="start_building", **{"from": "pending", "to": "building"})],
        3,
        "'' was never declared",
    ),
    "declared twice": ([declared("core")], 3, "'core' is declared a second time"),
    "declared twice at once": ([declared("new", "other", "new")], 3, "'new' is declared a second time"),
    "declared twice with a long name": (
        [declared("x" * 1000), declared("x" * 1000)],
        4,
        f"'{'x' * 99} is declared a second time",
    ),
    "declared with artifacts that are none": (
        [event(declared=[{"name": "new", "artifacts": {"": SHA}}])],
        3,
        "artifacts has '', which is no file name",
    ),
    **{
        f"neither one nor the other: {name}": ([event(**said)], 3, "the record neither declares packages nor moves one")
        for name, said in NEITHER.items()
    },
}


@pytest.mark.parametrize(("payloads", "line", "problem"), ILLEGAL.values(), ids=ILLEGAL)
@pytest.mark.parametrize("behind", [0, 3], ids=["last", "followed"])
def test_a_record_that_cant_have_happened_is_refused_where_it_stands(
    replay: Replay, payloads: Sequence[bytes], line: int, problem: str, behind: int
) -> None:
    more = [declared(f"more{number}") for number in range(behind)]
    assert replay.refused(forged(declared("core"), *payloads, *more)) == (line, f"can't have happened: {problem}")


def test_the_records_before_one_that_cant_have_happened_are_as_they_should(replay: Replay) -> None:
    with replay.reader(forged(declared("core"), declared("core"))) as reader:
        with pytest.raises(JournalError) as caught:
            records.replay(reader)
        assert caught.value.__suppress_context__


@pytest.mark.parametrize("keep", [None, []], ids=["not-kept", "kept"])
@pytest.mark.parametrize(
    ("groups", "packages", "line", "there"),
    [([], 1, 2, 0), ([["a"]], 2, 3, 1), ([["a", "b"], ["c"]], 300, 4, 3)],
    ids=["none", "one", "some"],
)
def test_a_journal_without_all_the_packages_that_it_began_with_is_refused(  # noqa: PLR0913, PLR0917
    replay: Replay, groups: list[list[str]], packages: int, line: int, there: int, keep: list[Record] | None
) -> None:
    data = forged(*(declared(*group) for group in groups), packages=packages)
    problem = f"is missing: the run began with {packages} packages, and {there} are there"
    with replay.reader(data) as reader, pytest.raises(JournalError) as caught:
        records.replay(reader, keep)
    assert (caught.value.line, caught.value.problem) == (line, problem)


def test_a_journal_may_have_more_packages_than_it_began_with(replay: Replay) -> None:
    assert list(replay(forged(declared("a"), declared("b"), packages=1))) == ["a", "b"]
    assert list(replay(forged(packages=0))) == []


# what is no record of a run at all

TOO_LONG = "x" * (values.MAX_TEXT + 1)
TOO_MUCH = values.MAX_COUNT + 1


OTHER_TYPES: list[tuple[bytes, str]] = [
    (b'{"package":"core"}', "Object missing required field `time`"),
    (event(more=1), "Object contains unknown field `more`"),
    (event(time=5), "Expected `str`, got `int` - at `$.time`"),
    (event(trigger="explode"), "Invalid enum value 'explode' - at `$.trigger`"),
    (event(trigger="START_BUILDING"), "Invalid enum value 'START_BUILDING' - at `$.trigger`"),
    (fired("skip", "lost", "skipped"), "Invalid enum value 'lost' - at `$.from`"),
    (fired("skip", "pending", "lost"), "Invalid enum value 'lost' - at `$.to`"),
    (event(source="pending"), "Object contains unknown field `source`"),
    (event(artifacts=[]), "Expected `object | null`, got `array` - at `$.artifacts`"),
    (event(artifacts={"x": 1}), "Expected `str`, got `int` - at `$.artifacts[...]`"),
    (event(error=TOO_LONG), "Expected `str` of length <= 16384 - at `$.error`"),
    (event(reason=TOO_LONG), "Expected `str` of length <= 16384 - at `$.reason`"),
    (event(declared={}), "Expected `array | null`, got `object` - at `$.declared`"),
    (event(declared=[{}]), "Object missing required field `name` - at `$.declared[0]`"),
    (event(declared=[{"name": "a", "more": 1}]), "Object contains unknown field `more` - at `$.declared[0]`"),
    (declared(""), "Expected `str` of length >= 1 - at `$.declared[0].name`"),
    (declared(TOO_LONG), "Expected `str` of length <= 16384 - at `$.declared[0].name`"),
    *(
        (
            event(declared=[{"name": "a", field: TOO_LONG}]),
            f"Expected `str` of length <= 16384 - at `$.declared[0].{field}`",
        )
        for field in ("version", "error", "reason")
    ),
    *(
        (event(declared=[{"name": "a", field: number}]), f"Expected `int` {bound} - at `$.declared[0].{field}`")
        for field in ("level", "attempts")
        for number, bound in ((-1, ">= 0"), (TOO_MUCH, "<= 2147483647"))
    ),
    (
        event(declared=[{"name": "a", "requires": [TOO_LONG]}]),
        "Expected `str` of length <= 16384 - at `$.declared[0].requires[0]`",
    ),
    (
        event(declared=[{"name": "a", "status": "lost"}]),
        "Invalid enum value 'lost' - at `$.declared[0].status`",
    ),
]


@pytest.mark.parametrize(("payload", "problem"), OTHER_TYPES, ids=[problem for _, problem in OTHER_TYPES])
def test_a_record_of_other_types_is_refused(replay: Replay, payload: bytes, problem: str) -> None:
    assert replay.refused(forged(declared("core"), payload)) == (3, f"is sealed, but is no record: {problem}")


@pytest.mark.parametrize("field", ["seq", "flushed"])
@pytest.mark.parametrize(("number", "bound"), [(-1, ">= 0"), (TOO_MUCH, "<= 2147483647")])
def test_a_number_of_a_record_that_is_none_is_refused(replay: Replay, field: str, number: int, bound: str) -> None:
    header = forged(packages=0)
    position = Position().behind(header, 0)
    assert position
    said = {"seq": 1, "flushed": 0} | {field: number}
    body = b'{"seq":%d,"time":"","declared":[],"flushed":%d' % (said["seq"], said["flushed"])
    line, _ = seal(body, position.crc)
    problem = f"is sealed, but is no record: Expected `int` {bound} - at `$.{field}`"
    assert replay.refused(header + line) == (2, problem)


OTHER_HEADERS: list[tuple[Mapping[str, object], str]] = [
    *(({field: None}, f"Object missing required field `{field}`") for field in [*RUN, "packages"]),
    *(({field: 5}, f"Expected `str`, got `int` - at `$.{field}`") for field in RUN),
    *(({field: TOO_LONG}, f"Expected `str` of length <= 16384 - at `$.{field}`") for field in RUN),
    ({"packages": -1}, "Expected `int` >= 0 - at `$.packages`"),
    ({"packages": "1"}, "Expected `int`, got `str` - at `$.packages`"),
    ({"more": 1}, "Object contains unknown field `more`"),
]


@pytest.mark.parametrize(("said", "problem"), OTHER_HEADERS, ids=[problem for _, problem in OTHER_HEADERS])
def test_a_header_of_other_types_is_refused(replay: Replay, said: Mapping[str, object], problem: str) -> None:
    fields = {name: value for name, value in {**RUN, "packages": 0, **said}.items() if value is not None}
    line, _ = Position().behind_header(json.dumps(fields).encode())
    assert replay.refused(line) == (1, f"is sealed, but is no header: {problem}")


def test_a_record_is_as_large_as_a_text_may_be(replay: Replay) -> None:
    text = "x" * values.MAX_TEXT
    full = {"name": text, "version": text, "error": text, "reason": text, "requires": [text]}
    most = {"level": values.MAX_COUNT, "attempts": values.MAX_COUNT}
    expected = PackageState(
        text, PENDING, text, text, values.MAX_COUNT, requires=[text], attempts=values.MAX_COUNT, reason=text
    )
    (package,) = replay(forged(event(declared=[full | most]))).values()
    assert package == expected


def test_what_is_written_is_what_is_read_in_the_same_order() -> None:
    """A field that is written but not read, or the other way round, would be found here."""
    said = [field.encode_name for field in msgspec.structs.fields(records.Event)]
    assert [field.encode_name for field in msgspec.structs.fields(Record)] == ["seq", *said, "flushed", "check"]
    assert [field.name for field in msgspec.structs.fields(records.Declared)] == [
        "name",
        "version",
        "level",
        "requires",
        "status",
        "error",
        "artifacts",
        "attempts",
        "reason",
    ]
