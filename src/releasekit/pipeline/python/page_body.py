"""The body of an answer, unpacked within bounds: a few bytes can be packed so that they become gigabytes.

The HTTP client would unpack layer by layer, each in one piece, before anybody could look at the size.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

MAX_PAGE: Final = 64 << 20
"""Bytes of a page that are read; the largest of PyPI has some 20 MiB."""

_STEP: Final = 1 << 20  # bytes to unpack before others get their turn
_GZIP: Final = 16 + zlib.MAX_WBITS


class BodyError(Exception):
    """A body that is not to be read."""


class BrokenBodyError(BodyError):
    """A body that can't be unpacked; the next one may be whole."""


async def read_body(answer: httpx.Response) -> bytes:
    """Read a body, of which nothing was read, unpacked.

    Raises:
        BodyError: It is longer than `MAX_PAGE`, or packed in another way than once by gzip.
        BrokenBodyError: It is no gzip, or it is cut off.
        httpx.HTTPError: It did not arrive.
    """
    body = bytearray()
    async for piece in _unpacked(answer):
        body += piece
        if len(body) > MAX_PAGE:
            raise BodyError(f"its page has more than {MAX_PAGE >> 20} MiB")
    return bytes(body)


async def _unpacked(answer: httpx.Response) -> AsyncIterator[bytes]:
    packing = answer.headers.get("Content-Encoding", "").strip().lower()
    if packing in {"", "identity"}:
        async for piece in answer.aiter_raw():
            yield piece
        return
    if packing not in {"gzip", "x-gzip"}:
        raise BodyError(f"its page is packed by {packing!r:.40}, where only gzip was asked for")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        async for piece in answer.aiter_raw():
            rest, step = piece, b""
            while rest or len(step) == _STEP:  # then there may be more in it
                step = unpacker.decompress(rest, _STEP)
                yield step
                rest = unpacker.unconsumed_tail
                await asyncio.sleep(0)
    except zlib.error as error:
        raise BrokenBodyError(f"its page can't be unpacked: {error}") from error
    if not unpacker.eof:
        raise BrokenBodyError("its page is cut off")
