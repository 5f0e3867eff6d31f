"""Uploads, so many at a time, of which small ones share a process: to start one takes longer than to send a wheel.

Nobody waits for company: what comes while a process is free is sent at once, and alone. What has come while none was
free goes together with the next one. When that fails it is not told whose fault it is, so each package asks the index
what has arrived, and goes alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from typing import TYPE_CHECKING, Final

from releasekit.errors import E
from releasekit.pipeline.outcome import StepError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    Sending = Callable[[], AbstractContextManager[None]]

COMPANY: Final = 16
"""Packages that may share an upload."""

SMALL: Final = 1 << 20
"""Bytes of a package that may: of a larger one, sending takes the time."""


class CompanyError(StepError):
    """An upload of several packages failed, of which one: that is not told."""


class _Parcel:
    """The files of one package, until they are sent."""

    def __init__(self, paths: Sequence[Path], sending: Sending, *, alone: bool) -> None:
        self.paths = paths
        self.sending = sending
        self.alone = alone or not _are_small(paths)
        self.arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.carried: asyncio.Task[None] | None = None

    def end(self, error: Exception | None = None) -> None:
        if self.arrived.done():  # nobody waits for it any more
            return
        if error:
            self.arrived.set_exception(error)
        else:
            self.arrived.set_result(None)


class Carrier:
    """Sends the files of packages, in one event loop.

    Args:
        upload: Sends files within so many seconds: see `Index.upload`.
        at_a_time: How many uploads go on at a time.
        timeout: Seconds that the upload of one package may take.
    """

    def __init__(
        self, upload: Callable[[Sequence[Path], float], Awaitable[None]], at_a_time: int, timeout: float
    ) -> None:
        self._upload = upload
        self._free = at_a_time
        self._timeout = timeout
        self._waiting: deque[_Parcel] = deque()

    async def send(self, paths: Sequence[Path], sending: Sending, *, alone: bool = False) -> None:
        """Send the files of a package.

        Args:
            paths: The files.
            sending: Makes a context that lasts as long as bytes may be on their way. If it can't be entered, nothing
                is sent, and what it raised is raised.
            alone: Share with nobody, and go before all who wait: it has failed in company.

        Raises:
            CompanyError: The upload failed, and had files of other packages too.
            StepError: It failed.
            asyncio.CancelledError: The caller was cancelled, and with it the upload, for all that shared it.
        """
        parcel = _Parcel(paths, sending, alone=alone)
        if alone:
            self._waiting.appendleft(parcel)
        else:
            self._waiting.append(parcel)
        self._dispatch()
        try:
            await parcel.arrived
        except asyncio.CancelledError:
            if parcel in self._waiting:
                self._waiting.remove(parcel)
            while parcel.carried and not parcel.carried.done():
                parcel.carried.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([parcel.carried])
            raise

    def _dispatch(self) -> None:
        while self._free and self._waiting:
            parcels = self._next()
            self._free -= 1
            carried = asyncio.get_running_loop().create_task(self._carry(parcels))
            for parcel in parcels:
                parcel.carried = carried

    def _next(self) -> list[_Parcel]:
        """Take those that go together: their share of all who wait, so that no process that is free stays so."""
        share = min(COMPANY, math.ceil(len(self._waiting) / self._free))
        parcels = [self._waiting.popleft()]
        while not parcels[0].alone and len(parcels) < share and not self._waiting[0].alone:
            parcels.append(self._waiting.popleft())
        return parcels

    async def _carry(self, parcels: Sequence[_Parcel]) -> None:
        error: Exception | None = None
        going: list[_Parcel] = []
        try:
            with contextlib.ExitStack() as sending:
                for parcel in parcels:
                    try:
                        sending.enter_context(parcel.sending())
                    except Exception as refused:  # noqa: BLE001  # whatever it is, it is for who waits
                        parcel.end(refused)
                    else:
                        going.append(parcel)
                if going:
                    paths = [path for parcel in going for path in parcel.paths]
                    await self._upload(paths, self._timeout * len(going))
        except asyncio.CancelledError:
            error = CompanyError(E.PUBLISH_PARTIAL, "an upload was given up")
        except StepError as failed:
            company = CompanyError(failed.code, failed.message, failed.hint)
            error = company if len(going) > 1 else failed
        except Exception as failed:  # noqa: BLE001  # likewise
            error = failed
        self._free += 1
        for parcel in going:
            parcel.end(error)
        self._dispatch()


def _are_small(paths: Iterable[Path]) -> bool:
    try:
        return sum(path.stat().st_size for path in paths) <= SMALL
    except OSError:  # who sends them will say so
        return False
