"""Hostile state files and journals: each is a run that can be written again, or one documented error."""

from __future__ import annotations

from collections import Counter
from random import Random

from tests.faults import inputs, memory

INPUTS = 5_000


def test_any_bytes_give_a_run_or_the_documented_error() -> None:
    seeds = inputs.seeds()
    chances = Random(1)  # noqa: S311  # no secret
    found: Counter[str] = Counter()
    with memory.directory() as directory, inputs.in_haste():
        checker = inputs.Checker(directory)
        for data in [b"", *seeds, *(inputs.mutated(seeds, chances) for _ in range(INPUTS))]:
            kind = {b"s": "state file", b"j": "journal", b"r": "journal sealed anew"}.get(data[:1], "nothing")
            found[f"{kind}, {'loaded' if checker.loads(data) else 'refused'}"] += 1
    print(dict(found))  # noqa: T201  # the figures
    assert min(found.values()) > 0
    assert len(found) == 7


def test_a_journal_with_a_torn_write_loads_unless_the_state_file_has_seen_what_is_lost() -> None:
    state, foreign, journal, sealed, damaged, torn = inputs.seeds()
    with memory.directory() as directory, inputs.in_haste():
        checker = inputs.Checker(directory)
        loaded = [checker.loads(data) for data in (state, foreign, journal, sealed, torn)]
        assert not checker.loads(damaged)
    assert all(loaded)
