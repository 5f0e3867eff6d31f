"""Real builds by the backends that people have: versions from git and from files, wheels from elsewhere, no two alike.

What they need comes from the package index that uv is set up with; it is downloaded once and cached.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.schemas import checked
from tests.support import INDEX, KILL_AT, Workspace, digests

from releasekit.cli import demo_workspace
from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.build import Builder
from releasekit.pipeline.environments import Environments
from releasekit.pipeline.python import Python
from releasekit.workspace import load_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.faulty_index import FaultyIndex

    from releasekit.pipeline.built import Built

PATIENCE: Final = 500.0  # seconds for builds whose backends are downloaded first
OUT: Final = ("publish", "--index", "./out")

ROOT: Final = """\
[tool.uv.workspace]
members = ["packages/*"]
"""
PROJECT: Final = """\
[project]
name = "{name}"
{version}
description = "One of several"
requires-python = ">=3.11"

[build-system]
requires = [{requires}]
build-backend = "{backend}"
"""
DYNAMIC: Final = 'dynamic = ["version"]'
HATCHLING, SETUPTOOLS, FLIT = "hatchling.build", "setuptools.build_meta", "flit_core.buildapi"
ABOVE: Final = 'root = "../.."'  # where the repository is

BACKENDS: Final = {
    "by-hatch-vcs": (DYNAMIC, '"hatchling", "hatch-vcs"', HATCHLING,
                     f'[tool.hatch.version]\nsource = "vcs"\nraw-options = {{ {ABOVE} }}\n'),
    "by-setuptools-scm": (DYNAMIC, '"setuptools>=77", "setuptools-scm>=8"', SETUPTOOLS,
                          f"[tool.setuptools_scm]\n{ABOVE}\n"),
    "by-uv-dynamic": (DYNAMIC, '"hatchling", "uv-dynamic-versioning"', HATCHLING,
                      '[tool.hatch.version]\nsource = "uv-dynamic-versioning"\n'),
    "in-a-file": (DYNAMIC, '"hatchling"', HATCHLING, '[tool.hatch.version]\npath = "src/in_a_file/__init__.py"\n'),
    "by-flit": (DYNAMIC, '"flit_core>=3.4"', FLIT, ""),
    "by-setuptools": ('version = "0.9"', '"setuptools>=77"', SETUPTOOLS, ""),
    "by-uv-build": ('version = "0.8"', '"uv_build>=0.8,<1"', "uv_build", ""),
}  # fmt: skip
VERSIONS: Final = dict.fromkeys(("by-hatch-vcs", "by-setuptools-scm", "by-uv-dynamic"), "1.4.0") | {
    "in-a-file": "2.5",
    "by-flit": "2.5",
    "by-setuptools": "0.9",
    "by-uv-build": "0.8",
}


@cache
def what_is_missing() -> str:
    """Say why nothing can be built here, if so."""
    command = [process.find_uv(), "pip", "compile", "--quiet", "--no-deps", "-"]
    try:
        asked = subprocess.run(
            command,
            input="hatch-vcs",
            env=Workspace.environ(),
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        return "the package index of uv does not answer"
    return f"no package index: {asked.stderr.strip()[-300:]}" if asked.returncode else ""


@pytest.fixture(autouse=True)
def _with_an_index() -> None:
    if missing := what_is_missing():
        pytest.skip(missing)


class Backends(Workspace):
    """A workspace that is tagged, of packages by some of the backends."""

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in it, with time for downloads."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environ() | {"UV_PYTHON": sys.executable},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=PATIENCE,
        )

    def publishes(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours, which must succeed."""
        done = self.call("-m", "releasekit", *arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return done

    def dies_at(self, status: str, *arguments: str) -> None:
        """Have it killed once a package's status is durable."""
        killed = self.call(str(KILL_AT), status, "0", *arguments)
        assert killed.returncode == -signal.SIGKILL, killed.stderr

    def versions(self) -> Mapping[str, str]:
        """Tell the recorded versions."""
        return {name: package.version for name, package in self.run().packages.items()}


def make(root: Path, *names: str, more: str = "", tag: str = "v1.4.0") -> Backends:
    root.mkdir()
    (root / "pyproject.toml").write_text(ROOT + more)
    (root / ".gitignore").write_text(".releasekit-*\n*.egg-info/\nbuild/\nout/\nwheelhouse/\n")
    for name in names:
        version, requires, backend, options = BACKENDS[name]
        package, module = root / "packages" / name, name.replace("-", "_")
        (package / "src" / module).mkdir(parents=True)
        (package / "src" / module / "__init__.py").write_text('"""A module."""\n\n__version__ = "2.5"\n')
        text = PROJECT.format(name=name, version=version, requires=requires, backend=backend)
        (package / "pyproject.toml").write_text(text + options)
    demo_workspace.commit_all(root, "All of it")
    if tag:
        git(root, "tag", tag)
    return Backends(root)


def git(root: Path, *arguments: str) -> None:
    command = ["git", *arguments]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def test_every_backend_is_published_with_the_version_that_its_build_tells(tmp_path: Path) -> None:
    workspace = make(tmp_path / "ws", *BACKENDS)
    planned = workspace.publishes("plan").stdout
    assert {line.split()[1]: line.split()[2] for line in planned.splitlines()[1:8]} == {
        name: VERSIONS[name] if name in {"by-setuptools", "by-uv-build"} else "dynamic" for name in BACKENDS
    }
    assert workspace.publishes(*OUT, "--dry-run").stdout.count("its build tells the version") == 5

    workspace.publishes(*OUT)

    assert workspace.versions() == VERSIONS
    assert digests(workspace.root / "out") == workspace.recorded()
    assert len(workspace.recorded()) == 2 * len(BACKENDS)
    for name, version in VERSIONS.items():
        assert any(file.startswith(f"{name.replace('-', '_')}-{version}") for file in workspace.recorded())
    assert workspace.publishes(*OUT, "--dry-run").stdout.count("is published, and ./out shows it") == len(BACKENDS)
    again = workspace.publishes(*OUT)
    assert "nothing" in again.stdout.splitlines()[-1]
    events = checked("history", workspace.publishes("history", "--json").stdout)["events"]
    told = {event["package"]: event["version"] for event in events if "version" in event}
    assert told == {name: version for name, version in VERSIONS.items() if BACKENDS[name][0] == DYNAMIC}
    checked("plan", workspace.publishes("plan", "--index", "./out", "--json").stdout)
    checked("publish-dry-run", workspace.publishes(*OUT, "--dry-run", "--fresh", "--json").stdout)


ALIKE: Final = {  # those of one backend share an environment, but for the last
    "hatch-one": ('version = "1.0"', '"hatchling"', HATCHLING, ""),
    "hatch-two": (DYNAMIC, '"hatchling"', HATCHLING, '[tool.hatch.version]\npath = "src/hatch_two/__init__.py"\n'),
    "vcs-one": BACKENDS["by-hatch-vcs"],
    "vcs-two": BACKENDS["by-hatch-vcs"],
    "flit-one": ('version = "1.0"', '"flit_core>=3.4"', FLIT, ""),
    "flit-two": (DYNAMIC, '"flit_core>=3.4"', FLIT, ""),
    "poetry-one": ('version = "1.0"', '"poetry-core>=2"', "poetry.core.masonry.api", ""),
    "poetry-two": ('version = "2.0"', '"poetry-core>=2"', "poetry.core.masonry.api", ""),
    "by-setuptools": BACKENDS["by-setuptools"],
}


def test_what_is_built_in_one_environment_is_the_same_as_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "UV_PYTHON", sys.executable)
    for name in Workspace.environ().keys() ^ os.environ.keys():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys.modules[__name__], "BACKENDS", BACKENDS | ALIKE)
    root = make(tmp_path / "ws", *ALIKE).root
    packages = load_workspace(root).packages
    shared, real = [], process.run

    async def run(command: Sequence[str], **options: Any) -> str:  # noqa: ANN401  # as it comes
        if "--no-build-isolation" in command:
            shared.append(Path(command[-1]).name)
        return await real(command, **options)

    monkeypatch.setattr(process, "run", run)

    def build(environments: Environments | None) -> dict[str, Mapping[str, str]]:
        builder = Builder(root, 1_700_000_000, Python(), environments=environments)

        async def all_of_them() -> list[Built]:
            return [await builder.build(package) for package in packages.values()]

        return {name: built.artifacts for name, built in zip(packages, asyncio.run(all_of_them()), strict=True)}

    together = build(Environments(Python(), root, packages, packages))
    assert sorted(shared) == sorted(ALIKE.keys() - {"by-setuptools"})
    alone = build(None)

    assert len(shared) == len(ALIKE) - 1
    assert together.keys() == alone.keys()
    for name in shared:
        assert together[name] == alone[name], name


