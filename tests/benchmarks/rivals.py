"""Other ways to make a transition durable. Each does some at a time, and gives the seconds that one took."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing, contextmanager
from functools import partial
from itertools import cycle
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.measure import large_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

A_TURN = 40  # transitions
WHOLE_TURN = 2  # transitions


def timed(transition: Callable[[], object], count: int) -> float:
    """Give the seconds that a transition takes."""
    begun = perf_counter()
    for _ in range(count):
        transition()
    return (perf_counter() - begun) / count


@contextmanager
def bare_append(directory: Path, length: int) -> Iterator[Callable[[], float]]:
    """Append a line and flush it."""
    line = b"x" * (length - 1) + b"\n"
    fd = os.open(directory / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append() -> None:
        os.write(fd, line)
        os.fdatasync(fd)

    try:
        yield partial(timed, append, A_TURN)
    finally:
        os.close(fd)


@contextmanager
def sqlite(directory: Path, packages: int) -> Iterator[Callable[[], float]]:
    """Update a row in a transaction of its own."""
    with closing(sqlite3.connect(directory / "sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE packages (name TEXT PRIMARY KEY, status TEXT, version TEXT, level INTEGER)")
        names = list(large_run(packages))
        database.executemany("INSERT INTO packages VALUES (?, 'pending', '1.0.0', 0)", ([name] for name in names))
        changes = ((status, name) for name in cycle(names) for status in ("building", "pending"))
        update = "UPDATE packages SET status = ? WHERE name = ?"
        yield partial(timed, lambda: database.execute(update, next(changes)), A_TURN)


def whole_file(directory: Path, packages: int, *, flush: bool) -> Callable[[], float]:
    """Write the whole state to a new file that takes the place of the old one."""
    document = json.loads(large_run(packages).to_bytes())
    changes = (
        (package, status) for package in cycle(document["packages"].values()) for status in ("building", "pending")
    )
    path = directory / "whole.json"

    def write() -> None:
        package, status = next(changes)
        package["status"] = status
        with path.with_suffix(".tmp").open("w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2))
            file.flush()
            if flush:
                os.fsync(file.fileno())
        path.with_suffix(".tmp").replace(path)
        if flush:
            fd = os.open(directory, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

    return partial(timed, write, WHOLE_TURN)
