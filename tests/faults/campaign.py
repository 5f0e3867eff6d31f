"""Rounds of a release that is killed at random while its index goes wrong at random, and a judge of each.

A round publishes the demo's eight packages with the real `uv build` and the real `uv publish`: it is killed up to
four times, and then run until it says that all is done. What the index has logged judges it: each file name stored
once, only one content ever sent under it. And nothing may be left over, neither a file nor a process.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.faulty_index import Fate, Fault, FaultyIndex, Kind, On
from tests.processes import Mark
from tests.support import INDEX, Workspace

from releasekit.cli import demo_workspace
from releasekit.persistence.lock import LOCK_FILENAME
from releasekit.pipeline.aside import SUMMARY_FILENAME
from releasekit.pipeline.build import DIST_DIRECTORY
from releasekit.state import STATE_FILENAME, journal_path

if TYPE_CHECKING:
    from tests.faulty_index import Form, Request
    from tests.warm import Ended, Interpreter

FILES: Final = 2 * len(demo_workspace.MEMBERS)
HASTY: Final = str(Path(__file__).with_name("hasty.py"))
KILLS: Final = 4  # of a round, at most
RUNS: Final = 8  # after that, until all is done: a fault that is met too often fails a package
PUBLISH: Final = ("publish", "--index", INDEX, "--verify-timeout=10", "--retry-budget=10", "--log-level=warning")
ALLOWED: Final = {0, 1, 3, -signal.SIGKILL}
UNFORESEEN: Final = ("Traceback", "Timeout (")  # the second is what faulthandler says of a release that hangs

AT_UPLOAD: Final = (Kind.STATUS, Kind.STATUS, Kind.RESET_BEFORE, Kind.RESET_AFTER, Kind.LOST, Kind.SLOW, Kind.SLOW)
AT_PAGE: Final = (Kind.STATUS, Kind.STATUS, Kind.RESET_BEFORE, Kind.LOST, Kind.SLOW, Kind.STALE, Kind.STALE)


class Violation(NamedTuple):
    """A promise that was not kept.

    Attributes:
        promise: Which.
        facts: How that shows.
    """

    promise: str
    facts: str


class Chances:
    """All that is random in a round, from a seed.

    Args:
        seed: The same one gives the same round, as far as the machine's own timing permits.
    """

    def __init__(self, seed: str) -> None:
        self._faults = Random(f"{seed} faults")  # noqa: S311  # no secret
        chances = Random(seed)  # noqa: S311  # likewise
        names = [member.name for member in demo_workspace.MEMBERS]
        self.form: Final[Form] = chances.choice(("json", "html"))
        self.kills: Final = [chances.random() for _ in range(chances.randint(0, KILLS))]
        self.lag: Final = {name: chances.uniform(0, 0.5) for name in names if chances.random() < 0.2}
        self.alternating: Final = {name for name in names if chances.random() < 0.2}
        self.rate: Final = chances.choice([0.03, 0.1, 0.2])

    def fault(self, request: Request) -> Fault | None:
        """Choose what goes wrong with a request: something that passes."""
        chances = self._faults
        if chances.random() > self.rate:
            return None
        kind = chances.choice(AT_UPLOAD if request.on is On.UPLOAD else AT_PAGE)
        match kind:
            case Kind.STATUS:
                return Fault(kind, status=chances.choice([429, 503]), retry_after=chances.choice([None, 0, 0.1]))
            case Kind.SLOW:
                return Fault(kind, seconds=chances.uniform(0.05, 0.2))
            case _:
                return Fault(kind)


class Campaign:
    """Rounds in one workspace.

    Args:
        directory: For the workspace; an empty one.
        python: Starts the command line.
        broken: What is wrong with it.
    """

    def __init__(self, directory: Path, python: Interpreter, broken: str = "") -> None:
        self.counts = Counter({"rounds": 0, "kills": 0, "violations": 0})
        self._python = python
        self._broken = broken
        self._workspace = Workspace(directory / "workspace")
        demo_workspace.make_workspace(self._workspace.root)
        with FaultyIndex() as index:
            with (self._workspace.root / "pyproject.toml").open("a", encoding="utf-8") as file:
                file.write(f'\n[[tool.uv.index]]\nname = "{INDEX}"\nexplicit = true\n')
                file.write(f'url = "{index.url}"\npublish-url = "{index.publish_url}"\n')
            self._workspace.commit("Name the index")
            self._sources = files_in(self._workspace.root)
            self._port = index.port
            undisturbed = self._run(Mark.new(), None)
            assert undisturbed.returncode == 0, undisturbed.stderr
        self._seconds = undisturbed.seconds
        self._clean()

    def round(self, seed: str) -> list[Violation]:
        """Publish, be killed, go on; say what was not as promised."""
        chances = Chances(seed)
        mark = Mark.new()
        with FaultyIndex(chances.form, port=self._port) as index:
            index.faults = chances.fault
            index.lag.update(chances.lag)
            index.alternating = chances.alternating
            runs = self._until_done(chances, mark)
            found = [*self._said(runs), *self._left(mark), *self._sent(index)]  # what is left may send
        self.counts["rounds"] += 1
        self.counts["violations"] += len(found)
        self.counts["runs"] += len(runs)
        self.counts["runs that failed"] += sum(run.returncode > 0 for run in runs)
        self.counts["uploads"] += len(index.uploads)
        self.counts["faults"] += index.happened.total() + len(chances.lag) + len(chances.alternating)
        self._clean()
        return found

    def _until_done(self, chances: Chances, mark: Mark) -> list[Ended]:
        runs: list[Ended] = []
        for share in chances.kills:
            runs.append(self._run(mark, share * self._seconds))
            if runs[-1].returncode != -signal.SIGKILL:
                break  # the end came first
            self.counts["kills"] += 1
            self.counts["kills in the midst of a build or an upload"] += bool(mark.alive())
        while not runs or runs[-1].returncode:
            runs.append(self._run(mark, None))
            if len(runs) == RUNS + len(chances.kills):
                break
        return runs

    def _run(self, mark: Mark, kill_after: float | None) -> Ended:
        environ = {**Workspace.environ(), **mark.environ}
        return self._python.run(
            [HASTY, self._broken, *PUBLISH], cwd=self._workspace.root, environ=environ, kill_after=kill_after
        )

    def _said(self, runs: list[Ended]) -> list[Violation]:
        found = []
        if runs[-1].returncode:
            found.append(Violation("it comes to its end", said(runs[-1])))
        found += [
            Violation("it fails only as documented", f"{run.returncode}: {said(run)}")
            for run in runs
            if run.returncode not in ALLOWED or any(word in said(run) for word in UNFORESEEN)
        ]
        return found

    def _sent(self, index: FaultyIndex) -> list[Violation]:
        found = []
        for name in sorted({upload.filename for upload in index.uploads}):
            uploads = [upload for upload in index.uploads if upload.filename == name]
            if len({upload.sha256 for upload in uploads}) != 1:
                found.append(Violation("one content per file name", f"{uploads}"))
            if sum(upload.fate is Fate.STORED for upload in uploads) > 1:
                found.append(Violation("each file stored once", f"{uploads}"))
        statuses = Counter(self._workspace.statuses().values())
        if len(index.stored) != FILES or statuses != {"published": FILES // 2}:
            found.append(Violation("everything published", f"{sorted(index.stored)}, {statuses}"))
        if index.stored != self._workspace.recorded():
            found.append(Violation("what is recorded is what is there", f"{self._workspace.recorded()}"))
        return found

    def _left(self, mark: Mark) -> list[Violation]:
        built = {
            f"{DIST_DIRECTORY}/{package.name}/{filename}"
            for package in self._workspace.run().packages.values()
            for filename in package.artifacts
        }
        journal = journal_path(self._workspace.root / STATE_FILENAME).name
        run = {STATE_FILENAME, journal, LOCK_FILENAME, SUMMARY_FILENAME}
        found = []
        if wrong := files_in(self._workspace.root) ^ (self._sources | built | run):
            found.append(Violation("no litter", f"{sorted(wrong)}"))
        if orphans := mark.left():
            found.append(Violation("no orphan", f"{orphans}"))
        return found

    def _clean(self) -> None:
        for path in self._workspace.root.glob(".releasekit-*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def said(run: Ended) -> str:
    return run.stdout + run.stderr


def files_in(workspace: Path) -> set[str]:
    """List every file of a workspace but those of git, and every empty directory."""
    found = set()
    for directory, directories, names in os.walk(workspace):
        place = Path(directory).relative_to(workspace)
        if place == Path():
            directories.remove(".git")
        found |= {str(place / name) for name in names} or ({str(place)} if not directories else set())
    return found
