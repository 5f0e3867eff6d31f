"""A run belongs to its commit, its plan and its index; whatever else it finds is refused with what changed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from tests.faulty_index import Fate
from tests.index_faults import Fault, Kind, On
from tests.small_workspace import filenames, stamp
from tests.support import INDEX

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faulty_index import FaultyIndex
    from tests.support import Workspace

PUBLISH = ("publish", "--index", INDEX, "--verify-timeout", "20", "--allow-dirty")


@pytest.fixture
def begun(small: Workspace) -> Workspace:
    """A run that was killed when `base` was publishing."""
    killed = small.killed_at("publishing", 0, *PUBLISH)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    return small


def another_version(workspace: Workspace) -> None:
    workspace.edit("top/pyproject.toml", 'version = "1.0"', 'version = "1.1"')


def another_requirement(workspace: Workspace) -> None:
    workspace.edit("top/pyproject.toml", 'dependencies = ["base"]', "dependencies = []")


def another_package(workspace: Workspace) -> None:
    text = (workspace.root / "base" / "pyproject.toml").read_text()
    (workspace.root / "new").mkdir()
    (workspace.root / "new" / "pyproject.toml").write_text(text.replace('"base"', '"new"'))


def another_address(workspace: Workspace) -> None:
    text = (workspace.root / "pyproject.toml").read_text()
    workspace.edit("pyproject.toml", text, text.replace("/simple/", "/elsewhere/"))


def another_target(workspace: Workspace) -> None:
    text = (workspace.root / "pyproject.toml").read_text()
    workspace.edit("pyproject.toml", text, text.replace("/upload/", "/elsewhere/"))


def another_commit(workspace: Workspace) -> None:
    (workspace.root / "README").touch()
    workspace.commit()


CHANGES: list[tuple[Callable[[Workspace], None], str]] = [
    (another_version, "top was 1.0 and is 1.1"),
    (another_requirement, "top requires nothing now"),
    (another_package, "new is new"),
    (another_address, "the index was 'local at http://127.0.0.1:"),
    (another_target, "/elsewhere/'"),
    (another_commit, "RK-STATE-SHA-MISMATCH"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_a_run_goes_on_only_as_it_began(
    begun: Workspace, faulty: FaultyIndex, change: Callable[[Workspace], None], told: str
) -> None:
    before = begun.run().packages
    change(begun)

    refused = begun.releasekit(*PUBLISH)

    assert refused.returncode == 1
    assert told in refused.stderr
    assert begun.run().packages == before
    assert faulty.uploads == []


def test_another_index_is_refused(begun: Workspace) -> None:
    refused = begun.releasekit("publish", "--index", "./out")

    assert refused.returncode == 1
    assert "and is './out'" in refused.stderr
    assert not (begun.root / "out").exists()


def test_an_uncommitted_change_in_a_package_is_refused_and_can_be_allowed(small: Workspace) -> None:
    (small.root / "base" / "src" / "base" / "new.py").touch()

    refused = small.releasekit(*PUBLISH[:-1])

    assert refused.returncode == 1
    assert "RK-GIT-DIRTY" in refused.stderr
    assert "base/src/base/new.py" in refused.stderr
    assert not (small.root / ".releasekit-state.json").exists()
    assert small.releasekit(*PUBLISH).returncode == 0


def test_what_an_earlier_process_published_is_asked_for_before_anything_is_sent(
    begun: Workspace, faulty: FaultyIndex
) -> None:
    killed = begun.killed_at("published", 0, *PUBLISH)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    for filename in filenames("base"):
        del faulty.stored[filename]

    stopped = begun.releasekit(*PUBLISH[:-2], "8", "--allow-dirty")

    assert stopped.returncode == 4
    assert "RK-PUBLISHED-MISSING: 'base' was published by an earlier process" in stopped.stderr
    assert {upload.filename.partition("-")[0] for upload in faulty.uploads} == {"base"}
    assert {upload.fate for upload in faulty.uploads} == {Fate.STORED}


def contents(index: FaultyIndex) -> set[tuple[str, str]]:
    return {(upload.filename, upload.sha256) for upload in index.uploads}


def test_a_new_run_sends_no_other_content_though_the_index_does_not_show_the_first_yet(
    small: Workspace, faulty: FaultyIndex
) -> None:
    assert small.releasekit(*PUBLISH).returncode == 0
    sent = contents(faulty)
    stamp(small.root, "base", "another build")
    (small.root / "README").touch()
    small.commit()
    faulty.faults = [Fault(Kind.STALE, On.PAGE, times=3, match="base")]

    done = small.releasekit(*PUBLISH)

    assert done.returncode == 0, done.stderr
    assert contents(faulty) == sent
    assert len(sent) == 4


def test_a_known_conflict_is_one_also_for_a_run_that_begins_anew(small: Workspace, faulty: FaultyIndex) -> None:
    faulty.faults = [Fault(Kind.STATUS, status=403, match="base*")]
    assert small.releasekit(*PUBLISH).returncode == 1
    for filename in filenames("base"):
        faulty.put(filename, b"by somebody else")

    for options in ([], ["--fresh"], ["--fresh"]):
        stopped = small.releasekit(*PUBLISH, *options)
        assert stopped.returncode == 4, stopped.stderr
        assert "RK-INDEX-CONFLICT" in stopped.stdout
    assert small.releasekit("retry", "base").returncode == 0
    assert small.releasekit("skip", "base", "--reason", "theirs is right").returncode == 0
    assert small.releasekit(*PUBLISH).returncode == 0


def test_a_package_that_was_left_out_and_is_not_any_more_is_another_plan(small: Workspace, faulty: FaultyIndex) -> None:
    faulty.put("base-0.9.tar.gz", b"of long ago")  # so that what requires it can be installed
    left_out = "[tool.uv]\npackage = false\n"
    pyproject = small.root / "base" / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + left_out)
    assert small.killed_at("publishing", 0, *PUBLISH).returncode == -signal.SIGKILL
    pyproject.write_text(pyproject.read_text().replace(left_out, ""))

    refused = small.releasekit(*PUBLISH)

    assert refused.returncode == 1
    assert "base was to be skipped, since tool.uv.package is false, and is not now" in refused.stderr
