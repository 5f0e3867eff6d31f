"""A look at a run from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit import STATE_FILENAME, RunState, RunStore
from releasekit.errors import E, ReleaseKitError
from releasekit.report.look import look
from releasekit.state import records

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_without_a_journal_can_be_looked_at(tmp_path: Path) -> None:
    run = RunState("0" * 40)
    run.init_package("core")
    run.save(tmp_path / STATE_FILENAME)

    view = look(tmp_path / STATE_FILENAME)

    assert (list(view.state), view.working, view.timeline.total()) == (["core"], False, 0)


def test_a_history_that_can_t_be_trusted_is_told_rather_than_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunState("0" * 40)
    run.init_package("core")
    event = records.Event
    with RunStore.create(tmp_path / STATE_FILENAME, run) as store:
        monkeypatch.setattr(records, "Event", lambda _time, *more: event("yesterday", *more))  # type: ignore[arg-type]
        store.state["core"].start_building()

    with pytest.raises(ReleaseKitError, match="has a time that is none") as caught:
        look(tmp_path / STATE_FILENAME)
    assert caught.value.code is E.STATE_CORRUPTED
