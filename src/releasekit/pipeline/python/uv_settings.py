"""Whether uv, as it is set up, installs by itself what it would install into the environment of an isolated build.

`uv pip install` obeys settings that an isolated build does not, such as constraints, and the other way round, such as
build constraints. Known here are those that both obey alike, and those that neither does. What is not known is taken to
differ: uv gets new settings with nearly each release.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from releasekit.workspace.pyproject import UV_FILENAME, InvalidWorkspaceError, read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_INDEXES: Final = (
    *("allow-insecure-host", "exclude-newer", "exclude-newer-package", "extra-index-url", "find-links", "http-proxy"),
    *("https-proxy", "index", "index-strategy", "index-url", "keyring-provider", "native-tls", "no-index", "no-proxy"),
    *("offline", "system-certs"),
)
_INSTALLING: Final = (
    *("cache-dir", "compile-bytecode", "concurrent-builds", "concurrent-downloads", "concurrent-installs"),
    *("link-mode", "no-cache", "required-version"),
)
_PYTHON: Final = ("pypy-install-mirror", "python-downloads", "python-install-mirror", "python-preference")
_OF_OTHER_COMMANDS: Final = (
    *("add-bounds", "cache-keys", "check-url", "conflicts", "default-groups", "dev-dependencies", "environments"),
    *("build-backend", "managed", "package", "publish-url", "required-environments", "trusted-publishing", "workspace"),
    "sources",  # who asks has looked that none of them is of what is installed
)
KEYS: Final = frozenset((*_INDEXES, *_INSTALLING, *_PYTHON, *_OF_OTHER_COMMANDS))
"""What may be set in a `[tool.uv]` or a uv.toml."""

_VARIABLES: Final = frozenset(
    (
        *("UV_DEFAULT_INDEX", "UV_EXCLUDE_NEWER", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_HTTP_CONNECT_TIMEOUT"),
        *("UV_HTTP_RETRIES", "UV_HTTP_TIMEOUT", "UV_INDEX", "UV_INDEX_STRATEGY", "UV_INDEX_URL", "UV_INSECURE_HOST"),
        *("UV_KEYRING_PROVIDER", "UV_NATIVE_TLS", "UV_OFFLINE", "UV_REQUEST_TIMEOUT", "UV_SYSTEM_CERTS"),
        *("UV_CACHE_DIR", "UV_COMPILE_BYTECODE", "UV_CONCURRENT_BUILDS", "UV_CONCURRENT_DOWNLOADS"),
        *("UV_CONCURRENT_INSTALLS", "UV_LINK_MODE", "UV_NO_CACHE"),
        *("UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_PYTHON", "UV_PYTHON_CACHE_DIR", "UV_PYTHON_DOWNLOADS"),
        *("UV_PYTHON_INSTALL_DIR", "UV_PYTHON_INSTALL_MIRROR", "UV_PYTHON_PREFERENCE"),
        *("UV_CONFIG_FILE", "UV_NO_CONFIG"),  # each applies to both, and so does what it brings
        *("UV", "UV_PROJECT", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY"),  # see `process.find_uv` and `ELSEWHERE`
        *("UV_FROZEN", "UV_LOCKED", "UV_NO_DEV", "UV_NO_SYNC", "UV_PROJECT_ENVIRONMENT", "UV_RUN_RECURSION_DEPTH"),
        *("UV_ENV_FILE", "UV_LOG_CONTEXT", "UV_NO_ENV_FILE", "UV_NO_PROGRESS", "UV_NO_WRAP", "UV_STACK_SIZE"),
    )
)
_KINDS_OF_VARIABLES: Final = re.compile(r"UV_(?:INDEX_\w+_(?:USERNAME|PASSWORD)|(?:PUBLISH|TOOL)_\w+)")


def why_not_alike(tables: Iterable[tuple[Path, Mapping[str, object]]], where: Path = Path()) -> str:
    """Say what may make `uv pip install` differ from what an isolated build installs; empty if nothing does.

    Looked at are the variables too, and whatever uv.toml a user or a machine has.

    Args:
        tables: Those that uv reads of the workspace, each with its file.
        where: The directory that uv runs in, which relative paths in variables start from.
    """
    for name in sorted(os.environ):
        if name.startswith("UV_") and name not in _VARIABLES and not _KINDS_OF_VARIABLES.fullmatch(name):
            return f"{name} is set"
    try:
        for path, table in (*tables, *_everywhere(where)):
            if unknown := sorted(table.keys() - KEYS):
                return f"{path} sets {unknown[0]}"
    except InvalidWorkspaceError as error:
        return error.message
    return ""


def read_uv_toml(path: Path) -> Mapping[str, object]:
    """Read a uv.toml; there may be none.

    Raises:
        InvalidWorkspaceError: It can't be read, or is not TOML.
    """
    try:
        return read_toml(path, dict[str, Any])
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _everywhere(where: Path) -> Iterator[tuple[Path, Mapping[str, object]]]:
    """Read what holds for all projects of a user, or of a machine."""
    environ = os.environ
    system = [where / each for each in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep) if each]
    places = [directory / "uv" / UV_FILENAME for directory in (*_of_user(), *system, Path("/etc"))]
    if named := environ.get("UV_CONFIG_FILE"):
        places.append(where / named)
    for place in places:
        yield place, read_uv_toml(place)


def _of_user() -> Iterator[Path]:
    """Name the directory where a user has settings; one without a home has none."""
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if given.is_absolute():  # uv takes no other
        yield given
        return
    with suppress(RuntimeError):
        yield Path.home() / ".config"
