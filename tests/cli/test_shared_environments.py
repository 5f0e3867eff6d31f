"""Releases whose packages are built in one environment: killed, interrupted, too slow, and without what they need."""

from __future__ import annotations

import signal
import stat
from typing import TYPE_CHECKING

import pytest
from tests import local_backend
from tests.cli.helpers import OUT, running, wait_for
from tests.support import Workspace, dies, digests

from releasekit.errors import E
from releasekit.pipeline import process
from releasekit.pipeline.build import DIST_DIRECTORY

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("one", "two", "three")

_UV = """\
#!/bin/sh
case "$1 $2" in
    "pip install") echo $$ >{marker}.new; mv {marker}.new {marker}; exec sleep 600 ;;
esac
exec {uv} "$@"
"""
"""A uv that never ends installing what an environment is to have."""


class Shared(Workspace):
    """A workspace whose packages share an environment, and nothing of the machine's own settings of uv."""

    @staticmethod
    def environ() -> dict[str, str]:
        """See `Workspace.environ`."""
        kept = ("UV_CACHE_DIR", "UV_PUBLISH")
        return {
            name: value
            for name, value in Workspace.environ().items()
            if not name.startswith("UV_") or name.startswith(kept)
        }

    def left_over(self) -> list[str]:
        """Name what lies where built files are kept, and is none of them."""
        return [path.name for path in (self.root / DIST_DIRECTORY).glob(".*")]


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    root = tmp_path / "workspace"
    local_backend.make(root, *NAMES)
    return Shared(root)


@pytest.fixture
def stuck(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, dict[str, str]]:
    """A moment that never ends: the file that is there when it is reached, and the variables that lead to it."""
    marker = tmp_path / "stuck"
    if request.param == "building":
        return marker, {local_backend.STUCK: str(marker)}
    program = tmp_path / "uv"
    program.write_text(_UV.format(marker=marker, uv=process.find_uv()))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return marker, {"UV": str(program)}


MOMENTS = pytest.mark.parametrize("stuck", ["making", "building"], indirect=True)


def test_a_release_builds_in_one_environment_and_leaves_nothing_of_it(shared: Shared) -> None:
    done = shared.releasekit(*OUT)
    assert done.returncode == 0, done.stderr
    assert local_backend.shared(shared.root, NAMES) == [*NAMES]
    assert shared.left_over() == []
    assert digests(shared.root / "out") == shared.recorded()


@MOMENTS
def test_a_release_that_was_killed_in_it_goes_on_and_cleans_up(
    shared: Shared, stuck: tuple[Path, dict[str, str]]
) -> None:
    marker, environ = stuck
    with running(shared, *OUT, env=shared.environ() | environ) as child:
        wait_for(marker, child)
        inside = int(marker.read_text())
        child.kill()
        child.wait()
    assert dies(inside)
    assert [name.partition("-")[0] for name in shared.left_over()].count(".environment") == 1
    recorded = shared.recorded()

    done = shared.releasekit(*OUT)

    assert done.returncode == 0, done.stderr
    assert shared.left_over() == []
    assert recorded.items() <= shared.recorded().items()
    assert digests(shared.root / "out") == shared.recorded()
    assert len(shared.recorded()) == 2 * len(NAMES)


@MOMENTS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_all_that_it_had_begun(
    shared: Shared, stuck: tuple[Path, dict[str, str]], number: int
) -> None:
    marker, environ = stuck
    with running(shared, *OUT, env=shared.environ() | environ) as child:
        wait_for(marker, child)
        inside = int(marker.read_text())
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "Traceback" not in said
    assert dies(inside)
    assert shared.left_over() == []
    done = shared.releasekit(*OUT)
    assert done.returncode == 0, done.stderr
    assert digests(shared.root / "out") == shared.recorded()


@pytest.mark.parametrize("stuck", ["making"], indirect=True)
def test_an_environment_that_takes_too_long_is_done_without(shared: Shared, stuck: tuple[Path, dict[str, str]]) -> None:
    marker, environ = stuck
    done = shared.releasekit(*OUT, "--build-timeout", "10", environ=environ)
    assert done.returncode == 0, done.stderr
    assert dies(int(marker.read_text()))
    assert "releasekit.environment_failed" in done.stderr
    assert local_backend.shared(shared.root, NAMES) == []
    assert shared.left_over() == []


@pytest.mark.parametrize("stuck", ["building"], indirect=True)
def test_a_build_in_it_that_takes_too_long_says_so(shared: Shared, stuck: tuple[Path, dict[str, str]]) -> None:
    marker, environ = stuck
    failed = shared.releasekit(*OUT, "--build-timeout", "10", environ=environ)
    assert failed.returncode == 1, failed.stderr
    assert dies(int(marker.read_text()))
    assert shared.run()["two"].error.startswith(E.BUILD_TIMEOUT)
    assert "uv build of 'two' did not end within 10 s" in shared.run()["two"].error
    assert shared.left_over() == []


def test_what_its_packages_require_and_is_gone_is_told_by_the_isolated_build(shared: Shared, tmp_path: Path) -> None:
    (tmp_path / "needed").rename(tmp_path / "moved")
    failed = shared.releasekit(*OUT)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert failed.stderr.count("releasekit.environment_failed") == 1, "it is not made again for each of them"
    error = shared.run()["one"].error
    assert "uv build of 'one' in" in error
    assert "environment" not in error.partition("\n")[0]

    (tmp_path / "moved").rename(tmp_path / "needed")
    assert shared.releasekit("retry").returncode == 0
    done = shared.releasekit(*OUT)
    assert done.returncode == 0, done.stderr
    assert local_backend.shared(shared.root, NAMES) == [*NAMES]
