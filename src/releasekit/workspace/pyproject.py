"""One pyproject.toml, or uv.toml: read, parsed and type-checked.

Only the keys that a release depends on are looked at; whatever is wrong with them comes out as one error that
names the file and the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import tomli  # tomllib, but compiled: parsing is most of what loading a large workspace takes
from msgspec import Struct, field

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence import codec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILENAME: Final = "pyproject.toml"
UV_FILENAME: Final = "uv.toml"

T = TypeVar("T")


class InvalidWorkspaceError(ReleaseKitError):
    """A workspace that can't be released as it is written.

    Attributes:
        path: The file to mend.
        place: The key in it, as a path like ``project.version``; empty for the whole file.
    """

    def __init__(self, path: Path, place: str, problem: str, hint: str = "") -> None:
        where = f"{path}: {place} {problem}" if place else f"{path} {problem}"
        super().__init__(E.WORKSPACE_INVALID, where, hint)
        self.args = (path, place, problem, hint)
        self.path = path
        self.place = place


class Project(Struct, rename="kebab"):
    """The table `[project]`."""

    name: str | None = None
    version: str | None = None
    dependencies: list[str] = []
    optional_dependencies: dict[str, list[str]] = {}
    dynamic: list[str] = []
    classifiers: list[str] = []


class BuildSystem(Struct, rename="kebab"):
    """The table `[build-system]`."""

    requires: list[str] = []
    build_backend: Any = None  # what is wrong with these, uv says when it builds
    backend_path: Any = None


class UvWorkspace(Struct):
    """The table `[tool.uv.workspace]`."""

    members: list[str] = []
    exclude: list[str] = []


class UvIndex(Struct, rename="kebab"):
    """One table of `[[tool.uv.index]]`, or of `[[index]]` in a uv.toml."""

    url: str
    name: str = ""
    publish_url: str = ""


class Uv(Struct, rename="kebab"):
    """The table `[tool.uv]`."""

    package: bool | None = None
    managed: bool = True
    workspace: UvWorkspace | None = None
    index: list[UvIndex] = []
    dev_dependencies: list[str] = []


class Tool(Struct):
    """The table `[tool]`."""

    uv: Uv = field(default_factory=Uv)
    hatch: dict[str, Any] = {}
    pdm: dict[str, Any] = {}
    setuptools: dict[str, Any] = {}
    versioneer: dict[str, Any] = {}
    releasekit: Any = {}  # `tool_table` checks it


class PyProject(Struct, rename="kebab"):
    """What a pyproject.toml holds."""

    project: Project | None = None
    build_system: BuildSystem | None = None
    dependency_groups: dict[str, list[str | dict[str, Any]]] = {}
    tool: Tool = field(default_factory=Tool)


class UvToml(Struct):
    """What a uv.toml holds: most of what may stand in `[tool.uv]`."""

    index: list[UvIndex] = []


def read(path: Path) -> PyProject:
    """Read a pyproject.toml.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        NotADirectoryError: What should be its directory is a file.
        InvalidWorkspaceError: It can't be read, or is not a pyproject.toml.
    """
    return read_toml(path, PyProject)


def read_uv_toml(root: Path) -> UvToml | None:
    """Read the uv.toml of a workspace's root, if it has one.

    Raises:
        InvalidWorkspaceError: It can't be read, or is not a uv.toml.
    """
    try:
        return read_toml(root / UV_FILENAME, UvToml)
    except FileNotFoundError:
        return None


def read_toml(path: Path, kind: type[T], parse: Callable[[str], Any] = tomli.loads) -> T:
    """Read a file of TOML and check its types.

    Args:
        path: The file.
        kind: The `msgspec.Struct` that it must be.
        parse: Parses its text; raises a `ValueError` for what is not TOML.

    Raises:
        FileNotFoundError: There is no such file.
        NotADirectoryError: What should be its directory is a file.
        InvalidWorkspaceError: It can't be read, or is something else.
    """
    try:
        if not path.is_file() and path.exists() and not path.is_dir():  # to open a pipe would last for ever
            raise InvalidWorkspaceError(path, "", "is not a regular file")
        text = path.read_bytes().decode("utf-8-sig")  # uv accepts a byte order mark too
        return codec.convert(parse(text), kind)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise InvalidWorkspaceError(path, "", f"can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidWorkspaceError(path, "", f"is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidWorkspaceError(path, "", "is nested too deeply") from None
    except codec.CodecError as error:
        problem = error.problem.replace(" | null", "").replace("object", "table")  # TOML's words for JSON's
        raise InvalidWorkspaceError(path, error.place, problem) from None
    except ValueError as error:  # TOMLDecodeError, and Python's own limit on the digits of a number
        raise InvalidWorkspaceError(path, "", f"is not TOML: {error}") from None
