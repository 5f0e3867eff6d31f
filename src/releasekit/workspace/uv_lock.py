"""What uv.lock knows of a workspace: offline, and also what only a build could tell.

The facts of the format that this rests on (`version = 1`, any `revision`; uv writes it, and nobody by hand):

- It is TOML. Each package is a block that begins with the line `[[package]]`, and has a line ``source = { KIND = … }``.
- A member's KIND is `editable`, `virtual` (it is not built) or `directory` (it is not installed as editable), and its
  value the path from the lock's directory to the member's, `.` for the root. Path dependencies have the same kinds, or
  `path` for a file; all others are `registry`, `git` or `url`.
- ``[package.metadata]`` has what the package itself asks for: `requires-dist`, one entry a requirement, with its
  `extras` and its `marker`, which has ``extra == 'x'`` for a requirement of an extra; `requires-dev`, group → entries,
  in which includes are resolved. The block is left out when there is nothing.
- `dependencies`, `optional-dependencies` and `dev-dependencies` are what came of that when it was resolved: without
  what no supported platform needs. Only old locks have these alone; `extra` is there what `extras` is in the metadata.
- ``[manifest]`` names the `members`, unless the root is the only one.

Blocks of packages that come from elsewhere are nine tenths of a large lock. They are not parsed: it takes long, and
nothing in them matters here.
"""

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import tomli
from msgspec import Struct, field
from packaging.utils import InvalidName, canonicalize_name

from releasekit.workspace.globs import is_within
from releasekit.workspace.pyproject import InvalidWorkspaceError, read_toml
from releasekit.workspace.requirements import Requirements, Wanted, canonical, extras_of, sort_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LOCK_FILENAME: Final = "uv.lock"
RELOCK: Final = "uv lock"
"""The command that brings a lock up to date."""

MAX_SIZE: Final = 64 << 20
"""Bytes; the largest ones that we have seen have 4 MiB."""

_VERSION: Final = 1
_BLOCK: Final = "\n[[package]]\n"
_MERGED: Final = "\n<<<<<<< "
_ELSEWHERE: Final = re.compile(r"^source = \{ (?:registry|git|url) = ", re.MULTILINE)


class _Entry(Struct):
    name: str
    extra: list[str] | str = []
    extras: list[str] = []
    marker: str = ""


class _Source(Struct):
    editable: str | None = None
    virtual: str | None = None
    directory: str | None = None
    path: str | None = None


class _Metadata(Struct, rename="kebab"):
    requires_dist: list[_Entry] = []
    requires_dev: dict[str, list[_Entry]] = {}


class _Package(Struct, rename="kebab"):
    name: str
    source: _Source
    dependencies: list[_Entry] = []
    optional_dependencies: dict[str, list[_Entry]] = {}
    dev_dependencies: dict[str, list[_Entry]] = {}
    metadata: _Metadata | None = None


class _Manifest(Struct):
    members: list[str] = []


class _Lock(Struct):
    version: int
    package: list[_Package] = []
    manifest: _Manifest = field(default_factory=_Manifest)


class Lock:
    """A lock that was read.

    Attributes:
        members: The names that it lists as members.
    """

    def __init__(self, path: Path, content: _Lock) -> None:
        self._root = path.parent
        self.members = frozenset(_canonical(path, "manifest.members", name) for name in content.manifest.members)
        self._packages: defaultdict[str, list[tuple[str, _Package]]] = defaultdict(list)
        for package in content.package:
            source = package.source
            places = (source.editable, source.virtual, source.directory, source.path)
            if place := next((place for place in places if place is not None), None):
                name = _canonical(path, "package", package.name)
                if "\0" in place:
                    raise InvalidWorkspaceError(path, f"package {name}", "has a source with a null character", _mend())
                self._packages[name].append((os.path.normpath(place), package))

    def requirements(self, name: str, place: str) -> Requirements | None:
        """Tell what a member asks for.

        Args:
            name: Its canonical name.
            place: Its directory, relative to the root.

        Returns:
            None if it is not in the lock, or somewhere else.
        """
        found = [package for at, package in self._packages.get(name, ()) if at == place or self._is_same(at, place)]
        if not found:
            return None
        extras: defaultdict[str, list[Wanted]] = defaultdict(list)
        groups: defaultdict[str, list[Wanted]] = defaultdict(list)
        runtime: list[Wanted] = []
        for package in found:  # there are several where extras or groups exclude each other
            known = package.metadata
            entries = known.requires_dist if known else package.dependencies
            runtime += sort_out(((_wanted(entry), extras_of(entry.marker)) for entry in entries), extras)
            _add(extras, {} if known else package.optional_dependencies)
            _add(groups, known.requires_dev if known else package.dev_dependencies)
        return Requirements(
            tuple(runtime),
            {extra: tuple(wanted) for extra, wanted in extras.items()},
            {group: tuple(wanted) for group, wanted in groups.items()},
        )

    def _is_same(self, one: str, other: str) -> bool:
        return os.path.realpath(self._root / one) == os.path.realpath(self._root / other)

    def place_of(self, name: str) -> str:
        """Tell where a package lies that comes from a directory or a file; empty if it comes from elsewhere."""
        return next((place for place, _ in self._packages.get(name, ())), "")


