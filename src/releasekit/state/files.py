"""The files of a run: the journal is the truth while there is one, the snapshot beside it is for people and tools."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.logging import get_logger
from releasekit.persistence.garbage import uncollected
from releasekit.persistence.journal import open_regular
from releasekit.persistence.reader import JournalError, Reader
from releasekit.state import records, snapshot
from releasekit.state.snapshot import Snapshot, StateCorruptedError

if TYPE_CHECKING:
    from releasekit.persistence.journal import Position
    from releasekit.persistence.reader import Tail

_PATIENCE: Final = 0.01  # seconds for a writer to end the write that a reader saw half of


class Replayed(NamedTuple):
    """What a journal says, and where it ends.

    Attributes:
        run: The run.
        position: Behind its good lines.
        tail: What a torn write left behind that, if anything.
    """

    run: Snapshot
    position: Position
    tail: Tail | None


def journal_path(path: Path) -> Path:
    """Tell where the journal of a run is, given its state file: `x.json` has `x.journal` beside it."""
    path = Path(os.path.realpath(path))
    return path.with_name(f"{path.name.removesuffix('.json')}.journal")


def there_is_a_run(path: Path) -> bool:
    """Tell whether a run has this state file, or had it and still has the journal."""
    return os.path.lexists(path) or os.path.lexists(journal_path(path))


def read(path: Path, keep: list[records.Record] | None = None) -> Snapshot:
    """Read a run while others may be writing it.

    Args:
        path: Its state file. Where there is a journal beside it, that is read instead.
        keep: Gets the journal's records, if it is given.

    Raises:
        OSError: It could not be read, ``Failed to read …``; its `errno` says why.
        StateCorruptedError: It can't be trusted.
    """
    journal = journal_path(path)
    seen: object = None
    while True:
        if keep:
            keep.clear()
        try:
            replayed = _read_journal(journal, path, keep)
        except FileNotFoundError:
            return snapshot.read(path)
        except StateCorruptedError as error:
            # A writer may have been at it while we read. What is wrong with the file itself is wrong twice.
            if seen == error.args:
                raise
            seen = error.args
        else:
            if not replayed.tail or seen == replayed[1:]:
                warn_of(replayed, journal)
                return replayed.run
            seen = replayed[1:]
        time.sleep(_PATIENCE)


def replay(fd: int, journal: Path, path: Path, keep: list[records.Record] | None = None) -> Replayed:
    """Read an open journal from its beginning.

    Args:
        fd: The journal.
        journal: Where it is, for messages.
        path: The state file beside it. It is asked only whether it has seen what the journal may have lost, and
            then it must be readable, if it is there.
        keep: Gets the records, if it is given.

    Raises:
        OSError: It could not be read.
        StateCorruptedError: It can't be trusted.
    """
    try:
        with uncollected():
            reader = Reader(fd, records.Header, records.Record)
            packages = records.replay(reader, keep)
    except JournalError as error:
        raise StateCorruptedError(journal, f"line {error.line}", error.problem) from None
    if reader.tail and reader.tail.has_records and _has_seen(path, reader.header.run_id, reader.position.seq + 1):
        problem = "is damaged: the state file has what it said, and records behind it are good"
        raise StateCorruptedError(journal, f"line {reader.position.seq + 2}", problem)
    header = reader.header
    run = Snapshot(header.git_sha, header.created_at, header.run_id, header.index, list(packages.values()))
    return Replayed(run, reader.position, reader.tail)


def warn_of(replayed: Replayed, journal: Path) -> None:
    """Log that the end of a journal is torn, if it is."""
    if replayed.tail:
        get_logger(__name__).warning(
            "releasekit.journal_torn", file=str(journal), line=replayed.tail.line, kept=replayed.position.seq
        )


def _read_journal(journal: Path, path: Path, keep: list[records.Record] | None) -> Replayed:
    try:
        fd = open_regular(journal, os.O_RDONLY)
        try:
            return replay(fd, journal, path, keep)
        finally:
            os.close(fd)
    except OSError as error:
        raise snapshot.unreadable(journal, error) from error


def _has_seen(path: Path, run_id: str, seq: int) -> bool:
    """Tell whether a state file was written after a record of the same run had become durable."""
    try:
        kept = snapshot.read(path)
    except (FileNotFoundError, StateCorruptedError):
        return False
    return kept.run_id == run_id and kept.records >= seq
