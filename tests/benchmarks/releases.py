"""Whole releases to a real index on this machine, against what people write today, in turns and each to a fresh index.

One rival builds all packages with one command and sends all files with another: it knows no order, does not look what
is there, can't resume and verifies nothing. The other takes the packages one after the other, in their order. All of
them have the same uv with the same cache, and what the build backends need lies in a directory.

The index takes milliseconds of the processor for each page, the more the more files it has; so the rival that asks the
index for nothing is measured once more with the option by which uv asks it before it sends a file. And to see what
can be reached, so is the least that any release does which keeps the order and looks whether all arrived.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import urlopen

from tests.benchmarks.generated import INDEX, fetch_needed, make
from tests.benchmarks.measure import ENVIRON, Result
from tests.conftest import free_port, serve

from releasekit.pipeline.process import find_uv
from releasekit.state import STATE_FILENAME
from releasekit.state.history import read_history
from releasekit.state.spans import Spans
from releasekit.workspace import load_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

SIZES = {("uv_build", 24): 7, ("uv_build", 200): 5, ("hatchling", 24): 3, ("hatchling", 200): 1}
"""Backend and packages → rounds; the last takes a quarter of an hour."""

OURS, AT_ONCE, ASKING, ONE_BY_ONE = "releasekit publish", "all at once", "all at once, asking", "one by one"
LEAST = "the least that keeps the order and verifies"
MUST = {AT_ONCE: (1.0, 0.7), ONE_BY_ONE: (0.6, 0.4), ASKING: (None, None)}
SHOWN = {
    AT_ONCE: "uv build --all-packages && uv publish dist/*",
    ASKING: f"the same with uv publish --index {INDEX}",
    ONE_BY_ONE: "a loop of uv build --package X && uv publish",
}
RESUMED = 200  # packages
RESUME_MUST, RESUME_GOAL = 2.0, 0.5  # seconds
ROUNDS = 5


class Place(NamedTuple):
    """A workspace and its index.

    Attributes:
        root: The workspace.
        names: Its packages, in their order.
        levels: The same, those together that need not wait for each other.
        port: Where its index is served.
        files: What the index has.
    """

    root: Path
    names: Sequence[str]
    levels: Sequence[Sequence[str]]
    port: int
    files: Path

    def environ(self) -> dict[str, str]:
        """Give what the processes need: credentials which nobody checks, and where to publish to."""
        others = ("UV_PUBLISH", "UV_INDEX", "GITHUB_")
        kept = {name: value for name, value in ENVIRON.items() if not name.startswith(others)}
        return kept | {"UV_PUBLISH_USERNAME": "user", "UV_PUBLISH_PASSWORD": "password"}

    def clear(self) -> None:
        """Forget all earlier releases."""
        for path in (*self.root.glob(".releasekit-*"), self.root / "dist", self.files):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self.files.mkdir()


def publish(place: Place) -> None:
    run(place, [sys.executable, "-m", "releasekit", "publish", "--index", INDEX])


def at_once(place: Place, *target: str) -> None:
    run(place, [find_uv(), "build", "--all-packages"])
    run(place, [find_uv(), "publish", *target, *map(str, (place.root / "dist").glob("*.[wt]*"))])


def one_by_one(place: Place) -> None:
    for name in place.names:
        run(place, [find_uv(), "build", "--package", name])
        built = (place.root / "dist").glob(f"{name.replace('-', '_')}-*")
        run(place, [find_uv(), "publish", *map(str, built)])


def least(place: Place) -> None:
    """Build all at once, send each level at once, and read one page of each package: nothing of a release is ours."""
    run(place, [find_uv(), "build", "--all-packages"])
    for level in place.levels:
        stems = [name.replace("-", "_") for name in level]
        files = [path for stem in stems for path in (place.root / "dist").glob(f"{stem}-*")]
        run(place, [find_uv(), "publish", *map(str, files)])
        for name in level:
            with urlopen(f"http://127.0.0.1:{place.port}/simple/{name}/") as page:
                if page.read().count(b"#sha256=") != 2:  # an sdist and a wheel
                    raise RuntimeError(f"{name} has not arrived")


def run(place: Place, command: Sequence[str]) -> None:
    environ = place.environ()
    if "--index" not in command:
        environ["UV_PUBLISH_URL"] = f"http://127.0.0.1:{place.port}/"
    done = subprocess.run(command, cwd=place.root, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[:3]} failed: {done.stderr[-2000:]}")


CONTENDERS: Mapping[str, Callable[[Place], None]] = {
    OURS: publish,
    AT_ONCE: at_once,
    ASKING: lambda place: at_once(place, "--index", INDEX),
    ONE_BY_ONE: one_by_one,
    LEAST: least,
}


def timed(place: Place, contender: str) -> float:
    """Let one contender release everything to an index that has nothing; give its seconds."""
    place.clear()
    with serve(place.files, port=place.port):
        begun = perf_counter()
        CONTENDERS[contender](place)
        seconds = perf_counter() - begun
    if len([*place.files.iterdir()]) != 2 * len(place.names):
        raise RuntimeError(f"{contender} has not sent everything")
    return seconds


def split(place: Place, seconds: float) -> str:
    """Say what a release that has just ended spent its time on, by its journal: when any package was at that."""
    history = read_history(place.root / STATE_FILENAME)
    spans = Spans.before(history)
    ended = [span for event in history.events if (span := spans.hear(event))]
    at_work: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for span in ended:
        at_work[span.status.value].append((span.begin, span.work_end))
    shares = [f"{name} {_length(each):.2f} s" for name, each in at_work.items()]
    rest = seconds - _length([span for each in at_work.values() for span in each])
    return f"{seconds:.2f} s, of these {', '.join(shares)} (of any package), and none of them {rest:.2f} s"


def _length(spans: list[tuple[float, float]]) -> float:
    """Measure what spans cover together."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def results(directory: Path) -> list[Result]:
    """Measure all sizes."""
    needed = fetch_needed(directory / "needed")
    return [row for size in SIZES for row in compare(directory, *size, needed)] + resume(directory, needed)


