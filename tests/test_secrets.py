"""A canary for a credential, given in every supported way, is found nowhere after runs that fail and runs that succeed.

Not in the state, the journal or any other file of the workspace, not in what is logged or printed, in no error and in
no argument of a process; not as it is, nor as a URL or Basic authentication has it. That the index was sent the canary
is looked at too, or this would prove nothing.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest
from tests import small_workspace
from tests.faulty_index import Fault, FaultyIndex, Kind, On, basic
from tests.support import INDEX, run_python
from tests.watcher import PROC, Watcher

from releasekit.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

CANARY: Final = "canary-S3cr3t%2F+x-{}"  # what stands in a URL is encoded twice or not at all, never as it is here
PUBLISH: Final = ("publish", "--index", INDEX, "--log-level", "debug", "--verify-timeout", "30")


@dataclass(frozen=True)
class Way:
    """One way to give credentials; CANARY and its form in a URL, ENCODED, are filled in.

    Attributes:
        environ: Variables.
        netrc: What the netrc file says.
        at_home: Whether that is ~/.netrc and not what NETRC names.
        url: The user part of the address for reading.
        publish_url: That of the address for publishing.
        user: Who is sent to the index.
        sent: With which password.
        reads: Whether it is for reading too.
    """

    environ: Mapping[str, str] = field(default_factory=dict)
    netrc: str = ""
    at_home: bool = False
    url: str = ""
    publish_url: str = ""
    user: str = "alice"
    sent: str = "CANARY"
    reads: bool = False


_NETRC: Final = "machine 127.0.0.1\n  login alice\n  password CANARY\n"
WAYS: Final = {
    "token": Way({"UV_PUBLISH_TOKEN": "CANARY"}, user="__token__"),
    "user and password": Way({"UV_PUBLISH_USERNAME": "alice", "UV_PUBLISH_PASSWORD": "CANARY"}),
    "variables of the index": Way(
        {"UV_INDEX_LOCAL_USERNAME": "alice", "UV_INDEX_LOCAL_PASSWORD": "CANARY"}, reads=True
    ),
    "url": Way(url="alice:ENCODED@", reads=True),
    "publish-url": Way(publish_url="alice:ENCODED@", sent="ENCODED"),
    "netrc": Way(netrc=_NETRC, reads=True),
    "netrc at home": Way(netrc=_NETRC, at_home=True, reads=True),
    "netrc for the user of the url": Way(netrc=_NETRC, url="alice@", reads=True),
}


class Canary:
    """A secret of this test's own, so that no other run can be blamed for it.

    Args:
        user: Whose it is.
    """

    def __init__(self, user: str) -> None:
        mark = secrets.token_hex(4)
        self.text = CANARY.format(mark)
        self.encoded = quote(self.text, safe="")
        logins = [f"{user}:{password}".encode() for password in (self.text, self.encoded)]
        # The mark tells any form that is not in base64, whatever was cut off.
        self.traces = [mark.encode(), *(base64.b64encode(login).rstrip(b"=") for login in logins)]

    def fill_in(self, text: str) -> str:
        """Put it where CANARY and ENCODED stand."""
        return text.replace("CANARY", self.text).replace("ENCODED", self.encoded)

    def is_in(self, content: bytes) -> bool:
        """Tell whether a trace of it is in some bytes."""
        return any(trace in content for trace in self.traces)


class Nest:
    """A workspace, its index and a user who has the credentials in one way.

    Args:
        way: Which.
        index: The index.
        directory: Where everything is.
    """

    def __init__(self, way: Way, canary: Canary, index: FaultyIndex, directory: Path) -> None:
        self.canary = canary
        self.root = directory / "workspace"
        home = directory / "home"
        home.mkdir()
        addresses = (
            address.replace("//", f"//{canary.fill_in(user)}", 1)
            for address, user in ((index.url, way.url), (index.publish_url, way.publish_url))
        )
        small_workspace.make(self.root, *addresses)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_INDEX", "UV_PUBLISH"))}
        kept.pop("NETRC", None)
        given = {name: canary.fill_in(value) for name, value in way.environ.items()}
        # In a narrow terminal uv breaks its lines, also within a word.
        self.environ = kept | {"HOME": str(home), "COLUMNS": "40"} | given
        if way.netrc:
            netrc = home / ".netrc" if way.at_home else directory / "netrc"
            netrc.write_text(canary.fill_in(way.netrc))
            netrc.chmod(0o644)
            self.environ |= {} if way.at_home else {"NETRC": str(netrc)}
        self.told: dict[str, bytes] = {}

    def releasekit(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line, and keep what it says."""
        done = run_python("-m", "releasekit", *arguments, cwd=self.root, environ=self.environ)
        shown = f"{len(self.told)} {' '.join(arguments)}"
        self.told |= {f"{shown}: stdout": done.stdout.encode(), f"{shown}: stderr": done.stderr.encode()}
        return done

    def leaks(self, command_lines: Iterable[bytes] = ()) -> list[str]:
        """Name all places where the canary is."""
        places = self.told | dict(self._files()) | {f"argv {line!r}": line for line in command_lines}
        return [place for place, content in places.items() if self.canary.is_in(content)]

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for path in self.root.rglob("*"):
            inside = path.relative_to(self.root)
            # The user wrote the address into the one, and committed it into the other.
            if path.is_file() and inside.parts[0] not in {"pyproject.toml", ".git"}:
                yield str(inside), path.read_bytes()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.mark.skipif(not PROC.joinpath("self/cmdline").exists(), reason="there is no /proc")
