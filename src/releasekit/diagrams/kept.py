"""The pictures that the repository keeps: which ones, how to write them, how to tell that one is stale."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from releasekit.diagrams import lifecycle, render, rooms, run, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Kept(NamedTuple):
    """A kept picture: its name and what makes it."""

    name: str
    dot: Callable[[], str]
    mermaid: Callable[[], str]


PICTURES: Final = (
    Kept("lifecycle", lifecycle.lifecycle_dot, lifecycle.lifecycle_mermaid),
    Kept("run", partial(run.run_dot, sample.RUN), partial(run.run_mermaid, sample.RUN)),
    Kept("rooms", rooms.rooms_dot, rooms.rooms_mermaid),
)
SUFFIXES: Final = (".dot", ".mmd", ".svg")


def write(directory: Path) -> list[str]:
    """Write every picture into a directory, which is made if need be.

    Returns:
        The names of the files.

    Raises:
        ReleaseKitError: There is no Graphviz (`E.GRAPHVIZ_MISSING`).
        OSError: A file could not be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = []
    for picture in PICTURES:
        for suffix in SUFFIXES:
            path = directory / f"{picture.name}{suffix}"
            render.draw(path, picture.dot, picture.mermaid)
            names.append(path.name)
    return names


def stale(directory: Path) -> list[str]:
    """Name the files that `write` would make otherwise than they are, or that are missing. Needs no Graphviz."""
    return [
        f"{picture.name}{suffix}"
        for picture in PICTURES
        for suffix in SUFFIXES
        if not _is_fresh(directory / f"{picture.name}{suffix}", picture)
    ]


def _is_fresh(path: Path, picture: Kept) -> bool:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    match path.suffix:
        case ".svg":
            return render.is_made_from(data, picture.dot())
        case ".dot":
            return data == picture.dot().encode()
        case _:
            return data == picture.mermaid().encode()