def read_lock(root: Path) -> Lock | None:
    """Read the uv.lock of a workspace's root, if it has one.

    Raises:
        InvalidWorkspaceError: It can't be read, is none, or is of a format that is not known.
    """
    path = root / LOCK_FILENAME
    if not os.path.lexists(path):
        return None
    _refuse_strange(path, os.path.realpath(root))
    try:
        content = read_toml(path, _Lock, _parse)
    except FileNotFoundError:
        raise InvalidWorkspaceError(path, "", "is a link to nowhere", _mend()) from None
    except InvalidWorkspaceError as error:
        raise InvalidWorkspaceError(path, error.place, error.args[2], error.hint or _mend()) from None
    if content.version != _VERSION:
        problem = f"is {content.version}, and only version {_VERSION} of the format is known"
        raise InvalidWorkspaceError(path, "version", problem, "update releasekit, or lock with a uv that writes that")
    return Lock(path, content)


def _refuse_strange(path: Path, real_root: str) -> None:
    real = os.path.realpath(path)
    if not is_within(real, real_root):
        raise InvalidWorkspaceError(path, "", f"is a link to {real}, which is outside the workspace", _mend())
    try:
        status = path.stat()
    except OSError:
        return  # reading it says why
    if not stat.S_ISREG(status.st_mode):
        raise InvalidWorkspaceError(path, "", "is no file", _mend())
    if status.st_size > MAX_SIZE:
        problem = f"has {status.st_size:,} bytes, more than {MAX_SIZE:,}"
        raise InvalidWorkspaceError(path, "", problem, _mend())


def _mend() -> str:
    return f"write it anew with `{RELOCK}`, or remove it: then what pyproject.toml files say counts"


def _parse(text: str) -> Any:  # noqa: ANN401  # any TOML
    """Parse all but what comes from elsewhere; the last block too, which is where a file that was cut off ends.

    Such a line begins a block unless it stands in a string of several lines: where there may be one, or what a merge
    left, all is parsed.
    """
    text = text.replace("\r\n", "\n")
    if '"""' in text or "'''" in text or _MERGED in text:
        return tomli.loads(text)
    head, *blocks = text.split(_BLOCK)
    local = [block for block in blocks[:-1] if not _ELSEWHERE.search(block)]
    try:
        return tomli.loads(_BLOCK.join([head, *local, *blocks[-1:]]))
    except tomli.TOMLDecodeError:
        return tomli.loads(text)  # for its error, which has the right line


def _canonical(path: Path, place: str, name: str) -> str:
    try:
        return canonicalize_name(name, validate=True)
    except InvalidName:
        raise InvalidWorkspaceError(path, place, f"has the name {name!r:.200}, no package name", _mend()) from None


def _add(lists: Mapping[str, list[Wanted]], given: Mapping[str, Iterable[_Entry]]) -> None:
    for name, entries in given.items():
        lists[canonical(name)].extend(map(_wanted, entries))


def _wanted(entry: _Entry) -> Wanted:
    resolved = [entry.extra] if isinstance(entry.extra, str) else entry.extra
    extras = {*entry.extras, *resolved}
    return Wanted(canonical(entry.name), tuple(sorted(map(canonical, extras))) if extras else ())
