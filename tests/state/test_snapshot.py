"""The state file: whatever is wrong with it comes out as one documented error, with the file, the place and a hint."""

from __future__ import annotations

import errno
import json
import os
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from releasekit.errors import E, ReleaseKitError
from releasekit.lifecycle import PackageStatus
from releasekit.persistence import codec
from releasekit.state import STATE_FILENAME, PackageState, RunState, snapshot
from releasekit.state.snapshot import StateCorruptedError
from releasekit.state.values import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIGEST = "0123456789abcdef" * 4
PACKAGE: dict[str, Any] = {
    "name": "core",
    "status": "failed",
    "version": "1.0",
    "error": "it broke",
    "level": 1,
    "requires": ["base"],
    "artifacts": {"core-1.0.tar.gz": DIGEST},
    "attempts": 2,
    "reason": "",
}
STRICT: dict[str, Any] = {
    "schema": 1,
    "git_sha": "abc",
    "created_at": "2026-01-02T03:04:05+00:00",
    "run_id": "r",
    "index": "pypi",
    "packages": {"core": PACKAGE},
}
LENIENT: dict[str, Any] = {
    "git_sha": "abc",
    "created_at": "2026-01-02T03:04:05+00:00",
    "packages": {"core": {name: PACKAGE[name] for name in ("name", "status", "version", "error", "level")}},
}


def strict(**package: object) -> bytes:
    return json.dumps(STRICT | {"packages": {"core": PACKAGE | package}}).encode()


def lenient(**package: object) -> bytes:
    return json.dumps(LENIENT | {"packages": {"core": LENIENT["packages"]["core"] | package}}).encode()


def top(document: dict[str, Any], **fields: object) -> bytes:
    return json.dumps(document | fields).encode()


def without(document: dict[str, Any], field: str) -> bytes:
    return json.dumps({name: value for name, value in document.items() if name != field}).encode()


def written(directory: Path, data: bytes) -> Path:
    path = directory / STATE_FILENAME
    path.write_bytes(data)
    return path


def realistic() -> RunState:
    run = RunState("0123456789abcdef", index="pypi")
    run.init_package("base", version="1.0")
    core = run.init_package("größe", version="1.0", level=1, requires=["base"])
    core.start_building()
    core.record_artifacts({"core-1.0.tar.gz": DIGEST})
    core.fail('it "broke" \\ \n\U0001f4a5')
    return run


WRONG: dict[str, tuple[object, ...]] = {
    "str": (None, 5, 1.5, True, ["x"], {"x": "y"}),
    "int": (None, "1", 1.0, 1.5, True, [1], {"x": 1}, -1, 2**31, 10**30, 1e300),
    "dict": (None, 5, "x", True, ["x"]),
    "list": (None, 5, "x", True, {"x": "y"}, [None], [5], [["x"]]),
}
TOP_TYPES = {"git_sha": "str", "created_at": "str", "packages": "dict"}
PACKAGE_TYPES = {"name": "str", "status": "str", "version": "str", "error": "str", "level": "int"}
OWN_TYPES = {"requires": "list", "artifacts": "dict", "attempts": "int", "reason": "str"}


def wrong_values() -> Iterator[Any]:
    """Every field of every file with every type that is not its own: the bytes and the place."""
    for kind, document, fields in (
        ("strict", STRICT, TOP_TYPES | {"run_id": "str", "index": "str"}),
        ("lenient", LENIENT, TOP_TYPES),
    ):
        for field, type_name in fields.items():
            for value in WRONG[type_name]:
                yield pytest.param(top(document, **{field: value}), field, id=f"{kind}-{field}-{json.dumps(value):.20}")
    for kind, make, fields in (("strict", strict, PACKAGE_TYPES | OWN_TYPES), ("lenient", lenient, PACKAGE_TYPES)):
        for field, type_name in fields.items():
            for value in WRONG[type_name]:
                place = f"packages.core.{field}"
                yield pytest.param(make(**{field: value}), place, id=f"{kind}-package-{field}-{json.dumps(value):.20}")


