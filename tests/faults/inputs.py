"""Hostile inputs: what makes them of real files, and what must be true of each.

An input is one letter and the content of a file: `s` for a state file, `j` for a journal, `r` for a journal whose lines
are sealed anew, so that what they say gets past the checksum; there, a line behind `!` keeps its seal. Loading it gives
a run, which is the same after being written and read again, or one of the documented errors.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from zlib import crc32

import pytest
import structlog

from releasekit.errors import E, ReleaseKitError
from releasekit.persistence import atomic
from releasekit.state import STATE_FILENAME, RunState, files, journal_path
from releasekit.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

FOREIGN: Final = b"""s{"git_sha": "abc", "created_at": "2026-01-02T03:04:05+00:00", "packages": {
  "a": {"name": "a", "status": "published", "version": "1.0", "error": "", "level": 0},
  "b": {"name": "b", "status": "unheard-of", "level": 1}, "c": {}}}"""
TOKENS: Final = (
    *rb'NaN Infinity -1 1e999 2147483648 true null [] {} "" " , \ \n \u0000 \ud800 \ud83d\ude00'.split(),
    *rb'"schema":1, "schema":2, "journal":2, "seq":2, "flushed":0 "flushed":9 "records":9, "from":"pending"'.split(),
    *rb'"to":"building" ,"status":"failed" ,"level":-1 ,"error":"e" ,"reason":1 ,"declared":[{"name":"z"}]'.split(),
    *rb',"artifacts":{} ,"artifacts":{"a":"ab"} ,"artifacts":{"a/b":""}'.split(),
    *(b"\n", b"\n!", b"\0", b"\xff", b"\xef\xbb\xbf", b"[" * 3000, b',"level":' + b"9" * 5000),
)
_BETWEEN_FIELDS: Final = 0.5  # of the changes
_TIME: Final = re.compile(rb'"time":"[^"]*"')
_FLUSHED: Final = re.compile(rb'"flushed":\d+')
_RECORDS: Final = re.compile(rb'"records": \d+')
_SEAL: Final = re.compile(rb',"check":"[^\n]*\Z')


@contextmanager
def in_haste() -> Iterator[None]:
    """Log nothing, and wait neither for the disk nor for another writer: neither is what the inputs are about."""

    def drop(*_event: object) -> NoReturn:
        raise structlog.DropEvent

    structlog.configure(processors=[drop])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_PATIENCE", 0)
        patch.setattr(atomic, "flush", lambda _: None)
        patch.setattr(atomic, "flush_data", lambda _: None)
        yield
    structlog.reset_defaults()


class Checker:
    """Loads inputs, from files of its own.

    Args:
        directory: Where they are, empty.
    """

    def __init__(self, directory: Path) -> None:
        self._state = directory / "s" / STATE_FILENAME
        self._journal = journal_path(directory / "j" / STATE_FILENAME)
        self._copy = directory / "copy" / STATE_FILENAME
        for path in (self._state, self._journal, self._copy):
            path.parent.mkdir()
        # What a journal is compared with if it may have lost something: it was written after the third record.
        state = a_run(directory / "seed").read_bytes()
        self._journal.with_name(STATE_FILENAME).write_bytes(_RECORDS.sub(b'"records": 3', state))

    def loads(self, data: bytes) -> bool:
        """Tell whether an input is a run; any exception is a bug."""
        path = self._state if data[:1] == b"s" else self._journal
        path.write_bytes(sealed(data[1:]) if data[:1] == b"r" else data[1:])
        path = path.with_name(STATE_FILENAME)
        try:
            run = RunState.load(path)
        except ReleaseKitError as error:
            if error.code is not E.STATE_CORRUPTED or not str(error):
                raise
            return False
        run.save(self._copy)
        assert RunState.load(self._copy) == run
        with RunStore.open(self._copy) as store:  # which makes a journal of it
            assert store.state == run
        assert RunState.load(self._copy) == run
        journal_path(self._copy).unlink()
        return True


def sealed(content: bytes) -> bytes:
    """Seal the lines of a journal anew, but for those behind a `!`."""
    lines = []
    crc = 0
    for line in content.split(b"\n"):
        if not line:
            lines.append(b"\n")
        elif line[:1] == b"!":
            lines.append(line[1:] + b"\n")
        else:
            body = _SEAL.sub(b"", line)
            seal = b',"check":"%08x"}\n' % (crc := crc32(body, crc))
            crc = crc32(seal, crc)
            lines.append(body + seal)
    return b"".join(lines)


def a_run(directory: Path) -> Path:
    """Make a run that has been through everything; give its state file."""
    directory.mkdir()
    path = directory / STATE_FILENAME
    run = RunState("abc", created_at="2026-01-02T03:04:05+00:00", run_id="r", index="pypi")
    run.init_package("core", version="1.0")
    run.init_package("wörld", version="2.0", level=1, requires=["core"])
    with RunStore.create(path, run) as store:
        core, other = run["core"], run["wörld"]
        core.start_building()
        core.record_artifacts({"core-1.0.tar.gz": "0123456789abcdef" * 4})
        core.fail('no "network"\n\tat \U0001f600')
        store.commit()
        core.retry()
        core.start_building()
        core.start_publishing()
        store.commit()
        core.recover()
        other.skip("private")
    return path


def seeds() -> list[bytes]:
    """Make the inputs that the others are made of."""
    with tempfile.TemporaryDirectory() as directory:
        path = a_run(Path(directory, "run"))
        state = path.read_bytes()
        journal = _TIME.sub(b'"time":"2026-01-02T03:04:05Z"', journal_path(path).read_bytes())
    lines = journal.splitlines()
    damaged = b"\n".join([*lines[:4], b"!" + lines[4][:40], *lines[5:]])
    torn = _FLUSHED.sub(b'"flushed":1', damaged)
    return [b"s" + state, FOREIGN, b"j" + sealed(journal), *(b"r" + content for content in (journal, damaged, torn))]


def mutated(seeds: list[bytes], random: Random) -> bytes:
    """Change a seed in a few places."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice([0, 1, 1, 1, 2, 4])):
        start = random.randrange(1, len(data) + 1)
        if random.random() < _BETWEEN_FIELDS:
            start = max(1, data.rfind(b',"', 0, start))
        stop = start + random.choice([0, 1, random.randrange(100)])
        other = random.choice(seeds)
        begin = random.randrange(len(other))
        data[start:stop] = random.choice(
            [b"", bytes([random.randrange(256)]), random.choice(TOKENS), other[begin : begin + random.randrange(300)]]
        )
    return bytes(data)
