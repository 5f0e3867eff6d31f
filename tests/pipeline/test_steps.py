from __future__ import annotations

import asyncio
import hashlib
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import stamina
from tests.pipeline.doubles import C, MemoryIndex, make_package

from releasekit.errors import E
from releasekit.pipeline.build import Builder
from releasekit.pipeline.built import Built
from releasekit.pipeline.carrier import CompanyError
from releasekit.pipeline.outcome import (
    PERHAPS,
    FileConflictError,
    NotShownError,
    RebuiltError,
    StepError,
    TransientError,
)
from releasekit.pipeline.patience import Patience
from releasekit.pipeline.python import Python
from releasekit.pipeline.steps import IndexSteps, ask
from releasekit.state import PackageState
from releasekit.workspace.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from releasekit.pipeline.carrier import Parcel
    from releasekit.workspace import Package

SDIST, WHEEL = "core-1.0.tar.gz", "core-1.0-py3-none-any.whl"
CONTENT = {SDIST: b"the sdist", WHEEL: b"the wheel"}
BUILT = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
ATTEMPTS = 6
BUSY = TransientError(E.INDEX_UNREADABLE, "it is busy")


@pytest.fixture
def at_once() -> Iterator[None]:
    """Retries do not wait."""
    with stamina.set_testing(testing=True, attempts=ATTEMPTS):
        yield


class OneBuilder(Builder):
    """Builds always the same, and counts."""

    builds = 0

    async def build(self, package: Package, check: Callable[[Mapping[str, str]], None] | None = None) -> Built:
        """See `Builder.build`."""
        self.builds += 1
        if check:
            check(BUILT)
        keep(self.directory(package.name))
        return Built(BUILT, "1.0")


def keep(directory: Path, *names: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names or CONTENT:
        (directory / name).write_bytes(CONTENT[name])


class Bench:
    """Steps for one package, between a builder and an index that are watched."""

    def __init__(
        self,
        root: Path,
        *answers: Mapping[str, str] | Exception,
        sent: tuple[str, ...] = (),
        index: MemoryIndex | None = None,
    ) -> None:
        self.index = index or MemoryIndex(*answers)
        self.builder = OneBuilder(root, 0, Python())
        self.steps = IndexSteps(self.builder, self.index, sent=lambda: sent)
        self.package = make_package("core", root)
        self.directory = self.builder.directory("core")

    def build(self, artifacts: Mapping[str, str]) -> Mapping[str, str]:
        return asyncio.run(self.steps.build(self.package, artifacts)).artifacts

    def publish(self) -> None:
        asyncio.run(self.steps.publish(self.package, BUILT, nullcontext))

    def verify(self, patience: float = 0.05) -> None:
        asyncio.run(self.steps.verify(self.package, BUILT, patience))


def test_nothing_recorded_is_built_without_asking_anybody(tmp_path: Path) -> None:
    bench = Bench(tmp_path, StepError(E.INDEX_UNREADABLE, "must not be asked"))

    assert bench.build({}) == BUILT
    assert (bench.builder.builds, bench.index.asked) == (1, 0)


def test_recorded_files_on_disk_are_reused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    keep(bench.directory)

    assert bench.build(BUILT) == BUILT
    assert bench.builder.builds == 0


def test_recorded_files_that_the_index_has_are_adopted_and_not_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, BUILT)

    assert bench.build(BUILT) == BUILT
    bench.publish()
    bench.verify()
    assert (bench.builder.builds, bench.index.sent) == (0, [])


@pytest.mark.parametrize("shown", [{}, {SDIST: BUILT[SDIST]}], ids=["none", "some"])
def test_recorded_files_that_are_gone_are_built_again(tmp_path: Path, shown: dict[str, str]) -> None:
    bench = Bench(tmp_path, shown)
    keep(bench.directory, SDIST)

    assert bench.build(BUILT) == BUILT
    assert bench.builder.builds == 1


OTHER_BYTES = BUILT | {SDIST: C}


def test_what_was_never_sent_may_be_built_anew_with_other_bytes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, sent=("other",))

    assert bench.build(OTHER_BYTES) == BUILT


def test_what_is_recorded_and_not_built_again_is_not_left_out_in_silence(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {})
    keep(bench.directory)
    given = "core-1.0-cp311-cp311-win_amd64.whl"

    with pytest.raises(StepError) as caught:
        bench.build(BUILT | {given: C})

    assert caught.value.code is E.BUILD_INCOMPLETE
    assert f"recorded {given} of 'core', which is lost, and the build did not give it" in caught.value.message
    assert "--wheels" in caught.value.hint
    assert "--fresh" in caught.value.hint
    assert bench.builder.builds == 1


