"""Where a run's time went, from its history: how long it was at work, and how far that was from the least possible.

Work is what a package itself takes: building until its files are recorded, uploading, waiting until the index shows
them. Standing built, until everything else is built or what it requires is published, is no work; nor is standing in
`building` with the files of an earlier attempt, since nothing tells when they were found. Attempts of a package add up.

The critical path is the longest chain of work in which nothing can begin before what stands before it has ended, so
that no number of jobs makes the run shorter. A package's upload follows its own build and the uploads of what it
requires; builds wait for nobody. Where nothing was ever built while something was being uploaded, as behind the build
gate, every upload follows every build: then the path is the slowest package's build, and the longest chain of uploads
after it.

The makespan is the time in which some package was in flight. Time in which nobody may have been at work is in none
of these: see `history`.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.lifecycle import IN_FLIGHT, PackageStatus, Trigger
from releasekit.state.history import durations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from releasekit.state.history import Event, History
    from releasekit.state.run import RunState

_SENDING: Final = tuple(status for status in IN_FLIGHT if status is not PackageStatus.BUILDING)


class Span(NamedTuple):
    """A stay of a package in a status in flight, in seconds as `Event.at` counts them.

    Attributes:
        package: The package.
        status: The status.
        begin: When it entered the status.
        work_end: When its work there was over.
        end: When it left the status, or the last event of the run if it has not.
    """

    package: str
    status: PackageStatus
    begin: float
    work_end: float
    end: float


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
    spans = _spans(history)
    gated = not _overlap(spans)
    work: dict[str, dict[PackageStatus, float]] = {name: {} for name in history.run}
    for span in spans:
        statuses = work[span.package]
        statuses[span.status] = statuses.get(span.status, 0.0) + span.work_end - span.begin
    path = [step for step in _critical_path(history.run, work, gated=gated) if step.seconds]
    return Analysis(_length((span.begin, span.end) for span in spans), path, gated, durations(history.events), work)


def _spans(history: History) -> list[Span]:
    """Find every stay in flight, in the order in which they ended."""
    recording = {event.package for event in history.events if event.trigger is Trigger.RECORD_ARTIFACTS}
    # What the journal does not know where it is from is from before there was one.
    has_files = {name for name, package in history.run.packages.items() if package.artifacts} - recording
    entered: dict[str, Event] = {}
    recorded: dict[str, float] = {}
    spans = []
    for event in history.events:
        if event.trigger is Trigger.RECORD_ARTIFACTS:
            recorded[event.package] = event.at
        elif event.source in IN_FLIGHT:
            spans.append(_span(entered.pop(event.package), event.at, event.trigger, recorded, has_files))
        if event.target in IN_FLIGHT:
            entered.setdefault(event.package, event)
    now = history.events[-1].at if history.events else 0.0
    return spans + [_span(event, now, None, recorded, has_files) for event in entered.values()]


def _span(entered: Event, end: float, trigger: Trigger | None, recorded: dict[str, float], has_files: set[str]) -> Span:
    """Close a stay; note whether the package has files now."""
    package, status, begin = entered.package, entered.target, entered.at
    work_end = end
    if status is PackageStatus.BUILDING:
        if package in recorded:
            work_end = recorded.pop(package)
            has_files.add(package)
        elif package in has_files and trigger is not Trigger.FAIL:
            work_end = begin
    return Span(package, status, begin, work_end, end)


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


def _length(intervals: Iterable[tuple[float, float]]) -> float:
    """Measure the union of intervals."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _critical_path(run: RunState, work: Mapping[str, Mapping[PackageStatus, float]], *, gated: bool) -> Iterator[Step]:
    """Follow the longest chain of work: behind the gate the slowest build and the longest chain of uploads."""
    building = {name: statuses.get(PackageStatus.BUILDING, 0.0) for name, statuses in work.items()}
    before: dict[str, str] = {}
    length: dict[str, float] = {}
    for name in _requirements_first(run):
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


def _requirements_first(run: RunState) -> Iterable[str]:
    """Name every package after what it requires; requirements in a circle say nothing, nor do unknown ones."""
    requires = {name: [r for r in package.requires if r in run] for name, package in run.packages.items()}
    try:
        return [*TopologicalSorter(requires).static_order()]
    except CycleError:
        return requires
