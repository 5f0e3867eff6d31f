"""What builds a member, as far as that matters before it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from releasekit.workspace.pyproject import PyProject

_BACKEND: Final = "uv_build"


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
