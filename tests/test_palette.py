from __future__ import annotations

import subprocess
import sys

import pytest
from rich.cells import cell_len
from rich.style import Style

from releasekit.lifecycle import PackageStatus
from releasekit.palette import DARK_PAPER, LIGHT_PAPER, PALETTE


def _luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_status_has_a_look() -> None:
    assert set(PALETTE) == set(PackageStatus)


def test_statuses_differ_by_glyph_not_by_colour_alone() -> None:
    assert len({look.glyph for look in PALETTE.values()}) == len(PackageStatus)


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("status", PackageStatus)
def test_text_can_be_read_on_its_background_and_on_the_page_in_light_and_dark(status: PackageStatus) -> None:
    look = PALETTE[status]
    assert _luminance(look.line) < _luminance(look.fill)
    for text, *backgrounds in (
        (look.line, look.fill, LIGHT_PAPER),
        (look.line_in_the_dark, look.fill_in_the_dark, DARK_PAPER),
    ):
        assert min(_contrast(text, background) for background in backgrounds) >= 4.5


@pytest.mark.parametrize("status", PackageStatus)
def test_the_terminal_knows_the_style_and_the_width_of_the_glyph(status: PackageStatus) -> None:
    look = PALETTE[status]
    assert Style.parse(look.style).color is not None
    assert cell_len(look.glyph) == 1


def test_the_palette_does_not_import_graphviz() -> None:
    code = "import sys, releasekit.palette; sys.exit('graphviz' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