def test_a_secret_is_found_nowhere_after_runs_that_fail_and_one_that_succeeds(way: Way, tmp_path: Path) -> None:
    canary = Canary(way.user)
    sent = canary.fill_in(way.sent)
    with FaultyIndex(credentials=(way.user, sent), private=way.reads) as index, Watcher() as watcher:
        nest = Nest(way, canary, index, tmp_path)

        # The server says what it was told, and refuses it.
        index.faults = [Fault(Kind.STATUS, status=403, echo=True, times=9)]
        refused = nest.releasekit(*PUBLISH)
        assert refused.returncode == 1
        assert REDACTED in refused.stdout
        errors = [
            package["error"] for package in json.loads(nest.releasekit("status", "--json").stdout)["packages"].values()
        ]
        assert any(f"You said Basic {REDACTED}" in error for error in errors)
        assert nest.releasekit(*PUBLISH, "--dry-run").returncode == 0

        # It can't be reached any more when files are sent.
        index.faults = [Fault(Kind.RESET_BEFORE, times=9)]
        assert nest.releasekit(*PUBLISH, "--log-json", "--retry-budget", "0").returncode == 1

        # It is busy, and takes them the second time.
        index.faults = [Fault(Kind.STATUS, status=503, echo=True)]
        assert nest.releasekit(*PUBLISH, "--json").returncode == 0
        assert index.happened[Kind.STATUS] >= 2

        for command in (("status",), ("history", "--json"), ("history",), ("diagram",)):
            assert nest.releasekit(*command).returncode == 0

    assert {request.authorization for request in index.requests if request.on is On.UPLOAD} == {basic(way.user, sent)}
    assert any(b"\0publish\0" in line and b"uv\0" in line for line in watcher.seen)
    assert nest.leaks(watcher.seen) == []


IN_ADDRESSES: Final = Way(url="alice:ENCODED@", publish_url="alice:ENCODED@")


def test_a_secret_of_an_address_is_not_told_when_reading_is_refused(tmp_path: Path) -> None:
    canary = Canary("alice")
    with FaultyIndex() as index:
        index.faults = [Fault(Kind.STATUS, On.PAGE, times=99, status=403, echo=True)]
        nest = Nest(IN_ADDRESSES, canary, index, tmp_path)
        for command in (PUBLISH, (*PUBLISH, "--dry-run"), (*PUBLISH, "--json"), ("plan", "--index", INDEX)):
            assert nest.releasekit(*command).returncode == 1

    refused = nest.releasekit("publish", "--index", canary.fill_in("http://alice:ENCODED@127.0.0.1:9/"))
    assert "is an address" in refused.stderr
    assert {request.authorization for request in index.requests} == {basic("alice", canary.text)}
    assert nest.leaks() == []


def test_a_secret_of_an_address_is_not_told_when_nothing_answers_there(tmp_path: Path) -> None:
    with FaultyIndex() as index:
        nest = Nest(IN_ADDRESSES, Canary("alice"), index, tmp_path)

    command = [sys.executable, "-m", "releasekit", *PUBLISH]
    with subprocess.Popen(command, cwd=nest.root, env=nest.environ, stderr=subprocess.PIPE) as child:
        assert child.stderr
        try:
            nest.told["the first line"] = child.stderr.readline()
            child.send_signal(signal.SIGINT)
            nest.told["more lines"] = child.stderr.read()
        finally:
            child.kill()

    assert b"retry_scheduled" in nest.told["the first line"]
    assert nest.leaks() == []
