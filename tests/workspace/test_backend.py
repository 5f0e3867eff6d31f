from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.workspace.backend import BuildInput, leaves_ignored_out, requirements_to_share, uv_that_builds
from releasekit.workspace.pyproject import read, read_toml

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


HATCH = 'build-backend = "hatchling.build"\n'
FLIT = 'build-backend = "flit_core.buildapi"\n'
POETRY = 'build-backend = "poetry.core.masonry.api"\n'


def shared(
    tmp_path: Path, backend: str, more: str = "", project: str = "", requires: str = '"backend>=1"'
) -> list[str]:
    file = tmp_path / "pyproject.toml"
    text = f'[project]\nname = "a"\n{project}\n[build-system]\nrequires = [{requires}]\n{backend}{more}'
    file.write_text(text, encoding="utf-8")
    return [*map(str, requirements_to_share(read_toml(file, BuildInput)))]


@pytest.mark.parametrize(
    ("backend", "project", "more"),
    [
        (HATCH, "", ""),
        (HATCH, 'dynamic = ["version"]', '[tool.hatch.version]\npath = "src/a/__init__.py"\n'),
        (HATCH, 'dynamic = ["version"]', '[tool.hatch.version]\nsource = "vcs"\n'),
        (HATCH, "", '[tool.hatch.build.targets.wheel]\npackages = ["src/a"]\n[tool.hatch.build.targets.sdist]\n'),
        (HATCH, "", '[tool.hatch.build]\ninclude = ["*.py"]\n[tool.hatch.envs.default]\ndependencies = ["x"]\n'),
        (
            HATCH,
            "",
            "[tool.hatch.metadata.hooks.fancy-pypi-readme]\n[tool.hatch.metadata]\nallow-direct-references=true\n",
        ),
        (FLIT, "", ""),
        (FLIT, 'dependencies = ["x"]', '[tool.flit.module]\nname = "a"\n'),
        (FLIT, 'dynamic = ["version", "description"]', ""),
        (POETRY, "", '[tool.poetry]\npackages = [{ include = "a" }]\n'),
    ],
)
def test_a_backend_that_asks_for_no_more_can_share_what_it_requires(
    tmp_path: Path, backend: str, project: str, more: str
) -> None:
    assert shared(tmp_path, backend, more, project) == ["backend>=1"]


@pytest.mark.parametrize(
    ("backend", "project", "more"),
    [
        ('build-backend = "setuptools.build_meta"\n', "", ""),
        ('build-backend = "hatchling.build:other"\n', "", ""),
        ('build-backend = ["hatchling.build"]\n', "", ""),
        (UV, "", ""),
        ("", "", ""),
        (HATCH, "", 'backend-path = ["."]\n'),
        (HATCH, "", "backend-path = []\n"),
        (HATCH, "", '[tool.hatch.build]\ndependencies = ["x"]\n'),
        (HATCH, "", "[tool.hatch.build]\nrequire-runtime-dependencies = true\n"),
        (HATCH, "", "[tool.hatch.build.hooks.custom]\n"),
        (HATCH, "", '[tool.hatch.build.targets.wheel]\ndependencies = ["x"]\n'),
        (HATCH, "", '[tool.hatch.build.targets.wheel]\nrequire-runtime-features = ["x"]\n'),
        (HATCH, "", "[tool.hatch.build.targets.sdist.hooks.vcs]\n"),
        (HATCH, "", "[tool.hatch.build.targets.custom]\n"),
        (HATCH, "", "[tool.hatch.build]\nnobody-knows-this = true\n"),
        (HATCH, "", "[tool.hatch.metadata.hooks.custom]\n"),
        (HATCH, 'dynamic = ["version"]', '[tool.hatch.version]\nsource = "code"\npath = "a.py"\n'),
        (HATCH, "", '[tool.hatch]\nbuild = "wrong"\n'),
        (HATCH, "", '[tool.hatch.build]\ntargets = ["wheel"]\n'),
        (HATCH, "", "[tool.hatch.build.targets]\nwheel = 7\n"),
        (HATCH, "", '[tool.hatch]\nversion = "1.0"\n'),
        (HATCH, "", "[tool.hatch.metadata]\nhooks = 7\n"),
        (FLIT, 'dynamic = ["version"]\ndependencies = ["x"]', ""),
        (FLIT, 'dynamic = ["description"]\noptional-dependencies = { more = ["x"] }', ""),
        (POETRY, "", '[tool.poetry]\nbuild = "build.py"\n'),
        (POETRY, "", '[tool.poetry.build]\nscript = "build.py"\n'),
    ],
)  # fmt: skip
def test_a_backend_that_might_ask_for_more_or_run_the_project_shares_nothing(
    tmp_path: Path, backend: str, project: str, more: str
) -> None:
    assert shared(tmp_path, backend, more, project) == []


@pytest.mark.parametrize(
    ("requires", "told"),
    [
        ('"hatchling", "hatch-vcs>=0.3, <1"', ["hatchling", "hatch-vcs<1,>=0.3"]),
        ('"hatch-vcs", "hatchling"', ["hatch-vcs", "hatchling"]),
        ("\"hatchling[x] ; python_version > '3'\"", ['hatchling[x]; python_version > "3"']),
        ("", []),
        ('"hatchling", "x @ https://127.0.0.1/x.whl"', []),
        ('"hatchling", "no requirement"', []),
    ],
)
def test_requirements_are_shared_in_their_order_if_all_come_from_an_index(
    tmp_path: Path, requires: str, told: list[str]
) -> None:
    assert shared(tmp_path, HATCH, requires=requires) == told


@pytest.mark.parametrize(
    ("text", "out"),
    [
        (f"{HATCH}[tool.hatch.build.targets.sdist]\nexclude = ['x']\n", True),
        (f"{HATCH}[tool.hatch.build]\nignore-vcs = true\n", False),
        (f"{HATCH}[tool.hatch.build.targets.wheel]\nartifacts = ['x']\n", False),
        (f"{HATCH}[tool.hatch.build.hooks.custom]\n", False),
        (f"{HATCH}[tool.hatch]\nbuild = 7\n", False),
        (f"{UV}[tool.uv]\nmanaged = true\n", True),
        (f"{UV}[tool.uv.build-backend]\nsource-include = ['**']\n", False),
        (FLIT, False),
        ('build-backend = "setuptools.build_meta"\n', False),
    ],
)
def test_what_git_ignores_is_known_to_be_left_out_by_some_that_are_told_nothing_else(
    tmp_path: Path, text: str, *, out: bool
) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(f"[build-system]\nrequires = []\n{text}", encoding="utf-8")
    assert leaves_ignored_out(read_toml(file, BuildInput)) is out
