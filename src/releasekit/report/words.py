"""What is said of a run in words, in the terminal and in the report alike: why, how many, how long, and what next.

Names and errors stay as they are, but for `next_step`, which is a line to be printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from releasekit.errors import E, code_of, headline, listed
from releasekit.escape import in_one_line
from releasekit.lifecycle import FINAL, IN_FLIGHT, PackageStatus
from releasekit.requirements import BUILT, tally, waits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from releasekit.state import PackageState, RunState

NOTE_WIDTH: Final = 100  # characters of an error in a table

_GATE_CODES: Final = {E.BUILD_FAILED, E.BUILD_INCOMPLETE, E.BUILD_TIMEOUT, E.REQUIREMENT_MISSING}
"""What shuts the gate also where something was built; a stored error begins with its code."""

_CONFLICT_CODES: Final = {E.INDEX_CONFLICT, E.REBUILT_DIFFERS}
_UNITS: Final = (("d", 86_400, 1_000_000), ("h", 3_600, 24), ("min", 60, 60), ("s", 1, 60))
_LEAST: Final = 0.0005  # seconds
_EXACT: Final = 9.95  # seconds below which a tenth is told


def in_order(state: RunState) -> list[PackageState]:
    """Put the packages in the order of publishing: what is required first, then by name."""
    return sorted(state.packages.values(), key=lambda package: (package.level, package.name))


def note(
    package: PackageState, state: RunState, held: Mapping[str, tuple[str, ...]], *, gate_shut: bool = False
) -> str:
    """Say in one line why a package is where it is.

    Args:
        package: The package.
        state: Its run.
        held: Who waits for which failures: see `state.graph.held`.
        gate_shut: Whether that holds every upload: see `gate_is_shut`. Both are asked once for all packages.
    """
    if package.error or package.reason:
        return shortened(headline(package.error or package.reason))
    if not waits(package):
        return ""
    told = [BUILT] if package.artifacts else []
    if package.name in held:
        told.append(f"blocked by {listed(held[package.name])}")
    elif missing := [name for name in package.requires if state[name].status not in FINAL]:
        told.append(f"waits for {listed(missing)}")
    elif told and package.status is PackageStatus.PENDING and gate_shut:
        told.append("waits for what failed, unless --no-gate")
    return "; ".join(told)


def gate_is_shut(state: RunState) -> bool:
    """Tell whether a package failed before anything was sent, which holds every upload."""
    return any(map(_shuts_the_gate, state.packages.values()))


def _shuts_the_gate(package: PackageState) -> bool:
    if package.status is not PackageStatus.FAILED:
        return False
    code = code_of(package.error)
    return code in _GATE_CODES or (not package.artifacts and code not in _CONFLICT_CODES)


def shortened(line: str) -> str:
    """Cut a line that is too long for a table."""
    return line if len(line) <= NOTE_WIDTH else f"{line[:NOTE_WIDTH]} …"


def counts(state: RunState) -> str:
    """Say how many packages there are, and how many of them stand where: see `tally`."""
    told = ", ".join(f"{each.number} {each.standing}" for each in tally(state.packages.values()))
    return f"{len(state)} package{'s' * (len(state) != 1)}: {told or 'none'}"


def next_step(state: RunState, *, at_rest: bool, at_work: bool = False) -> str:
    """Say what to do next.

    Args:
        state: The run.
        at_rest: Whether it is known that no process is at work on it.
        at_work: Whether it is known that one is.
    """
    if state.is_finished():
        return "nothing. Everything is published or skipped; `releasekit clean` removes the run's files."
    first = "wait until the run is over, then " if at_work else ""
    if conflicts := conflicts_of(state):
        names = in_one_line(listed(conflicts))
        return f"{first}decide about {names}: see the error. `releasekit retry` has the next run try again."
    again = "run the same `releasekit publish` command again: it goes on from here"
    if failed := state.failed_packages():
        names = in_one_line(listed(failed))
        return f"{first}mend the errors of {names}, then {again}. If that takes a new commit, add --fresh."
    if at_work or (not at_rest and any(package.status in IN_FLIGHT for package in state.packages.values())):
        return f"wait. If nothing is at work here any more, {again}."
    return f"{again}."


def conflicts_of(state: RunState) -> list[str]:
    """Name the packages that failed of a conflict, sorted."""
    return [name for name in state.failed_packages() if code_of(state[name].error) in _CONFLICT_CODES]


def spell(seconds: float) -> str:
    """Spell a duration in its two largest units, as far as anybody wants to know."""
    if seconds < _LEAST:
        return "0 s"
    if seconds < _EXACT:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f}".removesuffix(".0") + " s"
    rest = round(seconds)
    told = [(unit, rest // size % more) for unit, size, more in _UNITS]
    largest = next(at for at, (_, count) in enumerate(told) if count)
    return " ".join(f"{count} {unit}" for unit, count in told[largest : largest + 2] if count)
