"""Packing a package into a file, with the scripts that it has for that.

`npm publish` of a directory would run `prepublishOnly`, `prepack` and `prepare`; of a file it runs none. So the first
of them, which packing alone leaves out, runs before it. pnpm packs where the workspace is pnpm's: it writes ranges for
``workspace:`` and ``catalog:``.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from releasekit.pipeline import process
from releasekit.pipeline.npm.members import uses_pnpm
from releasekit.pipeline.npm.package_json import FILENAME, read
from releasekit.pipeline.npm.programs import environ, find_npm, find_pnpm, withheld
from releasekit.pipeline.npm.workspace import PACKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from releasekit.pipeline.ecosystem import Build

_BEFORE_PACKING: Final = PACKING[0]


async def pack(build: Build) -> None:
    """Pack a package.

    Raises:
        StepError: It failed (`E.BUILD_FAILED`), or took too long (`E.BUILD_TIMEOUT`).
    """
    directory = build.package.directory
    pnpm = await asyncio.to_thread(uses_pnpm, build.root)
    program = find_pnpm() if pnpm else find_npm()
    variables = {
        "SOURCE_DATE_EPOCH": str(build.source_date_epoch),
        **environ(),
        **await asyncio.to_thread(withheld, build.root),
    }
    deadline = time.monotonic() + build.timeout
    content = await asyncio.to_thread(read, directory / FILENAME)
    if _BEFORE_PACKING in (content.scripts or {}) and not await _ignores_scripts(directory, variables, build.timeout):
        await _run([program, "run", _BEFORE_PACKING], build, variables, deadline)
    await _run([program, "pack", f"--pack-destination={build.target}"], build, variables, deadline)


async def _ignores_scripts(directory: Path, variables: Mapping[str, str | None], timeout: float) -> bool:  # noqa: ASYNC109  # see `process.run`
    """Ask npm whether scripts are to run at all: `npm run` would run one that is asked for in any case."""
    command = [find_npm(), "config", "get", "ignore-scripts", "--logs-max=0", "--loglevel=silent"]
    try:
        return (await process.run(command, cwd=directory, environ=variables, timeout=timeout)).strip() == "true"
    except process.CommandError:
        return False  # what is wrong with npm is told by the next that uses it


async def _run(command: Sequence[str], build: Build, variables: Mapping[str, str | None], deadline: float) -> None:
    shown = " ".join([Path(command[0]).name, *(word for word in command[1:] if not word.startswith("-"))])
    left = max(0.0, deadline - time.monotonic())
    try:
        await process.run(command, cwd=build.package.directory, environ=variables, timeout=left)
    except process.CommandError as error:
        raise build.error(shown, error) from error