@pytest.mark.parametrize(("data", "place"), [*wrong_values()])
def test_a_value_of_another_type_is_refused_with_its_place(data: bytes, place: str, tmp_path: Path) -> None:
    path = written(tmp_path, data)
    with pytest.raises(StateCorruptedError) as caught:
        RunState.load(path)
    assert caught.value.place.startswith(place)
    assert f"{path}: {place}" in caught.value.message


MALFORMED = [
    pytest.param(b"", "", id="empty"),
    pytest.param(b" \n", "line 2 column 1", id="blank"),
    pytest.param(bytes(4096), "line 1 column 1", id="zeros"),
    pytest.param(top(STRICT) + bytes(10), "line 1 column", id="zeros-after-it"),
    pytest.param(top(STRICT) * 2, "line 1 column", id="twice-in-one-file"),
    pytest.param(b"[]", "", id="top-list"),
    pytest.param(b"null", "", id="top-null"),
    pytest.param(b"5", "", id="top-number"),
    pytest.param(b'"schema"', "", id="top-string"),
    pytest.param(b"{}", "", id="top-without-fields"),
    pytest.param(strict(status="unknown"), "packages.core.status", id="unknown-status"),
    pytest.param(strict(status="PENDING"), "packages.core.status", id="status-in-upper-case"),
    pytest.param(top(STRICT, packages={"core": None}), "packages.core", id="strict-package-null"),
    pytest.param(top(STRICT, packages={"core": 5}), "packages.core", id="strict-package-number"),
    pytest.param(top(STRICT, packages={"core": []}), "packages.core", id="strict-package-list"),
    pytest.param(top(LENIENT, packages={"core": None}), "packages.core", id="lenient-package-null"),
    pytest.param(top(LENIENT, packages={"core": 5}), "packages.core", id="lenient-package-number"),
    pytest.param(top(LENIENT, packages={"core": []}), "packages.core", id="lenient-package-list"),
    pytest.param(top(STRICT, packages={"other": PACKAGE}), "packages.other.name", id="strict-key-is-not-name"),
    pytest.param(lenient(name="other"), "packages.core.name", id="lenient-key-is-not-name"),
    pytest.param(top(STRICT, packages={"": PACKAGE | {"name": ""}}), "packages..name", id="empty-name"),
    pytest.param(top(STRICT, more=1), "", id="unknown-field"),
    pytest.param(strict(more=1), "packages.core", id="unknown-field-of-a-package"),
    pytest.param(top(STRICT, schema=2), "schema", id="newer-schema"),
    pytest.param(top(STRICT, schema=10**400), "schema", id="much-newer-schema"),
    pytest.param(top(STRICT, schema=0), "schema", id="schema-0"),
    pytest.param(top(STRICT, schema=-1), "schema", id="schema-below-0"),
    pytest.param(top(STRICT, schema="1"), "schema", id="schema-string"),
    pytest.param(top(STRICT, schema=True), "schema", id="schema-bool"),
    pytest.param(top(STRICT, schema=1.0), "schema", id="schema-float"),
    pytest.param(top(STRICT, schema=None), "schema", id="schema-null"),
    pytest.param(top(STRICT, schema=[1]), "schema", id="schema-list"),
    pytest.param(top(STRICT, git_sha="x" * (MAX_TEXT + 1)), "git_sha", id="git-sha-too-long"),
    pytest.param(top(LENIENT, created_at="x" * (MAX_TEXT + 1)), "created_at", id="created-at-too-long"),
    pytest.param(strict(version="x" * (MAX_TEXT + 1)), "packages.core.version", id="version-too-long"),
    pytest.param(strict(error="x" * (MAX_TEXT + 1)), "packages.core.error", id="error-too-long"),
    pytest.param(strict(artifacts={"a": 5}), "packages.core.artifacts", id="artifact-number"),
    pytest.param(strict(artifacts={"a": "b"}), "packages.core.artifacts", id="artifact-no-digest"),
    pytest.param(strict(artifacts={"../a": DIGEST}), "packages.core.artifacts", id="artifact-in-another-directory"),
    pytest.param(b"\xef\xbb\xbf" + top(STRICT), "line 1 column 1", id="byte-order-mark"),
    pytest.param(top(STRICT).replace(b"abc", b"a\xffc"), "", id="not-utf-8"),
    pytest.param(json.dumps(STRICT).encode("utf-16"), "", id="utf-16"),
    pytest.param(top(STRICT).replace(b"abc", b"a\xed\xa0\x80c"), "", id="surrogate-in-utf-8"),
    pytest.param(strict(error="\ud800"), "", id="half-a-surrogate-pair-escaped"),
    pytest.param(strict(error="\udc00\ud800"), "", id="surrogate-pair-the-wrong-way-round"),
    pytest.param(strict().replace(b'"core":', b'"\\ud800":'), "", id="half-a-surrogate-pair-in-a-key"),
    pytest.param(strict().replace(b'"level": 1', b'"level": NaN'), "", id="nan"),
    pytest.param(strict().replace(b'"level": 1', b'"level": Infinity'), "", id="infinity"),
    pytest.param(lenient().replace(b'"level": 1', b'"level": -Infinity'), "", id="minus-infinity"),
    pytest.param(lenient(other=1).replace(b'"other": 1', b'"other": 1e999'), "", id="number-beyond-all-numbers"),
    pytest.param(strict().replace(b'"level": 1', b'"level": 01'), "line 1 column", id="leading-zero"),
    pytest.param(top(STRICT).replace(b'"git_sha"', b'"git_sha": "x", "git_sha"'), "", id="key-twice-at-the-top"),
    pytest.param(top(LENIENT).replace(b'"git_sha"', b'"git_sha": "x", "git_sha"'), "", id="key-twice-lenient"),
    pytest.param(top(STRICT).replace(b'"core": {', b'"core": {}, "core": {'), "", id="package-twice"),
    pytest.param(strict().replace(b'"level": 1', b'"level": 1, "level": 1'), "", id="field-twice"),
    pytest.param(strict().replace(b'"level": 1', b'"level": 1, "l\\u0065vel": 1'), "", id="field-twice-escaped"),
    pytest.param(b"[" * 100_000 + b"]" * 100_000, "", id="100000-lists-deep"),
    pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "", id="100000-objects-deep"),
    pytest.param(lenient().replace(b"1}", b"1,%b" % (b'"a":' + b"[" * 100_000)), "", id="deep-in-an-unknown-field"),
    pytest.param(b"9" * 6000, "", id="6000-digits"),
    pytest.param(strict().replace(b'"level": 1', b'"level": ' + b"9" * 6000), "", id="6000-digits-as-level"),
    pytest.param(top(STRICT).replace(b'"schema": 1', b'"schema": ' + b"9" * 6000), "", id="6000-digits-as-schema"),
    *(pytest.param(without(STRICT, field), "", id=f"strict-without-{field}") for field in TOP_TYPES),
    *(pytest.param(without(LENIENT, field), "", id=f"lenient-without-{field}") for field in ("git_sha", "packages")),
    *(
        pytest.param(
            top(STRICT, packages={"core": json.loads(without(PACKAGE, field))}),
            "packages.core",
            id=f"strict-package-without-{field}",
        )
        for field in PACKAGE_TYPES
    ),
]


