from __future__ import annotations

import pytest
from tests.pipeline.doubles import A, B, C

from releasekit.errors import E
from releasekit.pipeline.outcome import FileConflictError, StepError
from releasekit.pipeline.reconcile import Decision, decide, refuse_fewer, to_send

SDIST, WHEEL = "p-1.tar.gz", "p-1-py3-none-any.whl"
BOTH = {SDIST: A, WHEEL: B}


@pytest.mark.parametrize(
    ("recorded", "on_disk", "shown", "decision"),
    [
        pytest.param({}, {}, {}, Decision.BUILD, id="nothing recorded"),
        pytest.param({}, BOTH, {}, Decision.BUILD, id="files of which nothing is recorded"),
        pytest.param({}, {}, BOTH, Decision.BUILD, id="nothing recorded, all shown"),
        pytest.param(BOTH, BOTH, {}, Decision.REUSE, id="on disk"),
        pytest.param(BOTH, BOTH, BOTH, Decision.REUSE, id="on disk and shown"),
        pytest.param(BOTH, BOTH | {"more.whl": C}, {}, Decision.REUSE, id="on disk among others"),
        pytest.param(BOTH, {}, BOTH, Decision.ADOPT, id="gone, all shown"),
        pytest.param(BOTH, {SDIST: A}, BOTH, Decision.ADOPT, id="half gone, all shown"),
        pytest.param(BOTH, {SDIST: A, WHEEL: C}, BOTH, Decision.ADOPT, id="changed on disk, all shown"),
        pytest.param(BOTH, {}, {}, Decision.BUILD, id="gone, none shown"),
        pytest.param(BOTH, {}, {SDIST: A}, Decision.BUILD, id="gone, some shown"),
        pytest.param(BOTH, {SDIST: A, WHEEL: C}, {}, Decision.BUILD, id="changed on disk, none shown"),
        pytest.param(BOTH, {SDIST: A}, {SDIST: A}, Decision.BUILD, id="half gone, the other half shown"),
    ],
)
def test_where_files_come_from(
    recorded: dict[str, str], on_disk: dict[str, str], shown: dict[str, str], decision: Decision
) -> None:
    assert decide(recorded, on_disk, shown, "there") is decision


@pytest.mark.parametrize("on_disk", [{}, BOTH], ids=["gone", "on disk"])
def test_other_content_under_a_recorded_name_is_a_conflict_at_once(on_disk: dict[str, str]) -> None:
    with pytest.raises(FileConflictError) as caught:
        decide(BOTH, on_disk, {SDIST: C, WHEEL: B}, "there")

    error = caught.value
    assert (error.filename, error.local, error.remote) == (SDIST, A, C)
    assert error.code is E.INDEX_CONFLICT
    assert all(fact in str(error) for fact in (SDIST, A, C, "there"))


def test_only_what_is_missing_is_sent_in_a_fixed_order() -> None:
    assert to_send(BOTH, {}, "there") == [WHEEL, SDIST]
    assert to_send(BOTH, {SDIST: A}, "there") == [WHEEL]
    assert to_send(BOTH, BOTH | {"other.whl": C}, "there") == []


def test_other_bytes_and_more_files_are_not_fewer() -> None:
    refuse_fewer(BOTH, {SDIST: C, WHEEL: B, "more.whl": C}, "p")


def test_files_that_are_recorded_and_not_built_again_are_named() -> None:
    with pytest.raises(
        StepError, match=r"recorded p-1-py3-none-any\.whl, p-1\.tar\.gz of 'p', which are lost"
    ) as caught:
        refuse_fewer(BOTH, {"more.whl": C}, "p")
    assert caught.value.code is E.BUILD_INCOMPLETE
