"""Workspaces to try, written file by file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from releasekit.errors import E, ReleaseKitError
from releasekit.workspace import load_workspace

if TYPE_CHECKING:
    from releasekit.workspace import Workspace

BUILD_SYSTEM = '[build-system]\nrequires = ["uv_build>=0.8,<1"]\nbuild-backend = "uv_build"\n'
MEMBERS = '[tool.uv.workspace]\nmembers = ["packages/*"]\n'


def project(name: str, body: str = "", *, version: str = "1.0", more: str = BUILD_SYSTEM) -> str:
    """The text of a pyproject.toml: what stands in `[project]`, and what follows it."""
    return f'[project]\nname = "{name}"\nversion = "{version}"\n{body}\n{more}'


def uv(tree: Tree, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run uv offline in a tree."""
    return subprocess.run(
        [find_uv_bin(), *arguments, "--offline"],
        cwd=tree.root,
        env={key: value for key, value in os.environ.items() if not key.startswith("UV_")},
        capture_output=True,
        text=True,
        check=False,
    )


class Tree:
    """A directory that becomes a workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file("pyproject.toml", MEMBERS)

    def file(self, path: str, text: str = "") -> Path:
        """Write a file and the directories above it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def member(self, path: str, body: str = "", *, version: str = "1.0", more: str = BUILD_SYSTEM) -> Path:
        """Write the pyproject.toml of a member that is called like its directory."""
        return self.file(f"{path}/pyproject.toml", project(Path(path).name, body, version=version, more=more))

    def requirers(self, **required: str) -> None:
        """Write members below packages/, each with the requirements it is given, separated by spaces."""
        for name, lines in required.items():
            self.member(f"packages/{name}", f"dependencies = {lines.split()}")

    def directory(self, path: str) -> Path:
        """Make an empty directory."""
        directory = self.root / path
        directory.mkdir(parents=True)
        return directory

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)

    def load(self) -> Workspace:
        """Load it."""
        return load_workspace(self.root)

    def names(self) -> list[str]:
        """Load it; the names of its members, sorted."""
        return sorted(self.load().packages)

    def refusal(self, code: E = E.WORKSPACE_INVALID) -> ReleaseKitError:
        """Load it, which must fail with this code; the error."""
        with pytest.raises(ReleaseKitError) as caught:
            self.load()
        assert caught.value.code is code
        return caught.value
