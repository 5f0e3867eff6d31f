from __future__ import annotations

import asyncio
import json
import math
import socket
import sys
import threading
import time
from contextlib import aclosing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import small_workspace
from tests.conftest import serve
from tests.faulty_index import FaultyIndex
from tests.index_faults import On
from tests.pipeline.doubles import A, B
from tests.support import INDEX, Workspace, digests

from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.build import Builder
from releasekit.pipeline.outcome import FileConflictError, StepError, TransientError
from releasekit.pipeline.python import Python
from releasekit.pipeline.python.package_index import PackageIndex
from releasekit.redaction import REDACTED
from releasekit.workspace import load_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
CORE = ("aurora-core", "1.4.0")
TIMEOUT = 60.0  # seconds


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some, which the server does not check."""
    monkeypatch.setenv("UV_PUBLISH_USERNAME", "user")
    monkeypatch.setenv("UV_PUBLISH_PASSWORD", "canary-password")


def index_of(workspace: Workspace) -> PackageIndex:
    return PackageIndex(INDEX, workspace.root, url=load_workspace(workspace.root).indexes[INDEX].url)


def files(index: PackageIndex, package: str = CORE[0], version: str = CORE[1]) -> Mapping[str, str]:
    async def ask() -> Mapping[str, str]:
        async with aclosing(index):
            return await index.files(package, version, {})

    return asyncio.run(ask())


def upload(index: PackageIndex, paths: Sequence[Path]) -> None:
    asyncio.run(index.upload(*CORE, paths, TIMEOUT))


def build_core(workspace: Workspace) -> list[Path]:
    builder = Builder(workspace.root, 1_700_000_000, Python())
    built = asyncio.run(builder.build(load_workspace(workspace.root).packages[CORE[0]])).artifacts
    return [builder.directory(CORE[0]) / name for name in sorted(built)]


@contextmanager
def answering(status: int, body: bytes = b"", content_type: str = "text/html") -> Iterator[PackageIndex]:
    """An index whose server gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if "/none/" in self.path else status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        index = PackageIndex("odd", None, url=f"http://user:hunter22@127.0.0.1:{server.server_port}/simple/")  # type: ignore[arg-type]  # nothing is sent
        try:
            yield index
        finally:
            server.shutdown()
            serving.join()


def test_an_unknown_project_has_no_files(indexed: Workspace) -> None:
    assert files(index_of(indexed)) == {}


def test_what_is_sent_is_shown_and_may_be_sent_again(indexed: Workspace, served: tuple[str, Path]) -> None:
    index, paths = index_of(indexed), build_core(indexed)

    upload(index, paths[:1])
    assert files(index) == digests(served[1])
    assert len(files(index)) == 1

    upload(index, paths)
    assert files(index) == digests(served[1]) == digests(paths[0].parent)
    assert files(index, "Aurora.Core", "1.4") == files(index)
    assert files(index, version="1.4.1") == {}


def test_other_content_on_the_server_is_a_conflict_when_uv_is_the_first_to_see_it(
    indexed: Workspace, served: tuple[str, Path]
) -> None:
    paths = build_core(indexed)
    (served[1] / paths[1].name).write_bytes(b"other content")

    with pytest.raises(FileConflictError) as caught:
        upload(index_of(indexed), paths)

    error = caught.value
    assert error.filename == paths[1].name
    assert error.local == digests(paths[0].parent)[error.filename]
    assert error.remote == digests(served[1])[error.filename]