OTHER_WHEEL = BUILT | {"core-1.0-cp311-cp311-linux_x86_64.whl": C}


@pytest.mark.parametrize("lost", [OTHER_BYTES, OTHER_WHEEL, {SDIST: BUILT[SDIST]}], ids=["bytes", "more", "fewer"])
def test_what_may_have_been_sent_is_not_replaced_by_other_bytes_even_if_the_index_shows_nothing(
    tmp_path: Path, lost: Mapping[str, str]
) -> None:
    bench = Bench(tmp_path, {}, sent=("core",))

    with pytest.raises(RebuiltError, match="is not the same") as caught:
        bench.build(lost)

    assert caught.value.code is E.REBUILT_DIFFERS
    assert (caught.value.sent, caught.value.built) == (lost, BUILT)


def test_what_may_have_been_sent_and_is_built_again_the_same_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {SDIST: BUILT[SDIST]}, sent=("core",))

    assert bench.build(BUILT) == BUILT
    assert bench.builder.builds == 1


def test_other_content_on_the_index_is_a_conflict_before_anything_is_built(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {SDIST: C})

    with pytest.raises(FileConflictError):
        bench.build(BUILT)

    assert bench.builder.builds == 0


def test_only_what_is_missing_is_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {SDIST: BUILT[SDIST]})
    keep(bench.directory)
    bench.publish()

    assert bench.index.sent == [WHEEL]


def test_nothing_is_sent_over_other_content(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {SDIST: C})
    keep(bench.directory)

    with pytest.raises(FileConflictError):
        bench.publish()

    assert bench.index.sent == []


class Remembering(MemoryIndex):
    """One that has just shown something."""

    def __init__(self, shown: Mapping[str, str]) -> None:
        super().__init__(BUSY)
        self.shown = shown

    def just_shown(self, package: str, version: str) -> Mapping[str, str] | None:
        """See `Remembers.just_shown`."""
        assert (package, version) == ("core", "1.0")
        return self.shown


def test_what_an_index_has_just_shown_it_is_not_asked_again_before_the_rest_is_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, index=Remembering({SDIST: BUILT[SDIST]}))
    keep(bench.directory)
    bench.publish()

    assert bench.index.sent == [WHEEL]
    assert bench.index.asked == 0


def test_nothing_is_sent_over_what_an_index_has_just_shown(tmp_path: Path) -> None:
    bench = Bench(tmp_path, index=Remembering({SDIST: C}))
    keep(bench.directory)

    with pytest.raises(FileConflictError):
        bench.publish()

    assert bench.index.sent == []


@pytest.mark.parametrize("accident", ["changed", "gone"])
def test_a_built_file_that_is_not_what_was_recorded_is_not_sent(tmp_path: Path, accident: str) -> None:
    bench = Bench(tmp_path)
    keep(bench.directory)
    (bench.directory / SDIST).unlink()
    if accident == "changed":
        (bench.directory / SDIST).write_bytes(b"something else")

    with pytest.raises(StepError, match=r"core-1\.0\.tar\.gz in .* is gone or not what was built") as caught:
        bench.publish()

    assert caught.value.code is E.FILE_FAILED
    assert bench.index.sent == []


@pytest.mark.usefixtures("at_once")
def test_a_busy_index_is_asked_again_before_anything_is_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, BUSY, BUSY, {})
    keep(bench.directory)
    bench.publish()

    assert bench.index.asked == 3
    assert bench.index.sent == sorted(BUILT)


@pytest.mark.usefixtures("at_once")
def test_an_index_that_stays_busy_is_given_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, BUSY)

    with pytest.raises(TransientError):
        asyncio.run(ask(bench.index, PackageState("core", version="1.0")))
    assert bench.index.asked == ATTEMPTS
    with pytest.raises(TransientError):
        bench.publish()
    assert bench.index.asked == 2 * ATTEMPTS


def test_a_permanent_error_is_not_tried_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, StepError(E.INDEX_UNREADABLE, "no"))

    for step in (bench.publish, bench.verify):
        bench.index.asked = 0
        with pytest.raises(StepError, match="no"):
            step()
        assert bench.index.asked == 1


@pytest.mark.usefixtures("at_once")
def test_verifying_waits_for_a_lagging_index(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, BUSY, {SDIST: BUILT[SDIST]}, BUILT | {"core-1.0-cp311-cp311-linux_x86_64.whl": C})
    bench.verify(patience=30.0)

    assert bench.index.asked == 4


