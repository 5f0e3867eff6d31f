"""What GitHub Actions is told of a run: a job summary, annotations, groups in the log, outputs for the next step.

A runner obeys lines that begin with ``::``; `releasekit.escape` sees to it that no other text of ours has one, and
here everything within a command is encoded as a runner decodes it. Commands go to stderr, which a runner reads too:
stdout is for results. A file that is missing or can't be written is a warning: a release does not depend on it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from releasekit.errors import code_of
from releasekit.escape import in_markdown, in_one_line, printable
from releasekit.lifecycle import TERMINAL, PackageStatus
from releasekit.logging import get_logger
from releasekit.palette import PALETTE
from releasekit.redaction import redact
from releasekit.report.table import HEADINGS, rows
from releasekit.report.words import counts, spell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from releasekit.errors import ReleaseKitError
    from releasekit.report.table import Row, View
    from releasekit.report.timeline import Timeline
    from releasekit.state import PackageState, RunState, Transition

ANNOTATIONS: Final = 10
"""A runner shows no more of one kind a step."""

SUMMARY_SIZE: Final = 1 << 20
"""Bytes that the summary of a step may have; of a larger one nothing is shown."""

GRAPH_SIZE: Final = 50_000
"""Characters of a graph that Mermaid draws, if nobody configures it."""

EDGES: Final = 500
"""Arrows that it draws, likewise."""

ROWS: Final = 1_000
"""Packages in the table; more take a browser too long."""

_MESSAGE: Final = 4_000  # characters of an error
_RESERVE: Final = 1_000  # bytes for what says that something was left out
_DATA: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY: Final = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def in_actions(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a runner of GitHub Actions is at work."""
    return environ.get("GITHUB_ACTIONS") == "true"


class Groups:
    """Prints the moves of each package as one group, when it ends: packages are at work side by side.

    Args:
        state: The run; it is listened to from now on.
        timeline: What its packages took; it must be told after this, which asks how long a package stood in a status.
        write: Where to.
    """

    def __init__(self, state: RunState, timeline: Timeline, write: Callable[[str], object]) -> None:
        self._state = state
        self._timeline = timeline
        self._write = write
        self._lines: dict[str, list[str]] = {}
        state.listen(self._hear)

    def _hear(self, moved: Transition) -> None:
        stood = spell(self._timeline.running(moved.package, time.time()))
        lines = self._lines.setdefault(moved.package, [])
        lines.append(in_one_line(f"{moved.trigger}: {moved.source} → {moved.target}, {stood}"))
        lines += [in_one_line(f"  {sha256}  {name}") for name, sha256 in moved.carried.get("artifacts", {}).items()]
        if moved.target in TERMINAL:
            self._end(moved.package)

    def close(self) -> None:
        """Print the moves of the packages that have not ended."""
        for name in [*self._lines]:
            self._end(name)

    def _end(self, name: str) -> None:
        package = self._state[name]
        told = printable(redact(package.error or package.reason)).splitlines()
        self._write(group(f"{_title(package)} {package.status}", [*self._lines.pop(name), *told]))


def group(title: str, lines: list[str]) -> str:
    """Make a group of a log; its lines must have been made harmless."""
    return "\n".join([f"::group::{in_one_line(title).translate(_DATA)}", *lines, "::endgroup::", ""])


def errors_of(state: RunState, error: ReleaseKitError | None = None) -> str:
    """Make an annotation for what stopped a run, and for each package that failed; ten at most."""
    told = [(str(error.code), _without_code(str(error)))] if error else []
    for name in state.failed_packages():
        package = state[name]
        told.append((f"{_title(package)}: {code_of(package.error) or 'failed'}", _without_code(package.error)))
    return "".join(annotation(title, message) for title, message in told[:ANNOTATIONS])


def _without_code(error: str) -> str:
    code = code_of(error)
    return error.removeprefix(f"{code}: ") if code else error


def annotation(title: str, message: str) -> str:
    """Make the command that has a runner show an error."""
    shown = printable(_cut(redact(message)))
    return f"::error title={in_one_line(redact(title)).translate(_PROPERTY)}::{shown.translate(_DATA)}\n"