@pytest.mark.parametrize(("data", "place"), MALFORMED)
def test_a_malformed_file_is_refused_with_file_place_and_hint(data: bytes, place: str, tmp_path: Path) -> None:
    path = written(tmp_path, data)
    with pytest.raises(ReleaseKitError) as caught:
        RunState.load(path)
    error = caught.value
    assert isinstance(error, StateCorruptedError)
    assert error.code is E.STATE_CORRUPTED
    assert error.path == path
    assert error.message.startswith(str(path))
    assert error.place.startswith(place)
    assert bool(error.place) == bool(place)
    assert error.hint
    assert len(error.message) < len(str(path)) + 700


@pytest.fixture
def unlimited_digits() -> Iterator[None]:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(limit)


@pytest.mark.usefixtures("unlimited_digits")
@pytest.mark.parametrize(
    ("data", "place"),
    [
        pytest.param(b"9" * 6000, "", id="top"),
        pytest.param(top(STRICT).replace(b'"schema": 1', b'"schema": ' + b"9" * 6000), "schema", id="schema"),
        pytest.param(top(STRICT).replace(b'"schema": 1', b'"schema": -' + b"9" * 6000), "schema", id="schema-below-0"),
        pytest.param(strict().replace(b'"level": 1', b'"level": ' + b"9" * 6000), "packages.core.level", id="strict"),
        pytest.param(lenient().replace(b'"level": 1', b'"level": ' + b"9" * 6000), "packages.core.level", id="lenient"),
    ],
)
def test_a_number_of_6000_digits_is_refused_also_where_python_reads_it(data: bytes, place: str, tmp_path: Path) -> None:
    with pytest.raises(StateCorruptedError) as caught:
        RunState.load(written(tmp_path, data))
    assert caught.value.place == place


