"""Python packages in a uv workspace."""

from typing import Final

from releasekit.pipeline.python.ecosystem import Python

__all__ = ["ECOSYSTEM", "Python"]

ECOSYSTEM: Final = Python()
