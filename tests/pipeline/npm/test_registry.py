"""What a registry has is told by npm, compared by sha512 with what we have, and downloaded only when that is needed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.npm_trees import error

from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.npm.registry import Registry, matches
from releasekit.pipeline.npm.settings import Settings, Target
from releasekit.pipeline.outcome import StepError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.npm_trees import FakeNpm

CORE, FILE = "@s/core", "s-core-1.0.0.tgz"
OURS, THEIRS = "ours", "theirs"
SHA = {text: hashlib.sha256(text.encode()).hexdigest() for text in (OURS, THEIRS)}
EXISTS = "You cannot publish over the previously published versions: 1.0.0."


def sri(text: str, algorithm: str = "sha512") -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, text.encode()).digest()).decode()}"


def shown(integrity: str | None = None, **others: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    told = {"name": CORE, "version": "1.0.0", **({"dist.integrity": integrity} if integrity else {}), **others}
    return {"stdout": json.dumps(told)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    kept = tmp_path / "w/.releasekit-dist/@s+core"
    kept.mkdir(parents=True)
    kept.joinpath(FILE).write_text(OURS)
    return tmp_path / "w"


@pytest.fixture
def registry(root: Path) -> Registry:
    return Registry(root, Settings({CORE: Target("http://127.0.0.1:1/")}, "latest"))


def ask(registry: Registry, expected: Mapping[str, str]) -> Mapping[str, str]:
    return asyncio.run(registry.files(CORE, "1.0.0", expected))


def commands(npm: FakeNpm) -> list[str]:
    return [call.argv[0] for call in npm.calls]


def test_a_version_that_is_not_there_has_no_files(registry: Registry, npm: FakeNpm) -> None:
    npm.answer({"view": error("E404", "No match found for version 1.0.0")})
    assert ask(registry, {FILE: SHA[OURS]}) == {}
    npm.answer({})  # as older ones have it
    assert ask(registry, {FILE: SHA[OURS]}) == {}


def test_what_we_have_is_recognised_by_its_sha512_and_not_downloaded(registry: Registry, npm: FakeNpm) -> None:
    npm.answer({"view": shown(f"sha1-x {sri(OURS)}")})
    assert ask(registry, {FILE: SHA[OURS]}) == {FILE: SHA[OURS]}
    assert commands(npm) == ["view"]


def test_a_version_of_which_nothing_is_expected_is_not_downloaded(registry: Registry, npm: FakeNpm) -> None:
    npm.answer({"view": shown(sri(THEIRS))})
    assert ask(registry, {}) == {FILE: ""}
    assert commands(npm) == ["view"]


@pytest.mark.parametrize("integrity", [sri(THEIRS), None, "sha1-abc", "nonsense", "sha512-"])
def test_what_is_another_or_can_not_be_told_is_downloaded_and_hashed(
    registry: Registry, npm: FakeNpm, integrity: str | None
) -> None:
    npm.answer({"view": shown(integrity), "pack": {"files": {FILE: THEIRS}}})
    assert ask(registry, {FILE: SHA[OURS]}) == {FILE: SHA[THEIRS]}
    assert commands(npm) == ["view", "pack"]


def test_what_we_have_lost_is_downloaded_and_hashed(registry: Registry, npm: FakeNpm, root: Path) -> None:
    root.joinpath(".releasekit-dist/@s+core", FILE).unlink()
    npm.answer({"view": shown(sri(OURS)), "pack": {"files": {FILE: OURS}}})
    assert ask(registry, {FILE: SHA[OURS]}) == {FILE: SHA[OURS]}


def test_what_was_changed_here_is_not_taken_for_what_was_built(registry: Registry, npm: FakeNpm, root: Path) -> None:
    root.joinpath(".releasekit-dist/@s+core", FILE).write_text(THEIRS)
    npm.answer({"view": shown(sri(THEIRS)), "pack": {"files": {FILE: THEIRS}}})
    assert ask(registry, {FILE: SHA[OURS]}) == {FILE: SHA[THEIRS]}


def test_a_download_that_gives_something_else_is_an_error(registry: Registry, npm: FakeNpm) -> None:
    npm.answer({"view": shown(sri(THEIRS)), "pack": {"files": {}}})
    with pytest.raises(StepError, match="gave 0 files"):
        ask(registry, {FILE: SHA[OURS]})


@pytest.mark.parametrize(
    "answer", [shown(name="other"), shown(version="1.0.1"), {"stdout": '["x"]'}, {"stdout": '"x"'}]
)
def test_an_answer_about_something_else_is_an_error(registry: Registry, npm: FakeNpm, answer: dict[str, Any]) -> None:
    npm.answer({"view": answer})
    with pytest.raises(StepError, match="answers with something else") as caught:
        ask(registry, {})
    assert caught.value.code is E.INDEX_UNREADABLE


FOR_LATER = [
    *("E408", "E409", "E425", "E429", "E500", "E503", "ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN"),
    *("ETIMEDOUT", "ERR_SOCKET_TIMEOUT", "ECONNECTIONTIMEOUT", "EIDLETIMEOUT", "FETCH_ERROR", "EINTEGRITY"),
]
FOR_EVER = ["E400", "E401", "E403", "ENEEDAUTH", "EOTP", "EUSAGE", "SELF_SIGNED_CERT_IN_CHAIN", ""]


@pytest.mark.parametrize("code", FOR_LATER)
def test_a_registry_that_can_not_be_reached_or_is_busy_is_asked_again(
    registry: Registry, npm: FakeNpm, code: str
) -> None:
    npm.answer({"view": error(code, "it is so")})
    with pytest.raises(TransientError, match=f"npm can't be asked for @s/core@1.0.0:\n{code}: it is so"):
        ask(registry, {})


@pytest.mark.parametrize("code", FOR_EVER)
def test_a_registry_that_refuses_is_not_asked_again(registry: Registry, npm: FakeNpm, code: str) -> None:
    npm.answer({"view": error(code, "it is so")})
    with pytest.raises(StepError, match="it is so") as caught:
        ask(registry, {})
    assert not isinstance(caught.value, TransientError)
    assert caught.value.code is E.INDEX_UNREADABLE


def test_a_download_that_finds_nothing_is_no_answer_that_nothing_is_there(registry: Registry, npm: FakeNpm) -> None:
    npm.answer({"view": shown(sri(THEIRS)), "pack": error("E404", "gone")})
    with pytest.raises(StepError, match="gone"):
        ask(registry, {FILE: SHA[OURS]})


def test_a_registry_that_does_not_answer_is_asked_again(
    registry: Registry, npm: FakeNpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("releasekit.pipeline.npm.registry.TIMEOUT", 0.0)
    npm.answer({"view": shown()})
    with pytest.raises(TransientError, match="did not answer within"):
        ask(registry, {})


def test_all_versions_are_told_by_the_names_of_their_files(registry: Registry, npm: FakeNpm) -> None:
    npm.answer({"view": {"stdout": '["1.0.0", "1.1.0-rc.1"]'}})
    assert asyncio.run(registry.filenames(CORE)) == ["s-core-1.0.0.tgz", "s-core-1.1.0-rc.1.tgz"]
    npm.answer({"view": {"stdout": '"1.0.0"'}})
    assert asyncio.run(registry.filenames(CORE)) == ["s-core-1.0.0.tgz"]
    npm.answer({"view": error("E404", "none")})
    assert asyncio.run(registry.filenames(CORE)) == []


def send(registry: Registry, root: Path, timeout: float = 30) -> None:
    path = root / ".releasekit-dist/@s+core" / FILE
    asyncio.run(registry.upload(CORE, "1.0.0", [path], timeout))


def test_a_file_is_published_by_npm_itself_where_it_reads_its_settings(
    registry: Registry, npm: FakeNpm, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_TOKEN", "canary-token-1")
    monkeypatch.setenv("npm_config_dry_run", "true")
    send(registry, root)
    (call,) = npm.calls
    assert call.cwd == str(root)
    assert call.argv[0] == "publish"
    assert call.argv[-2:] == ["--", str(root / ".releasekit-dist/@s+core" / FILE)]
    assert {"--no-dry-run", "--no-workspaces", "--ignore-scripts", "--fetch-retries=0"} <= set(call.argv)
    assert not any(word.startswith(("--tag", "--access", "--registry")) for word in call.argv)
    assert not any("canary" in word for word in call.argv)
    assert "canary-token-1" in call.environ.values()
    assert "npm_config_dry_run" not in call.environ


@pytest.mark.parametrize(
    ("answer", "transient"),
    [
        (error("", EXISTS), True),
        (error("E403", f"403 Forbidden - PUT http://h/core - {EXISTS}"), True),
        (error("E409", "409 Conflict - this package is already present"), True),
        (error("E400", "400 Bad Request - Cannot publish over existing version"), True),
        (error("E500", "it broke"), True),
        (error("ECONNRESET", "gone"), True),
        (error("E401", "who are you"), False),
        (error("E403", "you may not"), False),
        (error("ENEEDAUTH", "log in"), False),
        (error("E404", "404 Not Found - PUT"), False),
        (error("EOTP", "a one-time password"), False),
        (error("", "Cannot implicitly apply the latest tag. You must specify a tag using --tag."), False),
        ({"code": 1, "stderr": "node crashed"}, False),
    ],
)
def test_what_may_pass_is_told_from_what_may_not(
    registry: Registry,
    npm: FakeNpm,
    root: Path,
    answer: dict[str, Any],
    transient: bool,  # noqa: FBT001
) -> None:
    npm.answer({"publish": answer})
    with pytest.raises(StepError) as caught:
        send(registry, root)
    assert isinstance(caught.value, TransientError) is transient
    assert caught.value.code is E.PUBLISH_FAILED
    assert caught.value.message.startswith(f"npm publish of {FILE} to npm failed:\n")
    assert caught.value.hint


def test_what_npm_says_is_told_with_what_to_do(registry: Registry, npm: FakeNpm, root: Path) -> None:
    npm.answer({"publish": error("ENEEDAUTH", "log in")})
    with pytest.raises(StepError) as caught:
        send(registry, root)
    assert "//host/path/:_authToken=${NPM_TOKEN}" in caught.value.hint
    npm.answer({"publish": error("", "You must specify a tag using --tag when publishing a prerelease version.")})
    with pytest.raises(StepError) as caught:
        send(registry, root)
    assert "publishConfig" in caught.value.hint


@pytest.mark.usefixtures("npm")
def test_a_publish_that_lasts_too_long_is_stopped(registry: Registry, root: Path) -> None:
    with pytest.raises(TransientError) as caught:
        send(registry, root, 0.0)
    assert caught.value.code is E.PUBLISH_TIMEOUT


@pytest.mark.usefixtures("npm")
def test_npm_is_run_a_few_at_a_time(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work = most = 0

    async def run(*_: object, **__: object) -> str:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return ""

    monkeypatch.setattr(process, "run", run)

    async def ask_often() -> None:
        await asyncio.gather(*(registry.filenames(CORE) for _ in range(50)))

    asyncio.run(ask_often())
    assert 1 < most <= registry._turns._value


@pytest.mark.parametrize(
    ("integrity", "expected"),
    [
        (sri("x"), True),
        (sri("x", "sha384"), True),
        (sri("x", "sha256"), True),
        (f"{sri('x')}?opt", True),
        (f"{sri('y')} {sri('x')}", True),
        (f"{sri('y')} {sri('x', 'sha256')}", False),
        (sri("y"), False),
        (sri("x", "sha1"), False),
        (sri("x", "md5"), False),
        ("", False),
    ],
)
def test_the_strongest_digest_decides(tmp_path: Path, integrity: str, expected: bool) -> None:  # noqa: FBT001
    tmp_path.joinpath("f").write_text("x")
    assert matches(tmp_path / "f", integrity) is expected
