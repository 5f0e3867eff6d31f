from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.workspace.backend import uv_that_builds
from releasekit.workspace.pyproject import read

if TYPE_CHECKING:
    from pathlib import Path

UV = 'build-backend = "uv_build"\n'


def told(tmp_path: Path, text: str) -> str | None:
    file = tmp_path / "pyproject.toml"
    file.write_text(f'[project]\nname = "a"\nversion = "1"\n{text}', encoding="utf-8")
    return uv_that_builds(read(file))


@pytest.mark.parametrize(
    ("requires", "versions"),
    [("uv_build>=0.8,<1", "<1,>=0.8"), ("uv-build", ">=0"), ("UV.Build==0.13.9", "==0.13.9")],
)
def test_what_takes_only_uv_is_built_by_the_uv_that_it_asks_for(tmp_path: Path, requires: str, versions: str) -> None:
    assert told(tmp_path, f'[build-system]\nrequires = ["{requires}"]\n{UV}') == versions


@pytest.mark.parametrize(
    "system",
    [
        'requires = ["hatchling"]\nbuild-backend = "hatchling.build"\n',
        'requires = ["uv_build"]\n',
        f'requires = ["uv_build", "cython"]\n{UV}',
        f"requires = []\n{UV}",
        f'requires = ["uv_build"]\nbackend-path = ["."]\n{UV}',
        f"requires = [\"uv_build; python_version > '3'\"]\n{UV}",
        f'requires = ["uv_build @ https://127.0.0.1/uv_build.whl"]\n{UV}',
        f'requires = ["hatchling"]\n{UV}',
        f'requires = ["no requirement"]\n{UV}',
        'requires = ["uv_build"]\nbuild-backend = 7\n',
    ],
)
def test_what_takes_anything_else_is_not_built_by_uv_alone(tmp_path: Path, system: str) -> None:
    assert told(tmp_path, f"[build-system]\n{system}") == ""


def test_what_is_no_package_is_not_built_at_all(tmp_path: Path) -> None:
    assert told(tmp_path, "") is None
    assert told(tmp_path, f'[build-system]\nrequires = ["uv_build"]\n{UV}[tool.uv]\npackage = false\n') is None
    assert told(tmp_path, "[tool.uv]\npackage = true\n") == ""
