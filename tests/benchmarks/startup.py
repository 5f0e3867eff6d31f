"""How long until there is something to see: importing the library, `--help` and `status`.

Every figure is the median over fresh processes that take turns, with compiled files in place, as installed
programs have them.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from tests.benchmarks.measure import Result, middle, python

import releasekit
from releasekit import STATE_FILENAME, RunState

TURNS = 21
PUBLIC = f"from releasekit import {', '.join(releasekit.__all__)}"
PEERS = "import structlog, transitions"
TIMED = "import time; begun = time.perf_counter()\n{}\nprint(time.perf_counter() - begun)"


def seconds_inside(statement: str) -> float:
    """Time a statement inside a fresh process."""
    return float(python("-c", TIMED.format(statement)))


def seconds_outside(*arguments: str) -> float:
    """Time a whole process."""
    begun = time.perf_counter()
    python(*arguments)
    return time.perf_counter() - begun


def import_results() -> list[Result]:
    python("-c", f"{PUBLIC}\n{PEERS}")  # to compile
    turns = [(seconds_inside(PUBLIC), seconds_inside(PEERS)) for _ in range(TURNS)]
    ours, peers = (middle([turn[side] for turn in turns]) for side in (0, 1))
    return [Result("import of every public name", _ms(ours), f"{PEERS}, {_ms(peers)}", ours / peers, 1.5, 1)]


def command_results(workspace: Path) -> list[Result]:
    commands = {"releasekit --help": ["--help"], "releasekit status": ["status", str(workspace)]}
    rows = []
    for name, arguments in commands.items():
        command = ["-m", "releasekit", *arguments]
        try:
            python(*command)  # to compile, and to see that it works
        except subprocess.CalledProcessError as error:
            print(f"{name} is left out, since it fails: {error.stderr.strip()[-300:]}")
            continue
        turns = [(seconds_outside(*command), seconds_outside("-c", "import click")) for _ in range(TURNS)]
        ours, click = (middle([turn[side] for turn in turns]) for side in (0, 1))
        rows.append(Result(name, _ms(ours), f"python -c 'import click', {_ms(click)}", ours / click, 3, 2))
    return rows


def results() -> list[Result]:
    """Measure."""
    state = RunState("0123456789abcdef", index="local")
    for n in range(8):
        state.init_package(f"package-{n}", version="1.0", requires=[f"package-{n - 1}"] if n else [])
    with tempfile.TemporaryDirectory() as directory:
        state.save(Path(directory) / STATE_FILENAME)
        return [*import_results(), *command_results(Path(directory))]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
