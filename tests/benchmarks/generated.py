"""Workspaces of many small packages, as their releases are measured: they differ only in what builds them."""

from __future__ import annotations

import subprocess
from random import Random
from typing import TYPE_CHECKING

from releasekit.cli import demo_workspace
from releasekit.pipeline.process import find_uv

if TYPE_CHECKING:
    from pathlib import Path

BACKENDS = {
    "uv_build": 'requires = ["uv_build>=0.8,<1"]\nbuild-backend = "uv_build"\n',
    "hatchling": 'requires = ["hatchling>=1.27"]\nbuild-backend = "hatchling.build"\n',
}
INDEX = "local"
MODULES = 8
LINES = 120  # of a module

_ROOT = """\
[tool.uv.workspace]
members = ["packages/*"]

[[tool.uv.index]]
name = "{index}"
url = "{url}"
publish-url = "{publish_url}"
explicit = true

[[tool.uv.index]]
name = "needed"
url = "{needed}"
format = "flat"
default = true
"""
_MEMBER = """\
[build-system]
{backend}
[project]
name = "{name}"
version = "1.{number}.0"
description = "A member of a workspace"
readme = "README.md"
requires-python = ">=3.11"
dependencies = [{dependencies}]

[tool.uv.sources]
{sources}
"""


def member(number: int) -> str:
    return f"member-{number:03d}"


def make(root: Path, packages: int, backend: str, url: str, publish_url: str, needed: Path) -> list[str]:  # noqa: PLR0913, PLR0917  # each is needed
    """Write and commit a workspace.

    Args:
        root: Where; it is made.
        packages: How many.
        backend: One of `BACKENDS`.
        url: Where its index is read.
        publish_url: Where files are sent.
        needed: A directory with what the backend needs: nobody is to wait for the network.

    Returns:
        The names of the packages, what is required first.
    """
    random = Random(packages)  # noqa: S311  # the same each time
    root.mkdir()
    text = _ROOT.format(index=INDEX, url=url, publish_url=publish_url, needed=needed)
    root.joinpath("pyproject.toml").write_text(text, encoding="utf-8")
    root.joinpath(".gitignore").write_text(".releasekit-*\ndist/\n", encoding="utf-8")
    names = [member(number) for number in range(packages)]
    for number, name in enumerate(names):
        near = names[max(0, number - packages // 4) : number]
        required = random.sample(near, min(len(near), random.choice([0, 0, 1, 1, 2, 3])))
        module = root / "packages" / name / "src" / name.replace("-", "_")
        module.mkdir(parents=True)
        text = _MEMBER.format(
            backend=BACKENDS[backend],
            name=name,
            number=number,
            dependencies=", ".join(f'"{each}>=1"' for each in required),
            sources="\n".join(f"{each} = {{ workspace = true }}" for each in required),
        )
        module.parent.parent.joinpath("pyproject.toml").write_text(text, encoding="utf-8")
        module.parent.parent.joinpath("README.md").write_text(f"# {name}\n\nA member of a workspace.\n")
        module.joinpath("__init__.py").write_text(f'"""{name}."""\n', encoding="utf-8")
        for which in range(MODULES):
            lines = (f"value_{line} = {random.random()}  # nothing else has it" for line in range(LINES))
            module.joinpath(f"part_{which}.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    demo_workspace.commit_all(root, "A workspace")
    return names


def fetch_needed(directory: Path) -> Path:
    """Fetch what the backends need that uv does not have itself."""
    command = [find_uv(), "run", "--no-project", "--with", "pip", "python", "-m", "pip", "download", "--quiet"]
    subprocess.run([*command, "--dest", str(directory), "hatchling>=1.27"], check=True)
    return directory
