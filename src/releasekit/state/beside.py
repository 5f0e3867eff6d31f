"""What lies beside a state file, of its run and of earlier ones: the names, which more than the pipeline must know.

An earlier run's files are kept aside under names that end in a time, so that a new run loses nothing.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

DIST_DIRECTORY: Final = ".releasekit-dist"
"""Where a run's built files are, a directory a package."""

SUMMARY_FILENAME: Final = ".releasekit-summary.json"
"""What a completed run leaves for the next job, beside its state file: see `report.summary`."""

_NOT_IN_DIRECTORIES: Final = re.compile(r"[^A-Za-z0-9@_~-]")
_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_ASIDE: Final = re.compile(r"\.\d{8}T\d{6}\.\d{6}Z")


def directory_name(package: str) -> str:
    """Write a package's name so that it names one directory, in no other and not that of another package.

    Names of Python packages stay as they are; of a scoped npm package it is ``@scope+name``. No dot is left, so what
    stands behind one is no package's.
    """
    parts = (_NOT_IN_DIRECTORIES.sub(_percent_encoded, part) for part in package.split("/"))
    return "+".join(parts)


def _percent_encoded(character: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in character[0].encode())


def new_suffix() -> str:
    """Make what the names of files that are put aside now end in."""
    return f".{datetime.now(UTC).strftime(_TIME)}"


def summary_path(path: Path) -> Path:
    """Tell where the summary of a completed run is, given its state file."""
    return Path(os.path.realpath(path)).with_name(SUMMARY_FILENAME)


def earlier_runs(path: Path) -> list[Path]:
    """Name the state files of the runs that were put aside from a state file, the oldest first.

    A run of which only the journal is left is among them, by the name that its state file had.
    """
    path = Path(os.path.realpath(path))
    # `x.json.TIME`, and its journal `x.json.TIME.journal`
    found = (_ASIDE.match(other.name[len(path.name) :]) for other in path.parent.glob(f"{path.name}.*"))
    return [path.with_name(path.name + suffix) for suffix in sorted({match[0] for match in found if match})]


def kept_directories(path: Path, package: str) -> Iterator[Path]:
    """Name the directories that may have a package's built files, of this run and of earlier ones, the newest first."""
    dist = Path(os.path.realpath(path)).parent / DIST_DIRECTORY
    aside = (other for other in dist.parent.glob(f"{dist.name}.*") if _ASIDE.fullmatch(other.name[len(dist.name) :]))
    for directory in (dist, *sorted(aside, reverse=True)):
        yield directory / directory_name(package)
