"""Where a run's time went, from its history: how long it was at work, and how far that was from the least possible.

What work is, `spans` says. Attempts of a package add up.

The critical path is the longest chain of work in which nothing can begin before what stands before it has ended, so
that no number of jobs makes the run shorter. A package's upload follows its own build and the uploads of what it
requires; builds wait for nobody. Where nothing was ever built while something was being uploaded, as behind the build
gate, every upload follows every build: then the path is the slowest package's build, and the longest chain of uploads
after it.

The makespan is the time in which some package was in flight. Time in which nobody may have been at work is in none
of these: see `history`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.lifecycle import IN_FLIGHT, PackageStatus
from releasekit.requirements import requirements_first
from releasekit.state.history import durations
from releasekit.state.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from releasekit.state.history import History
    from releasekit.state.run import RunState
    from releasekit.state.spans import Span

_SENDING: Final = tuple(status for status in IN_FLIGHT if status is not PackageStatus.BUILDING)


class Step(NamedTuple):
    """A part of the critical path: the work of a package in a status, in seconds."""

    package: str
    status: PackageStatus
    seconds: float


class Analysis(NamedTuple):
    """Where a run's time went, in seconds.

    Attributes:
        makespan: How long the run was at work.
        critical_path: The longest chain of work, in order.
        gated: Whether everything was built before anything was uploaded, as far as the history tells.
        stood: Package → status → how long it stood in it, as `durations` has it: what is not over is not in it.
        work: Package → status → how long it was at work in it; also what is not over, up to the last event.
    """

    makespan: float
    critical_path: Sequence[Step]
    gated: bool
    stood: Mapping[str, Mapping[PackageStatus, float]]
    work: Mapping[str, Mapping[PackageStatus, float]]

    @property
    def critical(self) -> float:
        """The length of the critical path."""
        return sum(step.seconds for step in self.critical_path)

    @property
    def distance(self) -> float | None:
        """How many times as long as its critical path the run was at work; None if there was no work.

        It is less than 1 only if the run's orchestrator did not wait for what a package requires.
        """
        return self.makespan / self.critical if self.critical else None

    def slowest(self) -> list[str]:
        """Name the packages that were at work, those first that were longest."""
        seconds = {name: sum(statuses.values()) for name, statuses in self.work.items()}
        return sorted(filter(seconds.__getitem__, seconds), key=lambda name: (-seconds[name], name))


def analyse(history: History) -> Analysis:
    """Find out where a run's time went.

    Args:
        history: The run and what happened to it; it may still be at work.
    """
    told = Spans.before(history)
    spans = [span for event in history.events if (span := told.hear(event))] + told.all_open()
    gated = not _overlap(spans)
    work: dict[str, dict[PackageStatus, float]] = {name: {} for name in history.run}
    for span in spans:
        statuses = work[span.package]
        statuses[span.status] = statuses.get(span.status, 0.0) + span.work
    path = [step for step in _critical_path(history.run, work, gated=gated) if step.seconds]
    return Analysis(told.seconds, path, gated, durations(history.events), work)


def _overlap(spans: Iterable[Span]) -> bool:
    """Tell whether a package was being built while another was being uploaded."""
    edges: list[tuple[float, int, bool]] = []
    for span in spans:
        if span.work_end > span.begin:
            sending = span.status in _SENDING
            edges += ((span.begin, 1, sending), (span.work_end, -1, sending))
    running = [0, 0]
    for _, change, sending in sorted(edges):  # what ends at a moment goes before what begins then
        running[sending] += change
        if all(running):
            return True
    return False


def _critical_path(run: RunState, work: Mapping[str, Mapping[PackageStatus, float]], *, gated: bool) -> Iterator[Step]:
    """Follow the longest chain of work: behind the gate the slowest build and the longest chain of uploads."""
    building = {name: statuses.get(PackageStatus.BUILDING, 0.0) for name, statuses in work.items()}
    before: dict[str, str] = {}
    length: dict[str, float] = {}
    for name in requirements_first({name: package.requires for name, package in run.packages.items()}):
        required = max((r for r in run[name].requires if r in length), key=length.__getitem__, default="")
        reached = 0.0 if gated else building[name]
        if required and length[required] > reached:
            before[name], reached = required, length[required]
        length[name] = reached + sum(work[name].get(status, 0.0) for status in _SENDING)
    if not length:
        return
    chain = [max(length, key=length.__getitem__)]
    while chain[-1] in before:
        chain.append(before[chain[-1]])
    first = max(building, key=building.__getitem__) if gated else chain[-1]
    yield Step(first, PackageStatus.BUILDING, building[first])
    for name in reversed(chain):
        for status in _SENDING:
            yield Step(name, status, work[name].get(status, 0.0))
