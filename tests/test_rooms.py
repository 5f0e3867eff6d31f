"""The rooms of the house: who may import whom. The picture of them reads the source the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from releasekit.diagrams.rooms import HERE, read_imports, read_rooms

if TYPE_CHECKING:
    from pathlib import Path

    from releasekit.diagrams.rooms import Room

ORDER = (
    "errors",
    "durations",
    "escape",
    "imports",
    "redaction",
    "logging",
    "lifecycle",
    "requirements",
    "palette",
    "persistence",
    "diagrams",
    "state",
    "store",
    "workspace",
    "pipeline",
    "report",
    "cli",
)
FORBIDDEN = {"aiohttp", "click", "httpx", "http", "pypi_simple", "requests", "rich", "stamina", "urllib", "urllib3"}
ROOMS = {room.name: room for room in read_rooms()}


def wrong_imports(room: Room, package: str = HERE.name) -> list[str]:
    """Name the imports of a room that do not lead to a room before it; a door is no room."""
    before = ORDER[: ORDER.index(room.name)]
    return [
        f"{file.name}:{statement.line} {statement.module}"
        for file, statements in room.imports.items()
        for statement in statements
        if statement.module.split(".")[0] == package
        and [*statement.module.split("."), ""][1] not in {*before, room.name}
    ]


@pytest.mark.parametrize("name", ROOMS)
def test_every_room_has_its_place_in_the_order(name: str) -> None:
    assert name in ORDER


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
def test_a_room_imports_only_rooms_before_it(room: Room) -> None:
    assert wrong_imports(room) == []


@pytest.mark.parametrize("room", ROOMS.values(), ids=ROOMS)
def test_only_the_lifecycle_imports_transitions(room: Room) -> None:
    assert ("transitions" in room.libraries(HERE.name)) == (room.name == "lifecycle")


@pytest.mark.parametrize("name", ["lifecycle", "state", "persistence"])
def test_the_library_imports_no_command_line_and_no_http_client(name: str) -> None:
    tops = {statement.module.split(".")[0] for imports in ROOMS[name].imports.values() for statement in imports}
    assert not tops & FORBIDDEN


def test_the_order_names_no_room_that_is_gone() -> None:
    assert set(ORDER) == set(ROOMS)


@pytest.mark.parametrize(
    "source",
    [
        "import releasekit.cli",
        "import os, releasekit.cli.main as m",
        "from releasekit import cli",
        "from releasekit.cli import main",
        "from releasekit.cli.main import main",
        "from . import cli",
        "from .cli import main",
        "def f():\n    from releasekit import cli",
        "async def f():\n    import releasekit.cli",
        "class C:\n    def f(self):\n        if self:\n            import releasekit.cli",
        "try:\n    import releasekit.cli\nexcept ImportError:\n    pass",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import releasekit.cli",
        "from releasekit import RunState",
        "import releasekit",
    ],
)
def test_an_import_that_leads_back_is_found(tmp_path: Path, source: str) -> None:
    room = _room(tmp_path, source)
    assert len(wrong_imports(room)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "if TYPE_CHECKING:\n    from releasekit.cli import main",
        "if typing.TYPE_CHECKING:\n    import releasekit.cli",
        "import click",
        "from releasekit.errors import E",
        "from releasekit.logging import get_logger",
        "x = 'import releasekit.cli'",
    ],
)
def test_an_import_for_the_type_checker_or_from_before_is_fine(tmp_path: Path, source: str) -> None:
    assert wrong_imports(_room(tmp_path, source)) == []


def test_an_import_inside_a_function_is_lazy_and_one_outside_is_not(tmp_path: Path) -> None:
    room = _room(tmp_path, "import a\nclass C:\n    import b\n    def f(self):\n        import c\n")
    (statements,) = room.imports.values()
    assert [(s.module, s.line, s.lazy) for s in statements] == [("a", 1, False), ("b", 3, False), ("c", 5, True)]


def test_a_relative_import_inside_a_package_is_followed(tmp_path: Path) -> None:
    inside = tmp_path / "releasekit" / "state" / "deep" / "x.py"
    inside.parent.mkdir(parents=True)
    inside.write_text("from . import a\nfrom .b import c\nfrom .. import d\nfrom ...store import e\n", "utf-8")
    assert [s.module for s in read_imports(inside, tmp_path / "releasekit")] == [
        "releasekit.state.deep.a",
        "releasekit.state.deep.b.c",
        "releasekit.state.d",
        "releasekit.store.e",
    ]


def _room(directory: Path, source: str) -> Room:
    package = directory / "releasekit"
    package.mkdir()
    (package / "lifecycle.py").write_text(source, "utf-8")
    (room,) = read_rooms(package)
    return room