def test_a_number_that_msgspec_cant_print_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = 10**5000
    monkeypatch.setattr(codec, "decode", lambda _data: number)
    with pytest.raises(StateCorruptedError):
        RunState.load(written(tmp_path, b"x"))


def test_a_file_cut_at_any_byte_is_refused(tmp_path: Path) -> None:
    whole = realistic().to_bytes()
    for length in range(len(whole) - 1):
        with pytest.raises(StateCorruptedError):
            snapshot.decode(whole[:length], tmp_path)
    assert whole.endswith(b"}\n")
    assert snapshot.decode(whole[:-1], tmp_path) == snapshot.decode(whole, tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"{}", "object misses the required field `git_sha`", id="whole"),
        pytest.param(strict(level="1"), "packages.core.level expected `int`, got `str`", id="place"),
    ],
)
def test_a_message_has_the_file_a_colon_the_place_and_the_problem(data: bytes, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, data)
    with pytest.raises(StateCorruptedError) as caught:
        RunState.load(path)
    assert caught.value.message == f"{path}: {message}"


def test_a_newer_schema_asks_for_the_newer_releasekit(tmp_path: Path) -> None:
    with pytest.raises(StateCorruptedError, match="schema is newer than 1") as caught:
        RunState.load(written(tmp_path, top(STRICT, schema=2, more="fields")))
    assert caught.value.hint == "use the newer releasekit that wrote the file"


def test_a_file_larger_than_the_limit_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = top(STRICT)
    monkeypatch.setattr(snapshot, "MAX_BYTES", len(data) - 1)
    monkeypatch.setattr(codec, "decode", None)
    path = written(tmp_path, data)
    with pytest.raises(StateCorruptedError) as caught:
        RunState.load(path)
    assert caught.value.message == f"{path}: has {len(data)} bytes, more than the {len(data) - 1} that are read"


def test_a_file_as_large_as_the_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = top(STRICT)
    monkeypatch.setattr(snapshot, "MAX_BYTES", len(data))
    assert "core" in RunState.load(written(tmp_path, data))


def test_a_run_that_no_load_would_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = realistic()
    path = written(tmp_path, run.to_bytes())
    monkeypatch.setattr(snapshot, "MAX_BYTES", len(run.to_bytes()) - 1)
    with pytest.raises(ReleaseKitError, match="the run takes") as caught:
        run.save(path)
    assert caught.value.code is E.STATE_INVALID_VALUE
    monkeypatch.undo()
    assert RunState.load(path) == run


def test_a_file_with_only_the_fixed_names_loads(tmp_path: Path) -> None:
    run = RunState.load(written(tmp_path, top(LENIENT)))
    assert run == RunState(
        "abc",
        {"core": PackageState("core", PackageStatus.FAILED, "1.0", "it broke", 1)},
        "2026-01-02T03:04:05+00:00",
        run_id=run.run_id,
    )


def test_a_lenient_file_may_lack_fields_and_have_more(tmp_path: Path) -> None:
    run = RunState.load(
        written(tmp_path, b'{"git_sha": "abc", "packages": {"core": {"x": 1.5, "attempts": []}}, "y": 1}')
    )
    assert run["core"] == PackageState("core")
    assert run.created_at


def test_an_unknown_status_of_a_lenient_file_becomes_pending_with_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path, lenient(status="yanked"))
    with capture_logs() as logs:
        run = RunState.load(path)
    assert run["core"].status is PackageStatus.PENDING
    (event,) = logs
    assert event == {
        "event": "releasekit.status_unknown",
        "log_level": "warning",
        "module": "releasekit.state.snapshot",
        "file": str(path),
        "package": "core",
        "status": "yanked",
        "becomes": "pending",
    }


