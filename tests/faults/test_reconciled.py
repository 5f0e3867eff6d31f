"""What a resume does about files that were recorded, by the index's own log; and again when it is killed on its way.

Each case begins with a run that was killed when `base` was durably publishing and nothing was sent.
"""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from tests.faulty_index import Fate
from tests.small_workspace import filenames, stamp
from tests.support import INDEX, digests

from releasekit.pipeline.build import DIST_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.faulty_index import FaultyIndex
    from tests.support import Workspace

PUBLISH = ("publish", "--index", INDEX, "--verify-timeout", "20")
WHEEL, SDIST = filenames("base")
KILLED = ["never", "building", "publishing", "verifying"]


@pytest.fixture
def recorded(small: Workspace) -> Workspace:
    """A run whose files are recorded, and whose `base` may have been sent."""
    killed = small.killed_at("publishing", 0, *PUBLISH)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert small.statuses()["base"] == "publishing"
    assert len(small.recorded()) == 4
    return small


def resume(workspace: Workspace, killed: str) -> int:
    """Resume, killed on the way or not, and once more if it was; give the exit code."""
    if killed != "never":
        workspace.killed_at(killed, 0, *PUBLISH)
    return workspace.releasekit(*PUBLISH).returncode


def lose(workspace: Workspace, *names: str) -> dict[str, bytes]:
    """Lose the built files of packages; give what they were."""
    lost: dict[str, bytes] = {}
    for name in names:
        directory = workspace.root / DIST_DIRECTORY / name
        lost |= {path.name: path.read_bytes() for path in directory.iterdir()}
        shutil.rmtree(directory)
    return lost


def sent(index: FaultyIndex, name: str = "base") -> list[str]:
    """Name what arrived of a package, each content once."""
    contents = {(upload.filename, upload.sha256) for upload in index.uploads if upload.filename.startswith(name)}
    return sorted(filename for filename, _ in contents)


@pytest.mark.parametrize("killed", KILLED)
def test_recorded_files_on_disk_are_what_is_sent(recorded: Workspace, faulty: FaultyIndex, killed: str) -> None:
    stamp(recorded.root, "base", "second")  # a second build would give other bytes
    record = recorded.recorded()

    assert resume(recorded, killed) == 0
    assert faulty.stored == recorded.recorded() == record
    assert sent(faulty) == [WHEEL, SDIST]


@pytest.mark.parametrize("killed", KILLED)
def test_lost_files_that_the_index_has_are_adopted(recorded: Workspace, faulty: FaultyIndex, killed: str) -> None:
    for filename, content in lose(recorded, "base").items():
        faulty.put(filename, content)
    record = recorded.recorded()

    assert resume(recorded, killed) == 0
    assert sent(faulty) == []
    assert faulty.stored == recorded.recorded() == record
    assert not (recorded.root / DIST_DIRECTORY / "base").exists()


@pytest.mark.parametrize("killed", KILLED)
def test_lost_files_that_the_index_has_not_are_built_again(
    recorded: Workspace, faulty: FaultyIndex, killed: str
) -> None:
    lose(recorded, "base", "top")
    record = recorded.recorded()

    assert resume(recorded, killed) == 0
    assert faulty.stored == recorded.recorded() == record
    assert sent(faulty) == [WHEEL, SDIST]


@pytest.mark.parametrize("killed", KILLED)
def test_other_bytes_are_not_sent_for_what_may_have_been_sent(
    recorded: Workspace, faulty: FaultyIndex, killed: str
) -> None:
    lost = lose(recorded, "base")
    stamp(recorded.root, "base", "second")
    record = recorded.recorded()

    assert resume(recorded, killed) == 4
    assert sent(faulty) == []
    assert recorded.recorded() == record
    assert recorded.run()["base"].error.startswith("RK-REBUILT-DIFFERS")

    directory = recorded.root / DIST_DIRECTORY / "base"  # as the hint has it
    directory.mkdir(exist_ok=True)
    for filename, content in lost.items():
        directory.joinpath(filename).write_bytes(content)
    assert recorded.releasekit(*PUBLISH).returncode == 0
    assert faulty.stored == record


