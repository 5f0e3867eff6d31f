"""A report into a file: once, as `releasekit report` does, or kept fresh while a run is at work.

A report is there to be looked at: whatever is wrong with it, the run must not feel it. So `Keeper` works in a thread,
takes at most a small share of the time (see `persistence.refresher`), and warns once of what it can't do.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from releasekit.errors import E, ReleaseKitError
from releasekit.logging import get_logger
from releasekit.persistence import atomic
from releasekit.persistence.lock import is_held
from releasekit.persistence.refresher import SHARE, Refresher
from releasekit.redaction import redact
from releasekit.report.graph import draw_graph
from releasekit.report.html import write_html
from releasekit.report.page import make_page
from releasekit.state import RunState
from releasekit.state.history import History, read_history

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from releasekit.report.graph import Picture
    from releasekit.state import PackageStatus, Transition

QUICK: Final = 0.5
"""Seconds; a graph that was laid out faster is laid out again whenever anything has moved."""


def write_report(path: Path, file: Path) -> None:
    """Write the report of a run, also while it is at work.

    Args:
        path: The run's state file.
        file: The report; it is replaced as a whole.

    Raises:
        OSError: The run could not be read, or the report not be written.
        ReleaseKitError: The run can't be trusted (`E.STATE_CORRUPTED`).
    """
    history = _read(path)
    held = is_held(path)
    page = make_page(*history, name=_name(path), written=datetime.now(UTC), at_rest=held is False, at_work=bool(held))
    data = write_html(page, draw_graph(history.run))
    if held is False:  # else it may be being kept fresh, and what looks left be what is being written
        atomic.remove_leftovers(file)
    atomic.replace(file, data, shown=True)


class Keeper:
    """Keeps the report of a run fresh, from `begin` to the end of its context; without `begin` it does nothing.

    A large graph takes Graphviz seconds, so it is laid out anew only when that takes no more than a twentieth of the
    time since; meanwhile the page says from when its graph is. The last report has the last graph.

    Args:
        file: The report.

    Attributes:
        problem: What stopped the whole of the run, if anything did, for the last report to tell.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.problem: ReleaseKitError | OSError | None = None
        self._path: Path | None = None
        self._state: RunState | None = None
        self._told: RunState | None = None
        self._picture: Picture | None = None
        self._drawn = datetime.min.replace(tzinfo=UTC)
        self._warned = False
        self._refresher = Refresher(self._refresh)

    def begin(self, path: Path, state: RunState) -> None:
        """Keep the report of a run at work.

        Args:
            path: Its state file. What is reported is read there: it is what is durable.
            state: The run, to see what is not durable yet.
        """
        self._path, self._state = path, state
        self._refresher.changed()

    def moved(self, _moved: Transition) -> None:
        """Take note that a package has moved: for `RunState.listen`."""
        self._refresher.changed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._refresher.close()
        if isinstance(error, ReleaseKitError | OSError):
            self.problem = error
        if self._path:
            if self._picture and self._picture.seconds > QUICK:
                self._write(last=True, draw=False)  # at once: who stops a release may not wait for a graph
            self._write(last=True, draw=True)

    def _refresh(self) -> None:
        since = (datetime.now(UTC) - self._drawn).total_seconds()
        quick = not self._picture or self._picture.seconds <= max(QUICK, since * SHARE)
        self._write(last=False, draw=quick)
        if self._is_behind():
            self._refresher.changed()

    def _is_behind(self) -> bool:
        """Tell whether a package has moved on that was not durable when the last report was written."""
        return _statuses(self._told) != _statuses(self._state)

    def _write(self, *, last: bool, draw: bool) -> None:
        try:
            self._try_to_write(last=last, draw=draw)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # whatever it is, the release is worth more
            if not self._warned:
                self._warned = True
                get_logger(__name__).warning(
                    "releasekit.report_failed",
                    file=str(self.file),
                    error=redact(str(error) or type(error).__name__),
                    hint="the release goes on without; `releasekit report` writes one at any time",
                )

    def _try_to_write(self, *, last: bool, draw: bool) -> None:
        assert self._path is not None  # noqa: S101  # it has begun
        now = datetime.now(UTC)
        history = _read(self._path)
        if not self._told:  # whoever holds the run's lock keeps its report; here, so that no slow disk delays the run
            atomic.remove_leftovers(self.file)
        self._told = history.run
        if draw or not self._picture:
            self._draw(history.run, now)
        assert self._picture is not None  # noqa: S101  # drawn above, or earlier
        page = make_page(
            *history,
            name=_name(self._path),
            written=now,
            at_rest=last,
            at_work=not last,
            problem=self.problem,
        )
        old = self._drawn != now and self._picture.seconds > QUICK
        data = write_html(page, self._picture, f"{self._drawn:%H:%M:%S} UTC" if old else "")
        atomic.replace(self.file, data, shown=True)

    def _draw(self, run: RunState, now: datetime) -> None:
        picture = draw_graph(run)
        # What a terminal's Ctrl-C ended was Graphviz, too: a graph that was there is better than none.
        if picture.svg or not self._picture or not self._picture.svg:
            self._picture, self._drawn = picture, now


def _read(path: Path) -> History:
    try:
        return read_history(path)
    except ReleaseKitError as error:
        if error.code is not E.STATE_NO_HISTORY:
            raise
        return History(RunState.load(path), [])


def _statuses(state: RunState | None) -> dict[str, PackageStatus]:
    return {package.name: package.status for package in list(state.packages.values())} if state else {}


def _name(path: Path) -> str:
    return path.resolve().parent.name
