"""Steps that hang, and releases that are asked to stop or are killed meanwhile: nothing of them is left running."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.cli.helpers import PATIENCE, StuckPackage, running
from tests.faulty_index import Fault, Kind, On
from tests.processes import Mark
from tests.support import INDEX

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from tests.faulty_index import FaultyIndex
    from tests.support import Workspace

PUBLISH = ("publish", "--index", INDEX, "--verify-timeout", "20")
HANGING = Fault(Kind.SLOW, seconds=600)


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mark]:
    """A mark on every process of the test's release; at its end none of them runs."""
    mark = Mark.new()
    for name, value in mark.environ.items():
        monkeypatch.setenv(name, value)
    yield mark
    assert mark.left() == []


def wait_until(happened: Callable[[], object], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert child.poll() is None, f"it ended with {child.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def publish_and_finish(workspace: Workspace, index: FaultyIndex, *options: str) -> None:
    """The same command goes on, and everything is there once."""
    index.faults = []
    done = workspace.releasekit(*PUBLISH, *options)
    assert done.returncode == 0, done.stderr
    assert index.stored == workspace.recorded()
    assert {(upload.filename, upload.sha256) for upload in index.uploads} == set(index.stored.items())


def test_a_hung_build_ends_at_its_deadline_with_all_its_processes(
    small: Workspace, faulty: FaultyIndex, mark: Mark
) -> None:
    stuck = StuckPackage(small, "base", small.root / "base")

    done = small.releasekit(*PUBLISH, "--build-timeout", "1")

    assert done.returncode == 1
    assert small.run()["base"].error.startswith("RK-BUILD-TIMEOUT: uv build of 'base' did not end within 1 s")
    assert "--build-timeout" in done.stdout
    assert mark.left() == []
    stuck.mend()
    publish_and_finish(small, faulty, "--allow-dirty")


@pytest.mark.usefixtures("mark")
def test_a_hung_upload_ends_at_its_deadline_with_all_its_processes(small: Workspace, faulty: FaultyIndex) -> None:
    faulty.faults = [HANGING] * 9

    done = small.releasekit(*PUBLISH, "--upload-timeout", "1", "--retry-budget", "0")

    assert done.returncode == 3, "who knows what has arrived"
    assert small.run()["base"].error.startswith("RK-PUBLISH-TIMEOUT: uv publish to local did not end within 1 s")
    publish_and_finish(small, faulty)


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_running_upload_is_let_finish(small: Workspace, faulty: FaultyIndex, number: int) -> None:
    faulty.faults = [Fault(Kind.SLOW, seconds=1.5)]
    with running(small, *PUBLISH) as child:
        wait_until(lambda: faulty.happened[Kind.SLOW], child)
        child.send_signal(number)
        stdout, stderr = child.communicate()

    assert child.returncode == 130, stderr
    assert f"resume: releasekit {' '.join(PUBLISH)}" in stderr
    assert stdout.splitlines()[-1].startswith("next: ")
    assert len(faulty.stored) == 2
    assert set(small.statuses().values()) == {"pending"}
    publish_and_finish(small, faulty)
    assert len(faulty.uploads) == 4


@pytest.mark.usefixtures("mark")
def test_an_upload_that_takes_longer_than_the_grace_is_ended(small: Workspace, faulty: FaultyIndex) -> None:
    faulty.faults = [HANGING]
    with running(small, *PUBLISH, "--grace", "0.5") as child:
        wait_until(lambda: faulty.happened[Kind.SLOW], child)
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        _, stderr = child.communicate()

    assert child.returncode == 130, stderr
    assert 0.5 <= time.monotonic() - began < PATIENCE
    publish_and_finish(small, faulty)


@pytest.mark.usefixtures("mark")
def test_a_second_signal_ends_it_at_once(small: Workspace, faulty: FaultyIndex) -> None:
    faulty.faults = [HANGING]
    with running(small, *PUBLISH, "--grace", "600") as child:
        wait_until(lambda: faulty.happened[Kind.SLOW], child)
        child.send_signal(signal.SIGINT)
        with pytest.raises(TimeoutError):
            wait_until(lambda: _raise_after(child, 0.5), child)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=PATIENCE)

    assert child.returncode == 130, stderr
    assert "resume: " in stderr
    publish_and_finish(small, faulty)


def _raise_after(child: subprocess.Popen[str], seconds: float) -> None:
    time.sleep(seconds)
    assert child.poll() is None
    raise TimeoutError


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_is_begun_ends_it_and_leaves_no_run(
    small: Workspace, faulty: FaultyIndex, number: int
) -> None:
    faulty.faults = [Fault(Kind.HANG, On.PAGE)]
    with running(small, *PUBLISH) as child:
        wait_until(lambda: faulty.happened[Kind.HANG], child)
        child.send_signal(number)
        _, stderr = child.communicate(timeout=PATIENCE)

    assert child.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "resume: " in stderr
    assert not (small.root / ".releasekit-state.json").exists()
    publish_and_finish(small, faulty)


def test_of_a_killed_release_no_process_is_left(small: Workspace, faulty: FaultyIndex, mark: Mark) -> None:
    stuck = StuckPackage(small, "base", small.root / "base")
    with running(small, *PUBLISH) as child:
        stuck.wait(child)
        assert len(mark.alive()) >= 4  # it, its guard, uv and the build
        child.kill()
        child.wait()
        assert mark.left() == []

    stuck.mend()
    publish_and_finish(small, faulty, "--allow-dirty")


@pytest.mark.usefixtures("mark")
def test_of_a_release_that_is_killed_while_it_uploads_no_process_is_left(
    small: Workspace, faulty: FaultyIndex, mark: Mark
) -> None:
    faulty.faults = [HANGING]
    with running(small, *PUBLISH) as child:
        wait_until(lambda: faulty.happened[Kind.SLOW], child)
        child.kill()
        child.wait()
        assert mark.left() == []

    publish_and_finish(small, faulty)
