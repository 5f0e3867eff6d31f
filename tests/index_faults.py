"""What can go wrong at a faulty index, and what it keeps of every request and of every content that reached it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Final, NamedTuple

from packaging.utils import canonicalize_name


class Kind(StrEnum):
    """What goes wrong."""

    STATUS = "an error status"
    SLOW = "slow"
    HANG = "no answer as long as the index lives"
    RESET_BEFORE = "the connection reset before anything is stored"
    RESET_AFTER = "the connection reset after storing"
    LOST = "the answer lost after storing"
    DROPPED = "accepted and not stored"
    STALE = "a page from before all uploads"
    WRONG_SHA256 = "a page with wrong digests"
    ERROR_PAGE = "a page of HTML that is no index page"
    HUGE = "a page of 100 MB"


SILENT: Final = {Kind.HANG, Kind.RESET_BEFORE, Kind.RESET_AFTER, Kind.LOST}
"""What leaves a client without an answer."""


class On(StrEnum):
    """What a request asks for."""

    UPLOAD = "upload"
    PAGE = "page"


class Fate(StrEnum):
    """What became of a content that arrived."""

    STORED = "stored"
    IDENTICAL = "identical"  # to what was there: accepted
    CONFLICT = "conflict"  # with what was there: refused
    REFUSED = "refused"  # whatever it was
    DROPPED = "dropped"  # without a word, or with a good one


class Request(NamedTuple):
    """One request that arrived whole.

    Attributes:
        at: When, by `time.monotonic`.
        on: What it asks for.
        project: Of which project, by its canonical name.
        filename: Of which file; empty for a page.
        authorization: What it says who it is.
    """

    at: float
    on: On
    project: str
    filename: str
    authorization: str


def project_of(filename: str) -> str:
    """Tell whose file it is, by its canonical name."""
    stem = filename.removesuffix(".tar.gz")
    return canonicalize_name(filename.partition("-")[0] if stem == filename else stem.rpartition("-")[0])


class Upload(NamedTuple):
    """One content that arrived whole, whatever became of it.

    Attributes:
        filename: Its name.
        sha256: Of what arrived.
        fate: What became of it.
        status: What was answered; 0 for nothing.
    """

    filename: str
    sha256: str
    fate: Fate
    status: int


@dataclass(frozen=True)
class Fault:
    """One thing to go wrong.

    "Only one of two files stored" is a fault that matches the name of the other.

    Attributes:
        kind: What.
        on: At which requests.
        times: How often.
        match: A pattern (as `fnmatch` has them) of the file names or, for pages, of the projects.
        seconds: How long to wait first. What is to be stored is stored after that, so its client may be dead by then.
        status: For `Kind.STATUS`.
        retry_after: What the header says: seconds, a time, or any text.
        echo: Tell the client's Authorization header in the body, also decoded, as no server should.
    """

    kind: Kind
    on: On = On.UPLOAD
    times: int = 1
    match: str = "*"
    seconds: float = 0
    status: int = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after: float | datetime | str | None = None
    echo: bool = False

    def hits(self, request: Request) -> bool:
        """Tell whether it is meant for a request."""
        return self.on is request.on and fnmatchcase(request.filename or request.project, self.match)

    @property
    def headers(self) -> dict[str, str]:
        """Say when to come back, if it says so."""
        match self.retry_after:
            case None:
                return {}
            case datetime() as when:
                return {"Retry-After": format_datetime(when, usegmt=True)}
            case other:
                return {"Retry-After": f"{other}"}
