"""What is printed with --json is what its schema says, no more and no less; no schema has a list of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from tests.cli.helpers import NAMES, OUT, break_package
from tests.schemas import SCHEMAS, checked, problems

from releasekit.cli import INTERRUPTED, releasekit
from releasekit.cli.publish import CONFLICT, DONE
from releasekit.errors import E
from releasekit.lifecycle import PackageStatus
from releasekit.pipeline import Action
from releasekit.report.summary import SCHEMA
from releasekit.state import STATE_FILENAME
from releasekit.state.package import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support import Workspace

README = Path(__file__).parents[2].joinpath("README.md").read_text("utf-8")
OURS = [name for name in SCHEMAS if not name.startswith("history")]  # which has tests of its own
OPTIONAL = {"error.json": {"exit_code"}}
COMMON = SCHEMAS["common"]["$defs"]


def objects(schema: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # any part of one
    """Find every object of a schema whose properties it lists."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


@pytest.mark.parametrize("name", OURS)
def test_a_schema_is_one_and_leaves_nothing_open(name: str) -> None:
    schema = SCHEMAS[name]

    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"{name}.json"
    assert name == "common" or [*objects(schema)]
    for found in objects(schema):
        assert found["additionalProperties"] is False
        optional = OPTIONAL.get(schema["$id"], set())
        assert found["required"] == [field for field in found["properties"] if field not in optional]


@pytest.mark.parametrize("name", sorted(set(OURS) - {"common"}))
def test_every_schema_and_every_field_stands_in_the_readme(name: str) -> None:
    assert f"`{name}.json`" in README
    assert [field for field in SCHEMAS[name]["properties"] if f"`{field}`" not in README] == []


def test_the_schemas_know_what_the_code_knows() -> None:
    assert COMMON["status"]["enum"] == list(PackageStatus)
    assert tuple(COMMON["package"]["properties"]) == FIELDS
    help_text = releasekit.help or ""
    codes = {int(code) for code in re.findall(r"^ +(\d+)  ", help_text, re.MULTILINE)}
    assert set(COMMON["exit_code"]["enum"]) == codes - {2}  # with which no release is told of
    forecast = SCHEMAS["publish-dry-run"]["properties"]
    assert forecast["packages"]["items"]["properties"]["action"]["enum"] == list(Action)
    assert forecast["exit_code"]["enum"] == [DONE, CONFLICT]
    assert all(re.search(SCHEMAS["error"]["properties"]["code"]["pattern"], code) for code in E)
    assert SCHEMAS["summary"]["properties"]["schema"]["const"] == SCHEMA
    assert INTERRUPTED in codes


def test_a_run_from_its_plan_to_its_end(workspace: Workspace) -> None:
    plan = checked("plan", workspace.releasekit("plan", "--json").stdout)
    assert {package["name"] for package in plan["packages"]} == NAMES
    checked("publish-dry-run", workspace.releasekit(*OUT, "--dry-run", "--json").stdout)

    published = checked("publish", workspace.releasekit(*OUT, "--json").stdout)
    status = checked("status", workspace.releasekit("status", "--json").stdout)
    assert published == status | {"exit_code": 0, "error": ""}
    assert checked("status", workspace.releasekit("status", "--watch", "--json").stdout) == status

    summary = checked("summary", (workspace.root / ".releasekit-summary.json").read_text("utf-8"))
    assert summary["run_id"] == status["run_id"]
    assert {name: (package["version"], package["files"]) for name, package in summary["published"].items()} == {
        name: (package["version"], package["artifacts"]) for name, package in status["packages"].items()
    }

    again = checked("plan", workspace.releasekit("plan", "--index", "./out", "--json").stdout)
    assert {package["status"] for package in again["packages"]} == {"skipped"}
    removed = checked("clean", workspace.releasekit("clean", "--json").stdout)["removed"]
    assert any(path.endswith(".releasekit-summary.json") for path in removed)


def test_a_run_that_fails_and_what_is_done_about_it(workspace: Workspace) -> None:
    break_package(workspace, "aurora-http")

    failed = checked("publish", workspace.releasekit(*OUT, "--no-gate", "--json").stdout)
    assert failed["blocked"]["aurora"] == ["aurora-http"]
    assert failed["packages"]["aurora-http"]["error"].startswith(E.BUILD_FAILED)
    retried = checked("retry", workspace.releasekit("retry", "--json").stdout)
    assert retried["retried"] == ["aurora-http"]
    skipped = checked("skip", workspace.releasekit("skip", "aurora-http", "--json").stdout)
    assert skipped["skipped"] == ["aurora-http"]


def test_an_error_is_a_document_too(workspace: Workspace) -> None:
    wrong = checked("error", workspace.releasekit("status", "--json").stdout)
    assert wrong["code"] == E.STATE_NOT_FOUND
    (workspace.root / STATE_FILENAME).mkdir()
    wrong = checked("error", workspace.releasekit("status", "--json").stdout)
    assert wrong["code"] == E.FILE_FAILED


@pytest.mark.parametrize("place", ["", "packages.aurora"])
def test_a_field_that_is_not_documented_fails(workspace: Workspace, place: str) -> None:
    workspace.releasekit(*OUT)
    document = json.loads(workspace.releasekit("status", "--json").stdout)
    assert problems("status", document) == []

    part = document
    for key in filter(None, place.split(".")):
        part = part[key]
    part["undocumented"] = 1

    assert len(problems("status", document)) == 1
