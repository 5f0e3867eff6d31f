"""Uploads, so many at a time, of which small ones share a process: to start one takes longer than to send a wheel.

Nobody waits for company: what comes while an upload may begin is sent at once. What has come while none might goes
together with the next one. When that fails it is not told whose fault it is, so each package asks the index what has
arrived, and sends the rest alone. All of them have together the time that one has: so an index that hangs is noticed
as soon, and what did not arrive in that time has its own when it is sent alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from releasekit.pipeline.index import Index

    Sending = Callable[[], AbstractContextManager[None]]

COMPANY: Final = 16
"""Packages that may share an upload."""

SMALL: Final = 1 << 20
"""Bytes of a package that may: of a larger one, sending takes the time."""


@runtime_checkable
class TakesCompany(Protocol):
    """An index to which several packages can be sent at once."""

    async def upload_together(self, paths: Sequence[Path], timeout: float) -> None:  # noqa: ASYNC109  # as `Index.upload`
        """Send files of several packages, within so many seconds: see `Index.upload`.

        Raises:
            StepError: Not all of them were accepted (`E.PUBLISH_PARTIAL`: the index may have taken some).
        """


class CompanyError(TransientError):
    """An upload of several packages failed, of which one: that is not told."""


class Parcel(NamedTuple):
    """Files of one version of a package that are to be sent.

    Attributes:
        package: The package.
        version: The version.
        paths: The files.
        timeout: Seconds that their upload may take.
    """

    package: str
    version: str
    paths: Sequence[Path]
    timeout: float


class _Waiting:
    """A parcel until it is sent."""

    def __init__(self, parcel: Parcel, sending: Sending, *, alone: bool) -> None:
        self.parcel = parcel
        self.sending = sending
        self.alone = alone or not _are_small(parcel.paths)
        self.arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.carried: asyncio.Task[None] | None = None

    def end(self, error: Exception | None) -> None:
        if self.arrived.done():  # nobody waits for it any more
            return
        if error:
            self.arrived.set_exception(error)
        else:
            self.arrived.set_result(None)


class Carrier:
    """Sends the files of packages, in one event loop.

    Args:
        index: Where to.
        at_a_time: How many uploads go on at a time.
    """

    def __init__(self, index: Index, at_a_time: int) -> None:
        self._index = index
        self._at_a_time = self._free = at_a_time
        self._waiting: deque[_Waiting] = deque()

    async def send(self, parcel: Parcel, sending: Sending, *, alone: bool = False) -> None:
        """Send files.

        Args:
            parcel: The files.
            sending: Makes a context that lasts as long as bytes may be on their way. If it can't be entered, nothing
                is sent, and what it raised is raised.
            alone: Share with nobody, and go before all who wait: it has failed in company.

        Raises:
            CompanyError: The upload failed, and had files of other packages too.
            StepError: It failed.
            asyncio.CancelledError: The caller was cancelled, and with it the upload, for all that shared it.
        """
        waiting = _Waiting(parcel, sending, alone=alone)
        if alone:
            self._waiting.appendleft(waiting)
        else:
            self._waiting.append(waiting)
        self._dispatch()
        try:
            await waiting.arrived
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            while waiting.carried and not waiting.carried.done():
                waiting.carried.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([waiting.carried])
            raise

    def _dispatch(self) -> None:
        while self._free and self._waiting:
            together = self._next()
            self._free -= 1
            carried = asyncio.get_running_loop().create_task(self._carry(together))
            carried.add_done_callback(partial(self._over, together))  # also of one that is cancelled before it begins
            for waiting in together:
                waiting.carried = carried

    def _over(self, together: Sequence[_Waiting], _: asyncio.Task[None]) -> None:
        self._free += 1
        for waiting in together:  # those that have not ended were cancelled
            waiting.end(CompanyError(E.PUBLISH_PARTIAL, "the upload was given up"))
        self._dispatch()

    def _next(self) -> list[_Waiting]:
        """Take those that go together: no more than their share of all who wait, or the other uploads had nothing."""
        share = min(COMPANY, math.ceil(len(self._waiting) / self._at_a_time))
        together = [self._waiting.popleft()]
        if isinstance(self._index, TakesCompany) and not together[0].alone:
            while len(together) < share and not self._waiting[0].alone:
                together.append(self._waiting.popleft())
        return together

    async def _carry(self, together: Sequence[_Waiting]) -> None:
        error: Exception | None = None
        going: list[_Waiting] = []
        try:
            with contextlib.ExitStack() as sending:
                for waiting in together:
                    try:
                        sending.enter_context(waiting.sending())
                    except Exception as refused:  # noqa: BLE001  # whatever it is, it is for who waits
                        waiting.end(refused)
                    else:
                        going.append(waiting)
                await self._upload([waiting.parcel for waiting in going])
        except StepError as failed:
            error = _of_all(failed) if len(going) > 1 else failed
        except Exception as failed:  # noqa: BLE001  # likewise
            error = failed
        for waiting in going:
            waiting.end(error)

    async def _upload(self, parcels: Sequence[Parcel]) -> None:
        if len(parcels) == 1:
            await self._index.upload(*parcels[0])
        elif isinstance(self._index, TakesCompany) and parcels:
            paths = [path for parcel in parcels for path in parcel.paths]
            await self._index.upload_together(paths, max(parcel.timeout for parcel in parcels))


def _of_all(failed: StepError) -> CompanyError:
    retry_after = failed.retry_after if isinstance(failed, TransientError) else 0.0
    return CompanyError(failed.code, failed.message, failed.hint, retry_after=retry_after)


def _are_small(paths: Iterable[Path]) -> bool:
    try:
        return sum(path.stat().st_size for path in paths) <= SMALL
    except OSError:  # who sends them will say so
        return False
