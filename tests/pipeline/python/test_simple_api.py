from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing

from tests.pipeline.doubles import HANG

from releasekit.pipeline.python.simple_api import CONNECTIONS, SimpleApi

MOMENTS = 500  # turns of the event loop; a question that has a connection is answered in fewer
PAGE = b'{"meta": {"api-version": "1.0"}, "name": "core", "files": []}'
ANSWER = b"""\
HTTP/1.1 200 OK\r
Content-Type: application/vnd.pypi.simple.v1+json\r
Content-Length: %d\r
\r
%s""" % (len(PAGE), PAGE)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # it is the end
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
    writer.close()


def test_questions_that_are_given_up_at_any_moment_do_not_use_up_the_connections() -> None:
    async def give_up(api: SimpleApi) -> None:
        for moments in range(MOMENTS):
            asking = asyncio.ensure_future(api.files("core"))
            for _ in range(moments):
                await asyncio.sleep(0)
            if not asking.cancel():  # it was answered before
                return
            await asyncio.wait([asking])
        raise AssertionError

    async def ask() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = "http://{}:{}/simple/".format(*server.sockets[0].getsockname())
            async with aclosing(SimpleApi("local", url, timeout=HANG)) as api:
                for _ in range(2 * CONNECTIONS):
                    await give_up(api)
                await asyncio.gather(*(api.files("core") for _ in range(2 * CONNECTIONS)))

    asyncio.run(asyncio.wait_for(ask(), HANG))