def test_verifying_gives_up_after_its_patience_and_says_what_is_missing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {SDIST: BUILT[SDIST]})

    with pytest.raises(NotShownError, match=r"does not show core-1\.0-py3-none-any\.whl of 'core'") as caught:
        bench.verify()

    assert caught.value.code is E.VERIFY_TIMEOUT
    assert "nothing is sent twice" in caught.value.hint


def test_other_content_shown_while_verifying_is_a_conflict_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, BUILT | {WHEEL: C})

    with pytest.raises(FileConflictError):
        bench.verify(patience=900.0)

    assert bench.index.asked == 1


@pytest.mark.usefixtures("at_once")
def test_a_refused_upload_that_the_index_has_all_the_same_is_no_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, BUILT)
    keep(bench.directory)
    bench.index.refuses = StepError(E.PUBLISH_FAILED, "it exists")

    bench.publish()

    assert bench.index.asked == 2


@pytest.mark.usefixtures("at_once")
def test_a_refused_upload_that_the_index_does_not_have_is_a_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, {})
    keep(bench.directory)
    bench.index.refuses = StepError(E.PUBLISH_FAILED, "it may not")

    with pytest.raises(StepError, match="it may not"):
        bench.publish()


@pytest.mark.usefixtures("at_once")
def test_a_refused_upload_is_a_conflict_when_the_index_has_other_content(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, {SDIST: "0" * 64})
    keep(bench.directory)
    bench.index.refuses = StepError(E.PUBLISH_FAILED, "it exists")

    with pytest.raises(FileConflictError, match="0000"):
        bench.publish()


@pytest.mark.usefixtures("at_once")
def test_a_conflict_that_only_uv_sees_stays_one_when_a_part_was_taken(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, {SDIST: BUILT[SDIST]})
    keep(bench.directory)
    bench.index.refuses = FileConflictError(WHEEL, BUILT[WHEEL], C, "memory")

    with pytest.raises(FileConflictError) as caught:
        bench.publish()

    assert caught.value.code is E.INDEX_CONFLICT


@pytest.mark.usefixtures("at_once")
def test_a_busy_index_that_took_a_part_gets_the_rest(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, {SDIST: BUILT[SDIST]}, {SDIST: BUILT[SDIST]}, BUILT)
    keep(bench.directory)
    bench.index.refuses = TransientError(E.PUBLISH_FAILED, "later", retry_after=3.0)

    bench.publish()

    assert bench.index.asked == 4


@pytest.mark.parametrize(
    "record", [{}, {SDIST: "0" * 64}, {"other-1.0.tar.gz": "0" * 64, "other-1.0-py3-none-any.whl": "0" * 64}]
)
def test_a_record_that_is_not_whole_is_neither_sent_nor_verified(tmp_path: Path, record: dict[str, str]) -> None:
    """Nothing may count as published because nothing is missing."""
    bench = Bench(tmp_path)
    for step in (
        bench.steps.publish(bench.package, record, nullcontext),
        bench.steps.verify(bench.package, record, 0.05),
    ):
        with pytest.raises(StepError, match="which is no release of it") as caught:
            asyncio.run(step)
        assert caught.value.code is E.STATE_CORRUPTED
    assert bench.index.asked == 0


@pytest.mark.usefixtures("at_once")
def test_an_upload_that_was_taken_in_part_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {}, {SDIST: BUILT[SDIST]})
    keep(bench.directory)
    bench.index.refuses = StepError(E.PUBLISH_FAILED, "no space")

    with pytest.raises(StepError, match=f"took only {SDIST}: no space") as caught:
        bench.publish()

    assert caught.value.code is E.PUBLISH_PARTIAL


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("first", "then", "perhaps"),
    [
        (TransientError(E.PUBLISH_PARTIAL, "cut off"), "no", True),
        (TransientError(E.PUBLISH_TIMEOUT, "too slow"), "no", True),
        (TransientError(E.PUBLISH_FAILED, "busy"), "no", False),
        (TransientError(E.PUBLISH_FAILED, "its answer was lost"), "gone", True),
        (StepError(E.PUBLISH_PARTIAL, "no"), "gone", True),
        (StepError(E.PUBLISH_FAILED, "no"), "gone", False),
    ],
)
def test_what_may_have_arrived_is_not_forgotten_when_another_error_is_the_last(
    tmp_path: Path, first: StepError, then: str, *, perhaps: bool
) -> None:
    gone = TransientError(E.INDEX_UNREADABLE, "gone")
    bench = Bench(tmp_path, {}, *([gone] * (then == "gone")), {})
    keep(bench.directory)
    refusals = [first, StepError(E.PUBLISH_FAILED, "no")]

    async def upload(*_: object) -> None:
        raise refusals.pop(0)

    bench.index.upload = upload  # type: ignore[assignment, method-assign]
    bench.package = replace(bench.package, settings=Settings(retry_budget=5.0 * (then == "no")))
    with pytest.raises(StepError, match=then) as caught:
        bench.publish()

    assert (caught.value.code in PERHAPS) is perhaps
    assert ("may have taken something" in caught.value.message) is perhaps


