"""The HTTP side of a faulty index: reads requests, breaks connections, and ends when it is told to."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from email.parser import BytesFeedParser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.utils import canonicalize_name
from tests.index_faults import SILENT, Kind, On, Request, project_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.faulty_index import FaultyIndex
    from tests.index_faults import Fault

PATIENCE: Final = 10.0  # seconds for a thread to end
POLL: Final = 0.02  # seconds until it notices that it is to stop


class Answer(NamedTuple):
    """What goes back.

    Attributes:
        status: The status code.
        content_type: Of the body.
        body: In pieces, made while they are sent.
        size: Of all of them.
        headers: More of them.
    """

    status: int
    content_type: str
    body: Iterable[bytes]
    size: int
    headers: Mapping[str, str] = {}


def whole(status: int, content_type: str, body: bytes) -> Answer:
    """Answer with a body that is there already."""
    return Answer(status, content_type, [body], len(body))


class Server(ThreadingHTTPServer):
    """Serves an index, a thread a connection, until it is stopped: then every connection is cut.

    Args:
        index: Which one.
        port: Where on 127.0.0.1; 0 chooses one.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, index: FaultyIndex, port: int) -> None:
        self.index = index
        self.closing = threading.Event()
        self.connections: dict[threading.Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(POLL,), daemon=True)

    def server_bind(self) -> None:
        """Bind, and don't look up a name for the address as the base class would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # of an IPv4 socket

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Cut every connection, and return when no thread is left."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        self._thread.join(PATIENCE)
        for thread, connection in list(self.connections.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for another request
            thread.join(PATIENCE)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away: it was killed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # passed on


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections[threading.current_thread()] = self.connection

    def finish(self) -> None:
        self.server.connections.pop(threading.current_thread(), None)
        super().finish()

    def do_GET(self) -> None:
        match self.path.strip("/").split("/"):
            case ["simple", project]:
                request = self._request(On.PAGE, canonicalize_name(project))
                fault = self._meet(request)
                self._end(self.server.index.page(request, fault), fault)
            case _:
                self._end(whole(HTTPStatus.NOT_FOUND, "text/plain", b"Not Found"), None)

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:  # the client was killed while it sent
            self.close_connection = True
            return
        form = parse_form(self.headers["Content-Type"], body)
        filename, content = form["content"]
        claimed = form["sha256_digest"][1].decode()
        request = self._request(On.UPLOAD, project_of(filename), filename)
        fault = self._meet(request)
        self._end(self.server.index.take(request, content, claimed, fault), fault)

    def log_message(self, *_arguments: object) -> None:
        pass

    def _request(self, on: On, project: str, filename: str = "") -> Request:
        return Request(time.monotonic(), on, project, filename, self.headers.get("Authorization", ""))

    def _meet(self, request: Request) -> Fault | None:
        fault = self.server.index.meet(request)
        if fault and fault.seconds:
            self.server.closing.wait(fault.seconds)
        return fault

    def _end(self, answer: Answer, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        if kind in SILENT:
            self.close_connection = True
            if kind is Kind.HANG:
                self.server.closing.wait()
            elif kind is not Kind.LOST:
                self._reset()
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", f"{answer.size}")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in answer.body:
            self.wfile.write(piece)

    def _reset(self) -> None:
        # Closing the socket object would only count down: the two files made of it hold the connection open.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())


def parse_form(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Read multipart/form-data: name → file name and content."""
    parser = BytesFeedParser()  # BytesParser would translate line ends
    parser.feed(b"Content-Type: %b\r\n\r\n%b" % (content_type.encode(), body))
    form = {}
    for part in parser.close().walk():
        if name := part.get_param("name", header="Content-Disposition"):
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            form[str(name)] = (part.get_filename(""), content)
    return form
