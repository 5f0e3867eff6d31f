"""npm packages in a workspace of npm or pnpm."""

from typing import Final

from releasekit.pipeline.npm.ecosystem import Npm

__all__ = ["ECOSYSTEM", "Npm"]

ECOSYSTEM: Final = Npm()
