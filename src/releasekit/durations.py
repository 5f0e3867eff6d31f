"""A duration as exactly as it was measured, for tables and pictures; `report.words.spell` has it as people say it."""

from __future__ import annotations


def exact(seconds: float) -> str:
    """Write a duration to the millisecond."""
    return f"{seconds:.3f} s"
