"""The package indexes that a workspace declares."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from releasekit.redaction import keep_secret
from releasekit.workspace.pyproject import FILENAME, UV_FILENAME, InvalidWorkspaceError, read_uv_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from releasekit.workspace.pyproject import PyProject, UvIndex


@dataclass(frozen=True, slots=True)
class Index:
    """A package index that the workspace declares.

    Attributes:
        name: What it is called there.
        url: Where packages are found.
        publish_url: Where packages are uploaded; empty when the workspace does not say.
    """

    name: str
    url: str
    publish_url: str


def read_indexes(root: Path, content: PyProject) -> tuple[Mapping[str, Index], str]:
    """Look where uv looks: a uv.toml hides the indexes of the pyproject.toml beside it, even if it has none.

    Args:
        root: The workspace's directory.
        content: Its pyproject.toml.

    Returns:
        Name → index, and the file in which they are declared.

    Raises:
        InvalidWorkspaceError: Two have one name, or the uv.toml can't be read.
    """
    hiding = read_uv_toml(root)
    if hiding:
        return _by_index_name(root / UV_FILENAME, "index", hiding.index), UV_FILENAME
    return _by_index_name(root / FILENAME, "tool.uv.index", content.tool.uv.index), FILENAME


def _by_index_name(path: Path, place: str, given: Iterable[UvIndex]) -> Mapping[str, Index]:
    indexes: dict[str, Index] = {}
    for index in given:
        keep_secret(index.url, index.publish_url)  # before anything can be said of them
        if index.name in indexes:
            raise InvalidWorkspaceError(path, place, f"has the name {index.name!r} twice")
        if index.name:  # others can't be asked for
            indexes[index.name] = Index(index.name, index.url, index.publish_url)
    return MappingProxyType(indexes)
