"""One call of a user's own command: what it is given, and how its end is told."""

from __future__ import annotations

import errno
import json
import os
import shutil
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.errors import E, ReleaseKitError, code_of
from releasekit.lifecycle import FINAL
from releasekit.logging import get_logger
from releasekit.pipeline import process
from releasekit.workspace.placeholders import fill
from releasekit.workspace.pyproject import FILENAME
from releasekit.workspace.settings import STEPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from releasekit.state import RunState
    from releasekit.workspace import Package

_NOTHING: Final[Mapping[str, str | None]] = MappingProxyType({})


class Call(NamedTuple):
    """One call of a command.

    Attributes:
        step: Which of the package's commands.
        package: The package.
        version: Its version; empty if only its build tells it, and has not yet.
        root: The workspace.
        out: Where its files are made, or kept.
        artifacts: The files that it is about, with their sha256.
        to: What the user calls the index; empty for a build.
    """

    step: str
    package: Package
    version: str
    root: Path
    out: Path
    artifacts: Mapping[str, str]
    to: str = ""

    async def run(self, timeout: float, environ: Mapping[str, str | None] = _NOTHING) -> None:  # noqa: ASYNC109  # see `process.run`
        """Run it: see `process.run` for what is raised."""
        values = {
            "package": self.package.name,
            "version": self.version,
            "directory": str(self.package.directory),
            "root": str(self.root),
            "out": str(self.out),
            "index": self.to,
        }
        files = [str(self.out / name) for name in sorted(self.artifacts)]
        program, *arguments = fill(getattr(self.package.settings.commands, self.step), values, files)
        if os.sep in program:
            program = str(self.package.directory / program)
        told = {f"RELEASEKIT_{name.upper()}": value for name, value in values.items()}
        told["RELEASEKIT_ARTIFACTS"] = json.dumps(dict(self.artifacts), sort_keys=True)
        command = [program, *arguments]
        output = await process.run(command, cwd=self.package.directory, environ={**told, **environ}, timeout=timeout)
        log = get_logger(__name__)
        log.debug("releasekit.command_ended", package=self.package.name, step=self.step, output=process.shorten(output))


def require_programs(packages: Mapping[str, Package], run: RunState) -> None:
    """Look for the programs that are still to be called, rather than miss one in the middle.

    One that is given by its path is not looked for: a build may make it.

    Args:
        packages: Those of the workspace.
        run: What is done of it, and what is not: also what failed, if a resume tries it again.

    Raises:
        ReleaseKitError: One is not on PATH (`E.CONFIG_INVALID`).
    """
    which = cache(shutil.which)  # many packages have the same ones
    for name, known in sorted(run.packages.items()):
        if known.status in FINAL or code_of(known.error) is E.INDEX_CONFLICT:  # no resume tries that again
            continue
        package = packages[name]
        for step in ("publish", "verify") if known.artifacts else ("build", "publish", "verify"):
            program = next(iter(getattr(package.settings.commands, step)), "")
            if program and not {os.sep, *"{}"} & {*program} and not which(program):
                message = f"the {step} command of {name!r} can't begin: {program} is not on PATH"
                raise ReleaseKitError(E.CONFIG_INVALID, message, put_on_path(package, step))


def put_on_path(package: Package, step: str) -> str:
    """Say what to do about a program that is missing."""
    key = f"{STEPS}.{step}"
    return f"put it on PATH, or mend what {package.settings.sources.get(key, FILENAME)} has as {key}"


def ended(error: process.CommandError) -> str:
    """Say how a command ended that failed."""
    if isinstance(error, process.ProgramMissingError):
        return f"did not begin: {error.shown}"
    return f"ended with status {error.returncode}{printed(error)}"


def printed(error: process.CommandError) -> str:
    """Give what it printed, to stand behind that."""
    return f":\n{error.shown}" if error.output else ", and printed nothing"


def to_mend(what: str, error: process.CommandError) -> str:
    """Say what to do about a build that failed; a full disk is not the fault of what was built.

    Which it is, is told by what was printed, in whatever case: Node.js and Go write these errors small.
    """
    output = error.output.casefold()
    if any(os.strerror(number).casefold() in output for number in (errno.ENOSPC, errno.EDQUOT)):
        return "make room on the disk, then run the same command again"
    return f"mend {what}; if that takes a new commit, start over with `releasekit publish --fresh`"
