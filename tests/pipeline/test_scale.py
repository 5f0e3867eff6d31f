"""Thousands of packages in one run take no more files, threads and connections than a few do."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import threading
from contextlib import aclosing, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from tests.benchmarks import overhead
from tests.support import INDEX

from releasekit import logging
from releasekit.pipeline import ceiling
from releasekit.pipeline.patience import in_turns
from releasekit.pipeline.python.simple_api import CONNECTIONS, FIRST_CONNECTIONS, SimpleApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support import Workspace

PATIENCE = 10.0  # seconds for others to come
PAGE = b'{"meta": {"api-version": "1.0"}, "name": "a", "files": []}'


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process sees its files in /proc")
def test_two_thousand_packages_take_a_task_each_and_a_handful_of_files(tmp_path: Path) -> None:
    many = overhead.in_a_process(tmp_path / "many", overhead.MANY, "watched")

    assert many["files"] <= 16
    assert many["threads"] <= 4
    assert many["tasks"] <= overhead.MANY + 1
    assert many["MiB"] < overhead.MOST_MEMORY


@pytest.mark.parametrize(("files", "wanted", "jobs"), [(64, 4, 4), (64, 200, 4), (20, 8, 1), (1024, 100, 100)])
def test_jobs_are_as_many_as_may_have_their_files_open(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: int, wanted: int, jobs: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, resource.RLIM_INFINITY))
    logging.configure()

    assert ceiling.jobs_with_room(wanted) == jobs

    assert (f"ulimit -n {ceiling.BESIDES + ceiling.A_JOB * wanted}" in capsys.readouterr().err) == (jobs < wanted)


def test_where_files_are_not_limited_jobs_are_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert ceiling.jobs_with_room(10_000) == 10_000


@pytest.mark.parametrize("gate", [(), ("--no-gate",)], ids=["gate", "no gate"])
def test_a_release_with_many_jobs_and_few_files_ends_well(indexed: Workspace, gate: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "releasekit", "publish", "--index", INDEX, "--jobs", "64", *gate]
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 48; exec "$@"', "sh", *command],
        cwd=indexed.root,
        env=indexed.environ(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "releasekit.jobs_reduced" in done.stderr


class Counting(ThreadingHTTPServer):
    """An index whose pages are empty; counts who connects."""

    request_queue_size = 128
    daemon_threads = True
    connections = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.counting = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Counting

    def setup(self) -> None:
        super().setup()
        with self.server.counting:
            self.server.connections += 1

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def counting() -> Iterator[Counting]:
    server = Counting()
    with served(server):
        yield server


@contextmanager
def served(server: HTTPServer) -> Iterator[str]:
    with server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple/"
        finally:
            server.shutdown()
            serving.join()


def test_hundreds_of_pages_are_asked_for_over_a_few_connections_that_are_kept() -> None:
    async def ask(api: SimpleApi) -> None:
        async with aclosing(api):
            for _ in range(3):
                await in_turns(partial(api.files, f"project-{number}") for number in range(100))
                await asyncio.sleep(0.1)

    with counting() as server:
        asyncio.run(ask(SimpleApi("index", f"http://127.0.0.1:{server.server_port}/simple/")))

    assert 1 < server.connections <= CONNECTIONS


@pytest.mark.parametrize(
    ("protocol", "connection", "most"),
    [
        ("HTTP/1.1", "", CONNECTIONS),
        ("HTTP/1.1", "close", FIRST_CONNECTIONS),
        ("HTTP/1.1", "TE, Close", FIRST_CONNECTIONS),
        ("HTTP/1.0", "", FIRST_CONNECTIONS),
    ],
)
def test_only_a_server_that_keeps_connections_gets_many_questions_at_a_time(
    monkeypatch: pytest.MonkeyPatch, protocol: str, connection: str, most: int
) -> None:
    at_a_time: list[int] = [0]
    now: list[object] = []
    alone: list[bool] = []  # nobody came, and nobody need wait any more
    arrived = threading.Condition()
    answer = Handler.do_GET

    def in_company(handler: Handler) -> None:
        """Answer the first few at once, and others when as many are here as may be, or nobody else comes."""
        with arrived:
            now.append(handler)
            at_a_time.append(len(now))
            arrived.notify_all()
            if len(at_a_time) > CONNECTIONS and not alone:
                alone.extend([True] * (not arrived.wait_for(lambda: max(at_a_time) >= most, timeout=PATIENCE)))
            now.remove(handler)
        answer(handler)

    def end_headers(handler: Handler) -> None:
        if connection:
            handler.send_header("Connection", connection)
        BaseHTTPRequestHandler.end_headers(handler)

    monkeypatch.setattr(Handler, "protocol_version", protocol)
    monkeypatch.setattr(Handler, "do_GET", in_company)
    monkeypatch.setattr(Handler, "end_headers", end_headers)
    with counting() as server:
        ask_for_many(f"http://127.0.0.1:{server.server_port}/simple/")

    assert max(at_a_time) == most


def test_a_server_with_the_shortest_queue_has_room_for_all_who_come_at_first() -> None:
    """Python's own: who finds no room is tried again by the kernel after a second."""
    assert HTTPServer.request_queue_size >= FIRST_CONNECTIONS


def ask_for_many(url: str) -> None:
    """Ask for a hundred pages."""

    async def ask(api: SimpleApi) -> None:
        async with aclosing(api):
            await in_turns(partial(api.files, f"project-{number}") for number in range(100))

    asyncio.run(ask(SimpleApi("index", url)))
