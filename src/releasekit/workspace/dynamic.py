"""Where a dynamic version comes from: whether git has to know its tags and history for it to be right.

A build backend tells only while it builds. What its pyproject.toml asks for tells before that, and what can't be told
is taken for git's: to fetch the history of a shallow clone costs seconds, and a wrong version is on the index for ever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from releasekit.workspace.pyproject import PyProject

_FROM_GIT: Final = (
    *("hatch-vcs", "setuptools-scm", "setuptools-git-versioning", "uv-dynamic-versioning", "versioningit"),
    *("versioneer", "dunamai", "poetry-dynamic-versioning", "flit-scm", "vcs-versioning", "pbr"),
)
"""What reads versions from tags, by the names of its distributions."""

_FROM_FILES: Final = frozenset({"flit-core", "flit", "maturin", "poetry-core"})
"""Backends that read a dynamic version from a file of the package, if none of the above is with them."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def reads_git(content: PyProject) -> str:
    """Name what takes a package's dynamic version from git.

    Args:
        content: Its pyproject.toml, which has a dynamic version.

    Returns:
        The name of a tool; "an unknown source" where nothing tells; empty if the version stands in a file.
    """
    required = {*_names(content.build_system.requires)} if content.build_system else set()
    if found := next((tool for tool in _FROM_GIT if tool in required), ""):
        return found
    tool = content.tool
    if tool.versioneer:  # it is copied into the package
        return "versioneer"
    source = _at(tool.pdm, "version", "source")
    if source == "scm":
        return "pdm-backend"
    in_a_file = source == "file" or _at(tool.hatch, "version", "path") or _at(tool.setuptools, "dynamic", "version")
    return "" if in_a_file or required & _FROM_FILES else "an unknown source"


def _names(requirements: Iterable[str]) -> Iterable[str]:
    """Name what is required, as far as it can be read: who reads requirements complains of the rest."""
    for line in requirements:
        if found := _NAME.match(line.strip()):
            yield canonicalize_name(found[0])


def _at(table: Any, *keys: str) -> Any:  # noqa: ANN401  # TOML
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table
