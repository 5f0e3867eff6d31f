"""The demo's workspace: eight small packages that require each other in diamonds, in a git repository."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.errors import E, ReleaseKitError

if TYPE_CHECKING:
    from pathlib import Path


class Member(NamedTuple):
    """One package of the demo."""

    name: str
    version: str
    requires: tuple[str, ...]


TOPMOST: Final = "aurora"
MEMBERS: Final = (
    Member("aurora-core", "1.4.0", ()),
    Member("aurora-text", "1.2.1", ("aurora-core",)),
    Member("aurora-net", "0.9.3", ("aurora-core",)),
    Member("aurora-parse", "2.0.0", ("aurora-text",)),
    Member("aurora-store", "1.1.0", ("aurora-text", "aurora-net")),
    Member("aurora-http", "0.7.5", ("aurora-net",)),
    Member("aurora-api", "1.0.2", ("aurora-parse", "aurora-store", "aurora-http")),
    Member(TOPMOST, "3.0.0", ("aurora-api", "aurora-store")),
)

_ROOT: Final = """\
# A uv workspace; the root itself is not a package.
[tool.uv.workspace]
members = ["packages/*"]
"""

_PYPROJECT: Final = """\
[project]
name = "{name}"
version = "{version}"
description = "A package of the releasekit demo"
requires-python = ">=3.11"
dependencies = [{dependencies}]

[build-system]
requires = ["uv_build>=0.8,<1"]
build-backend = "uv_build"

[tool.uv.sources]
{sources}
"""

_MODULE: Final = '''\
"""{name}: a package of the releasekit demo."""

{imports}

def packages() -> set[str]:
    """Name this package and all that it requires."""
    return {{"{name}"}}{unions}
'''


def make_workspace(root: Path) -> None:
    """Write the workspace and commit it.

    Args:
        root: A directory that does not exist yet, or is empty.

    Raises:
        OSError: It can't be written, or there is no git.
        ReleaseKitError: git failed (`E.GIT_FAILED`).
    """
    root.mkdir(parents=True, exist_ok=True)
    root.joinpath("pyproject.toml").write_text(_ROOT, encoding="utf-8")
    root.joinpath(".gitignore").write_text(".releasekit-*\n", encoding="utf-8")
    for member in MEMBERS:
        _write_member(root / "packages" / member.name, member)
    commit_all(root, "The demo's workspace")


def commit_all(root: Path, message: str) -> None:
    """Commit everything, whatever the user's own git settings are; the first time, make the repository."""
    identity = ("-c", "user.name=releasekit demo", "-c", "user.email=demo@releasekit.invalid")
    plain = ("-c", "commit.gpgSign=false", "-c", "core.hooksPath=", "-c", "init.defaultBranch=main")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # of a hook, say
    for arguments in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", message)):
        command = ["git", *identity, *plain, *arguments]
        done = subprocess.run(  # noqa: S603  # fixed arguments
            command, cwd=root, env=environ, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode:
            raise ReleaseKitError(E.GIT_FAILED, f"git {arguments[0]} in {root} failed: {done.stderr.strip()}")


def _write_member(directory: Path, member: Member) -> None:
    modules = [required.replace("-", "_") for required in member.requires]
    files = {
        "pyproject.toml": _PYPROJECT.format(
            name=member.name,
            version=member.version,
            dependencies=", ".join(f'"{required}"' for required in member.requires),
            sources="\n".join(f"{required} = {{ workspace = true }}" for required in member.requires),
        ),
        f"src/{member.name.replace('-', '_')}/__init__.py": _MODULE.format(
            name=member.name,
            imports="".join(f"import {module}\n" for module in modules),
            unions="".join(f" | {module}.packages()" for module in modules),
        ),
    }
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
