"""npm workspaces to try, written file by file, and an npm that answers as it is told."""

from __future__ import annotations

import io
import json
import stat
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from releasekit.workspace import Package

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = {"name": "root", "private": True, "workspaces": ["packages/*"]}

_FAKE: Final = """\
#!{python}
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
with here.joinpath("calls").open("a") as calls:
    calls.write(json.dumps({{"argv": sys.argv[1:], "cwd": os.getcwd(), "environ": dict(os.environ)}}) + "\\n")
answers = json.loads(here.joinpath("answers").read_text())
answer = answers.get(" ".join(w for w in sys.argv[1:] if not w.startswith("-"))) or answers.get(sys.argv[1]) or {{}}
for argument in sys.argv:
    if argument.startswith("--pack-destination="):
        for name, text in answer.get("files", {{}}).items():
            pathlib.Path(argument.partition("=")[2], name).write_text(text)
sys.stderr.write(answer.get("stderr", ""))
sys.stdout.write(answer.get("stdout", ""))
sys.exit(answer.get("code", 0))
"""


class Call(NamedTuple):
    """How the program was called."""

    argv: list[str]
    cwd: str
    environ: dict[str, str]


class FakeNpm:
    """A program that answers by its words, or else by its command, and remembers how it was called.

    Args:
        directory: A directory for it, which must come first on PATH.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        for name in ("npm", "pnpm"):
            program = directory / name
            program.write_text(_FAKE.format(python=sys.executable))
            program.chmod(stat.S_IRWXU)
        self.answer({})

    def answer(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        """Say what it answers: its words → what it prints, how it ends, and which files `pack` gives."""
        self.directory.joinpath("answers").write_text(json.dumps(answers))

    @property
    def calls(self) -> list[Call]:
        """All calls so far."""
        file = self.directory / "calls"
        return [Call(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def error(code: str, summary: str, detail: str = "") -> dict[str, Any]:
    """An error as npm prints it."""
    told = {"summary": summary, "detail": detail} | ({"code": code} if code else {})
    return {"code": 1, "stdout": json.dumps({"error": told}, indent=2)}


def write(root: Path, files: Mapping[str, Any]) -> Path:
    """Write files: text as it is, bytes as they are, anything else as JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return root


def member(name: str, *, version: Any = "1.0.0", **others: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    """The content of a package.json."""
    return {"name": name, "version": version, **others}


def workspace(root: Path, *members: Mapping[str, Any], **others: Any) -> Path:  # noqa: ANN401  # any JSON
    """Write a workspace of these members."""
    files = {f"packages/{each['name'].replace('/', '+')}/package.json": each for each in members}
    return write(root, {"package.json": ROOT | others, **files})


def package(name: str, version: str = "1.0.0", directory: Path | None = None) -> Package:
    """A package of a workspace."""
    return Package(name, version, directory or Path("/nowhere"), (), 0)


def tarball(path: Path, content: Any, files: Mapping[str, bytes] | None = None) -> Path:  # noqa: ANN401  # any JSON
    """Make a file as npm packs it, with a package.json of this content, or these bytes."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return archive(path, {**(files or {}), "package/package.json": data})


def archive(path: Path, files: Mapping[str, bytes]) -> Path:
    """Make a .tgz."""
    with tarfile.open(path, "w:gz") as made:
        for name, data in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            made.addfile(header, io.BytesIO(data))
    return path
