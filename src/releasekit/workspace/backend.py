"""What builds a member, as far as that matters before it is built."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from releasekit.workspace.pyproject import BuildSystem, Project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from releasekit.workspace.pyproject import PyProject

_BACKEND: Final = "uv_build"
_HATCHLING: Final = "hatchling.build"

_HATCH_KEYS: Final = frozenset(
    (
        *("artifacts", "bypass-selection", "core-metadata-version", "dev-mode-dirs", "dev-mode-exact", "directory"),
        *("exclude", "extra-metadata", "force-include", "ignore-vcs", "include", "macos-max-compat", "only-include"),
        *("only-packages", "packages", "reproducible", "sbom-files", "shared-data", "shared-scripts"),
        *("skip-excluded-dirs", "sources", "strict-naming", "support-legacy", "versions"),
    )
)
"""What may be said of a build by hatchling that has it require and run nothing else: not `dependencies`, for one."""

_HATCH_TARGETS: Final = frozenset(("sdist", "wheel"))
_HATCH_TAKES_IGNORED: Final = frozenset(("artifacts", "ignore-vcs"))
_FLIT_READS: Final = frozenset(("description", "version"))
"""What flit imports a module for if it can't be read in it."""


class Tools(Struct):
    """The table `[tool]`, as far as it has to do with builds, with all that uv is told."""

    uv: dict[str, Any] = {}
    hatch: dict[str, Any] = {}
    poetry: dict[str, Any] = {}


class BuildInput(Struct, rename="kebab"):
    """What a pyproject.toml says of how a member is built."""

    project: Project = field(default_factory=Project)
    build_system: BuildSystem = field(default_factory=BuildSystem)
    tool: Tools = field(default_factory=Tools)


def uv_that_builds(content: PyProject) -> str | None:
    """Tell which uv builds a member by itself, without running anything: that takes next to no time.

    Args:
        content: Its pyproject.toml.

    Returns:
        A version specifier, such as ``>=0.8,<1``; empty if it takes another backend to build it; None if nothing does.
    """
    system = content.build_system
    if content.tool.uv.package is False or (system is None and content.tool.uv.package is None):
        return None
    if system is None or system.build_backend != _BACKEND or system.backend_path or len(system.requires) != 1:
        return ""
    try:
        required = Requirement(system.requires[0])
    except InvalidRequirement:  # who reads requirements complains of it
        return ""
    if canonicalize_name(required.name) != canonicalize_name(_BACKEND) or required.marker or required.url:
        return ""
    return str(required.specifier) or ">=0"


def requirements_to_share(content: BuildInput) -> tuple[Requirement, ...]:
    """Tell what a member requires to be built, if any environment with that will do, whoever else is built there.

    That is so where nothing but these requirements decides what is installed: a backend may ask for more when it is
    called. Known to be so is it of hatchling, flit and poetry, as long as they are told nothing unusual.

    Args:
        content: Its pyproject.toml.

    Returns:
        The requirements in their order, which may decide between two ways to fulfil them; none if the member needs an
        environment of its own.
    """
    system = content.build_system
    is_plain = _PLAIN.get(system.build_backend) if isinstance(system.build_backend, str) else None
    if not is_plain or system.backend_path is not None or not is_plain(content):
        return ()
    try:
        requirements = tuple(map(Requirement, system.requires))
    except InvalidRequirement:  # who reads requirements complains of it
        return ()
    return () if any(each.url for each in requirements) else requirements


def leaves_ignored_out(content: BuildInput) -> bool:
    """Tell whether nothing that a .gitignore beside a pyproject.toml has can get into what is built there.

    Known to be so is it of hatchling, and of uv, which only takes in a package's code, unless they are told otherwise.
    """
    backend = content.build_system.build_backend
    if backend == _BACKEND:
        return "build-backend" not in content.tool.uv
    plain = backend == _HATCHLING and _is_plain_hatchling(content)
    return plain and _HATCH_TAKES_IGNORED.isdisjoint(_told_hatchling(content.tool.hatch.get("build", {})))


def _is_plain_hatchling(content: BuildInput) -> bool:
    """Tell whether hatchling is told of nothing more to install, nor to run code of the project.

    Where a version or metadata comes from a plugin, that is among the requirements.
    """
    hatch = content.tool.hatch
    try:
        build = hatch.get("build", {})
        told, targets = _told_hatchling(build), {*build.get("targets", {})}
        by_project = "custom" in hatch.get("metadata", {}).get("hooks", {})
        by_project = by_project or hatch.get("version", {}).get("source") == "code"
    except (AttributeError, TypeError):  # another type than hatchling's: it complains
        return False
    return told <= _HATCH_KEYS and targets <= _HATCH_TARGETS and not by_project


def _told_hatchling(build: Mapping[str, Any]) -> set[str]:
    """Name what `[tool.hatch.build]` says, of whatever target."""
    return ({*build} - {"targets"}).union(*build.get("targets", {}).values())


def _is_plain_flit(content: BuildInput) -> bool:
    """Tell whether flit has no reason to import the module, and so to install what that requires."""
    project = content.project
    return _FLIT_READS.isdisjoint(project.dynamic) or not (project.dependencies or project.optional_dependencies)


def _is_plain_poetry(content: BuildInput) -> bool:
    """Tell whether poetry has no script of the project to run."""
    return "build" not in content.tool.poetry


_PLAIN: Final[Mapping[str, Callable[[BuildInput], bool]]] = MappingProxyType(
    {
        _HATCHLING: _is_plain_hatchling,
        "flit_core.buildapi": _is_plain_flit,
        "poetry.core.masonry.api": _is_plain_poetry,
    }
)
"""Backends, each with what tells whether it will ask for nothing besides `build-system.requires`."""
