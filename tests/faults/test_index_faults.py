"""A release against an index that goes wrong: what may pass is tried again, what does not is told, nothing doubles."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.faulty_index import Fate, Fault, Kind, On
from tests.small_workspace import filenames
from tests.support import INDEX

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from tests.faulty_index import FaultyIndex, Request
    from tests.support import Workspace

PUBLISH = ("publish", "--index", INDEX, "--verify-timeout", "20")
WHEEL, SDIST = filenames("base")
FOR_EVER = 1_000

PASSING = {
    "503": [Fault(Kind.STATUS, times=2)],
    "429 with a wait": [Fault(Kind.STATUS, status=429, retry_after=1)],
    "429 with a date": [Fault(Kind.STATUS, status=429, retry_after=datetime.now(UTC) + timedelta(seconds=1))],
    "a wait that is none": [Fault(Kind.STATUS, retry_after="soon")],
    "reset before storing": [Fault(Kind.RESET_BEFORE, times=2)],
    "reset after storing": [Fault(Kind.RESET_AFTER, times=2)],
    "the answer lost": [Fault(Kind.LOST, times=2)],
    "one of two files": [Fault(Kind.STATUS, match="*.tar.gz")],
    "slow": [Fault(Kind.SLOW, seconds=0.7)],
    "accepted and not stored": [Fault(Kind.DROPPED), Fault(Kind.STATUS, match="*.tar.gz")],
    "503 for pages": [Fault(Kind.STATUS, On.PAGE, times=3)],
    "429 for pages": [Fault(Kind.STATUS, On.PAGE, status=429, retry_after=1)],
    "a page reset": [Fault(Kind.RESET_BEFORE, On.PAGE, times=2)],
    "slow pages": [Fault(Kind.SLOW, On.PAGE, seconds=0.5, times=3)],
    "a page of HTML that is none": [Fault(Kind.ERROR_PAGE, On.PAGE, times=3)],
    "stale pages": [Fault(Kind.STALE, On.PAGE, times=8)],
}


def judge(index: FaultyIndex, workspace: Workspace) -> None:
    """Each file is stored once, with the one content that was ever sent under its name."""
    assert index.stored == workspace.recorded()
    assert len(index.stored) == 4
    assert {(upload.filename, upload.sha256) for upload in index.uploads} == set(index.stored.items())
    stored = [upload.filename for upload in index.uploads if upload.fate is Fate.STORED]
    assert sorted(stored) == sorted(index.stored)


@pytest.mark.parametrize("form", ["json", "html"])
@pytest.mark.parametrize("accident", PASSING)
def test_what_may_pass_is_tried_again_until_it_has(
    small: Workspace, faulty: FaultyIndex, accident: str, form: str
) -> None:
    faulty.form = form  # type: ignore[assignment]  # one of two
    faulty.faults = list(PASSING[accident])

    done = small.releasekit(*PUBLISH)

    assert done.returncode == 0, done.stderr
    assert not faulty.faults or accident == "stale pages"
    judge(faulty, small)


def test_a_page_that_lags_and_one_that_is_stale_every_second_time_are_waited_for(
    small: Workspace, faulty: FaultyIndex
) -> None:
    faulty.lag["base"] = 1.0
    faulty.alternating = {"base", "top"}

    assert small.releasekit(*PUBLISH).returncode == 0
    judge(faulty, small)


@pytest.mark.parametrize("on", On)
def test_an_index_that_asks_to_wait_is_not_asked_sooner(small: Workspace, faulty: FaultyIndex, on: On) -> None:
    faulty.faults = [Fault(Kind.STATUS, on, match="base*", status=429, retry_after=2)]

    assert small.releasekit(*PUBLISH).returncode == 0
    first, second = [request.at for request in faulty.requests if request.on is on and request.project == "base"][:2]
    if on is On.UPLOAD:  # uv asks for the page in between, and so do we: that may be at once
        second = next(r.at for r in faulty.requests if r.on is on and r.at > first)
    assert second - first >= 2.0


LASTING = {
    "401": ([Fault(Kind.STATUS, status=401, times=FOR_EVER)], "RK-PUBLISH-FAILED", "UV_PUBLISH_TOKEN"),
    "403": ([Fault(Kind.STATUS, status=403, times=FOR_EVER)], "RK-PUBLISH-FAILED", "UV_PUBLISH_TOKEN"),
    "400": ([Fault(Kind.STATUS, status=400, times=FOR_EVER)], "RK-PUBLISH-FAILED", "mend what the index complains of"),
    "401 for pages": ([Fault(Kind.STATUS, On.PAGE, status=401)], "RK-INDEX-UNREADABLE", "credentials for reading"),
    "403 for pages": ([Fault(Kind.STATUS, On.PAGE, status=403)], "RK-INDEX-UNREADABLE", "credentials for reading"),
    "a page of 100 MB": ([Fault(Kind.HUGE, On.PAGE)], "RK-INDEX-UNREADABLE", "more than 64 MiB"),
}


@pytest.mark.parametrize("accident", LASTING)
def test_what_does_not_pass_is_not_tried_again_and_is_told(
    small: Workspace, faulty: FaultyIndex, accident: str
) -> None:
    faults, code, text = LASTING[accident]
    faulty.faults = list(faults)

    done = small.releasekit(*PUBLISH)

    assert done.returncode == 1
    assert code in done.stdout + done.stderr
    assert text in done.stdout + done.stderr
    assert sum(faulty.happened.values()) == 1
    assert faulty.stored == {}
    faulty.faults = []
    assert small.releasekit(*PUBLISH).returncode == 0
    judge(faulty, small)


STUBBORN = {
    "503": (Fault(Kind.STATUS, times=FOR_EVER), "RK-PUBLISH-FAILED"),
    "pages of HTML that are none": (Fault(Kind.ERROR_PAGE, On.PAGE, times=FOR_EVER), "RK-INDEX-UNREADABLE"),
    "a wait beyond the budget": (Fault(Kind.STATUS, status=429, retry_after=3_600), "RK-PUBLISH-FAILED"),
    "no answer to an upload": (Fault(Kind.SLOW, seconds=600, times=FOR_EVER), "RK-PUBLISH-TIMEOUT"),
}


@pytest.mark.parametrize("accident", STUBBORN)
def test_a_budget_ends_what_does_not_pass_in_time(small: Workspace, faulty: FaultyIndex, accident: str) -> None:
    fault, code = STUBBORN[accident]
    asked = [Fault(Kind.SLOW, On.PAGE)] * 2  # as the run begins
    faulty.faults = [*asked, fault] if fault.on is On.PAGE else [fault]
    began = time.monotonic()

    done = small.releasekit(*PUBLISH, "--retry-budget", "1", "--upload-timeout", "2")

    assert time.monotonic() - began < 60
    arrived = code in {"RK-PUBLISH-TIMEOUT", "RK-INDEX-UNREADABLE"}  # perhaps; that is what it could not be asked
    assert done.returncode == (3 if arrived else 1)
    assert small.run()["base"].error.startswith(code)
    faulty.faults = []
    assert small.releasekit(*PUBLISH).returncode == 0
    judge(faulty, small)


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_a_dead_index_ends_a_release_before_it_begins(
    small: Workspace, faulty: FaultyIndex, option: tuple[str, ...]
) -> None:
    faulty.faults = [Fault(Kind.RESET_BEFORE, On.PAGE, times=FOR_EVER)]

    done = small.releasekit(*PUBLISH, "--retry-budget", "0.5", *option)

    assert done.returncode == 1
    assert "RK-INDEX-UNREADABLE: local could not be asked for 'base'" in done.stderr
    assert "check the network" in done.stderr
    assert not (small.root / ".releasekit-state.json").exists()


def test_a_file_that_was_taken_and_is_not_shown_yet_may_have_arrived(small: Workspace, faulty: FaultyIndex) -> None:
    faulty.faults = [Fault(Kind.STATUS, status=403, match=SDIST)]
    faulty.lag["base"] = 30

    done = small.releasekit(*PUBLISH)

    assert done.returncode == 3  # not 1: something may be published
    error = small.run()["base"].error
    assert error.startswith(f"RK-PUBLISH-PARTIAL: local may have taken {WHEEL}: ")
    assert list(faulty.stored) == [WHEEL]


def test_an_index_that_dies_in_the_middle_may_have_what_was_sent(small: Workspace, faulty: FaultyIndex) -> None:
    def dies(request: Request) -> Fault | None:
        if request.on is On.UPLOAD:
            return Fault(Kind.LOST)
        return Fault(Kind.RESET_BEFORE) if faulty.stored else None

    faulty.faults = dies

    done = small.releasekit(*PUBLISH, "--retry-budget", "0.5")

    assert list(faulty.stored) == [WHEEL]
    assert done.returncode == 3  # not 1: something is published
    assert small.run()["base"].error.startswith("RK-PUBLISH-PARTIAL: local may have taken something: ")


def test_of_two_files_one_taken_and_one_refused_the_rest_is_sent_by_the_next_run(
    small: Workspace, faulty: FaultyIndex
) -> None:
    faulty.faults = [Fault(Kind.STATUS, status=400, match=SDIST)]

    done = small.releasekit(*PUBLISH)

    assert done.returncode == 3
    assert small.run()["base"].error.startswith("RK-PUBLISH-PARTIAL")
    assert small.releasekit(*PUBLISH).returncode == 0
    judge(faulty, small)
    assert [upload.filename for upload in faulty.uploads].count(WHEEL) == 1


def test_a_wrong_digest_is_a_conflict_that_names_both(small: Workspace, faulty: FaultyIndex) -> None:
    faulty.faults = lambda request: (
        Fault(Kind.WRONG_SHA256, On.PAGE) if request.on is On.PAGE and WHEEL in faulty.stored else None
    )

    done = small.releasekit(*PUBLISH)

    assert done.returncode == 4
    assert small.recorded()[WHEEL] in done.stdout
    assert "remote: sha256=" in done.stdout
    assert "top" not in {upload.filename.partition("-")[0] for upload in faulty.uploads}
    again = small.releasekit(*PUBLISH)
    assert again.returncode == 4
    assert [upload.fate for upload in faulty.uploads] == [Fate.STORED] * len(faulty.uploads)


def never_shown(small: Workspace) -> CompletedProcess[str]:
    return small.releasekit("publish", "--index", INDEX, "--verify-timeout", "1")


def test_an_index_that_never_shows_a_file_ends_the_wait_and_the_next_run_goes_on(
    small: Workspace, faulty: FaultyIndex
) -> None:
    faulty.faults = [Fault(Kind.STALE, On.PAGE, times=FOR_EVER)]

    done = never_shown(small)

    assert done.returncode == 3
    assert small.run()["base"].error.startswith("RK-VERIFY-TIMEOUT")
    assert small.statuses()["top"] == "pending"
    faulty.faults = []
    assert small.releasekit(*PUBLISH).returncode == 0
    judge(faulty, small)
    assert len(faulty.uploads) == 4
