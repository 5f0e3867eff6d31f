r"""Foreign text made harmless: one function for each place where it is shown.

Names, versions, paths, errors and what other programs printed come from anywhere. On a terminal they could move
the cursor or change the colour and the order of what is read. In the log of a CI job a line can be a command:
GitHub's runner obeys a line that begins with ``::``, also after blanks, or has ``##[`` anywhere; others obey
``##vso[`` and ``##teamcity[``. What could be taken so is written as Python escapes it: ``\x1b``, ``\x3a:``. A
backslash stays as it is: this is for reading, not for undoing.

Pictures have their own functions, `to_html` and `to_mermaid` of `diagrams.markup`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LEADING_COLONS: Final = re.compile(r"^( *):(?=:)", re.MULTILINE)
_HASHES: Final = re.compile(r"(?<=#)#(?=\w*\[)")


def printable(text: str) -> str:
    """Escape what could steer a terminal, change the order of its text or command a CI runner; newlines stay."""
    shown = _escape(text, lambda character: character.encode("unicode_escape").decode())
    return _HASHES.sub(r"\\x23", _LEADING_COLONS.sub(r"\1\\x3a", shown))


def in_one_line(text: str) -> str:
    """Escape what `printable` escapes, and newlines."""
    return printable(text.replace("\n", "\\n"))


def in_markdown(text: str) -> str:
    """Escape what `in_one_line` escapes, and all that Markdown or HTML could take for more than text, as entities."""
    shown = in_one_line(text)
    return "".join(c if c.isalnum() or not c.isascii() or c in " -." else f"&#{ord(c)};" for c in shown)


def in_json(document: str) -> str:
    r"""Escape in a JSON document what `printable` escapes in a text; it is read back as the same document.

    But for half surrogate pairs, which strict readers refuse, also as escapes: they become text like ``\udcff``.
    """
    return _HASHES.sub(r"\\u0023", _escape(document, _json_escape))


def _escape(text: str, escape: Callable[[str], str]) -> str:
    return "\n".join(
        line if line.isprintable() else "".join(c if c.isprintable() else escape(c) for c in line)
        for line in text.split("\n")
    )


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    escaped = re.sub("....", r"\\u\g<0>", units)
    return f"\\{escaped}" if "\ud800" <= character <= "\udfff" else escaped
