"""`releasekit status --watch`: follow a run that another process is at work on."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from releasekit.cli import INTERRUPTED, output
from releasekit.cli.watching import can_be_live
from releasekit.errors import headline
from releasekit.escape import in_one_line
from releasekit.palette import PALETTE
from releasekit.persistence.lock import is_held
from releasekit.report.look import look
from releasekit.report.words import counts
from releasekit.state import STATE_FILENAME, journal_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    from releasekit.report.table import View
    from releasekit.state.history import Event

INTERVAL: Final = 0.5
"""Seconds from one look to the next."""

SHARE: Final = 0.2
"""The share of the time that looking may take."""

_FREE: Final = 2  # looks at a free lock that make a run over: between a run and a fresh one it is free for a moment


def follow(workspace: Path, *, quiet: bool = False) -> int:
    """Follow the run of a workspace until it is over: finished, or nobody at work on it any more.

    Args:
        workspace: The directory.
        quiet: Show nothing.

    Returns:
        0, or 130 if it was interrupted: whoever waits for the end of the run must not take that for it.

    Raises:
        ReleaseKitError: There is no run, or it can't be trusted.
        KeyboardInterrupt: It was interrupted, and shows nothing.
    """
    path = workspace / STATE_FILENAME
    with output.needing_a_run(workspace):
        watch = _Watch(path)
    signal.signal(signal.SIGTERM, _interrupt)  # it has a terminal to give back
    try:
        if not quiet and can_be_live(sys.stdout):
            from releasekit.report.terminal import live  # noqa: PLC0415  # rich, which is slow, only for a terminal

            with live(sys.stdout, lambda: watch.view, keep=False):
                watch.until_over()
        else:
            if not quiet:
                click.echo(in_one_line(counts(watch.view.state)))
                watch.tell = _print
            watch.until_over()
    except KeyboardInterrupt:
        if quiet:  # a machine gets the document of an interruption
            raise
        output.print_run(watch.view)
        return INTERRUPTED
    return 0


class _Watch:
    """Looks at a run again and again.

    Attributes:
        view: What was seen last.
        tell: Gets every transition since.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._journal = journal_path(path)
        self._seen = self._mark()
        self.view: View = look(path)
        self.tell: Callable[[Event], object] | None = None
        self._told = self._last()

    def until_over(self) -> None:
        """Look until the run is over, and once more."""
        free = 0
        while not self.view.state.is_finished() and free < _FREE:
            begun = time.perf_counter()
            self.look_again()
            time.sleep(max(INTERVAL, (time.perf_counter() - begun) / SHARE))
            free = free + 1 if is_held(self._path) is False else 0
        self._seen = None
        self.look_again()

    def look_again(self) -> None:
        """Look, if there is anything new."""
        mark = self._mark()
        if mark == self._seen and bool(is_held(self._path)) == self.view.working:
            return
        run_id = self.view.state.run_id
        try:
            self.view = look(self._path)
        except FileNotFoundError:  # one run makes way for another
            return
        self._seen = mark
        told = self._told if self.view.state.run_id == run_id else 0
        self._told = self._last()
        for event in self.view.events if self.tell else ():
            if event.seq > told and self.tell:
                self.tell(event)

    def _last(self) -> int:
        return max((event.seq for event in self.view.events), default=0)

    def _mark(self) -> object:
        """Tell what changes when something is recorded."""
        try:
            found = self._journal.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


def _print(event: Event) -> None:
    if event.trigger is None:
        return
    told = event.carried.get("error") or event.carried.get("reason") or ""
    at, glyph = event.time.strftime("%H:%M:%S"), PALETTE[event.target].glyph
    moved = f"{event.source} → {event.target}" if event.source is not event.target else event.trigger.value
    words = (at, glyph, event.package, moved, headline(told) if told else "")
    click.echo(in_one_line("  ".join(filter(None, words))))
    sys.stdout.flush()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