def test_a_lenient_file_is_strict_once_it_is_saved(tmp_path: Path) -> None:
    run = RunState.load(written(tmp_path, top(LENIENT)))
    run.save(tmp_path / STATE_FILENAME)
    document = json.loads((tmp_path / STATE_FILENAME).read_bytes())
    assert document["schema"] == 1
    assert RunState.load(tmp_path / STATE_FILENAME) == run


def test_the_saved_file_is_json_for_people_and_jq() -> None:
    text = realistic().to_bytes().decode()
    document = json.loads(text)
    assert list(document) == ["schema", "git_sha", "created_at", "run_id", "index", "packages"]
    assert list(document["packages"]["größe"]) == list(PACKAGE)
    assert text == json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def test_every_path_is_accepted(tmp_path: Path) -> None:
    path = written(tmp_path, top(STRICT))
    assert RunState.load(str(path)) == RunState.load(path)


def test_a_missing_file_is_an_os_error_that_keeps_its_kind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Failed to read") as caught:
        RunState.load(tmp_path / "missing")
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.errno == errno.ENOENT
    assert str(tmp_path / "missing") in str(caught.value)


def test_a_directory_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="Failed to read") as caught:
        RunState.load(tmp_path)
    assert caught.value.errno == errno.EISDIR


def test_a_file_that_may_not_be_read_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, top(STRICT))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything

        def denied(*_arguments: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr(type(path), "open", denied)
    with pytest.raises(PermissionError, match=r"Failed to read .*Permission denied") as caught:
        RunState.load(path)
    assert caught.value.errno == errno.EACCES


def test_an_error_while_reading_is_an_os_error(tmp_path: Path) -> None:
    path = tmp_path / "loop"
    path.symlink_to(path)
    with pytest.raises(OSError, match="Failed to read") as caught:
        RunState.load(path)
    assert caught.value.errno == errno.ELOOP


def test_the_error_crosses_processes_with_its_facts(tmp_path: Path) -> None:
    error = StateCorruptedError(tmp_path, "packages.core", "is odd")
    read = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (type(read), str(read), vars(read)) == (StateCorruptedError, str(error), vars(error))


def test_a_message_about_a_huge_value_stays_short(tmp_path: Path) -> None:
    with pytest.raises(StateCorruptedError) as caught:
        RunState.load(written(tmp_path, top(STRICT, packages={"x" * 100_000: PACKAGE | {"status": "y" * 100_000}})))
    assert len(str(caught.value)) < 2000


def load_and_save(data: bytes, directory: Path) -> None:
    """Load bytes that may be anything: only the documented error may come out, and what loads can be saved."""
    try:
        run = RunState.load(written(directory, data))
    except StateCorruptedError:
        return
    run.save(directory / STATE_FILENAME)
    assert RunState.load(directory / STATE_FILENAME) == run


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@given(st.binary(max_size=200))
@example(top(STRICT))
@example(top(LENIENT))
@settings(deadline=None)
def test_random_bytes_load_or_are_refused(directory: Path, data: bytes) -> None:
    load_and_save(data, directory)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([STRICT, LENIENT]), st.data())
@settings(deadline=None, max_examples=300)
def test_a_valid_file_with_any_value_replaced_loads_or_is_refused(
    directory: Path, document: dict[str, Any], data: st.DataObject
) -> None:
    document = json.loads(json.dumps(document))
    part = data.draw(st.sampled_from([document, document["packages"], document["packages"]["core"]]))
    names = st.sampled_from([*part, *PACKAGE, "schema"]) | st.text(max_size=5)
    part[data.draw(names)] = data.draw(json_values)
    load_and_save(json.dumps(document).encode(), directory)


@given(
    st.sampled_from([realistic().to_bytes(), top(LENIENT)]),
    st.integers(0, 10_000),
    st.integers(0, 20),
    st.binary(max_size=8),
)
@settings(deadline=None, max_examples=300)
def test_a_valid_file_with_any_bytes_replaced_loads_or_is_refused(
    directory: Path,
    data: bytes,
    start: int,
    length: int,
    patch: bytes,
) -> None:
    start %= len(data)
    load_and_save(data[:start] + patch + data[start + length :], directory)
