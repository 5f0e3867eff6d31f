"""What `publish` shows of a run besides its log and its result, and what it leaves for the next job.

The live table for a person, groups and annotations and outputs for GitHub Actions, the summary file for whatever
comes next. None of them may hurt a release: what goes wrong with one is a warning.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, TextIO

from releasekit.errors import E, ReleaseKitError
from releasekit.logging import get_logger
from releasekit.report import github, summary
from releasekit.report.table import View
from releasekit.report.timeline import Timeline, earlier_steps
from releasekit.state import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from releasekit.report.timeline import Steps
    from releasekit.store import RunStore


class Watching:
    """Watches one release.

    Args:
        log_json: Whether stderr is a log for machines.
        as_json: Whether stdout has one JSON document, and no table at the end.

    Attributes:
        live: Whether a table is redrawn on stderr.
        grouped: Whether the moves of each package are a group of the log of GitHub Actions.
    """

    def __init__(self, *, log_json: bool, as_json: bool) -> None:
        self.live = not log_json and can_be_live(sys.stderr)
        self._keep = as_json or not sys.stdout.isatty()  # else the result stands in its place
        self.grouped = github.in_actions() and not log_json
        self._timeline = Timeline()
        self._path: Path | None = None
        self._state: RunState | None = None
        self._concluded = False

    def view(self, state: RunState, earlier: Steps | None = None) -> View:
        """Look at the run; at rest, unless it is told what its steps took earlier."""
        return View(state, self._timeline, earlier or {}, working=earlier is not None)

    @contextmanager
    def over(self, store: RunStore) -> Iterator[None]:
        """Show an open run while this lasts."""
        state, self._path = store.state, store.path
        self._state, self._timeline = state, Timeline.of(store.path)
        groups = github.Groups(state, self._timeline, _tell_runner) if self.grouped else None
        state.listen(self._timeline.hear)
        earlier = earlier_steps(store.path) if self.live else {}
        try:
            with self._live(state, earlier) if self.live else nullcontext():
                yield
        finally:
            if groups:
                groups.close()

    def _live(self, state: RunState, earlier: Steps) -> AbstractContextManager[None]:
        from releasekit.report.terminal import live  # noqa: PLC0415  # rich, which is slow, only for a terminal

        return live(sys.stderr, lambda: self.view(state, earlier), keep=self._keep)

    @contextmanager
    def telling_errors(self, *, dry_run: bool) -> Iterator[None]:
        """Tell the runner of an error that a release could not begin for, or not end for.

        Args:
            dry_run: Whether none is meant to begin: then there is an annotation, and no outputs.
        """
        try:
            yield
        except BrokenPipeError:  # nobody reads what a dry run tells
            raise
        except (ReleaseKitError, OSError) as error:
            if github.in_actions() and not self._concluded:
                told = error if isinstance(error, ReleaseKitError) else ReleaseKitError(E.FILE_FAILED, str(error))
                self._tell_refusal(told, dry_run=dry_run)
            raise

    def conclude(self, state: RunState, error: ReleaseKitError | None, next_step: str) -> None:
        """Leave what others need of a run that has ended."""
        self._concluded = True
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
                lambda there: github.summary(view, next_step, graph, github.SUMMARY_SIZE - there, error),
            )
            github.append("GITHUB_OUTPUT", lambda _: github.outputs(state, complete=complete))
        except Exception as harm:  # noqa: BLE001  # whatever it is
            get_logger(__name__).warning("releasekit.ci_summary_failed", error=repr(harm))

    def _tell_refusal(self, error: ReleaseKitError, *, dry_run: bool) -> None:
        if self._state is not None:
            self.conclude(self._state, error, f"next: {error.hint}")
            return
        nothing = RunState("")
        _tell_runner(github.errors_of(nothing, error))
        if not dry_run:
            github.append("GITHUB_STEP_SUMMARY", lambda there: github.refusal(error, github.SUMMARY_SIZE - there))
            github.append("GITHUB_OUTPUT", lambda _: github.outputs(nothing, complete=False))


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