@pytest.mark.parametrize("variable", ["UV_PUBLISH_URL", "UV_PUBLISH_CHECK_URL", "UV_PUBLISH_INDEX"])
def test_no_variable_sends_files_elsewhere(
    indexed: Workspace, served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9/elsewhere")
    paths = build_core(indexed)

    upload(index_of(indexed), paths)

    assert digests(served[1]) == digests(paths[0].parent)


@pytest.fixture
def other() -> Iterator[FaultyIndex]:
    """An index that nobody asked for."""
    with FaultyIndex() as index:
        yield index


ELSEWHERE = '[[index]]\nname = "{name}"\nurl = "{url}"\npublish-url = "{publish_url}"\n'


@pytest.mark.parametrize(
    "variable", ["UV_CONFIG_FILE", "UV_WORKING_DIR", "UV_WORKING_DIRECTORY", "UV_PROJECT", "UV_NO_CONFIG"]
)
def test_no_variable_has_the_name_looked_up_elsewhere(
    indexed: Workspace,
    served: tuple[str, Path],
    other: FaultyIndex,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    paths, elsewhere = build_core(indexed), indexed.root.parent
    text = ELSEWHERE.format(name=INDEX, url=other.url, publish_url=other.publish_url)
    (elsewhere / "uv.toml").write_text(text)
    (elsewhere / "pyproject.toml").write_text("[project]\nname = 'elsewhere'\nversion = '1'\n")
    values = {"UV_CONFIG_FILE": str(elsewhere / "uv.toml"), "UV_NO_CONFIG": "1"}
    monkeypatch.setenv(variable, values.get(variable, str(elsewhere)))

    upload(index_of(indexed), paths)

    assert not other.requests
    assert digests(served[1]) == digests(paths[0].parent)


def test_a_uv_toml_of_the_workspace_says_where_files_go_and_where_they_are_looked_for(
    indexed: Workspace, served: tuple[str, Path], other: FaultyIndex
) -> None:
    paths = build_core(indexed)
    text = ELSEWHERE.format(name=INDEX, url=other.url, publish_url=other.publish_url)
    (indexed.root / "uv.toml").write_text(text)
    index = index_of(indexed)

    upload(index, paths)

    assert files(index) == other.stored == digests(paths[0].parent)
    assert not list(served[1].iterdir())


READING = {"UV_INDEX_LOCAL_USERNAME": "reader", "UV_INDEX_LOCAL_PASSWORD": "canary-reading"}
"""Credentials that uv finds only by the index's name."""


@pytest.mark.parametrize(
    ("environ", "in_url", "asks"),
    [
        ({"UV_PUBLISH_TOKEN": "canary-token"}, "", False),
        ({"UV_PUBLISH_USERNAME": "user", "UV_PUBLISH_PASSWORD": "canary-password"}, "", False),
        ({}, "user:canary-in-url@", False),
        (READING, "", True),
        (READING | {"UV_PUBLISH_USERNAME": "reader"}, "", True),
    ],
    ids=["a token", "user and password", "in the address", "for reading", "a user and for reading"],
)
def test_uv_is_given_the_address_unless_it_finds_credentials_by_the_name(  # noqa: PLR0913  # each is needed
    indexed: Workspace,
    other: FaultyIndex,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    in_url: str,
    *,
    asks: bool,
) -> None:
    paths = build_core(indexed)
    for part in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"UV_PUBLISH_{part}")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    address = other.publish_url.replace("//", f"//{in_url}")
    (indexed.root / "uv.toml").write_text(ELSEWHERE.format(name=INDEX, url=other.url, publish_url=address))
    commands: list[str] = []
    really = process.run

    async def run(command: list[str], **options: Any) -> str:  # noqa: ANN401
        commands.extend(command)
        return await really(command, **options)

    monkeypatch.setattr(process, "run", run)
    index = PackageIndex(INDEX, indexed.root, url=other.url, publish_url=address)
    files(index)
    other.requests.clear()
    upload(index, paths)

    assert other.stored == digests(paths[0].parent)
    assert any(request.on is On.PAGE for request in other.requests) is asks
    assert all(request.authorization for request in other.requests if request.on is On.UPLOAD)
    assert "canary" not in " ".join(commands)


@pytest.mark.parametrize("there", [False, True], ids=["down", "with the same files"])
def test_no_setting_has_uv_look_elsewhere_for_what_is_there(
    indexed: Workspace, served: tuple[str, Path], other: FaultyIndex, *, there: bool
) -> None:
    paths = build_core(indexed)
    elsewhere = other.url if there else "http://127.0.0.1:9/simple/"
    with (indexed.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f'[tool.uv]\ncheck-url = "{elsewhere}"\n')
    for path in paths:
        other.put(path.name, path.read_bytes())
    known = load_workspace(indexed.root).indexes[INDEX]
    index = PackageIndex(INDEX, indexed.root, url=known.url, publish_url=known.publish_url)

    assert files(index) == {}
    upload(index, paths)

    assert digests(served[1]) == digests(paths[0].parent)
    assert not other.requests


def test_what_another_sent_since_the_index_was_asked_is_a_conflict(
    indexed: Workspace, other: FaultyIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = build_core(indexed)
    text = ELSEWHERE.format(name=INDEX, url=other.url, publish_url=other.publish_url)
    (indexed.root / "uv.toml").write_text(text)
    index = index_of(indexed)
    index.publish_url = other.publish_url
    monkeypatch.setattr(sys.modules[PackageIndex.__module__], "FRESH", 0.1)

    assert files(index) == {}
    time.sleep(0.2)
    other.put(paths[0].name, b"other content")
    with pytest.raises(FileConflictError):
        upload(index, paths)

    assert not other.uploads  # one that permits overwriting would have lost the other's


@pytest.mark.parametrize("given", [True, False], ids=["with credentials", "without"])
def test_an_address_that_can_not_be_read_is_left_to_uv(
    indexed: Workspace, monkeypatch: pytest.MonkeyPatch, *, given: bool
) -> None:
    if not given:
        for part in ("USERNAME", "PASSWORD"):
            monkeypatch.delenv(f"UV_PUBLISH_{part}")
    paths = build_core(indexed)
    monkeypatch.setattr(sys.modules[PackageIndex.__module__], "FRESH", math.inf)
    (indexed.root / "uv.toml").write_text(
        ELSEWHERE.format(name=INDEX, url="http://127.0.0.1:9/", publish_url="http://[")
    )
    index = PackageIndex(INDEX, indexed.root, url="http://127.0.0.1:9/", publish_url="http://[")
    with pytest.raises(StepError, match="uv publish to local failed"):
        upload(index, paths)


def test_a_workspace_whose_path_looks_like_a_pattern_is_published(other: FaultyIndex, tmp_path: Path) -> None:
    root = tmp_path / "we[ird]*?"
    small_workspace.make(root, other.url, other.publish_url)
    workspace = Workspace(root)
    builder = Builder(root, 1_700_000_000, Python())
    built = asyncio.run(builder.build(load_workspace(root).packages["base"])).artifacts

    upload(index_of(workspace), [builder.directory("base") / name for name in built])

    assert other.stored == built


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("http://127.0.0.1:9/simple/?token=canary-12", "odd at http://127.0.0.1:9/simple/?token, "),
        ("http://127.0.0.1:9/simple/?a=canary&b=canary#c", "odd at http://127.0.0.1:9/simple/?a&b, "),
        ("http://127.0.0.1:9/simple/?canary", "odd at http://127.0.0.1:9/simple/, "),
        ("http://user:canary/12@127.0.0.1:9/simple/", f"odd at http://{REDACTED}@127.0.0.1:9/simple/, "),
        ("http://127.0.0.1:9/simple/", "odd at http://127.0.0.1:9/simple/, "),
    ],
)
def test_what_a_run_is_bound_to_has_no_secret_of_the_address(tmp_path: Path, url: str, identity: str) -> None:
    assert PackageIndex("odd", tmp_path, url=url).identity == identity


