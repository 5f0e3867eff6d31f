"""A build backend that needs nothing: for a package that is a member of the workspace that it builds.

It is copied there as a module, and packs what lies in `src`. Dynamic dependencies are the lines of `requires.txt`. What
a wheel was built with, it says in the file `built_with` of its metadata: where this module was imported from.
"""

from __future__ import annotations

import io
import tarfile
import tomllib
import zipfile
from pathlib import Path

BUILT_WITH = "built_with"


def build_wheel(directory: str, settings: object = None, metadata: object = None) -> str:
    """See PEP 517."""
    del settings, metadata
    modules = {str(file.relative_to("src")): file.read_bytes() for file in sorted(Path("src").rglob("*.py"))}
    return _wheel(directory, modules)


def build_editable(directory: str, settings: object = None, metadata: object = None) -> str:
    """See PEP 660."""
    del settings, metadata
    return _wheel(directory, {"_tiny.pth": str(Path("src").absolute()).encode()})


def build_sdist(directory: str, settings: object = None) -> str:
    """See PEP 517."""
    del settings
    name, version = _identity()
    files = {str(file): file.read_bytes() for file in (*Path().glob("*.t*"), *Path("src").rglob("*.py"))}
    with tarfile.open(Path(directory, f"{name}-{version}.tar.gz"), "w:gz") as archive:
        for path, content in (files | {"PKG-INFO": _metadata().encode()}).items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return f"{name}-{version}.tar.gz"


def _wheel(directory: str, files: dict[str, bytes]) -> str:
    name, version = _identity()
    about = f"{name}-{version}.dist-info"
    texts = {
        "METADATA": _metadata(),
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tiny\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        BUILT_WITH: __file__,
        "RECORD": "",
    }
    with zipfile.ZipFile(Path(directory, f"{name}-{version}-py3-none-any.whl"), "w") as archive:
        for path, content in (files | {f"{about}/{file}": text.encode() for file, text in texts.items()}).items():
            archive.writestr(path, content)
    return f"{name}-{version}-py3-none-any.whl"


def _project() -> dict[str, object]:
    project: dict[str, object] = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def _identity() -> tuple[str, str]:
    project = _project()
    return str(project["name"]).replace("-", "_"), str(project["version"])


def _metadata() -> str:
    name, version = _identity()
    stated = _project().get("dependencies", [])
    dynamic = Path("requires.txt")
    lines = dynamic.read_text(encoding="utf-8").splitlines() if dynamic.exists() else stated
    assert isinstance(lines, list)
    required = "".join(f"Requires-Dist: {line}\n" for line in lines)
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}"