def compare(directory: Path, backend: str, packages: int, needed: Path) -> list[Result]:
    """Let everybody release one workspace, in turns; give a line for each rival."""
    port = free_port()
    root = directory / f"{backend}-{packages}"
    address = f"http://127.0.0.1:{port}"
    names = make(root, packages, backend, f"{address}/simple/", f"{address}/", needed)
    place = Place(root, names, levels_of(root), port, directory / "served")
    run(place, [find_uv(), "build", "--package", names[0]])  # nobody is to fill the cache for the others
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    splits = []
    for number in range(SIZES[backend, packages]):
        first = number % len(CONTENDERS)
        order = [*CONTENDERS][first:] + [*CONTENDERS][:first]
        for contender in order:
            seconds[contender].append(timed(place, contender))
            if contender == OURS:
                splits.append(split(place, seconds[OURS][-1]))
    title = f"release {packages} packages, {backend}"
    print(f"{title}: {splits[len(splits) // 2]}")
    rows = []
    for rival, (must, goal) in MUST.items():
        ratios = sorted(ours / theirs for ours, theirs in zip(seconds[OURS], seconds[rival], strict=True))
        spread = f" ({ratios[0]:.2f} to {ratios[-1]:.2f})" if len(ratios) > 1 else ""
        than = f"{SHOWN[rival]}, {median(seconds[rival]):.1f} s"
        rows.append(Result(title, f"{median(seconds[OURS]):.1f} s{spread}", than, median(ratios), must, goal))
    ratio = median(one / other for one, other in zip(seconds[LEAST], seconds[AT_ONCE], strict=True))
    than = f"{SHOWN[AT_ONCE]}, {median(seconds[AT_ONCE]):.1f} s"
    return [*rows, Result(LEAST, f"{median(seconds[LEAST]):.1f} s", than, ratio)]


def levels_of(root: Path) -> list[list[str]]:
    """Give the packages of a workspace by their level."""
    levels: dict[int, list[str]] = defaultdict(list)
    for package in load_workspace(root).packages.values():
        levels[package.level].append(package.name)
    return [levels[level] for level in sorted(levels)]


def resume(directory: Path, needed: Path) -> list[Result]:
    """Measure `publish` where nothing is left to do: it reads the workspace, git and the run."""
    root, files = directory / "resumed", directory / "resumed-files"
    files.mkdir()
    with serve(files) as address:
        place = Place(root, make(root, RESUMED, "uv_build", f"{address}/simple/", f"{address}/", needed), [], 0, files)
        publish(place)
        took = []
        for _ in range(ROUNDS):
            begun = perf_counter()
            publish(place)
            took.append(perf_counter() - begun)
    name = f"publish with nothing left to do, {RESUMED} packages"
    shown = f"{median(took):.2f} s ({min(took):.2f} to {max(took):.2f})"
    return [Result(name, shown, f"{RESUME_MUST:g} s", median(took) / RESUME_MUST, 1.0, RESUME_GOAL / RESUME_MUST)]
