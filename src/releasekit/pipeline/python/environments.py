"""Environments to build in that packages share: uv would make one twice for each package, and fill and compile it anew.

A package is built in one only if that gives what an isolated build would give: see `requirements_to_share` for what a
package may say of its build, and `uv_settings` for how uv may be set up. All others are built as uv does it.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name

from releasekit.errors import E
from releasekit.logging import get_logger
from releasekit.pipeline import git, process
from releasekit.pipeline.outcome import StepError
from releasekit.pipeline.python.uv_settings import KEYS, read_uv_toml, why_not_alike
from releasekit.state.beside import DIST_DIRECTORY
from releasekit.workspace.backend import BuildInput, leaves_ignored_out, requirements_to_share
from releasekit.workspace.pyproject import FILENAME, UV_FILENAME, read_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
    from pathlib import Path

    from releasekit.pipeline.ecosystem import Build
    from releasekit.workspace import Package

_INSTEAD_OF_PYPROJECT: Final = "hatch.toml"
_PINS: Final = (".python-version", ".python-versions")
_REQUIREMENTS: Final = "build-requirements.txt"
_VENV: Final = "venv"


@dataclass(frozen=True, eq=False)
class UvEnvironment:
    """See `Environment`.

    Attributes:
        root: The workspace.
        requirements: What is installed in it.
        environ: Variables for who installs: see `process.run`.
        run_build: Does a build, with options for uv: see `Ecosystem.build`.
    """

    root: Path
    requirements: tuple[str, ...]
    environ: Mapping[str, str | None]
    run_build: Callable[[Build, Sequence[str]], Coroutine[None, None, None]]

    async def make(self, place: Path, timeout: float) -> None:  # noqa: ASYNC109  # see `process.run`
        """See `Environment.make`."""
        deadline = asyncio.get_running_loop().time() + timeout

        async def uv(*arguments: str) -> str:
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            return await process.run([uv_program, *arguments], cwd=self.root, environ=self.environ, timeout=left)

        uv_program = process.find_uv()
        listed = place / _REQUIREMENTS  # on a command line a name could be taken for a file's
        await asyncio.to_thread(listed.write_text, "".join(f"{each}\n" for each in self.requirements), "utf-8")
        try:
            # `uv venv` by itself would pass over virtual environments, which an isolated build takes its Python from;
            # and only who looks for one is not told by the variable.
            python = _path_in(await uv("python", "find", *filter(None, [os.environ.get("UV_PYTHON")])))
            await uv("venv", "--quiet", "--no-project", "--python", python, str(place / _VENV))
            # What builds import is compiled by the first of them, unless they may not write it; all of it might take
            # longer than the builds.
            compiling = ["--compile-bytecode"] if os.environ.get("PYTHONDONTWRITEBYTECODE") else []
            installing = ("pip", "install", "--quiet", *compiling, "--python", str(_python_in(place)))
            await uv(*installing, "--requirements", str(listed))
        except process.CommandError as error:
            message = f"no environment could be made to build with {', '.join(self.requirements)}:\n{error.shown}"
            raise StepError(E.BUILD_FAILED, message) from error

    async def build(self, build: Build, place: Path) -> None:
        """See `Environment.build`."""
        await self.run_build(build, ("--no-build-isolation", "--python", str(_python_in(place))))


def environments_in(
    root: Path,
    packages: Mapping[str, Package],
    wanted: Collection[str],
    environ: Mapping[str, str | None],
    run_build: Callable[[Build, Sequence[str]], Coroutine[None, None, None]],
) -> Mapping[str, UvEnvironment]:
    """See `SharesEnvironments.environments`; for the others see `UvEnvironment`.

    Raises:
        InvalidWorkspaceError: A pyproject.toml is not what it was when the workspace was read.
        OSError: One is not there any more.
    """
    candidates = [packages[name] for name in wanted if packages[name].built_by_uv == ""]
    if len(candidates) < 2:  # noqa: PLR2004  # nobody to share with
        return {}
    told = read_toml(root / FILENAME, BuildInput)
    tables = [(root / FILENAME, told.tool.uv), (root / UV_FILENAME, read_uv_toml(root / UV_FILENAME))]
    unable = f"{root} has a {os.pathsep}, so it can't be on a PATH" if os.pathsep in str(root) else ""
    why = unable or why_not_alike(tables, root) or _why_not_beside(root, told, packages.values())
    if why:
        get_logger(__name__).debug("releasekit.environments_refused", reason=why)
        return {}
    elsewhere = {*packages, *_sources(told)}
    made: dict[tuple[str, ...], UvEnvironment] = {}
    found = {}
    for package in candidates:
        if requirements := _requirements(root, package, elsewhere):
            found[package.name] = made.setdefault(requirements, UvEnvironment(root, requirements, environ, run_build))
    return found


def _requirements(root: Path, package: Package, elsewhere: Collection[str]) -> tuple[str, ...]:
    """Tell what an environment must have to build a package in it; nothing if it needs its own.

    Args:
        root: The workspace.
        package: The package.
        elsewhere: Names of what does not come from an index.
    """
    content = read_toml(package.directory / FILENAME, BuildInput)
    special = content.tool.uv.keys() - KEYS or os.path.lexists(package.directory / _INSTEAD_OF_PYPROJECT)
    if special or _is_pinned(root, package.directory):
        return ()
    requirements = requirements_to_share(content)
    names = {canonicalize_name(each.name) for each in requirements}
    if names.intersection(elsewhere) or names & _sources(content):
        return ()
    return tuple(dict.fromkeys(map(str, requirements)))


def _is_pinned(root: Path, directory: Path) -> bool:
    """Tell whether a build of a package looks for its Python elsewhere than in the root, where we look.

    It takes the choice that it finds first on its way up, also from above the root, which is further than we are led.
    """
    for place in (directory, *directory.parents):
        if any(os.path.lexists(place / pin) for pin in _PINS):
            return place != root
    return False


def _why_not_beside(root: Path, told: BuildInput, packages: Iterable[Package]) -> str:
    """Say why there must not be anything in the root; empty if there may.

    Its own package may be built at the same time, also if that is not by us or of it there is something already.
    """
    own = [package for package in packages if package.directory == root and not package.skip_reason]
    if not own:
        return ""
    by_other = any(package.settings.commands.build for package in own) or os.path.lexists(root / _INSTEAD_OF_PYPROJECT)
    if by_other or not leaves_ignored_out(told):
        return "the root's own package could take it in: it is built by what may take in what git ignores"
    if not git.is_ignored_by(root / ".gitignore", root / DIST_DIRECTORY / "environment"):
        return f"the root's own package could take it in: its .gitignore does not have {git.OURS}*"
    return ""


def _sources(told: BuildInput) -> set[str]:
    """Name what does not come from an index."""
    sources = told.tool.uv.get("sources")
    return {canonicalize_name(name) for name in sources} if isinstance(sources, dict) else set()


def _path_in(said: str) -> str:
    """Find the path in what was said, among what uv may warn of.

    Raises:
        StepError: There is none, or several.
    """
    paths = [line for line in said.splitlines() if line.startswith(os.sep)]
    if len(paths) != 1:
        raise StepError(E.BUILD_FAILED, f"uv python find does not name one Python: {said}")
    return paths[0]


def _python_in(place: Path) -> Path:
    return place / _VENV / "bin" / "python"
