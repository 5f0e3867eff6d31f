"""Which spans of work a run has, as they are heard of one event after the other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from releasekit.lifecycle import PackageStatus, Trigger
from releasekit.state.history import Event
from releasekit.state.spans import Span, Spans

BEGIN = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
PENDING, BUILDING, PUBLISHING = PackageStatus.PENDING, PackageStatus.BUILDING, PackageStatus.PUBLISHING


def event(at: float, trigger: Trigger, source: PackageStatus, target: PackageStatus) -> Event:
    return Event(1, BEGIN, "a", trigger, source, target, 0.0, {}, at)


BUILDS = event(2.0, Trigger.START_BUILDING, PENDING, BUILDING)
RECORDS = event(5.0, Trigger.RECORD_ARTIFACTS, BUILDING, BUILDING)
SENDS = event(9.0, Trigger.START_PUBLISHING, BUILDING, PUBLISHING)


def test_before_anything_happened_it_is_the_beginning_and_nobody_is_at_work() -> None:
    spans = Spans()
    assert (spans.at, spans.seconds) == (0.0, 0.0)
    assert spans.open("a") is None
    assert not spans.is_at_work("a")


def test_a_build_is_work_until_its_files_are_recorded() -> None:
    spans = Spans()
    assert spans.hear(BUILDS) is None
    assert spans.is_at_work("a")
    assert spans.open("a", 4.0) == Span("a", BUILDING, 2.0, 4.0, 4.0)
    assert spans.hear(RECORDS) is None
    assert not spans.is_at_work("a")
    assert spans.open("a", 8.0) == Span("a", BUILDING, 2.0, 5.0, 8.0)
    assert spans.hear(SENDS) == Span("a", BUILDING, 2.0, 5.0, 9.0)
    assert spans.is_at_work("a")
    assert (spans.at, spans.seconds) == (9.0, 7.0)


@pytest.mark.parametrize("has_files", [False, True])
def test_a_build_that_finds_its_files_is_no_work(has_files: bool) -> None:  # noqa: FBT001  # parametrized
    spans = Spans(["a"] if has_files else [])
    spans.hear(BUILDS)
    assert spans.is_at_work("a") is not has_files
    assert spans.hear(SENDS) == Span("a", BUILDING, 2.0, 2.0 if has_files else 9.0, 9.0)
