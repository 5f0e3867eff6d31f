"""Wheels and sdists to try, made without a build: each can be wrong in one way."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def core_metadata(name: str, version: str) -> bytes:
    """What METADATA and PKG-INFO say."""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nAbout it.\n".encode()


def wheel(path: Path, metadata: bytes, *, tags: str = "py3-none-any", more: dict[str, bytes] | None = None) -> Path:
    """Write a wheel, whose tags are separated by spaces; its `.dist-info` is called as the file is."""
    stem = "-".join(path.name.split("-")[:2])
    lines = "".join(f"Tag: {tag}\n" for tag in tags.split())
    files = {
        f"{stem.replace('-', '_')}/__init__.py": b"",
        f"{stem}.dist-info/METADATA": metadata,
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\n{lines}".encode(),
    } | (more or {})
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def sdist(path: Path, metadata: bytes, *, member: str = "") -> Path:
    """Write an sdist whose PKG-INFO is behind another file, or is called otherwise."""
    stem = path.name.removesuffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {f"{stem}/pyproject.toml": b"", member or f"{stem}/PKG-INFO": metadata}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def release(directory: Path, name: str, version: str, *tags: str) -> list[Path]:
    """Write an sdist and wheels of a release."""
    directory.mkdir(parents=True, exist_ok=True)
    said = core_metadata(name, version)
    stem = f"{name.replace('-', '_')}-{version}"
    wheels = [wheel(directory / f"{stem}-{tag}.whl", said, tags=tag) for tag in tags or ("py3-none-any",)]
    return [sdist(directory / f"{stem}.tar.gz", said), *wheels]