@pytest.mark.parametrize("killed", KILLED)
def test_other_bytes_are_sent_for_what_was_never_sent(recorded: Workspace, faulty: FaultyIndex, killed: str) -> None:
    lose(recorded, "top")
    stamp(recorded.root, "top", "second")
    record = recorded.recorded()

    assert resume(recorded, killed) == 0
    assert faulty.stored == recorded.recorded() != record
    assert sent(faulty, "top") == filenames("top")


@pytest.mark.parametrize("killed", KILLED)
def test_of_lost_files_that_the_index_has_in_part_the_rest_is_sent(
    recorded: Workspace, faulty: FaultyIndex, killed: str
) -> None:
    faulty.put(SDIST, lose(recorded, "base")[SDIST])
    record = recorded.recorded()

    assert resume(recorded, killed) == 0
    assert sent(faulty) == [WHEEL]
    assert faulty.stored == record


@pytest.mark.parametrize("killed", KILLED)
def test_a_rest_with_other_bytes_is_not_sent(recorded: Workspace, faulty: FaultyIndex, killed: str) -> None:
    faulty.put(SDIST, lose(recorded, "base")[SDIST])
    stamp(recorded.root, "base", "second")

    assert resume(recorded, killed) == 4
    assert sent(faulty) == []
    assert list(faulty.stored) == [SDIST]


@pytest.mark.parametrize("killed", KILLED)
def test_other_content_on_the_index_is_a_conflict_that_only_a_person_lifts(
    recorded: Workspace, faulty: FaultyIndex, killed: str
) -> None:
    faulty.put(SDIST, b"by somebody else")
    theirs, ours = faulty.stored[SDIST], recorded.recorded()[SDIST]

    assert resume(recorded, killed) == 4
    assert sent(faulty) == []
    error = recorded.run()["base"].error
    assert error.startswith("RK-INDEX-CONFLICT")
    assert theirs in error
    assert ours in error

    del faulty.stored[SDIST]
    assert recorded.releasekit(*PUBLISH).returncode == 4  # it is not tried again by itself
    assert sent(faulty) == []
    assert recorded.releasekit("retry", "base").returncode == 0
    assert recorded.releasekit(*PUBLISH).returncode == 0
    assert faulty.stored == recorded.recorded()
    assert {upload.fate for upload in faulty.uploads} == {Fate.STORED}


LEFT: dict[str, Sequence[str]] = {
    "on disk": (),
    "all there": (WHEEL, SDIST),
    "none there": (),
    "some there": (SDIST,),
    "another there": (),
}


@pytest.mark.parametrize("left", LEFT)
def test_an_index_server_that_is_no_fake_has_the_same_results(
    recorded: Workspace, faulty: FaultyIndex, served: tuple[str, Path], left: str
) -> None:
    """The run is given another address for the index of the same name, so it begins afresh there."""
    address, files = served
    recorded.edit("pyproject.toml", faulty.url, f"{address}/simple/")
    recorded.edit("pyproject.toml", faulty.publish_url, f"{address}/")
    recorded.commit()
    killed = recorded.killed_at("publishing", 0, *PUBLISH, "--fresh")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    record = recorded.recorded()
    lost = {} if left == "on disk" else lose(recorded, "base")
    for filename in LEFT[left]:
        files.joinpath(filename).write_bytes(lost[filename])
    if left == "another there":
        files.joinpath(SDIST).write_bytes(b"by somebody else")
    there, code = digests(files), 4 * (left == "another there")

    assert resume(recorded, "never") == code
    assert there.items() <= digests(files).items()
    assert (digests(files) == recorded.recorded() == record) == (code == 0)
