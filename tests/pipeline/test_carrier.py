from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from tests.pipeline.doubles import MemoryIndex

from releasekit.errors import E
from releasekit.pipeline.carrier import COMPANY, SMALL, Carrier, CompanyError, Parcel
from releasekit.pipeline.outcome import StepError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

TIMEOUT = 7.0


class Slow(MemoryIndex):
    """An index that takes files when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.uploads: list[tuple[str, ...]] = []
        self.timeouts: list[float] = []
        self.let = asyncio.Event()
        self.never = asyncio.Event()
        self.held: set[str] = set()
        self.at_a_time = self.most = 0
        self.refused: set[str] = set()
        self.given_up = 0
        self.refusal = StepError(E.PUBLISH_PARTIAL, "one of them was refused", "mend it")

    async def upload(self, package: str, version: str, paths: Sequence[Path], timeout: float) -> None:  # noqa: ARG002, ASYNC109
        """See `Index.upload`."""
        await self._take(paths, timeout)

    async def _take(self, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109
        self.uploads.append(tuple(path.name for path in paths))
        self.timeouts.append(timeout)
        self.at_a_time += 1
        self.most = max(self.most, self.at_a_time)
        try:
            await (self.never if {path.name for path in paths} & self.held else self.let).wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # as it takes to kill a process
            self.given_up += 1
            raise
        finally:
            self.at_a_time -= 1
        if {path.name for path in paths} & self.refused:
            raise self.refusal


class Companionable(Slow):
    """One that takes those of several packages at once."""

    async def upload_together(self, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109
        """See `TakesCompany`."""
        await self._take(paths, timeout)


class Bench:
    """A carrier, and who gives it parcels."""

    def __init__(self, root: Path, index: Slow, at_a_time: int = 1) -> None:
        self.root = root
        self.index = index
        self.carrier = Carrier(index, at_a_time)
        self.on_the_way: list[str] = []
        self.refuses: set[str] = set()
        self.when_sent: dict[str, Callable[[], None]] = {}

    def send(self, name: str, size: int = 1, *, alone: bool = False) -> asyncio.Task[None]:
        path = self.root / name
        path.write_bytes(bytes(size))

        @contextmanager
        def sending() -> Iterator[None]:
            if name in self.refuses:
                raise KeyError(name)
            self.on_the_way.append(name)
            try:
                yield
            finally:
                self.on_the_way.remove(name)
                self.when_sent.get(name, lambda: None)()

        return asyncio.get_running_loop().create_task(
            self.carrier.send(Parcel(name, "1.0", [path], TIMEOUT), sending, alone=alone)
        )


async def a_moment() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_the_first_goes_at_once_and_who_comes_meanwhile_goes_together(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        sent = [bench.send(name) for name in "abc"]
        await a_moment()
        assert index.uploads == [("a",)]
        assert bench.on_the_way == ["a"]
        index.let.set()
        await asyncio.gather(*sent)
        assert index.uploads == [("a",), ("b", "c")]
        assert index.timeouts == [TIMEOUT, TIMEOUT]
        assert not bench.on_the_way

    run(test())


def test_those_who_wait_are_shared_by_all_uploads_that_may_begin(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable(), at_a_time=2)
        first = [bench.send(name) for name in ("first", "second")]
        await a_moment()
        sent = [bench.send(f"{number}") for number in range(2 * COMPANY + 6)]
        await a_moment()
        index.let.set()
        await asyncio.gather(*first, *sent)
        assert [len(each) for each in index.uploads[:4]] == [1, 1, COMPANY, 11]
        assert max(map(len, index.uploads)) == COMPANY
        assert index.most == 2
        assert sorted(name for each in index.uploads for name in each) == sorted(
            ["first", "second", *map(str, range(2 * COMPANY + 6))]
        )

    run(test())


def test_an_index_that_takes_no_company_gets_each_package_alone(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Slow())
        index.let.set()
        await asyncio.gather(*map(bench.send, "abc"))
        assert index.uploads == [("a",), ("b",), ("c",)]

    run(test())


def test_a_large_package_goes_alone(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        sent = [bench.send("first"), bench.send("a"), bench.send("large", SMALL + 1), bench.send("b"), bench.send("c")]
        await a_moment()
        index.let.set()
        await asyncio.gather(*sent)
        assert index.uploads == [("first",), ("a",), ("large",), ("b", "c")]

    run(test())


def test_a_file_that_is_gone_is_left_to_who_sends_it(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        sent = [bench.send(name) for name in "ab"]
        for name in "ab":
            (tmp_path / name).unlink()
        index.let.set()
        await asyncio.gather(*sent)
        assert index.uploads == [("a",), ("b",)]

    run(test())


def test_a_failure_in_company_is_told_to_all_and_one_alone_as_it_is(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        index.refused = {"a", "c"}
        sent = [bench.send(name) for name in "abc"]
        await a_moment()
        index.let.set()
        errors = await asyncio.gather(*sent, return_exceptions=True)
        assert [type(error) for error in errors] == [StepError, CompanyError, CompanyError]
        assert {error.code for error in errors if isinstance(error, StepError)} == {E.PUBLISH_PARTIAL}
        await bench.send("b", alone=True)
        with pytest.raises(StepError, match="one of them"):
            await bench.send("c", alone=True)
        assert index.uploads[-2:] == [("b",), ("c",)]

    run(test())


def test_how_long_an_index_wants_to_be_left_alone_is_told_to_all(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        index.refused = {"b"}
        index.refusal = TransientError(E.PUBLISH_FAILED, "busy", retry_after=7)
        sent = [bench.send(name) for name in "abc"]
        await a_moment()
        index.let.set()
        _, *errors = await asyncio.gather(*sent, return_exceptions=True)
        assert [getattr(error, "retry_after", 0) for error in errors] == [7, 7]

    run(test())


def test_who_goes_alone_after_a_failure_goes_first(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        sent = [bench.send(name) for name in "abc"]
        sent.append(bench.send("d", alone=True))
        await a_moment()
        index.let.set()
        await asyncio.gather(*sent)
        assert index.uploads == [("a",), ("d",), ("b", "c")]

    run(test())


def test_who_may_not_begin_any_more_is_left_behind_and_hears_why(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        sent = [bench.send(name) for name in "abc"]
        bench.refuses = {"b"}
        await a_moment()
        index.let.set()
        errors = await asyncio.gather(*sent, return_exceptions=True)
        assert [type(error) for error in errors] == [type(None), KeyError, type(None)]
        assert index.uploads == [("a",), ("c",)]

    run(test())


def test_where_nobody_may_begin_nothing_is_sent(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        bench.refuses = {"a"}
        with pytest.raises(KeyError):
            await bench.send("a")
        index.let.set()
        await bench.send("b")
        assert index.uploads == [("b",)]

    run(test())


def test_who_is_cancelled_while_it_waits_is_not_sent(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        first, second, third = (bench.send(name) for name in "abc")
        await a_moment()
        second.cancel()
        await a_moment()
        index.let.set()
        await asyncio.gather(first, third)
        assert second.cancelled()
        assert index.uploads == [("a",), ("c",)]
        assert not index.given_up

    run(test())


def test_who_is_cancelled_on_the_way_has_the_upload_over_before_it_ends(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        first = bench.send("a")
        await a_moment()
        sent = [bench.send(name) for name in "bc"]
        index.held = {"b"}
        index.let.set()
        await first
        await a_moment()
        assert bench.on_the_way == ["b", "c"]
        sent[0].cancel()
        with suppress(asyncio.CancelledError):
            await sent[0]
        assert sent[0].cancelled()
        assert index.given_up == 1
        assert not bench.on_the_way
        with pytest.raises(CompanyError, match="given up"):
            await sent[1]
        await bench.send("d")

    run(test())


@pytest.mark.parametrize("steps", range(4))
def test_whenever_one_of_a_company_is_cancelled_nobody_waits_for_ever(tmp_path: Path, steps: int) -> None:
    async def test() -> None:
        bench = Bench(tmp_path, index := Companionable())
        loop = asyncio.get_running_loop()

        def after(steps: int) -> None:
            if steps:
                loop.call_soon(after, steps - 1)
            else:
                sent[0].cancel()

        bench.when_sent["a"] = lambda: after(steps)
        first = bench.send("a")
        await a_moment()
        sent = [bench.send(name) for name in "bc"]
        await a_moment()
        index.let.set()
        await first
        with suppress(CompanyError):
            await sent[1]
        await bench.send("d")

    run(test())
