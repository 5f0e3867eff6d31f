"""A workspace whose packages share an environment, and need nothing from the network to be built.

Their backend is called hatchling, as only what is known is shared; it is `tiny_backend`, in a wheel that lies beside
the workspace. What is built says which copy of it was at work, and of which Python.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tests import tiny_backend

from releasekit.cli import demo_workspace
from releasekit.pipeline.build import DIST_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Collection

STUCK: Final = "TEST_BACKEND_STUCK"
"""The variable that names the file into which a build of `two` writes the id of its process, and then never ends."""

ROOT: Final = """\
[tool.uv]
no-index = true
find-links = ["{needed}"]

[tool.uv.workspace]
members = ["packages/*"]
"""
MEMBER: Final = """\
[project]
name = "{name}"
version = "1.0"
requires-python = ">=3.11"

[build-system]
requires = ["hatchling>=1"]
build-backend = "hatchling.build"
"""
_MORE: Final = f"""
import os, sys, time

__file__ = f"{{__file__}}\\n{{sys.base_prefix}}"
_build_sdist = build_sdist

def build_sdist(directory, settings=None):
    file = os.environ.get({STUCK!r})
    if file and _identity()[0] == "two":
        Path(file + ".new").write_text(str(os.getpid()))
        Path(file + ".new").rename(file)
        time.sleep(600)
    return _build_sdist(directory, settings)
"""


class BuiltWith(NamedTuple):
    """What a wheel was built with.

    Attributes:
        backend: The file of the backend.
        python: Where its Python is installed.
    """

    backend: str
    python: str

    @property
    def shared(self) -> bool:
        """Whether others were built there too."""
        return f"/{DIST_DIRECTORY}/.environment-" in self.backend


def make(root: Path, *names: str) -> Path:
    """Write and commit it; give the directory that has the backend."""
    needed = root.with_name("needed")
    needed.mkdir()
    make_wheel(needed)
    root.mkdir()
    root.joinpath("pyproject.toml").write_text(ROOT.format(needed=needed))
    root.joinpath(".gitignore").write_text(".releasekit-*\nout/\n")
    for name in names:
        module = root / "packages" / name / "src" / name
        module.mkdir(parents=True)
        module.joinpath("__init__.py").touch()
        module.parent.parent.joinpath("pyproject.toml").write_text(MEMBER.format(name=name))
    demo_workspace.commit_all(root, "Packages")
    return needed


def make_wheel(directory: Path, name: str = "hatchling") -> None:
    """Write a wheel that has the backend."""
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(directory / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "")
        wheel.writestr(f"{name}/build.py", Path(tiny_backend.__file__).read_text("utf-8") + _MORE)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def built_with(root: Path, name: str) -> BuiltWith:
    """Tell what a kept wheel was built with."""
    with zipfile.ZipFile(root / DIST_DIRECTORY / name / f"{name}-1.0-py3-none-any.whl") as wheel:
        return BuiltWith(*wheel.read(f"{name}-1.0.dist-info/{tiny_backend.BUILT_WITH}").decode().split("\n"))


def shared(root: Path, names: Collection[str]) -> list[str]:
    """Name those that were built in an environment with others."""
    return [name for name in names if built_with(root, name).shared]