def outputs(state: RunState, *, complete: bool) -> str:
    """Make the outputs of a step: one line each, of JSON in ASCII, so that no name can add another.

    `published` and `failed` are lists of names, `complete` tells whether nothing is left to do.
    """
    values = {"published": state.published_packages(), "failed": state.failed_packages(), "complete": complete}
    return "".join(f"{name}={json.dumps(value)}\n" for name, value in values.items())


def refusal(error: ReleaseKitError, size: int = SUMMARY_SIZE) -> str:
    """Make the summary of a step whose release could not begin, if there is room for it."""
    text = "\n".join([f"### releasekit: {error.code}", "", _stopped(error), ""])
    return text if _size(text) <= size else ""


def summary(
    view: View, next_step: str, graph: str, size: int = SUMMARY_SIZE, error: ReleaseKitError | None = None
) -> str:
    """Make the summary of a step, in Markdown.

    Args:
        view: The run.
        next_step: What to do next.
        graph: The run in Mermaid.
        size: Bytes that it may have.
        error: What stopped the whole run, if anything did.

    Returns:
        As much of it as there is room for: first what stopped it and what failed, then the other packages in publishing
        order, then the graph. An empty text, if there is no room at all.
    """
    state = view.state
    head = [
        f"### releasekit: {in_markdown(counts(state))}",
        "",
        f"Commit {_code(state.git_sha[:12])}, index {_code(state.index)}, {spell(view.timeline.total())} at work.",
        "",
        *([_stopped(error), ""] if error else []),
        f"|{'|'.join(HEADINGS)}|",
        f"|{'---|' * len(HEADINGS)}",
    ]
    tail = ["", in_markdown(next_step), ""]
    room = size - _RESERVE - sum(_size(line) for line in (*head, *tail))
    if room < 0:
        return ""
    body = []
    ordered = sorted(rows(view), key=lambda row: row.package.status is not PackageStatus.FAILED)
    for row in ordered[:ROWS]:
        line = _row(row)
        room -= _size(line)
        if room < 0:
            break
        body.append(line)
    if len(body) < len(ordered):
        body += ["", f"and {len(ordered) - len(body)} more, which `releasekit status` shows."]
    if len(graph) > GRAPH_SIZE or graph.count(" --> ") > EDGES or _size(graph) > room:
        picture = ["", "The graph is too large to be shown here: see `releasekit diagram`."]
    else:
        picture = ["", "```mermaid", graph.rstrip(), "```"]
    return "\n".join([*head, *body, *picture, *tail])


def append(variable: str, make: Callable[[int], str], environ: Mapping[str, str] = os.environ) -> None:
    """Add to the file that a variable of the environment names.

    Args:
        variable: Its name.
        make: Makes what is to be added, given how many bytes are there already.
        environ: The environment.
    """
    file = environ.get(variable)
    try:
        if file:
            _append(Path(file), make)
        else:
            _warn(variable, "is not set")
    except Exception as error:  # noqa: BLE001  # whatever it is, the release has ended as it has
        _warn(variable, str(error))


def _warn(variable: str, problem: str) -> None:
    get_logger(__name__).warning("releasekit.ci_file_failed", variable=variable, problem=problem)


def _append(path: Path, make: Callable[[int], str]) -> None:
    # A pipe that nobody reads would hang.
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    with open(fd, "ab") as file:  # noqa: PTH123  # of a descriptor
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        file.write(make(found.st_size).encode(errors="backslashreplace"))


def _row(row: Row) -> str:
    glyph, name, version, status, took, note = row.cells
    return f"|{glyph}|{_code(name)}|{_code(version)}|{status}|{took}|{in_markdown(note)}|"


def _stopped(error: ReleaseKitError) -> str:
    return f"Stopped: {'<br>'.join(map(in_markdown, _cut(redact(str(error))).splitlines()))}"


def _cut(message: str) -> str:
    return message if len(message) <= _MESSAGE else f"{message[:_MESSAGE]} …"


def _code(text: str) -> str:
    return f"<code>{in_markdown(text)}</code>" if text else ""


def _title(package: PackageState) -> str:
    return " ".join(filter(None, (PALETTE[package.status].glyph, package.name, package.version)))


def _size(text: str) -> int:
    return len(text.encode(errors="backslashreplace")) + 1
