"""Which registry each package of a workspace belongs to, as npm has it.

In this order: what `publishConfig` in its package.json says of its scope; what the .npmrc files and the environment say
of that; `registry` in its `publishConfig`; `registry` in the files and the environment.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.npm import names
from releasekit.pipeline.npm.package_json import FILENAME, read, read_pnpm
from releasekit.pipeline.npm.programs import environ, find_npm
from releasekit.redaction import keep_npmrc_secret, keep_secret, redact
from releasekit.workspace.load import BY_PACKAGE_JSON
from releasekit.workspace.pyproject import InvalidWorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from releasekit.workspace import Workspace

_TIMEOUT = 60.0  # seconds that npm may take to read its settings


class Target(NamedTuple):
    """Where one package is published.

    Attributes:
        registry: The address of the registry.
        arguments: What tells npm so where it does not look into the package's publishConfig.
        tag: The tag that its publishConfig says; empty if it says none.
    """

    registry: str
    arguments: tuple[str, ...] = ()
    tag: str = ""


class Settings(NamedTuple):
    """What npm is set up for.

    Attributes:
        targets: Package → where it is published.
        tag: The tag that a version gets.
    """

    targets: Mapping[str, Target]
    tag: str


def read_settings(workspace: Workspace) -> Settings:
    """Ask npm what it is set up for.

    Raises:
        ReleaseKitError: It can't tell, or the address of a registry can't be used (`E.INDEX_UNKNOWN`).
    """
    root = workspace.root
    if (pnpm := read_pnpm(root)) and (pnpm.registry is not None or pnpm.registries is not None):
        raise ReleaseKitError(
            E.INDEX_UNKNOWN,
            f"{root / 'pnpm-workspace.yaml'} says which registries to use, where npm, which publishes, does not look",
            "write them into .npmrc: registry=… and @scope:registry=…",
        )
    # Also what is not chosen now: what requires it asks for it where it is.
    publishable = [each for each in workspace.packages.values() if not each.skip_reason.startswith(BY_PACKAGE_JSON)]
    scopes = sorted({scope for each in publishable if (scope := names.scope_of(each.name))})
    known = _ask(root, ["registry", "tag", "globalconfig", *(f"{scope}:registry" for scope in scopes)])
    keep_npmrc_secret(Path(known.get("globalconfig", "")))
    targets = {}
    for package in publishable:
        path = package.directory / FILENAME
        targets[package.name] = _target(package.name, read(path).publish_config or {}, path, known)
    return Settings(targets, known["tag"])


def _target(package: str, own: Mapping[str, Any], path: Path, known: Mapping[str, str]) -> Target:
    of_scope = f"{names.scope_of(package)}:registry"
    tag = own.get("tag")
    tag = tag if isinstance(tag, str) else ""
    if of_scope in own:
        address = _address(own[of_scope], path, f"publishConfig.{of_scope}")
        return Target(address, (f"--{of_scope}={address}",), tag)
    if known.get(of_scope):
        return Target(known[of_scope], (), tag)
    if "registry" in own:
        address = _address(own["registry"], path, "publishConfig.registry")
        return Target(address, (f"--registry={address}",), tag)
    return Target(known["registry"], (), tag)


def _address(given: object, path: Path, place: str) -> str:
    if not isinstance(given, str):
        raise InvalidWorkspaceError(path, place, f"is {given!r:.100}, no address")
    try:
        parts = urlsplit(given)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidWorkspaceError(path, place, f"is {redact(given)!r:.200}, no address of a registry")
    if parts.username is not None or parts.query:
        keep_secret(given)
        problem = f"is {redact(given)!r:.200}, which may hold a secret"
        hint = "name who you are in a .npmrc: //host/path/:_authToken=${NPM_TOKEN}"
        raise InvalidWorkspaceError(path, place, problem, hint)
    return given


def _ask(root: Path, keys: Iterable[str]) -> dict[str, str]:
    taken_away = environ()
    command = [find_npm(), "config", "get", *keys, "--no-json", "--logs-max=0", "--loglevel=error"]
    variables = {name: value for name, value in os.environ.items() if name not in taken_away}
    try:
        done = subprocess.run(  # noqa: S603  # no shell
            command,
            cwd=root,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT,
        )
        problem = done.stderr if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    found = {} if problem else dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    known = {key: value for key, value in found.items() if value not in {"undefined", "null", ""}}
    if problem or not {"registry", "tag"} <= known.keys():
        hint = "`npm config list` shows what it reads; write who you are beside the address: //host/path/:_authToken=…"
        message = f"npm does not tell its settings in {root}: {redact(problem or done.stdout).strip()}"
        raise ReleaseKitError(E.INDEX_UNKNOWN, message, hint)
    keep_secret(*(value for key, value in known.items() if key.endswith("registry")))
    return known
