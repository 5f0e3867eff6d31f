"""How each status looks, in pictures and in the terminal: one table for both.

A status never differs by colour alone: each has its own glyph, one column wide. Dark on light, every pair has
at least the contrast of 4.5 : 1 that WCAG asks of text. On a dark page a status has the same two colours the other
way round, which keeps the contrast. The terminal's own sixteen colours are used there, since only the terminal knows
its background.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.lifecycle import PackageStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


class Look(NamedTuple):
    """How one status looks.

    Attributes:
        glyph: Its sign, one character.
        fill: The background in pictures, as ``#rrggbb``.
        line: The border and the text in pictures, as ``#rrggbb``.
        style: The text in the terminal, as rich spells it.
    """

    glyph: str
    fill: str
    line: str
    style: str

    @property
    def fill_in_the_dark(self) -> str:
        """The background on a dark page."""
        return self.line

    @property
    def line_in_the_dark(self) -> str:
        """The border and the text on a dark page."""
        return self.fill


LIGHT_PAPER: Final = "#ffffff"
DARK_PAPER: Final = "#15181c"
"""The backgrounds of a page, on which the text of every status can be read too."""

PALETTE: Final[Mapping[PackageStatus, Look]] = MappingProxyType(
    {
        PackageStatus.PENDING: Look("○", "#f1f3f5", "#495057", "bright_black"),
        PackageStatus.BUILDING: Look("◐", "#fff3bf", "#7a4f01", "yellow"),
        PackageStatus.PUBLISHING: Look("↑", "#d0ebff", "#0b5394", "blue"),
        PackageStatus.VERIFYING: Look("◎", "#e5dbff", "#5f3dc4", "magenta"),
        PackageStatus.PUBLISHED: Look("✓", "#d3f9d8", "#1b5e20", "green"),
        PackageStatus.SKIPPED: Look("⊘", "#ffffff", "#5c636a", "cyan"),
        PackageStatus.FAILED: Look("✗", "#ffd8cc", "#a61e0c", "bold red"),
    }
)
