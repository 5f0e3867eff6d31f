"""The public names: exactly these, from exactly these places, and only loaded when they are used."""

from __future__ import annotations

import importlib
import importlib.resources
import subprocess
import sys

import pytest

import releasekit

TOP = [
    "E",
    "IllegalTransitionError",
    "PackageState",
    "PackageStatus",
    "ReleaseKitError",
    "RunState",
    "RunStore",
    "STATE_FILENAME",
    "Trigger",
]
PLACES = {
    "releasekit.state": ["PackageState", "PackageStatus", "RunState", "STATE_FILENAME"],
    "releasekit.errors": ["E", "ReleaseKitError"],
}


def test_the_package_has_the_documented_names_and_no_more() -> None:
    assert sorted(releasekit.__all__) == sorted(TOP) == dir(releasekit)


@pytest.mark.parametrize("name", TOP)
def test_a_name_can_be_imported(name: str) -> None:
    namespace: dict[str, object] = {}
    exec(f"from releasekit import {name}", namespace)  # noqa: S102  # as a user writes it
    assert namespace[name] is getattr(releasekit, name)


@pytest.mark.parametrize(("place", "name"), [(place, name) for place, names in PLACES.items() for name in names])
def test_a_name_is_the_same_thing_everywhere(place: str, name: str) -> None:
    assert getattr(importlib.import_module(place), name) is getattr(releasekit, name)


def test_get_logger_is_where_it_is_documented() -> None:
    assert callable(importlib.import_module("releasekit.logging").get_logger)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'releasekit' has no attribute 'Nothing'"):
        releasekit.Nothing  # noqa: B018  # the access is the test
    with pytest.raises(ImportError):
        exec("from releasekit import Nothing")  # noqa: S102  # as a user writes it


def python(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_package_alone_loads_nothing_else() -> None:
    program = "import sys, releasekit; print(*[name for name in sys.modules if name.startswith('releasekit.')])"
    assert python(program) == []


def test_the_library_pulls_in_neither_a_command_line_nor_a_network_client() -> None:
    program = (
        f"import sys; from releasekit import {', '.join(TOP)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    )
    loaded = set(python(program))
    assert {"releasekit", "transitions", "msgspec"} <= loaded
    assert not loaded & {"click", "rich", "requests", "urllib3", "pypi_simple", "stamina", "graphviz", "structlog"}


def test_a_name_is_looked_up_once() -> None:
    program = """
import releasekit
first = releasekit.RunState
releasekit._HOMES.clear()
print(releasekit.RunState is first)
"""
    assert python(program) == ["True"]


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert releasekit.__file__
    assert (importlib.resources.files("releasekit") / "py.typed").is_file()
