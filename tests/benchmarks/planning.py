"""Planning a workspace of 400 members, with uv.lock and without, against parsing its pyproject files with tomllib.

The members are as those of real workspaces: a few requirements on each other and on packages from elsewhere, extras, a
group; the lock has the other packages too, whose files make most of it. Each plan is the first one of a fresh process,
and they take turns. What counts is the time of the processor, without what imports take.
"""

from __future__ import annotations

import sys
import tomllib
from functools import partial
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

from tests.benchmarks.measure import Result, in_turns, python, quotient

from releasekit.pipeline import declare
from releasekit.workspace import load_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

MEMBERS = 400
OTHERS = 300  # packages from elsewhere
FILES = 20  # wheels of each of them
ROUNDS = 15
LIMIT = 0.3  # seconds

_ROOT = '[tool.uv.workspace]\nmembers = ["packages/*"]\n'
_MEMBER = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "member-{number}"
version = "1.{number}.0"
description = "A member of a workspace"
readme = "README.md"
requires-python = ">=3.11"
license = "MIT"
authors = [{{ name = "Somebody", email = "somebody@example.test" }}]
classifiers = ["Development Status :: 4 - Beta", "Programming Language :: Python :: 3 :: Only", "Typing :: Typed"]
dependencies = [{runtime}]

[project.optional-dependencies]
fast = [{fast}]
all = ["member-{number}[fast]"]

[project.urls]
Homepage = "https://example.test/member-{number}"

[dependency-groups]
dev = ["pytest>=8", {{ include-group = "lint" }}, "member-{last}"]
lint = ["ruff>=0.9", "mypy>=1.15"]

[tool.uv.sources]
{sources}

[tool.ruff]
line-length = 100
"""
_LOCKED = """
[[package]]
name = "member-{number}"
version = "1.{number}.0"
source = {{ editable = "packages/member-{number}" }}
dependencies = [
{resolved}]

[package.metadata]
requires-dist = [
{runtime}{fast}    {{ name = "member-{number}", extras = ["fast"], marker = "extra == 'all'" }},
]
provides-extras = ["fast", "all"]

[package.metadata.requires-dev]
dev = [
    {{ name = "member-{last}", editable = "packages/member-{last}" }},
    {{ name = "mypy", specifier = ">=1.15" }},
    {{ name = "pytest", specifier = ">=8" }},
    {{ name = "ruff", specifier = ">=0.9" }},
]
lint = [
    {{ name = "mypy", specifier = ">=1.15" }},
    {{ name = "ruff", specifier = ">=0.9" }},
]
"""
_OTHER = """
[[package]]
name = "other-{number}"
version = "2.1"
source = {{ registry = "https://index.example.test/simple" }}
sdist = {{ url = "https://files.example.test/other-{number}-2.1.tar.gz", hash = "sha256:{hash}", size = 1234 }}
wheels = [
{wheels}]
"""
_WHEEL = (
    '    {{ url = "https://files.example.test/other-{number}-2.1-cp3{file}-cp3{file}-manylinux_2_17_x86_64.whl", '
    'hash = "sha256:{hash}", size = 1234567, upload-time = "2026-01-01T00:00:00Z" }},\n'
)


def make(root: Path, *, lock: bool) -> Path:
    """Write the workspace."""
    root.mkdir()
    root.joinpath("pyproject.toml").write_text(_ROOT, encoding="utf-8")
    locked = ["version = 1\nrevision = 3\n"]
    for number in range(MEMBERS):
        needed = [f"member-{other}" for other in range(max(0, number - 12), number, 3)]
        others = [f"other-{(number * 7 + step) % OTHERS}" for step in range(4)]
        fast = f"other-{number % OTHERS}"
        directory = root / "packages" / f"member-{number}"
        directory.mkdir(parents=True)
        runtime = [
            *(f'"{name}>=1,<2"' for name in needed),
            *(f"\"{name}>=2; python_version < '4'\"" for name in others),
        ]
        text = _MEMBER.format(
            number=number,
            runtime=", ".join(runtime),
            fast=f'"{fast}>=1.5"',
            last=MEMBERS - 1,
            sources="\n".join(f"{name} = {{ workspace = true }}" for name in needed),
        )
        directory.joinpath("pyproject.toml").write_text(text, encoding="utf-8")
        locked.append(
            _LOCKED.format(
                number=number,
                last=MEMBERS - 1,
                resolved="".join(f'    {{ name = "{name}" }},\n' for name in (*needed, *others)),
                runtime="".join(f'    {{ name = "{name}", editable = "packages/{name}" }},\n' for name in needed)
                + "".join(f'    {{ name = "{name}", specifier = ">=2" }},\n' for name in others),
                fast=f'    {{ name = "{fast}", marker = "extra == \'fast\'", specifier = ">=1.5" }},\n',
            )
        )
    for number in range(OTHERS):
        digest = f"{number:064x}"
        wheels = "".join(_WHEEL.format(number=number, file=file, hash=digest) for file in range(FILES))
        locked.append(_OTHER.format(number=number, hash=digest, wheels=wheels))
    if lock:
        root.joinpath("uv.lock").write_text("".join(locked), encoding="utf-8")
    return root


def plan(root: Path) -> None:
    """Plan a release, as `releasekit plan` does before it prints."""
    workspace = load_workspace(root)
    if workspace.notes[0].kind != "requirements_dropped" or len(declare(workspace, "", "")) != MEMBERS:
        raise AssertionError(workspace.notes)


def parse(root: Path) -> None:
    """Read and parse the files, and do no more."""
    for file in root.glob("packages/*/pyproject.toml"):
        tomllib.loads(file.read_text(encoding="utf-8"))


WAYS: dict[str, Callable[[Path], None]] = {"plan": plan, "parse": parse}


def seconds_in_a_process(way: str, root: Path) -> float:
    return float(python("-m", __name__, way, str(root)))


def results(directory: Path) -> list[Result]:
    """Measure."""
    roots = {lock: make(directory / f"planned-{lock}", lock=lock) for lock in (False, True)}
    size = (roots[True] / "uv.lock").stat().st_size
    turns = {
        "without uv.lock": partial(seconds_in_a_process, "plan", roots[False]),
        f"with a uv.lock of {size / 1e6:.1f} MB": partial(seconds_in_a_process, "plan", roots[True]),
        "": partial(seconds_in_a_process, "parse", roots[False]),
    }
    seconds = in_turns(turns, ROUNDS)
    least = min(seconds[""])
    rows = []
    for name, times in list(seconds.items())[:2]:
        best = min(times)
        title, shown = f"plan {MEMBERS} members {name}", f"{best * 1000:.0f} ms"
        than = f"tomllib.loads of their files, {least * 1000:.0f} ms"
        rows.append(Result(title, shown, than, quotient(times, seconds[""])))
        rows.append(Result(title, shown, f"{LIMIT * 1000:.0f} ms", best / LIMIT, 1))
    return rows


def main(way: str, root: Path) -> None:
    begun = process_time()
    WAYS[way](root)
    print(process_time() - begun)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
