"""Each fault of the index once, as a client sees it: uv, which sends, and pypi-simple, which reads."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest
from pypi_simple import NoSuchProjectError, PyPISimple
from requests.exceptions import ConnectionError as BrokenError
from requests.exceptions import HTTPError
from tests.faulty_index import Fate, Fault, FaultyIndex, Kind, On, basic
from tests.index_pages import HUGE
from tests.support import digests

from releasekit.pipeline.process import find_uv

if TYPE_CHECKING:
    from collections.abc import Sized
    from pathlib import Path

    from requests import Response
    from tests.faulty_index import Form, Request

USER = ("user", "password")
PROJECT = "tiny-one"
WHEEL, SDIST = "tiny_one-1.0-py3-none-any.whl", "tiny_one-1.0.tar.gz"
PYPROJECT = f"""\
[project]
name = "{PROJECT}"
version = "1.0"
requires-python = ">=3.11"

[build-system]
requires = ["uv_build>=0.8,<1"]
build-backend = "uv_build"
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel and the sdist of a tiny package."""
    root = tmp_path_factory.mktemp("tiny")
    root.joinpath("src", "tiny_one").mkdir(parents=True)
    root.joinpath("src", "tiny_one", "__init__.py").touch()
    root.joinpath("pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    subprocess.run([find_uv(), "build", "--quiet", str(root)], check=True, timeout=60)
    return root / "dist"


def start(index: FaultyIndex, dist: Path, credentials: tuple[str, str] = USER) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    user, password = credentials
    return subprocess.Popen(
        [find_uv(), "publish", "--no-config", "--publish-url", index.publish_url, str(dist / WHEEL), str(dist / SDIST)],
        env=kept | {"UV_PUBLISH_USERNAME": user, "UV_PUBLISH_PASSWORD": password, "UV_HTTP_RETRIES": "0"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def send(index: FaultyIndex, dist: Path, credentials: tuple[str, str] = USER) -> str:
    """Send both files, the wheel first; give what uv says if it fails."""
    with start(index, dist, credentials) as uv:
        _, said = uv.communicate(timeout=30)
    assert bool(uv.returncode) == ("error:" in said)
    return " ".join(said.split()).partition("error:")[2]


def shown(index: FaultyIndex, auth: tuple[str, str] | None = None) -> dict[str, str]:
    """Read the page."""
    with PyPISimple(index.url, auth=auth) as client:
        return {file.filename: file.digests["sha256"] for file in client.get_project_page(PROJECT).packages}


def refusal(index: FaultyIndex, auth: tuple[str, str] | None = None) -> Response:
    """Be refused the page."""
    with pytest.raises(HTTPError) as caught:
        shown(index, auth)
    assert caught.value.response is not None
    return caught.value.response


def fates(index: FaultyIndex) -> list[tuple[str, str, int]]:
    return [(upload.filename, upload.fate, upload.status) for upload in index.uploads]


@pytest.mark.parametrize("form", ["json", "html"])
def test_what_is_sent_is_stored_logged_and_shown(dist: Path, form: Form) -> None:
    with FaultyIndex(form) as index:
        with pytest.raises(NoSuchProjectError):
            shown(index)

        assert not send(index, dist)

        assert shown(index) == index.stored == digests(dist) == {file.filename: file.sha256 for file in index.uploads}
        with PyPISimple(index.url) as client:
            assert client.get_project_page("Tiny.One").repository_version == ("1.0" if form == "json" else None)
    assert [request.on for request in index.requests] == ["page", "upload", "upload", "page", "page"]
    assert {request.project for request in index.requests} == {PROJECT}


def test_the_same_file_again_is_accepted_and_another_one_refused(dist: Path) -> None:
    with FaultyIndex() as index:
        index.put(WHEEL, dist.joinpath(WHEEL).read_bytes())
        index.put(SDIST, b"another")
        before = dict(index.stored)

        assert "400 Bad Request. Server says: Bad Request. File already exists ('tiny_one-1.0.tar.gz')" in send(
            index, dist
        )

        assert shown(index) == index.stored == before
    assert fates(index) == [(WHEEL, "identical", 200), (SDIST, "conflict", 400)]
    assert {upload.filename: upload.sha256 for upload in index.uploads} == digests(dist)


@pytest.mark.parametrize(
    ("fault", "said", "fate"),
    [
        (Fault(Kind.STATUS), "status code 503 Service Unavailable", Fate.REFUSED),
        (Fault(Kind.STATUS, status=429, retry_after=1), "status code 429 Too Many Requests", Fate.REFUSED),
        (Fault(Kind.STATUS, status=401), "status code 401 Unauthorized", Fate.REFUSED),
        (Fault(Kind.STATUS, status=403), "status code 403 Forbidden", Fate.REFUSED),
        (Fault(Kind.RESET_BEFORE), "Connection reset by peer", Fate.DROPPED),
        (Fault(Kind.RESET_AFTER), "Connection reset by peer", Fate.STORED),
        (Fault(Kind.LOST), "connection closed before message completed", Fate.STORED),
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, Fault) else "",
)
def test_an_upload_goes_wrong_once_and_can_be_repeated(dist: Path, fault: Fault, said: str, fate: Fate) -> None:
    with FaultyIndex("json", fault) as index:
        assert said in send(index, dist)
        assert fates(index) == [(WHEEL, fate, fault.status if fault.kind is Kind.STATUS else 0)]
        assert (WHEEL in index.stored) == (fate is Fate.STORED)
        assert index.faults == []

        assert not send(index, dist)
        assert index.stored == digests(dist)
    assert index.happened == {fault.kind: 1}


def test_one_of_two_files_is_stored_as_often_as_the_fault_says(dist: Path) -> None:
    with FaultyIndex("json", Fault(Kind.STATUS, match="*.tar.gz", times=2)) as index:
        assert "503" in send(index, dist)
        assert list(index.stored) == [WHEEL]
        assert "503" in send(index, dist)
        assert not send(index, dist)
    assert [fate for name, fate, _ in fates(index) if name == SDIST] == ["refused", "refused", "stored"]


def test_an_upload_is_accepted_and_not_stored(dist: Path) -> None:
    with FaultyIndex("json", Fault(Kind.DROPPED)) as index:
        assert not send(index, dist)
        assert list(index.stored) == [SDIST]
    assert fates(index) == [(WHEEL, "dropped", 200), (SDIST, "stored", 200)]


def test_what_a_slow_index_stores_it_stores_late_also_when_its_client_is_dead(dist: Path) -> None:
    with FaultyIndex("json", Fault(Kind.SLOW, seconds=0.4)) as index:
        with start(index, dist) as uv:
            wait_for(index.requests)
            assert not index.stored
            uv.kill()
            uv.communicate()
        wait_for(index.stored)
        assert time.monotonic() - index.requests[0].at >= 0.4
    assert fates(index) == [(WHEEL, "stored", 200)]


def test_an_index_that_hangs_lets_go_when_it_is_closed(dist: Path) -> None:
    with FaultyIndex("json", Fault(Kind.HANG), Fault(Kind.SLOW, On.PAGE, seconds=600)) as index:
        uv = start(index, dist)
        wait_for(index.stored)
        reader = HTTPConnection("127.0.0.1", index.port)
        reader.request("GET", f"/simple/{PROJECT}/")
        wait_for(index.requests, 2)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    with uv:
        assert "connection closed before message completed" in uv.communicate(timeout=30)[1]
    reader.close()


def test_a_client_that_dies_while_it_sends_has_sent_nothing() -> None:
    with FaultyIndex() as index:
        with socket.create_connection(("127.0.0.1", index.port)) as client:
            client.sendall(b"POST /upload/ HTTP/1.1\r\nContent-Length: 1000\r\n\r\nhalf")
        time.sleep(0.05)
    assert not index.uploads + index.requests


def test_files_show_late_by_project(dist: Path) -> None:
    with FaultyIndex() as index:
        index.lag[PROJECT] = 0.3
        assert not send(index, dist)
        with pytest.raises(NoSuchProjectError):
            shown(index)
        time.sleep(0.3)
        assert shown(index) == digests(dist)


def test_stale_pages_alternate_with_fresh_ones(dist: Path) -> None:
    with FaultyIndex("json", Fault(Kind.STALE, On.PAGE)) as index:
        index.put("tiny_one-0.9.tar.gz", b"older")
        assert not send(index, dist)
        assert [len(shown(index)) for _ in range(3)] == [1, 3, 3]

        index.alternating.add(PROJECT)
        assert len({len(shown(index)) for _ in range(2)}) == 2
        assert len({len(shown(index)) for _ in range(2)}) == 2


def test_a_page_shows_wrong_digests(dist: Path) -> None:
    with FaultyIndex("json", Fault(Kind.WRONG_SHA256, On.PAGE)) as index:
        assert not send(index, dist)
        assert shown(index).keys() == digests(dist).keys()
        assert shown(index) == digests(dist)
    assert index.happened == {Kind.WRONG_SHA256: 1}


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_page_of_100_mb_is_streamed(form: Form) -> None:
    with FaultyIndex(form, Fault(Kind.HUGE, On.PAGE)) as index:
        reader = HTTPConnection("127.0.0.1", index.port)
        reader.request("GET", f"/simple/{PROJECT}/")
        answer = reader.getresponse()
        received, end = 0, b""
        while piece := answer.read(1 << 20):
            received, end = received + len(piece), piece.strip() or end
        reader.close()
    assert received == HUGE == 100_000_000
    assert end[-1:] in b"}>"


def test_a_page_of_an_error_has_a_good_status_and_the_wrong_content() -> None:
    with FaultyIndex("json", Fault(Kind.ERROR_PAGE, On.PAGE)) as index:
        assert not shown(index)


@pytest.mark.parametrize(
    ("retry_after", "header"),
    [(None, None), (0.1, "0.1"), (7, "7"), (datetime(2031, 5, 1, tzinfo=UTC), "Thu, 01 May 2031 00:00:00 GMT")],
)
def test_a_page_may_be_refused_for_a_time(retry_after: float | datetime | None, header: str | None) -> None:
    fault = Fault(Kind.STATUS, On.PAGE, match="tiny-*", status=429, retry_after=retry_after)
    with FaultyIndex("json", fault) as index:
        answer = refusal(index)
    assert answer.status_code == 429
    assert answer.headers.get("Retry-After") == header


@pytest.mark.parametrize("kind", [Kind.RESET_BEFORE, Kind.LOST])
def test_a_page_may_be_broken_off(kind: Kind) -> None:
    with FaultyIndex("json", Fault(kind, On.PAGE)) as index, pytest.raises(BrokenError):
        shown(index)


def test_credentials_are_needed_checked_and_logged(dist: Path) -> None:
    with FaultyIndex(credentials=USER, private=True) as index:
        assert "403" in send(index, dist, (USER[0], "wrong"))
        assert not index.stored
        assert not send(index, dist)
        assert refusal(index).status_code == 401
        assert refusal(index, (USER[0], "wrong")).status_code == 403
        assert shown(index, USER) == digests(dist)
    said = [request.authorization for request in index.requests]
    wrong, right = basic(USER[0], "wrong"), basic(*USER)
    assert said == [wrong, right, right, "", wrong, right]


def test_a_hostile_index_tells_the_credentials_to_everyone(dist: Path) -> None:
    with FaultyIndex("json", Fault(Kind.STATUS, status=403, echo=True)) as index:
        assert f"You said {basic('user', 'password')}." in send(index, dist)


def test_a_function_may_choose_what_goes_wrong(dist: Path) -> None:
    def choose(request: Request) -> Fault | None:
        return Fault(Kind.LOST) if request.filename == SDIST and len(index.requests) == 2 else None

    with FaultyIndex() as index:
        index.faults = choose
        assert "connection closed" in send(index, dist)
        assert not send(index, dist)
    assert fates(index) == [
        (WHEEL, "stored", 200),
        (SDIST, "stored", 0),
        (WHEEL, "identical", 200),
        (SDIST, "identical", 200),
    ]


def test_another_index_may_follow_at_the_same_address(dist: Path) -> None:
    with FaultyIndex() as index:
        assert not send(index, dist)
    with FaultyIndex(port=index.port) as other:
        assert other.url == index.url
        assert not send(other, dist)
    assert other.stored == index.stored


def wait_for(log: Sized, length: int = 1) -> None:
    deadline = time.monotonic() + 20
    while len(log) < length and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(log) >= length
