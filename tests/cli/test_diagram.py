"""`releasekit diagram --package`, as a user calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from releasekit import RunState, RunStore
from releasekit.cli import releasekit
from releasekit.state import STATE_FILENAME, journal_path
from releasekit.state.errors import UnknownPackageError

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two packages, of which one failed."""
    state = RunState("abc", index="./out")
    state.init_package("acme-core", version="1.0")
    state.init_package("Top", version="2.0", requires=["acme-core"])
    with RunStore.create(tmp_path / STATE_FILENAME, state) as store:
        store.state["acme-core"].start_building()
        store.state["acme-core"].fail("no")
    return tmp_path


def diagram(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(releasekit, ["diagram", str(directory), *arguments])


@pytest.mark.parametrize("name", ["acme-core", "Acme_Core"])
def test_a_package_is_drawn_with_the_way_it_came(run: Path, name: str) -> None:
    drawn = diagram(run, "--package", name, "--format", "mermaid").output
    assert 'package["acme-core 1.0#58; ✗ failed' in drawn
    assert drawn.count("==>") == 2


def test_a_name_is_found_as_it_is_first(run: Path) -> None:
    assert "Top 2.0: ○ pending" in diagram(run, "--package", "Top").output


def test_without_a_journal_the_status_is_drawn_and_that_is_said(run: Path) -> None:
    journal_path(run / STATE_FILENAME).unlink()
    drawn = diagram(run, "--package", "acme-core")
    assert drawn.exit_code == 0
    assert "this run has no journal" in drawn.output


@pytest.mark.parametrize("suffix", ["dot", "svg", "png", "mmd"])
def test_a_package_is_written_in_every_format(run: Path, suffix: str) -> None:
    file = run / f"core.{suffix}"
    assert diagram(run, "--package", "acme-core", "-o", str(file)).exit_code == 0
    assert file.stat().st_size > 1000


@pytest.mark.parametrize("journal", [True, False])
def test_an_unknown_package_is_the_aggregates_own_error(run: Path, journal: bool) -> None:  # noqa: FBT001
    if not journal:
        journal_path(run / STATE_FILENAME).unlink()
    error = diagram(run, "--package", "nobody").exception
    with pytest.raises(UnknownPackageError, match="there is no package 'nobody' in this run") as expected:
        RunState.load(run / STATE_FILENAME)["nobody"]
    assert isinstance(error, UnknownPackageError)
    assert str(error) == str(expected.value)


def test_a_run_that_is_not_there_or_is_damaged_is_said(run: Path, tmp_path: Path) -> None:
    assert "RK-STATE-NOT-FOUND" in str(diagram(tmp_path / "nowhere", "--package", "a").exception)
    journal_path(run / STATE_FILENAME).write_bytes(b"damaged\n" * 3)
    assert "RK-STATE-CORRUPTED" in str(diagram(run, "--package", "acme-core").exception)


def test_the_lifecycle_is_of_no_package(run: Path) -> None:
    refused = diagram(run, "--package", "acme-core", "--lifecycle")
    assert refused.exit_code == 2
    assert "leave it or --package out" in refused.output
