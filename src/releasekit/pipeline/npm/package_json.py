"""One package.json: read, parsed and type-checked; of a pnpm-workspace.yaml what a release depends on.

Whatever is wrong with them comes out as one error that names the file and the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct

from releasekit.persistence import codec
from releasekit.workspace.pyproject import InvalidWorkspaceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILENAME: Final = "package.json"
PNPM_FILENAME: Final = "pnpm-workspace.yaml"

MAX_SIZE: Final = 4 << 20
"""Bytes of a file that is read; the longest package.json of well-known packages have a tenth."""

_BOM: Final = b"\xef\xbb\xbf"

T = TypeVar("T")


class YarnWorkspaces(Struct):
    """The other way to write `workspaces`."""

    packages: list[str] = []


class PackageJson(Struct, rename="camel"):
    """What a package.json holds."""

    name: str | None = None
    version: str | None = None
    private: Any = False
    workspaces: list[str] | YarnWorkspaces | None = None
    dependencies: dict[str, str] | None = None
    dev_dependencies: dict[str, str] | None = None
    peer_dependencies: dict[str, str] | None = None
    optional_dependencies: dict[str, str] | None = None
    peer_dependencies_meta: dict[str, Any] | None = None
    bundle_dependencies: Any = None
    bundled_dependencies: Any = None
    scripts: dict[str, Any] | None = None
    publish_config: dict[str, Any] | None = None

    @property
    def patterns(self) -> list[str] | None:
        """Where the members of its workspace are; None if it is none."""
        return self.workspaces.packages if isinstance(self.workspaces, YarnWorkspaces) else self.workspaces

    @property
    def required(self) -> Mapping[str, str]:
        """What it can't run without; what is optional counts as that, wherever else it stands."""
        optional = self.optional_dependencies or {}
        return {name: wanted for name, wanted in (self.dependencies or {}).items() if name not in optional}

    @property
    def optional_peers(self) -> frozenset[str]:
        """Which of its peers need not be there."""
        meta = self.peer_dependencies_meta or {}
        return frozenset(name for name, value in meta.items() if isinstance(value, dict) and value.get("optional"))

    @property
    def bundled(self) -> frozenset[str]:
        """What it brings with it, in its own file."""
        named = self.bundle_dependencies if self.bundle_dependencies is not None else self.bundled_dependencies
        if isinstance(named, list):
            return frozenset(map(str, named))
        return frozenset(self.dependencies or {}) if named is True else frozenset()


class PnpmWorkspace(Struct):
    """What a pnpm-workspace.yaml holds."""

    packages: list[str] | None = None
    registry: Any = None
    registries: Any = None


def read(path: Path) -> PackageJson:
    """Read a package.json.

    Raises:
        FileNotFoundError: There is no such file.
        NotADirectoryError: What should be its directory is a file.
        InvalidWorkspaceError: It can't be read, or is not a package.json.
    """
    return parse(path, _bytes(path))


def parse(path: Path, data: bytes) -> PackageJson:
    """Read the bytes of a package.json.

    Args:
        path: The file, for messages.
        data: What is in it.

    Raises:
        InvalidWorkspaceError: It is none.
    """
    try:
        return _convert(path, codec.decode(data.removeprefix(_BOM)), PackageJson)  # npm takes a byte order mark too
    except codec.CodecError as error:
        raise InvalidWorkspaceError(path, error.place, error.problem) from None


def read_pnpm(root: Path) -> PnpmWorkspace | None:
    """Read the pnpm-workspace.yaml of a workspace's root, if it has one.

    Raises:
        InvalidWorkspaceError: It can't be read, or is none.
    """
    import yaml  # noqa: PLC0415  # only for workspaces of pnpm

    path = root / PNPM_FILENAME
    try:
        content = yaml.safe_load(_bytes(path).decode("utf-8-sig"))
        return _convert(path, content or {}, PnpmWorkspace)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise InvalidWorkspaceError(path, "", f"is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidWorkspaceError(path, "", "is nested too deeply") from None
    except codec.CodecError as error:
        raise InvalidWorkspaceError(path, error.place, error.problem) from None
    except (yaml.YAMLError, ValueError) as error:  # of a date that is none, say
        raise InvalidWorkspaceError(path, "", f"is not YAML: {' '.join(str(error).split())}") from None


def _convert(path: Path, value: object, kind: type[T]) -> T:
    if not isinstance(value, dict):
        raise InvalidWorkspaceError(path, "", "is not an object")
    return codec.convert(value, kind)


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # to open a pipe would last for ever
            raise InvalidWorkspaceError(path, "", "is not a regular file")
        with path.open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise InvalidWorkspaceError(path, "", f"can't be read: {error.strerror}") from error
    if len(data) > MAX_SIZE:
        raise InvalidWorkspaceError(path, "", f"has more than {MAX_SIZE >> 20} MiB")
    return data
