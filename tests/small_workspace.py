"""A workspace of two packages, `base` and `top`, which requires it: as small as a release with an order can be.

Both have a module that git ignores and builds take in, so that the same commit can be built with other bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.support import INDEX

from releasekit.cli import demo_workspace

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = "1.0"
REQUIRES: Final = {"base": "", "top": '"base"'}

_ROOT: Final = """\
[tool.uv.workspace]
members = ["*"]

[[tool.uv.index]]
name = "{name}"
url = "{url}"
publish-url = "{publish_url}"
explicit = true
"""

_MEMBER: Final = """\
[project]
name = "{name}"
version = "{version}"
requires-python = ">=3.11"
dependencies = [{requires}]

[build-system]
requires = ["uv_build>=0.8,<1"]
build-backend = "uv_build"
"""

_SOURCES: Final = """
[tool.uv.sources]
base = { workspace = true }
"""


def make(root: Path, url: str, publish_url: str) -> None:
    """Write and commit it, with the addresses of its index."""
    root.mkdir()
    root.joinpath("pyproject.toml").write_text(_ROOT.format(name=INDEX, url=url, publish_url=publish_url))
    root.joinpath(".gitignore").write_text(".releasekit-*\n_stamp.py\n")
    for name, requires in REQUIRES.items():
        module = root / name / "src" / name
        module.mkdir(parents=True)
        text = _MEMBER.format(name=name, version=VERSION, requires=requires)
        root.joinpath(name, "pyproject.toml").write_text(text + _SOURCES * bool(requires))
        module.joinpath("__init__.py").touch()
        stamp(root, name, "first")
    demo_workspace.commit_all(root, "Two packages")


def stamp(root: Path, name: str, text: str) -> None:
    """Have a package built with other bytes from now on."""
    root.joinpath(name, "src", name, "_stamp.py").write_text(f"STAMP = {text!r}\n")


def filenames(name: str) -> list[str]:
    """Name the files of a package, sorted."""
    return [f"{name}-{VERSION}-py3-none-any.whl", f"{name}-{VERSION}.tar.gz"]