def test_what_setuptools_first_built_is_sent_after_a_kill_though_it_never_builds_the_same_twice(tmp_path: Path) -> None:
    workspace = make(tmp_path / "ws", "by-setuptools", "by-setuptools-scm")
    workspace.dies_at("publishing", *OUT)
    first = workspace.recorded()
    versions = workspace.versions()
    assert (len(first), versions) == (4, {name: VERSIONS[name] for name in ("by-setuptools", "by-setuptools-scm")})

    workspace.publishes(*OUT)

    assert digests(workspace.root / "out") == first == workspace.recorded()
    assert workspace.versions() == versions
    workspace.publishes("clean")
    workspace.publishes(*OUT)  # nobody remembers: what is complete on the index is skipped, also if only a build tells
    reasons = {name: package.reason for name, package in workspace.run().packages.items()}
    assert reasons == {name: f"version {version} is already on ./out" for name, version in versions.items()}
    assert digests(workspace.root / "out") == first
    shutil.rmtree(workspace.root / "out")
    workspace.publishes("clean")
    git(workspace.root, "clean", "-fdxq")
    workspace.publishes(*OUT)
    second = digests(workspace.root / "out")
    assert second.keys() == first.keys()
    assert [name for name in first if second[name] != first[name]], "else this test would show nothing"


