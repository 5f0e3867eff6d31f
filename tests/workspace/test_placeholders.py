from __future__ import annotations

import pytest

from releasekit.workspace.placeholders import PLACEHOLDERS, fill, problem_of

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS if name != "files"}


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("", ""),
        ("plain", ""),
        ("{package}-{version}", ""),
        ("{files}", ""),
        ("{{package}}", ""),
        ("a\0b", "NUL"),
        ("{", "malformed"),
        ("}", "malformed"),
        ("{}", "which is none of"),
        ("{0}", "which is none of"),
        ("{pakage}", "did you mean {package}?"),
        ("{package!r}", "which is none of"),
        ("{package:>10}", "which is none of"),
        ("{package.__class__}", "which is none of"),
        ("{package[0]}", "which is none of"),
        ("--files={files}", "several arguments and so alone"),
        ("{files}{files}", "several arguments and so alone"),
    ],
)
def test_what_is_wrong_with_an_argument(argument: str, problem: str) -> None:
    found = problem_of(argument)
    assert problem in found
    assert bool(found) == bool(problem)


@pytest.mark.parametrize("name", VALUES)
def test_every_placeholder_is_filled(name: str) -> None:
    assert fill([f"-{{{name}}}-"], VALUES, []) == [f"-<{name}>-"]


def test_files_are_as_many_arguments_and_nothing_is_read_twice() -> None:
    values = VALUES | {"package": "{version} {files} $HOME"}
    assert fill(["x", "{files}", "{package}", "{{a}}"], values, ["one", "{two}"]) == [
        "x",
        "one",
        "{two}",
        "{version} {files} $HOME",
        "{a}",
    ]