def test_credentials_are_no_argument_of_any_process(indexed: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []

    async def run(command: list[str], **_options: object) -> str:
        commands.append(" ".join(command))
        return ""

    monkeypatch.setattr(process, "run", run)
    upload(index_of(indexed), [indexed.root / "a.whl"])

    assert len(commands) == 1
    assert "canary" not in commands[0]


def test_a_server_that_shows_no_sha256_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    stored = tmp_path / "md5"
    stored.mkdir()
    (stored / "aurora_core-1.4.0.tar.gz").write_bytes(b"a file")
    shown = r"aurora_core-1\.4\.0\.tar\.gz without a sha256"
    with serve(stored, "md5") as address, pytest.raises(StepError, match=shown) as caught:
        files(PackageIndex("old", workspace.root, url=f"{address}/simple/"))

    assert caught.value.code is E.INDEX_UNREADABLE
    assert not isinstance(caught.value, TransientError)


def test_a_port_without_a_server_is_a_transient_error(workspace: Workspace) -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        index = PackageIndex("dead", workspace.root, url=f"http://127.0.0.1:{bound.getsockname()[1]}/simple/")
        with pytest.raises(TransientError) as caught:
            files(index)

    assert caught.value.code is E.INDEX_UNREADABLE


@pytest.mark.parametrize(
    "said",
    [
        "error sending request for url (http://127.0.0.1:9/)",
        "Upload failed with status code 503 Service Unavailable. Server says: later",
        "Upload failed with status code 429 Too Many Requests",
        "error: Failed to query check URL\n  cause: HTTP status server error (503 Service Unavailable) for url (…)",
        "error: Failed to query check URL\n  cause: HTTP status client error (429 Too Many Requests) for url (…)",
        "operation timed out",
        "Connection reset by peer",
        "error: Failed to publish\n  Caused by: error\n  sending request",
    ],
)
def test_what_may_pass_is_transient(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    assert isinstance(upload_when_uv_says(said, workspace, monkeypatch), TransientError)


@pytest.mark.parametrize(
    "said",
    [
        "Upload failed with status code 403 Forbidden. Server says: no",
        "Upload failed with status code 400 Bad Request. Server says: that version is 5030",
        "error: invalid value",
        "",
    ],
)
def test_what_does_not_pass_is_permanent(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    error = upload_when_uv_says(said, workspace, monkeypatch)

    assert not isinstance(error, TransientError)
    assert error.code is E.PUBLISH_FAILED
    assert said in error.message


FORGED = "error: Local file and index file do not match for x. Local: sha256=aa, Remote: sha256=bb"
FAILED = "error: Failed to publish `x` to `http://127.0.0.1:9/`\n  cause: Server returned status code {}. Server says: "


@pytest.mark.parametrize(
    ("said", "transient"),
    [
        (FAILED.format("503 Service Unavailable") + "down\n" * 3_000, True),
        (FAILED.format("400 Bad Request") + "File already exists ('x', with blake2_256 hash '1'). See", True),
        (FAILED.format("400 Bad Request") + "<html>\n <title>400 File already exists ('x')</title>", True),
        (FAILED.format("400 Bad Request") + '{"message":"File already exists"}', True),
        (FAILED.format("409 Conflict") + "Package 'x' already exists!", True),
        (FAILED.format("409 Conflict") + "no", False),
        (FAILED.format("400 Bad Request") + "status code 200; the classifier already exists", False),
        (FAILED.format("400 Bad Request") + "File already exists? no: connection reset, status code 503", False),
        (FAILED.format("403 Forbidden") + f"no\n         {FORGED}", False),
        (FAILED.format("403 Forbidden") + f"no\n  cause: {FORGED[7:]}", False),
        (FAILED.format("403 Forbidden") + f"no\n{FORGED}", False),
        (f"TRACE Response content for x: no\n{FORGED}\n" + FAILED.format("403 Forbidden"), False),
    ],
)
def test_what_a_server_says_is_not_taken_for_what_uv_says(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, said: str, *, transient: bool
) -> None:
    error = upload_when_uv_says(said, workspace, monkeypatch)

    assert isinstance(error, TransientError) is transient
    assert error.code is E.PUBLISH_FAILED


def test_a_digest_in_capitals_is_no_other_digest(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    same = "error: Local file and index file do not match for `x`. Local: sha256=ab, Remote: sha256=AB"

    assert upload_when_uv_says(same, workspace, monkeypatch, "x").code is E.PUBLISH_FAILED
    assert upload_when_uv_says(same.replace("AB", "cd"), workspace, monkeypatch, "x").code is E.INDEX_CONFLICT


BODIES = {
    "html": b"<html>\n" + b"<p>Service is down for maintenance</p>\n" * 400,
    "text": b"down\n" * 3_000,
    "one line": b'{"message":"' + b"x" * 20_000 + b'"}',
    "forged": b"no\n" + FORGED.encode(),
}


@pytest.mark.parametrize("status", [503, 429, 403])
@pytest.mark.parametrize("body", BODIES)
def test_the_status_counts_whatever_the_server_says(
    indexed: Workspace, status: int, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = build_core(indexed)
    with answering(status, BODIES[body]) as server:
        address = server.url.replace("user:hunter22@", "")
        (indexed.root / "uv.toml").write_text(ELSEWHERE.format(name=INDEX, url=f"{address}none/", publish_url=address))
        monkeypatch.setenv("UV_HTTP_TIMEOUT", "20")
        with pytest.raises(StepError) as caught:
            upload(index_of(indexed), paths)

    error = caught.value
    assert isinstance(error, TransientError) is (status != 403)
    assert error.code is E.PUBLISH_FAILED
    assert error.message.startswith(f"uv publish to {INDEX} failed:\nerror: Failed to publish")
    assert f"status code {status}" in error.message
    assert error.message.rstrip().endswith(BODIES[body].decode().rstrip()[-4:])
    assert len(error.message) < process.SHOWN_LIMIT + 200


def test_no_credentials_at_all_is_permanent_although_uv_tried_trusted_publishing_over_the_network(
    indexed: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = build_core(indexed)
    for part in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"UV_PUBLISH_{part}")
    # As on a runner of GitHub's without the permission that it takes: uv's first error is of the network.
    said = "error: Trusted publishing failed\n  cause: error sending request for url (https://127.0.0.1/)\n"
    told = "error: Failed to publish\n  cause: Missing credentials for: http://127.0.0.1/"

    with pytest.raises(StepError, match="Missing credentials") as caught:
        upload(index_of(indexed), paths)
    staged = upload_when_uv_says(said + told, indexed, monkeypatch)

    assert not isinstance(caught.value, TransientError)
    assert not isinstance(staged, TransientError)
    assert staged.message.endswith(told)


def upload_when_uv_says(said: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *filenames: str) -> StepError:
    async def run(*_arguments: object, **_options: object) -> str:
        raise process.CommandError(2, said)

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(StepError) as caught:
        upload(PackageIndex(INDEX, workspace.root, url="http://127.0.0.1:9/"), [*map(Path, filenames)])
    return caught.value


@pytest.mark.parametrize(("status", "transient"), [(500, True), (503, True), (429, True), (401, False), (403, False)])
def test_a_server_that_refuses_to_be_read_is_an_error_without_the_password(status: int, *, transient: bool) -> None:
    with answering(status) as index, pytest.raises(StepError) as caught:
        files(index)

    assert isinstance(caught.value, TransientError) is transient
    assert caught.value.code is E.INDEX_UNREADABLE
    assert "hunter22" not in str(caught.value)


NEWER = {"meta": {"api-version": "2.0"}, "name": "aurora-core", "files": []}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html><body>Log in first</body></html>", "application/octet-stream"),
        (b"{", "application/vnd.pypi.simple.v1+json"),
        (b"[]", "application/vnd.pypi.simple.v1+json"),
        (json.dumps(NEWER).encode(), "application/vnd.pypi.simple.v1+json"),
        (b'<meta name="pypi:repository-version" content="2.0">', "text/html"),
    ],
    ids=["another type", "no JSON", "a list", "newer JSON", "newer HTML"],
)
def test_an_answer_that_is_no_index_page_is_an_error_not_a_crash(body: bytes, content_type: str) -> None:
    with answering(200, body, content_type) as index, pytest.raises(StepError) as caught:
        files(index)

    assert caught.value.code is E.INDEX_UNREADABLE


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"HTTP_PROXY": "127.0.0.1:9:9"}, "HTTP_PROXY=127.0.0.1:9:9: InvalidURL"),
        ({"HTTP_PROXY": "ftp://u:canary-12@127.0.0.1:9"}, f"HTTP_PROXY=ftp://{REDACTED}@127.0.0.1:9: ValueError"),
        ({"SSL_CERT_FILE": "/nonexistent.pem"}, "SSL_CERT_FILE=/nonexistent.pem: FileNotFoundError"),
        ({"SSL_CERT_FILE": "/etc/passwd"}, "SSL_CERT_FILE=/etc/passwd: SSLError"),
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, "ConnectError"),
    ],
)
def test_settings_that_lead_nowhere_are_named(
    environ: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with answering(200) as index, pytest.raises(StepError) as caught:
        files(index)

    assert caught.value.code is E.INDEX_UNREADABLE
    assert told in caught.value.message
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://user:hunter22/x@127.0.0.1:9/", "http://user:hun/ter22@127.0.0.1:9/"])
def test_half_a_password_in_a_wrong_address_is_not_shown(workspace: Workspace, url: str) -> None:
    with pytest.raises(StepError, match="%2F") as caught:
        files(PackageIndex("odd", workspace.root, url=url))

    assert "hun" not in str(caught.value)


def test_whatever_else_the_http_client_raises_is_an_error_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OverflowError("port must be 0-65535")

    monkeypatch.setattr("httpx.AsyncClient.send", fail)
    with answering(200) as index, pytest.raises(StepError, match="OverflowError: port must be 0-65535") as caught:
        files(index)

    assert caught.value.code is E.INDEX_UNREADABLE
    assert not isinstance(caught.value, TransientError)


@pytest.mark.parametrize("body", [b"", b'<p><a href="/login">Sign in</a>'], ids=["nothing", "a form"])
def test_a_page_that_no_index_made_does_not_count_as_one_without_files(body: bytes) -> None:
    with answering(200, body) as index, pytest.raises(TransientError, match="HTML page, but none of an index"):
        files(index)


def test_files_of_other_versions_and_kinds_are_not_counted() -> None:
    page = "".join(
        f'<a href="/{name}#sha256={digest}">{name}</a>'
        for name, digest in {
            "aurora_core-1.4.0.tar.gz": A,
            "aurora_core-1.4.0-py3-none-any.whl": B,
            "aurora_core-1.3.0.tar.gz": A,
            "aurora_core-1.4.0.exe": A,
            "nonsense": A,
        }.items()
    )
    with answering(200, page.encode()) as index:
        assert files(index) == {"aurora_core-1.4.0.tar.gz": A, "aurora_core-1.4.0-py3-none-any.whl": B}


def test_what_was_just_shown_is_known_until_something_was_sent_which_may_show_late(
    indexed: Workspace, served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = build_core(indexed)
    index = index_of(indexed)

    assert index.just_shown("aurora-core", "1.4.0") is None
    assert files(index) == {}
    assert index.just_shown("aurora-core", "1.4.0") == {}
    assert index.just_shown("aurora-core", "1.4.1") is None
    with monkeypatch.context() as patched:
        patched.setattr(sys.modules[PackageIndex.__module__], "RECENT", 0.0)
        assert index.just_shown("aurora-core", "1.4.0") is None
    upload(index, paths)
    assert index.just_shown("aurora-core", "1.4.0") is None
    assert files(index) == digests(served[1])
    assert index.just_shown("aurora-core", "1.4.0") is None
