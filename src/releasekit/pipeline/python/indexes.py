"""Which index a user means: one that the workspace declares, uv's default, or a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.directory_index import find_directory
from releasekit.pipeline.python import names
from releasekit.pipeline.python.package_index import PYPI, PackageIndex
from releasekit.redaction import redact

if TYPE_CHECKING:
    from releasekit.pipeline.index import Index
    from releasekit.workspace import Workspace


def choose_index(name: str, workspace: Workspace, *, look_only: bool = False) -> Index:
    """Find the index that the user named.

    Args:
        name: An index that the workspace declares, ``pypi`` for uv's default, or a directory: see `find_directory`.
        workspace: Where the names are looked up.
        look_only: Leave everything there as it is, also what a killed process has left.

    Raises:
        ReleaseKitError: Nothing of that name, or it can't be published to (`E.INDEX_UNKNOWN`).
    """
    file, table = workspace.root / workspace.index_file, workspace.index_table
    if "://" in name:
        hint = f"add it to {file} as an {table} with name, url and publish-url, and give its name"
        raise ReleaseKitError(E.INDEX_UNKNOWN, f"{redact(name)!r} is an address, not the name of an index", hint)
    known = workspace.indexes.get(name)
    if known and not known.publish_url:
        raise ReleaseKitError(
            E.INDEX_UNKNOWN,
            f"the index {name!r} of {file} has no publish-url",
            f'add publish-url = "…" to its {table}',
        )
    if known:
        return PackageIndex(name, workspace.root, url=known.url, publish_url=known.publish_url)
    if name == PYPI:
        return PackageIndex(name, workspace.root)
    if directory := find_directory(name, workspace.root, names, look_only=look_only):
        return directory
    known_names = ", ".join(sorted({*workspace.indexes, PYPI}))
    raise ReleaseKitError(
        E.INDEX_UNKNOWN,
        f"there is no index {name!r} in {file}",
        f"choose one of {known_names}, add an {table}, or write ./{name} for a directory",
    )