def test_a_version_of_an_untagged_commit_fails_before_anything_is_sent(tmp_path: Path, faulty: FaultyIndex) -> None:
    index = f'[[tool.uv.index]]\nname = "{INDEX}"\nurl = "{faulty.url}"\npublish-url = "{faulty.publish_url}"\n'
    workspace = make(tmp_path / "ws", "by-hatch-vcs", "by-uv-build", more=f"{index}explicit = true\n")
    (workspace.root / "README").write_text("after the tag")
    workspace.commit()

    failed = workspace.call("-m", "releasekit", "publish", "--index", INDEX)

    assert failed.returncode == 1, failed.stderr
    assert workspace.run()["by-hatch-vcs"].error.startswith(E.VERSION_LOCAL)
    assert "commit that has a tag" in failed.stdout
    assert faulty.stored == {}
    workspace.publishes("publish", "--index", "./out", "--fresh")
    assert workspace.versions()["by-hatch-vcs"].startswith("1.4.1.dev1+g"), "a directory takes it"


EXTENSION: Final = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, "Tell it."}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "compiled", NULL, -1, methods};
PyMODINIT_FUNC PyInit_compiled(void) { return PyModule_Create(&module); }
"""
COMPILED: Final = """
[tool.setuptools]
ext-modules = [{ name = "compiled", sources = ["compiled.c"] }]
"""
ELSEWHERE: Final = "win_arm64"


def with_extension(root: Path) -> Backends:
    """A package with a module in C beside one that is built by another backend."""
    workspace = make(root, "by-uv-build", tag="")
    package = workspace.root / "packages" / "compiled"
    package.mkdir()
    text = PROJECT.format(name="compiled", version='version = "3.1"', requires='"setuptools>=77"', backend=SETUPTOOLS)
    (package / "pyproject.toml").write_text(text + COMPILED)
    (package / "compiled.c").write_text(EXTENSION)
    workspace.commit("An extension")
    return workspace


def retag(wheel: Path, platform: str) -> Path:
    """Make of a wheel what another machine would have built."""
    *_, old = wheel.stem.split("-")
    target = wheel.with_name(wheel.name.replace(old, platform))
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(target, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            other.writestr(
                name, content.replace(old.encode(), platform.encode()) if name.endswith("WHEEL") else content
            )
    return target


def test_wheels_from_elsewhere_are_published_with_an_sdist_from_here(tmp_path: Path) -> None:
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler: apt-get install gcc libc6-dev")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        pytest.skip("there is no Python.h: apt-get install python3-dev")
    workspace = with_extension(tmp_path / "ws")
    house = workspace.root / "wheelhouse"
    command = [process.find_uv(), "build", "--wheel", "--python", sys.executable, "--out-dir", str(house)]
    subprocess.run([*command, str(workspace.root / "packages" / "compiled")], check=True, capture_output=True,
                   timeout=PATIENCE)  # fmt: skip
    (here,) = house.glob("compiled-3.1-*.whl")
    given = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (here, retag(here, ELSEWHERE))}
    (house / "stray-1.0-py3-none-any.whl").write_bytes(b"")
    refused = workspace.call("-m", "releasekit", *OUT, "--wheels", str(house))
    assert refused.returncode == 1
    assert "stray-1.0-py3-none-any.whl is of no package of the workspace" in refused.stderr
    (house / "stray-1.0-py3-none-any.whl").unlink()

    workspace.dies_at("building", *OUT, "--wheels", str(house))
    shutil.rmtree(house)
    workspace.publishes(*OUT)

    sent = digests(workspace.root / "out")
    assert sent == workspace.recorded()
    assert given.items() <= sent.items()
    assert sorted(sent.keys() - given.keys()) == [
        "by_uv_build-0.8-py3-none-any.whl",
        "by_uv_build-0.8.tar.gz",
        "compiled-3.1.tar.gz",
    ]
    target = tmp_path / "installed"
    command = [process.find_uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)]
    subprocess.run([*command, "--no-index", "--find-links", str(workspace.root / "out"), "compiled"], check=True)
    answer = [sys.executable, "-c", "import compiled; print(compiled.answer())"]
    assert subprocess.run(answer, cwd=target, capture_output=True, text=True, check=True).stdout == "42\n"
