"""A package index on 127.0.0.1 that goes wrong as it is told to, and remembers all that reached it.

It keeps PyPI's rules: the same file again is accepted, another one under a name that is taken is refused. It shows
its files as JSON (PEP 691) or as HTML (PEP 503), and takes them as `uv publish` sends them. It runs in threads of the
test's own process: what it logged is there at once, and survives every client that is killed.
"""

from __future__ import annotations

import base64
import hashlib
import math
import threading
import time
from collections import Counter, defaultdict
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias
from urllib.parse import quote

from tests.index_faults import SILENT, Fate, Fault, Kind, On, Request, Upload, project_of
from tests.index_pages import HUGE, error_page, huge_page, project_page
from tests.index_server import Answer, Server, whole

if TYPE_CHECKING:
    from collections.abc import Callable

Form: TypeAlias = Literal["json", "html"]

__all__ = ["Fate", "Fault", "FaultyIndex", "Form", "Kind", "On", "Request", "Upload"]

OK: Final = HTTPStatus.OK


class FaultyIndex:
    """An index; a context manager.

    Args:
        form: How pages are written.
        *faults: What goes wrong, each at the first requests that it is meant for.
        credentials: The user and the password that uploads need.
        private: Whether reading needs them too.
        port: Where it listens; 0 chooses one.

    Attributes:
        url: Its simple repository API.
        publish_url: Where files are sent.
        port: Where it listens.
        faults: What is still to go wrong; or a function that says so of each request.
        lag: Seconds until a file shows, by project.
        alternating: Projects of which every second page is stale, from the first one on.
        requests: Every request that arrived whole.
        uploads: Every content that arrived whole: this log judges.
        stored: File name → sha256 of what is there.
        happened: How often each kind of fault has gone wrong.
    """

    def __init__(
        self,
        form: Form = "json",
        *faults: Fault,
        credentials: tuple[str, str] | None = None,
        private: bool = False,
        port: int = 0,
    ) -> None:
        self.form = form
        self.faults: list[Fault] | Callable[[Request], Fault | None] = list(faults)
        self.lag: defaultdict[str, float] = defaultdict(float)
        self.alternating: set[str] = set()
        self.requests: list[Request] = []
        self.uploads: list[Upload] = []
        self.stored: dict[str, str] = {}
        self.happened: Counter[Kind] = Counter()
        self._since: dict[str, float] = {}
        self._pages: Counter[str] = Counter()
        self._needed = basic(*credentials) if credentials else ""
        self._private = private
        self._lock = threading.Lock()
        self._server = Server(self, port)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/simple/"
        self.publish_url = f"http://127.0.0.1:{self.port}/upload/"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def put(self, filename: str, content: bytes) -> None:
        """Have a file there that nobody sent, and that every page shows."""
        self.stored[filename] = hashlib.sha256(content).hexdigest()
        self._since[filename] = -math.inf

    def meet(self, request: Request) -> Fault | None:
        """Log a request, and say what goes wrong with it."""
        with self._lock:
            self.requests.append(request)
            fault = self.faults(request) if callable(self.faults) else self._next(self.faults, request)
            if fault:
                self.happened[fault.kind] += 1
            return fault

    @staticmethod
    def _next(faults: list[Fault], request: Request) -> Fault | None:
        for place, fault in enumerate(faults):
            if fault.hits(request):
                faults[place : place + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                return fault
        return None

    def take(self, request: Request, content: bytes, claimed: str, fault: Fault | None) -> Answer:
        """Store what was sent, or not, and log it."""
        sha256 = hashlib.sha256(content).hexdigest()
        with self._lock:
            fate, answer = self._judge(request, sha256, claimed, fault)
            if fate is Fate.STORED:
                self.stored[request.filename] = sha256
                self._since[request.filename] = time.monotonic()
            status = 0 if fault and fault.kind in SILENT else answer.status
            self.uploads.append(Upload(request.filename, sha256, fate, status))
        return answer

    def page(self, request: Request, fault: Fault | None) -> Answer:
        """Show a project."""
        project, kind = request.project, fault.kind if fault else None
        if refused := self._refuse(request, fault):
            return refused
        if kind is Kind.ERROR_PAGE:
            return whole(OK, *error_page())
        if kind is Kind.HUGE:
            content_type, pieces = huge_page(project, self.form)
            return Answer(OK, content_type, pieces, HUGE)
        with self._lock:
            files = self._shown(project, stale=kind is Kind.STALE)
        if kind is Kind.WRONG_SHA256:
            files = {name: hashlib.sha256(sha256.encode()).hexdigest() for name, sha256 in files.items()}
        return whole(OK, *project_page(project, files, self.form)) if files else _say(HTTPStatus.NOT_FOUND)

    def _shown(self, project: str, *, stale: bool) -> dict[str, str]:
        stale = stale or (project in self.alternating and not self._pages[project] % 2)
        self._pages[project] += 1
        latest = -math.inf if stale else time.monotonic() - self.lag[project]
        mine = {name: sha256 for name, sha256 in self.stored.items() if project_of(name) == project}
        return {name: sha256 for name, sha256 in mine.items() if self._since[name] <= latest}

    def _judge(self, request: Request, sha256: str, claimed: str, fault: Fault | None) -> tuple[Fate, Answer]:
        there = self.stored.get(request.filename)
        if refused := self._refuse(request, fault):
            return Fate.REFUSED, refused
        if fault and fault.kind in {Kind.RESET_BEFORE, Kind.DROPPED}:
            return Fate.DROPPED, _say(OK)
        if claimed != sha256:
            return Fate.REFUSED, _say(HTTPStatus.BAD_REQUEST, "The digest supplied does not match the file.")
        if there is None:
            return Fate.STORED, _say(OK)
        if there == sha256:
            return Fate.IDENTICAL, _say(OK)
        return Fate.CONFLICT, _say(HTTPStatus.BAD_REQUEST, f"File already exists ({request.filename!r}).")

    def _refuse(self, request: Request, fault: Fault | None) -> Answer | None:
        said = request.authorization
        if fault and fault.kind is Kind.STATUS:
            answer = _say(fault.status, _tell(said) if fault.echo else "")
            return answer._replace(headers=fault.headers)
        if self._needed in {"", said} or not (self._private or request.on is On.UPLOAD):
            return None
        return _say(HTTPStatus.FORBIDDEN if said else HTTPStatus.UNAUTHORIZED)


def basic(user: str, password: str) -> str:
    """Write credentials as the Authorization header has them."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _tell(authorization: str) -> str:
    """Say what a client said, in all the words that a debugging server may have for it."""
    _, _, login = authorization.partition(" ")
    plain = base64.b64decode(login).decode()
    return f"You said {authorization}. That is {login}, {plain}, or {quote(plain)} in a URL."


def _say(status: int, more: str = "") -> Answer:
    return whole(status, "text/plain; charset=utf-8", f"{HTTPStatus(status).phrase}. {more}".encode())