@pytest.mark.usefixtures("at_once")
def test_an_index_that_used_up_one_budget_gets_one_try_for_each_other_package(tmp_path: Path) -> None:
    """Else two hundred packages would take two hundred budgets to find that the index is gone."""
    gone = TransientError(E.INDEX_UNREADABLE, "gone")
    bench = Bench(tmp_path, gone, gone, gone, gone, BUILT)
    bench.package = replace(bench.package, settings=Settings(retry_budget=0.0))
    other = make_package("other", tmp_path)

    async def publish(package: Package) -> None:
        names = {name.replace("core", package.name): digest for name, digest in BUILT.items()}
        await bench.steps.publish(package, names, nullcontext)

    bench.steps._patience[other.name] = Patience(60.0)
    for package in (bench.package, other):
        with pytest.raises(TransientError, match="gone"):
            asyncio.run(publish(package))
    assert bench.index.asked == 2

    bench.index.answers = [BUILT | {name.replace("core", "other"): digest for name, digest in BUILT.items()}]
    asyncio.run(publish(bench.package))  # it is back
    bench.index.answers = [gone, *bench.index.answers]
    asyncio.run(publish(other))


class InCompany:
    """Sends as if other packages shared the upload, which fails; then alone."""

    retry_after = 0.0

    def __init__(self, bench: Bench, code: E, *then: StepError) -> None:
        self.bench = bench
        self.code = code
        self.then = [*then]
        self.sent: list[tuple[list[str], bool]] = []

    async def send(self, parcel: Parcel, sending: object, *, alone: bool = False) -> None:
        """See `Carrier.send`."""
        del sending
        self.sent.append(([path.name for path in parcel.paths], alone))
        if not alone:
            raise CompanyError(self.code, "one of them was refused", retry_after=self.retry_after)
        if self.then:
            raise self.then.pop(0)


def in_company(tmp_path: Path, code: E, *then: StepError, arrived: Mapping[str, str]) -> InCompany:
    bench = Bench(tmp_path, {}, arrived)
    keep(bench.directory)
    company = InCompany(bench, code, *then)
    bench.steps._carrier = company  # type: ignore[assignment]  # it sends
    return company


@pytest.mark.parametrize(
    ("arrived", "alone"),
    [
        ({}, [([WHEEL, SDIST], True)]),
        ({WHEEL: BUILT[WHEEL]}, [([SDIST], True)]),
        (BUILT, []),
    ],
    ids=["nothing", "a part", "all"],
)
def test_what_has_not_arrived_in_company_is_sent_alone(
    tmp_path: Path, arrived: Mapping[str, str], alone: list[tuple[list[str], bool]]
) -> None:
    company = in_company(tmp_path, E.PUBLISH_PARTIAL, arrived=arrived)

    company.bench.publish()

    assert company.sent == [([WHEEL, SDIST], False), *alone]


@pytest.mark.parametrize(
    ("code", "arrived", "told"),
    [
        (E.PUBLISH_FAILED, {}, "no"),
        (E.PUBLISH_PARTIAL, {}, "memory may have taken something: no"),
        (E.PUBLISH_TIMEOUT, {}, "memory may have taken something: no"),
        (E.PUBLISH_FAILED, {WHEEL: BUILT[WHEEL]}, f"memory took only {WHEEL}: no"),
    ],
)
def test_a_refusal_alone_is_the_error_and_what_arrived_in_company_is_not_forgotten(
    tmp_path: Path, code: E, arrived: Mapping[str, str], told: str
) -> None:
    company = in_company(tmp_path, code, StepError(E.PUBLISH_FAILED, "no"), arrived=arrived)

    with pytest.raises(StepError) as caught:
        company.bench.publish()

    assert caught.value.message == told
    assert (caught.value.code is E.PUBLISH_PARTIAL) == (told != "no")


def test_an_index_that_asks_for_a_pause_gets_it_from_all_of_the_company(tmp_path: Path) -> None:
    company = in_company(tmp_path, E.PUBLISH_FAILED, arrived={})
    company.retry_after = 1e6  # more than the budget

    with pytest.raises(TransientError, match="one of them was refused"):
        company.bench.publish()

    assert company.sent == [([WHEEL, SDIST], False)]
