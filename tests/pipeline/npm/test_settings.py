"""Which registry each package belongs to is npm's to say; what can't be used is refused before anything happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.npm_trees import member, workspace, write

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.chosen import load_selected
from releasekit.pipeline.ecosystem import ecosystem_of
from releasekit.pipeline.npm.registry import Registry
from releasekit.redaction import REDACTED
from releasekit.workspace import Selection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.npm_trees import FakeNpm

A, B, C = "http://127.0.0.1:1/", "http://127.0.0.1:2/b", "http://127.0.0.1:3/"


def choose(root: Path, name: str = "npm", exclude: tuple[str, ...] = ()) -> Registry:
    index = ecosystem_of(root).choose_index(name, load_selected(root, Selection(exclude=exclude)))
    assert isinstance(index, Registry)
    return index


def refusal(root: Path, name: str = "npm") -> ReleaseKitError:
    with pytest.raises(ReleaseKitError) as caught:
        choose(root, name)
    return caught.value


def says(**settings: str) -> dict[str, Any]:
    told = {"registry": A, "tag": "latest", "globalconfig": "/none"} | settings
    return {"config": {"stdout": "".join(f"{key}={value}\n" for key, value in told.items())}}


def test_a_package_goes_where_npm_would_send_it(npm: FakeNpm, tmp_path: Path) -> None:
    own = {"registry": C, "tag": "next"}
    root = workspace(
        tmp_path / "w",
        member("plain"),
        member("own", publishConfig=own),
        member("@s/scoped", publishConfig=own),
        member("@s/both", publishConfig={"@s:registry": C}),
        member("@t/unknown"),
        member("left-out", publishConfig={"registry": C}),
        member("hidden", private=True, publishConfig={"registry": 1}),
    )
    npm.answer(says(**{"@s:registry": B, "@t:registry": "undefined"}))

    index = choose(root, exclude=("left-out",))

    assert {name: target[:2] for name, target in index.settings.targets.items()} == {
        "plain": (A, ()),
        "own": (C, (f"--registry={C}",)),
        "@s/scoped": (B, ()),
        "@s/both": (C, (f"--@s:registry={C}",)),
        "@t/unknown": (A, ()),
        "left-out": (C, (f"--registry={C}",)),
    }
    assert index.identity == "npm at http://127.0.0.1:1, http://127.0.0.1:2/b, http://127.0.0.1:3"
    (call,) = npm.calls
    assert call.cwd == str(root)
    assert call.argv[:7] == ["config", "get", "registry", "tag", "globalconfig", "@s:registry", "@t:registry"]


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        (1, "is 1, no address"),
        ("nonsense", "no address of a registry"),
        ("file:///x", "no address of a registry"),
        ("http://[", "no address of a registry"),
        ("http://me:hunter-2-hunter@127.0.0.1/", "which may hold a secret"),
        ("http://127.0.0.1/?token=hunter-2-hunter", "which may hold a secret"),
    ],
)
def test_an_address_that_can_not_be_used_is_refused(
    npm: FakeNpm, tmp_path: Path, address: object, problem: str
) -> None:
    root = workspace(tmp_path / "w", member("core", publishConfig={"registry": address}))
    npm.answer(says())
    error = refusal(root)
    assert error.code is E.WORKSPACE_INVALID
    assert f"core/package.json: publishConfig.registry {problem}" in error.message or problem in error.message
    assert "hunter-2" not in str(error)


def test_what_npm_does_not_tell_is_refused_without_secrets(npm: FakeNpm, tmp_path: Path) -> None:
    root = workspace(tmp_path / "w", member("core"))
    npm.answer({"config": {"code": 1, "stderr": "npm error The registry option is protected: http://me:pw@h/"}})
    error = refusal(root)
    assert error.code is E.INDEX_UNKNOWN
    assert f"protected: http://{REDACTED}@h/" in error.message
    npm.answer({"config": {"stdout": "nonsense"}})
    assert "does not tell its settings" in refusal(root).message


@pytest.mark.parametrize("key", ["registry: http://127.0.0.1/", "registries: {default: x}"])
def test_registries_that_npm_does_not_look_for_are_refused(npm: FakeNpm, tmp_path: Path, key: str) -> None:
    root = write(workspace(tmp_path / "w"), {"pnpm-workspace.yaml": f"packages: ['packages/*']\n{key}\n"})
    npm.answer(says())
    error = refusal(root)
    assert error.code is E.INDEX_UNKNOWN
    assert ".npmrc" in error.hint


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("pypi", "there is no index 'pypi' for the npm workspace"),
        ("Npm", "there is no index 'Npm' for the npm workspace"),
        ("", "there is no index '' for the npm workspace"),
        ("http://me:pw@127.0.0.1/", f"'http://{REDACTED}@127.0.0.1/' is an address, not the name of an index"),
    ],
)
def test_another_name_is_no_index(npm: FakeNpm, tmp_path: Path, name: str, problem: str) -> None:
    root = workspace(tmp_path / "w", member("core"))
    error = refusal(root, name)
    assert error.code is E.INDEX_UNKNOWN
    assert problem in error.message
    assert npm.calls == []


def test_a_directory_is_an_index_of_files_of_npm(tmp_path: Path, npm: FakeNpm) -> None:
    root = workspace(tmp_path / "w", member("core"))
    ecosystem = ecosystem_of(root)
    index = ecosystem.choose_index("./out", ecosystem.load(root))
    assert index.directory == tmp_path.cwd() / "out"
    assert index.is_whole(["core-1.0.0.tgz"], "core", "1.0.0")
    assert npm.calls == []


def test_two_packages_whose_files_are_called_alike_do_not_go_into_one_directory(tmp_path: Path) -> None:
    root = workspace(tmp_path / "w", member("@a/b"), member("a-b"))
    error = refusal(root, f"{tmp_path}/out")
    assert error.code is E.INDEX_UNKNOWN
    assert error.message == f"'@a/b' and 'a-b' would both be a-b-1.0.0.tgz in {tmp_path}/out"
