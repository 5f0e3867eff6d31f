"""`releasekit history --summary`, and that the JSON of both is what its schema says."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from tests.cli.helpers import NAMES, OUT, break_package
from tests.hostile import HOSTILE, commands

from releasekit import RunState, RunStore
from releasekit.cli import history_summary, releasekit
from releasekit.lifecycle import PackageStatus, Trigger
from releasekit.state import STATE_FILENAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.support import Workspace

SCHEMAS = {("history",): "history", ("history", "--summary"): "history-summary"}


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((files("releasekit") / "schemas" / f"{name}.json").read_text("utf-8"))
    return document


def fields(part: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """List every field that a schema has, at any depth, and what it says of it."""
    for name, described in part.get("properties", {}).items():
        where = f"{place}.{name}"
        yield where, {"description": "a status"} if "$ref" in described else described
        yield from fields(described, where)
    for inside in ("items", "additionalProperties"):
        if isinstance(part.get(inside), dict):
            yield from fields(part[inside], f"{place}[]")


def validate(document: object, name: str) -> None:
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator(schema(name), format_checker=checker).validate(document)


def shown(directory: Path, *arguments: str) -> str:
    result = CliRunner().invoke(releasekit, ["history", str(directory), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def make_run(path: Path, names: Iterable[str]) -> None:
    """A run in which packages were released, failed, left out, or not begun, in turn."""
    state = RunState("abc", index="./out")
    for name in names:
        state.init_package(name, version="1.0")
    with RunStore.create(path / STATE_FILENAME, state) as store:
        for n, package in enumerate(store.state.packages.values()):
            if n % 4 == 3:
                package.skip("by hand")
            if n % 4 < 2:
                package.start_building()
                package.record_artifacts({"a.tar.gz": "ab" * 32})
                package.start_publishing()
            if n % 4 == 0:
                package.start_verifying()
                package.confirm()
            if n % 8 == 1:
                package.fail("RK-PUBLISH-FAILED: no")


@pytest.mark.parametrize("name", SCHEMAS.values())
def test_a_schema_is_one_and_describes_every_field(name: str) -> None:
    document = schema(name)
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$defs"]["status"]["enum"] == list(PackageStatus)
    assert [place for place, described in fields(document, name) if not described.get("description")] == []


def test_the_schema_knows_every_trigger() -> None:
    event = schema("history")["properties"]["events"]["items"]
    assert event["properties"]["trigger"]["enum"] == [*Trigger, None]


def test_what_a_real_release_printed_is_what_the_schemas_say(workspace: Workspace) -> None:
    break_package(workspace, "aurora-http")
    assert workspace.releasekit(*OUT, "--no-gate").returncode == 3
    for arguments, name in SCHEMAS.items():
        printed = json.loads(workspace.releasekit(*arguments, "--json").stdout)
        validate(printed, name)

    assert printed["distance"] >= 1
    assert set(printed["packages"]) == NAMES
    assert printed["finished"] is False
    assert printed["in_flight"] == []
    assert {"aurora-core", "aurora-http"} <= set(printed["slowest"])
    assert printed["statuses"]["building"]["work"] == pytest.approx(
        sum(package["work"].get("building", 0) for package in printed["packages"].values()), abs=1e-4
    )


def test_the_summary_of_a_release_names_its_path_and_its_slowest_packages(workspace: Workspace) -> None:
    assert workspace.releasekit(*OUT).returncode == 0

    told = workspace.releasekit("history", "--summary")

    assert told.returncode == 0
    assert told.stderr == ""
    lines = told.stdout.splitlines()
    assert re.match(r"commit [0-9a-f]{12}, index \./out, begun 20", lines[0])
    makespan, critical, distance = (re.search(r"(\d+\.\d+)( s|  )", line) for line in lines[2:5])
    assert makespan
    assert critical
    assert distance
    assert float(makespan[1]) / float(critical[1]) == pytest.approx(float(distance[1]), abs=0.02)
    assert float(distance[1]) >= 1
    path = lines.index("", 3) + 1
    assert lines[path].startswith("critical path: the slowest build, then the longest chain of uploads")
    assert lines[path + 1].startswith("◐ building")
    slowest = next(i for i, line in enumerate(lines) if line.startswith("slowest packages"))
    assert lines[slowest].split()[2:] == ["at", "work", "building", "publishing", "verifying", "attempts", "now"]
    assert {line.split()[0] for line in lines[slowest + 1 : slowest + 9]} == NAMES
    assert "In flight" not in told.stdout


@pytest.mark.parametrize("count", [0, 1, 4, 30])
def test_every_summary_is_what_its_schema_says(tmp_path: Path, count: int) -> None:
    make_run(tmp_path, [f"p{n}" for n in range(count)])
    for arguments, name in SCHEMAS.items():
        validate(json.loads(shown(tmp_path, *arguments[1:], "--json")), name)


def test_a_run_that_was_never_at_work_says_so(tmp_path: Path) -> None:
    make_run(tmp_path, [])
    assert "Nothing has been at work yet." in shown(tmp_path, "--summary")
    document = json.loads(shown(tmp_path, "--summary", "--json"))
    assert document["first_event"] is document["last_event"] is document["distance"] is None


def test_what_is_still_in_flight_is_named_and_long_tables_are_cut(tmp_path: Path) -> None:
    make_run(tmp_path, [f"p{n}" for n in range(60)])
    told = shown(tmp_path, "--summary")
    assert re.search(r"^In flight, as far as the last event tells: p13, p21, p29", told, re.MULTILINE)
    document = json.loads(shown(tmp_path, "--summary", "--json"))
    assert f"and {len(document['slowest']) - history_summary.SLOWEST} more" in told


def test_hostile_names_are_text(tmp_path: Path) -> None:
    make_run(tmp_path, HOSTILE)
    told = shown(tmp_path, "--summary")
    assert told.replace("\n", "").isprintable()
    assert commands(told) == []
    printed = shown(tmp_path, "--summary", "--json")
    assert commands(printed) == []
    assert list(json.loads(printed)["packages"]) == list(HOSTILE)


def test_the_summary_is_about_the_whole_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(releasekit, ["history", str(tmp_path), "--summary", "--package", "a"])
    assert result.exit_code == 2
    assert "leave --package out" in result.output


def test_a_field_that_the_schema_does_not_have_is_found(tmp_path: Path) -> None:
    make_run(tmp_path, ["a"])
    document = json.loads(shown(tmp_path, "--summary", "--json"))
    for change in ({"more": 1}, {"makespan": -1}, {"distance": "far"}, {"slowest": None}):
        with pytest.raises(ValidationError):
            validate(document | change, "history-summary")


def test_of_many_packages_in_flight_only_some_are_named(tmp_path: Path) -> None:
    state = RunState("abc")
    with RunStore.create(tmp_path / STATE_FILENAME, state) as store:
        for n in range(100):
            store.state.init_package(f"p{n:02}").start_building()

    last = shown(tmp_path, "--summary").splitlines()[-1]

    assert last == ("In flight, as far as the last event tells: p00, p01, p02, p03, p04, p05, p06, p07 and 92 more")
