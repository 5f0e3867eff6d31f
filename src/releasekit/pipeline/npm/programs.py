"""The programs npm and pnpm: where they are, how they are called, and what they are not shown.

They are asked rather than imitated: which registry a package belongs to, who one is there, and by which proxy it is
reached stands in files, variables and package.json, and only npm knows how it all goes together. What it prints as JSON
is read, an error too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline import process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_QUIET: Final = ("--json", "--loglevel=silent", "--logs-max=0")
"""Have npm print nothing but a JSON document."""

_IN_THE_WAY: Final = re.compile(
    r"p?npm_config_(?:workspaces?|include_workspace_root|local_prefix|prefix|dry_run|json|pack_destination"
    r"|loglevel|parseable|location|global|force|recursive|filter)",
    re.IGNORECASE,
)
"""Variables by which a script of npm's would have another npm work elsewhere, or do and say something else."""

_MAY_PUBLISH: Final = re.compile(
    r"npm_token|node_auth_token|npm_auth_token|npm_id_token|actions_id_token_request_(?:token|url)"
    r"|p?npm_config_.*(?:_auth|_authtoken|_password|:?username|otp)"
    r"|uv_publish_(?:token|username|password)",
    re.IGNORECASE,
)
_CREDENTIALS: Final = re.compile(r"^[^#;\n]*(?:_auth|_authToken|_password|username)\s*=(.*)$", re.MULTILINE)
_VARIABLE: Final = re.compile(r"\$\{([^}?]+)\??\}")


class Failure(NamedTuple):
    """What npm says went wrong.

    Attributes:
        code: npm's code, ``E404`` or ``ECONNREFUSED``; empty if it gives none.
        summary: What happened, without secrets.
    """

    code: str
    summary: str


def find_npm() -> str:
    """Find the program `npm`.

    Raises:
        ReleaseKitError: There is none (`E.NPM_MISSING`).
    """
    return _find("npm", "install Node.js, which brings it")


def find_pnpm() -> str:
    """Find the program `pnpm`.

    Raises:
        ReleaseKitError: There is none (`E.NPM_MISSING`).
    """
    return _find("pnpm", "install it, since the workspace has a pnpm-workspace.yaml: npm install --global pnpm")


def environ() -> dict[str, None]:
    """Tell which variables to take away from a program that is to work where it runs, and as it is told.

    Also those for npm whose names are none for a shell, like ``npm_config_//host/:_authToken``: some shells lose them,
    and all of npm's calls must find the same.
    """
    settings = [name for name in os.environ if name.lower().startswith(("npm_config_", "pnpm_config_"))]
    return {name: None for name in settings if _IN_THE_WAY.fullmatch(name) or not name.isidentifier()}


def withheld(root: Path) -> dict[str, None]:
    """Tell which variables to take away from other people's code: it is not shown what may publish.

    Args:
        root: The workspace, whose .npmrc and whose user's may name more of them.
    """
    named = {name for name in os.environ if _MAY_PUBLISH.fullmatch(name)}
    for file in config_files(root):
        text = _text(file)
        named |= {variable for value in _CREDENTIALS.findall(text) for variable in _VARIABLE.findall(value)}
    return dict.fromkeys(sorted(named))


def config_files(root: Path) -> Iterator[Path]:
    """Name the files that have the settings of npm for a workspace: the workspace's own and the user's."""
    yield root / ".npmrc"
    given = next((os.environ[name] for name in os.environ if name.lower() == "npm_config_userconfig"), "")
    home = os.environ.get("HOME", "")
    if given or home:
        yield root / (given or f"{home}/.npmrc")


async def npm_json(
    command: str,
    options: Sequence[str],
    names: Sequence[str],
    *,
    cwd: Path,
    timeout: float,  # noqa: ASYNC109  # see `process.run`
) -> Any:  # noqa: ANN401  # any JSON
    """Run npm and read the JSON document that it prints; None if it prints none.

    Args:
        command: What npm is to do.
        options: How. Never a secret.
        names: With what: never taken for an option, whatever it looks like.
        cwd: Where it runs.
        timeout: Seconds that it may take.

    Raises:
        CommandError: It failed; `failure_in` reads why.
    """
    line = [find_npm(), command, *_QUIET, *options, "--", *names]
    return json_in(await process.run(line, cwd=cwd, environ=environ(), timeout=timeout))


def json_in(output: str) -> Any:  # noqa: ANN401  # any JSON
    """Find the JSON document in what npm printed: node's own warnings may stand around it. None if there is none."""
    decoder = json.JSONDecoder()
    for found in re.finditer(r'^[{\["]', output, re.MULTILINE):
        try:
            return decoder.raw_decode(output, found.start())[0]
        except (ValueError, RecursionError):
            continue
    return None


def failure_in(failed: process.CommandError) -> Failure:
    """Read what npm says went wrong; where it says nothing that can be read, all that it printed."""
    document = json_in(failed.output)
    error: Mapping[str, Any] = {}
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        error = document["error"]
    code, summary = error.get("code"), error.get("summary")
    detail = error.get("detail")
    told = [part.strip() for part in (summary, detail) if isinstance(part, str) and part.strip()]
    return Failure(
        str(code) if isinstance(code, (str, int)) else "", process.shorten("\n".join(told)) if told else failed.shown
    )


def _find(program: str, hint: str) -> str:
    found = shutil.which(program)
    if not found:
        raise ReleaseKitError(E.NPM_MISSING, f"the program {program} is not on PATH", hint)
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    except OSError:
        return ""
