"""What `publish` shows of a run besides its log and its result, and what it leaves for the next job.

The live table for a person, groups and annotations and outputs for GitHub Actions, the summary file for whatever
comes next. None of them may hurt a release: what goes wrong with one is a warning.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, TextIO

from releasekit.errors import ReleaseKitError
from releasekit.logging import get_logger
from releasekit.report import github, summary
from releasekit.report.table import View
from releasekit.report.timeline import Timeline, earlier_steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from releasekit.report.timeline import Steps
    from releasekit.state import RunState
    from releasekit.store import RunStore


class Watching:
    """Watches one release.

    Args:
        log_json: Whether stderr is a log for machines.
        as_json: Whether stdout has one JSON document, and no table at the end.

    Attributes:
        live: Whether a table is redrawn on stderr.
    """

    def __init__(self, *, log_json: bool, as_json: bool) -> None:
        self.live = not log_json and can_be_live(sys.stderr)
        self._keep = as_json or not sys.stdout.isatty()  # else the result stands in its place
        self._grouped = github.in_actions() and not log_json
        self._timeline = Timeline()
        self._path: Path | None = None

    def view(self, state: RunState, earlier: Steps | None = None) -> View:
        """Look at the run; at rest, unless it is told what its steps took earlier."""
        return View(state, self._timeline, earlier or {}, working=earlier is not None)

    @contextmanager
    def over(self, store: RunStore) -> Iterator[None]:
        """Show an open run while this lasts."""
        state, self._path = store.state, store.path
        self._timeline = Timeline.of(store.path)
        state.listen(self._timeline.hear)
        if self._grouped:
            github.Groups(state, self._timeline, _tell_runner)
        earlier = earlier_steps(store.path) if self.live else {}
        with self._live(state, earlier) if self.live else nullcontext():
            yield

    def _live(self, state: RunState, earlier: Steps) -> AbstractContextManager[None]:
        from releasekit.report.terminal import live  # noqa: PLC0415  # rich, which is slow, only for a terminal

        return live(sys.stderr, lambda: self.view(state, earlier), keep=self._keep)

    @contextmanager
    def telling_errors(self) -> Iterator[None]:
        """Annotate the error that a release could not begin for."""
        try:
            yield
        except ReleaseKitError as error:
            if github.in_actions():
                _tell_runner(github.annotation(error.code, str(error)))
            raise

    def conclude(self, state: RunState, error: ReleaseKitError | None, next_step: str) -> None:
        """Leave what others need of a run that has ended."""
        complete = state.is_finished() and not error
        if self._path and complete:
            summary.write(self._path, state, self._timeline)
        if not github.in_actions():
            return
        from releasekit import diagrams  # noqa: PLC0415  # slow, and needed only here

        try:
            _tell_runner(github.errors_of(state, error))
            graph = diagrams.run_mermaid(state.packages.values())
            view = self.view(state)
            github.append(
                "GITHUB_STEP_SUMMARY",
                lambda there: github.summary(view, next_step, graph, github.SUMMARY_SIZE - there),
            )
            github.append("GITHUB_OUTPUT", lambda _: github.outputs(state, complete=complete))
        except Exception as harm:  # noqa: BLE001  # whatever it is
            get_logger(__name__).warning("releasekit.ci_summary_failed", error=repr(harm))


def can_be_live(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a table can be redrawn on a stream: a terminal that knows how to, and that a person looks at.

    Some runners of CI have terminals, but keep what is drawn as a log.
    """
    utf_8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return stream.isatty() and utf_8 and environ.get("TERM", "dumb") not in {"dumb", "unknown"} and not in_ci(environ)


def in_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether a CI job is at work, as they all say by `CI`."""
    return environ.get("CI", "").lower() not in {"", "0", "false"}


def _tell_runner(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads
        sys.stderr.write(text)
        sys.stderr.flush()
