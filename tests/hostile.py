"""What somebody might call a package, or an error might say, and what tells that it did no harm."""

from __future__ import annotations

import re
from typing import Final

HOSTILE: Final = (
    "--index",
    "-rf",
    "../../etc",
    "~/.ssh",
    "$(reboot)",
    "`reboot`",
    "a;reboot",
    "\x1b[2J",
    "a\x1b[2J\x1b[31mb",
    "\x1b]0;title\x07",
    "\x9b2J",
    "a\rb",
    "a\bb",
    "a\tb",
    "a\x00b",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u200bb",
    "\ufeffa",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "\U000e0041a",
    "\ufffea",
    "'",
    '"',
    'a"b',
    "«a»",
    "“a”",
    "a\\",
    '\\"',
    "\\N",
    "\\N\\G\\L\\l",
    "a  b",
    "a=b",
    'a="b c"',
    "<b>",
    "<b>bold</b>",
    "<b>&amp;",
    "<>",
    "&lt;",
    "[bold red]x[/]",
    "[/]",
    ":smile:",
    "[link=x]y[/link]",
    '"];n0[label="',
    "a:b:n",
    "node",
    "n1",
    "-->",
    "]",
    "}",
    "%%",
    "%%{init",
    "#quot;",
    "#35;",
    "::error::x",
    " ::error::x",
    "::add-mask::a",
    "x\n::error file=a::b",
    "x\n  ::stop-commands::y",
    "x\r::error::y",
    "##[error]x",
    "a ###[error]x",
    "##vso[task.complete result=Failed;]x",
    "##teamcity[message]",
    "two\nlines",
    "null",
    "naïve",
    "x" * 300,
)
"""All can be names in a run; none has a backslash that could be taken for an escape."""

SURROGATES: Final = ("\udcff", "a\udc80\udcfe", "\udcff::error::")
"""What names of files and arguments may have and a run may not: bytes that are no text."""

_ESCAPE: Final = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt])")
_COMMAND: Final = re.compile(r"\s*::|.*##\w*\[", re.DOTALL)


def unescaped(shown: str) -> str:
    """Read back what was escaped."""
    return _ESCAPE.sub(lambda escape: escape[0].encode().decode("unicode_escape"), shown)


def commands(output: str) -> list[str]:
    """List the lines of an output that a CI runner would take for a command."""
    return [line for line in re.split(r"[\n\r]", output) if _COMMAND.match(line)]
