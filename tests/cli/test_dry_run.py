from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.index_faults import Fault, Kind, On
from tests.schemas import checked
from tests.small_workspace import filenames
from tests.support import INDEX, digests

from releasekit.cli.dry_run import tell
from releasekit.pipeline import Action, Forecast

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faulty_index import FaultyIndex
    from tests.support import Workspace

PUBLISH = ("publish", "--index", INDEX, "--verify-timeout", "20")


def everything(workspace: Workspace) -> dict[str, tuple[int, int]]:
    """Tell every file of a workspace by its inode and time: what changes if it is only written anew."""
    paths = [path for path in workspace.root.rglob("*") if ".git" not in path.parts]
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in [workspace.root, *paths]}


def repository(workspace: Workspace) -> dict[str, tuple[bytes, int, int]]:
    """Tell every file of a workspace's repository by its content, inode and time."""
    paths = [path for path in (workspace.root / ".git").rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def dry_run(workspace: Workspace, *options: str, code: int = 0) -> dict[str, Any]:
    """Have it said what would be done, and see that nothing was touched."""
    before = everything(workspace)
    done = workspace.releasekit(*PUBLISH, "--dry-run", "--json", *options)
    assert done.returncode == code, done.stderr
    assert everything(workspace) == before
    return {package["package"]: package for package in checked("publish-dry-run", done.stdout)["packages"]}


@pytest.fixture
def recorded(small: Workspace) -> Workspace:
    """A run that was killed when `base` was publishing."""
    killed = small.killed_at("publishing", 0, *PUBLISH)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    return small


def test_a_first_run_would_build_and_send_everything(small: Workspace, faulty: FaultyIndex) -> None:
    told = dry_run(small)

    assert [package["action"] for package in told.values()] == ["build and send", "build and send"]
    assert faulty.uploads == []

    shown = small.releasekit(*PUBLISH, "--dry-run")
    assert "2 of 2 packages to be worked on. Nothing was touched." in shown.stdout
    assert shown.stdout.splitlines()[-1] == f"next: releasekit {' '.join(PUBLISH)}"


def test_what_the_index_has_would_be_left_alone(small: Workspace, faulty: FaultyIndex) -> None:
    for filename in filenames("base"):
        faulty.put(filename, b"x")

    told = dry_run(small)

    assert told["base"]["action"] == "nothing"
    assert told["base"]["why"] == "version 1.0 is already on local"
    assert told["top"]["action"] == "build and send"


def test_what_was_built_would_be_sent(recorded: Workspace, faulty: FaultyIndex) -> None:
    told = dry_run(recorded)

    assert told["base"]["action"] == "send what was built"
    assert told["base"]["files"] == filenames("base")
    assert faulty.uploads == []


def test_what_is_lost_would_be_built_again_and_what_is_there_verified(recorded: Workspace, faulty: FaultyIndex) -> None:
    dist = recorded.root / ".releasekit-dist"
    for path in dist.joinpath("base").iterdir():
        faulty.put(path.name, path.read_bytes())
    shutil.rmtree(dist / "top")

    told = dry_run(recorded)

    assert told["base"]["action"] == "verify what was sent"
    assert told["top"]["action"] == "build and send"


def test_a_conflict_would_be_one(recorded: Workspace, faulty: FaultyIndex) -> None:
    faulty.put(filenames("base")[0], b"by somebody else")

    told = dry_run(recorded, code=4)

    assert told["base"]["action"] == "stop: a conflict"
    assert faulty.stored[filenames("base")[0]] in told["base"]["why"]
    shown = recorded.releasekit(*PUBLISH, "--dry-run")
    assert shown.stdout.splitlines()[-1] == "next: decide about base"
    assert (told["top"]["action"], told["top"]["why"]) == ("wait", "for base")


def test_a_published_package_that_is_lost_would_stop_it(small: Workspace, faulty: FaultyIndex) -> None:
    assert small.releasekit(*PUBLISH).returncode == 0
    told = dry_run(small)
    assert {package["action"] for package in told.values()} == {"nothing"}
    assert {package["why"] for package in told.values()} == {"is published, and local shows it"}
    assert small.releasekit(*PUBLISH, "--dry-run").stdout.splitlines()[-1] == "next: nothing to do."

    faulty.faults = [Fault(Kind.STALE, On.PAGE, match="base")]
    assert {package["action"] for package in dry_run(small).values()} == {"nothing"}, "a stale page is waited for"

    del faulty.stored[filenames("base")[1]]

    told = dry_run(small, "--verify-timeout", "8", code=4)
    assert told["base"]["action"] == "stop: it was published, and the index does not show it"
    assert told["base"]["files"] == filenames("base")[1:]


def test_a_conflict_of_an_earlier_process_would_wait_for_a_person(recorded: Workspace, faulty: FaultyIndex) -> None:
    faulty.put(filenames("base")[0], b"by somebody else")
    assert recorded.releasekit(*PUBLISH).returncode == 4
    del faulty.stored[filenames("base")[0]]

    told = dry_run(recorded, code=4)

    assert told["base"]["action"] == "stop: a conflict"
    assert told["top"]["action"] == "wait"
    assert recorded.releasekit(*PUBLISH).returncode == 4


def test_without_uv_nothing_could_be_done(small: Workspace, tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(shutil.which("git") or "")

    refused = small.releasekit(*PUBLISH, "--dry-run", environ={"PATH": str(tmp_path), "UV": ""})

    assert refused.returncode == 1
    assert "RK-UV-MISSING" in refused.stderr


def test_a_directory_is_not_even_cleaned_up(workspace: Workspace) -> None:
    assert workspace.releasekit("publish", "--index", "./out").returncode == 0
    out: Path = workspace.root / "out"
    owner = workspace.python(
        "-c",
        "from releasekit.pipeline.python import Python; from pathlib import Path;"
        "print(Python().choose_index('./out', Python().load(Path()))._scratch)",
    ).stdout.strip()
    (out / f"{owner}x.tmp").touch()
    before = digests(out), (out / f"{owner}x.tmp").stat().st_mtime_ns

    for arguments in (("publish", "--index", "./out", "--dry-run"), ("plan", "--index", "./out")):
        assert workspace.releasekit(*arguments).returncode == 0

    assert (digests(out), (out / f"{owner}x.tmp").stat().st_mtime_ns) == before


def test_what_would_be_refused_is_refused(recorded: Workspace) -> None:
    (recorded.root / "README").touch()
    recorded.commit()

    refused = recorded.releasekit(*PUBLISH, "--dry-run")

    assert refused.returncode == 1
    assert "RK-STATE-SHA-MISMATCH" in refused.stderr
    assert [package["action"] for package in dry_run(recorded, "--fresh").values()] == [
        "send what was built",  # it may have been sent
        "build and send",
    ]


def test_git_s_own_files_are_left_alone_too(small: Workspace) -> None:
    """`git status` writes down that a file whose time has changed is still the same, if it may."""
    os.utime(small.root / "base" / "pyproject.toml", (1, 1))
    before = repository(small)

    dry_run(small)

    assert repository(small) == before


def test_of_many_conflicts_only_some_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    forecasts = [Forecast(f"p{n:02}", "1.0", Action.CONFLICT, (), "other bytes") for n in range(20)]

    assert tell(forecasts, as_json=False) == 4

    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "next: decide about p00, p01, p02, p03, p04, p05, p06, p07 and 12 more"
