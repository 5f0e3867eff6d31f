"""Where `publish --report` may write: not among what is released, since a file that is kept fresh there is published.

A package's directory goes into its sdist as it is while it is built, with the report as it was at that moment in it;
and a report in the place of a tracked file would be an uncommitted change by the next release.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from releasekit.cli.output import REPORT_FILENAME
from releasekit.escape import in_one_line
from releasekit.pipeline import git
from releasekit.workspace import directories_of


def refuse_released(file: Path, workspace: Path) -> None:
    """Refuse a report that would be part of what is released. Nothing is written.

    Args:
        file: The report. Of a link both it and what it leads to are looked at.
        workspace: The directory of the workspace's pyproject.toml.

    Raises:
        click.BadParameter: It is in a package's directory, or git tracks it.
        ReleaseKitError: That can't be told: there is no such workspace, or git could not say.
    """
    root = workspace.resolve()
    directories = {directory.resolve(): name for name, directory in directories_of(workspace).items()}
    places = (Path(os.path.realpath(file)), Path(os.path.realpath(file.parent), file.name))
    for place in places:
        inside = next((each for each in (place, *place.parents) if each in directories), None)
        if inside and not (inside == place.parent == root and place.name == REPORT_FILENAME):
            elsewhere = f"choose a file outside of it, or {REPORT_FILENAME} in the workspace"
            raise _refused(file, f"is in the directory of the package {directories[inside]}: {elsewhere}")
    for place in places:
        if git.is_tracked(place):
            raise _refused(file, "is tracked by git, so a report there would change what is committed: choose another")


def _refused(file: Path, why: str) -> click.BadParameter:
    return click.BadParameter(in_one_line(f"{file} {why}"), param_hint="--report")
