"""What the arguments of a user's command may name in braces: ``{package}``, ``{files}``, as Python's format has them.

A literal brace is doubled. Nothing is ever read by a shell: a value stays one argument, whatever is in it.
"""

from __future__ import annotations

import difflib
from string import Formatter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLACEHOLDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "package": "its name",
        "version": "its version",
        "directory": "where it is",
        "root": "the workspace",
        "out": "where its built files are to be made, and are kept afterwards",
        "index": "what --index names",
        "files": "each of its built files, with its path; alone in an argument, which becomes as many",
    }
)
"""What there is, and what it stands for."""

FILES: Final = "{files}"


def problem_of(argument: str) -> str:
    """Say what is wrong with an argument, or with what is in its braces; an empty string if nothing is."""
    if "\0" in argument:
        return "has a NUL character"
    try:
        parts = [*Formatter().parse(argument)]
    except ValueError as error:
        return f"{argument!r:.100} is malformed ({error}); a literal brace is doubled"
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if name not in PLACEHOLDERS or spec or conversion:
            close = difflib.get_close_matches(name, PLACEHOLDERS, 1)
            meant = f"; did you mean {{{close[0]}}}?" if close else ""
            shown = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            return f"{argument!r:.100} has {{{name:.40}}}, which is none of {shown}{meant}"
        if name == "files" and argument != FILES:
            return f"{argument!r:.100} has {FILES}, which stands for several arguments and so alone"
    return ""


def fill(arguments: Sequence[str], values: Mapping[str, str], files: Sequence[str]) -> list[str]:
    """Put values in the place of what is in braces.

    Args:
        arguments: Those that `problem_of` finds nothing wrong with.
        values: What each of `PLACEHOLDERS` but the files stands for.
        files: What `FILES` stands for.
    """
    filled: list[str] = []
    for argument in arguments:
        filled += files if argument == FILES else [argument.format_map(values)]
    return filled
