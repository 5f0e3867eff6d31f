"""What npm prints is read, and what a script of the user's must not see is kept from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.npm_trees import write

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.npm import programs
from releasekit.pipeline.process import CommandError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("output", "document"),
    [
        ('{"a": 1}', {"a": 1}),
        ('"1.0.0"\n', "1.0.0"),
        ('(node:1) Warning: {x}\n[\n "1.0.0"\n]\nmore', ["1.0.0"]),
        ('[not json]\n{"a": 1}', {"a": 1}),
        ("", None),
        ("nothing", None),
        ("[" * 100_000, None),
    ],
)
def test_the_json_is_found_whatever_stands_around_it(output: str, document: object) -> None:
    assert programs.json_in(output) == document


def test_an_error_is_read_from_it() -> None:
    failed = CommandError(1, '{"error": {"code": "E404", "summary": "none ", "detail": "\\n it is not there"}}')
    assert programs.failure_in(failed) == ("E404", "none\nit is not there")


@pytest.mark.parametrize(
    "output", ["Segmentation fault", '{"error": "x"}', '{"error": {"code": [], "summary": 1}}', '{"ok": true}', "[]"]
)
def test_an_error_that_can_not_be_read_is_told_as_it_is(output: str) -> None:
    assert programs.failure_in(CommandError(1, output)) == ("", output)


def test_a_program_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for find in (programs.find_npm, programs.find_pnpm):
        with pytest.raises(ReleaseKitError, match="is not on PATH") as caught:
            find()
        assert caught.value.code is E.NPM_MISSING


@pytest.mark.usefixtures("npm")
def test_variables_that_would_lead_npm_elsewhere_are_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = ("npm_config_workspace", "NPM_CONFIG_DRY_RUN", "npm_config_local_prefix", "npm_config_//h/:_authToken",
                 "npm_config_@s:registry", "pnpm_config_filter")  # fmt: skip
    for name in (*elsewhere, "npm_config_registry", "npm_config_tag", "npm_package_name"):
        monkeypatch.setenv(name, "x")
    assert programs.environ() == dict.fromkeys(elsewhere)


@pytest.mark.usefixtures("npm")
def test_variables_that_may_publish_are_withheld(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "w", {".npmrc": "//h/:_authToken=${MINE}\nregistry=http://${HOST}/\n# _auth=${NOT_THIS}\n"})
    write(tmp_path / "home", {".npmrc": "//h/:_password = '${THEIRS?}'\nfoo=${BAR}\n"})
    secrets = {"NPM_TOKEN", "NODE_AUTH_TOKEN", "UV_PUBLISH_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "npm_config__auth",
               "NPM_CONFIG__PASSWORD", "npm_config_otp"}  # fmt: skip
    for name in (*secrets, "NPM_CONFIG_REGISTRY", "GITHUB_TOKEN", "PATH_TO_NPM_TOKEN"):
        monkeypatch.setenv(name, "x")
    assert set(programs.withheld(root)) == secrets | {"MINE", "THEIRS"}


@pytest.mark.usefixtures("npm")
def test_the_users_settings_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*programs.config_files(tmp_path)] == [tmp_path / ".npmrc", tmp_path / "home/.npmrc"]
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(tmp_path / "other"))
    assert [*programs.config_files(tmp_path)] == [tmp_path / ".npmrc", tmp_path / "other"]
