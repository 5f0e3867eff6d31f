"""The live table: a run on a terminal, redrawn as it goes, above it whatever is logged meanwhile.

It stays on the ordinary screen, so that nothing is lost if the process is killed. When the terminal is made narrower,
the lines that are there wrap; they are counted as that, so that the old table goes away whole. When it is made lower,
lines may have left it at the top, where nothing can erase them: they stay above the table. Drawing takes a small share
of the time, however many packages there are, and an error in it ends the table, not the release.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, TextIO, cast

from rich.console import Console, Group
from rich.control import Control
from rich.live import Live
from rich.live_render import LiveRender
from rich.segment import ControlType, Segment
from rich.text import Text

from releasekit.logging import get_logger
from releasekit.report.table import Line, foot, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import ConsoleOptions, RenderableType, RenderResult

    from releasekit.report.table import View

INTERVAL: Final = 0.2
"""Seconds from one drawing to the next."""

SHARE: Final = 0.05
"""The share of the time that drawing may take; a run that takes longer to draw is drawn less often."""

_SPACIOUS: Final = 12  # lines of a screen that has room for an empty one


@contextlib.contextmanager
def live(stream: TextIO, look: Callable[[], View], *, keep: bool) -> Iterator[None]:
    """Have a table drawn on a terminal while this lasts.

    Args:
        stream: The terminal. If it is the one that errors and logs go to, they are printed above the table.
        look: Gives the run; called in a thread.
        keep: Leave the last table there at the end, rather than take it away.
    """
    console, before, stopped = Console(file=stream), sys.stderr, Event()
    with _unharmed() as harm:
        drawing = _Drawing(console, look, keep=keep)
        drawing.start(refresh=True)
        thread = Thread(target=_redraw, args=(drawing, stopped), name="releasekit-table", daemon=True)
        thread.start()
    if harm:
        yield
        return
    above = _Above(console, before)
    if before.isatty():
        sys.stderr = cast("TextIO", above)
    try:
        yield
    finally:
        above.finish()
        sys.stderr = before
        stopped.set()
        thread.join()
        with _unharmed():
            drawing.stop()


def frame(view: View, width: int, height: int) -> list[Line]:
    """Draw a run for a screen: never wider, and a line less than it is high, for the cursor."""
    end = foot(view, width=width)
    room = height - 1 - len(end)
    space = room >= _SPACIOUS
    lines = table(view, width=width, height=max(1, room - space))
    return [*lines, *[Line("")] * space, *end][: max(1, height - 1)]


class _Drawing(Live):
    """A live display that knows what became of its lines when the terminal was resized."""

    def __init__(self, console: Console, look: Callable[[], View], *, keep: bool) -> None:
        super().__init__(
            console=console,
            get_renderable=lambda: renderable(frame(look(), *console.size)),
            auto_refresh=False,
            transient=not keep,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live_render = _Reflowing(console, self.renderable)

    @property
    def renderable(self) -> RenderableType:
        """What is drawn now, and not a group of what several displays draw."""
        return self.get_renderable()


class _Reflowing(LiveRender):
    """What is drawn, and how many lines of the screen it takes since."""

    def __init__(self, console: Console, renderable: RenderableType) -> None:
        super().__init__(renderable)
        self._console = console
        self._drawn: list[int] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawn = [part for part in super().__rich_console__(console, options) if isinstance(part, Segment)]
        self._drawn = [Segment.get_line_length(line) for line in Segment.split_lines(drawn)]
        yield from drawn

    def position_cursor(self) -> Control:
        """Go to the beginning of what is drawn, and erase it."""
        return self._erase(0)

    def restore_cursor(self) -> Control:
        """Likewise, from the line behind it."""
        return self._erase(1)

    def _erase(self, behind: int) -> Control:
        if not self._drawn:
            return Control()
        width = max(1, self._console.width)
        height = sum(max(1, -(-length // width)) for length in self._drawn)
        up = min(height - 1 + behind, self._console.height)
        line = (ControlType.ERASE_IN_LINE, 2)
        return Control(ControlType.CARRIAGE_RETURN, line, *((ControlType.CURSOR_UP, 1), line) * up)


class _Above(io.TextIOBase):
    """Stands for a stream while a table is drawn on it: prints whole lines above the table, as they are."""

    def __init__(self, console: Console, stream: TextIO) -> None:
        super().__init__()
        self._console = console
        self._stream = stream
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            try:
                # Soft: a terminal wraps a long line by itself, and copies it as one.
                self._console.print(Text.from_ansi(line), soft_wrap=True, highlight=False)
            except Exception:  # noqa: BLE001  # a table that can't be drawn again must not swallow the log
                self._stream.write(f"{line}\n")
        return len(text)

    def finish(self) -> None:
        """Print what has no end of line yet."""
        if self._rest:
            self.write("\n")

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


def renderable(lines: list[Line]) -> Group:
    """Make lines something that rich prints: as they are, in their styles."""
    return Group(*(Text(text, style=style, no_wrap=True, overflow="crop") for text, style in lines))


def _redraw(drawing: Live, stopped: Event) -> None:
    pause = INTERVAL
    while not stopped.wait(pause):
        begun = time.perf_counter()
        with _unharmed() as harm:
            drawing.refresh()
        if harm:
            return
        pause = max(INTERVAL, (time.perf_counter() - begun) / SHARE)


@contextlib.contextmanager
def _unharmed() -> Iterator[list[Exception]]:
    """Let no error of a table hurt what it tells of; tell whether there was one."""
    harm: list[Exception] = []
    try:
        yield harm
    except Exception as error:  # noqa: BLE001  # whatever it is
        harm.append(error)
        get_logger(__name__).warning("releasekit.table_failed", error=repr(error), hint="the run goes on without")
