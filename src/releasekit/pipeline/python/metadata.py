"""What a wheel or an sdist says of itself: its name, its version, and a wheel's tags and requirements.

It is read where it is, in memory: nothing is unpacked to disk, and no archive, however it was made, takes more memory
than a bounded part of it or runs for longer than its limits allow.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import math
import re
import struct
import tarfile
import zipfile
import zlib
from email.parser import BytesParser
from typing import TYPE_CHECKING, Final

from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from releasekit.pipeline.python.names import Release

if TYPE_CHECKING:
    from pathlib import Path

MAX_METADATA: Final = 4 << 20
"""Bytes of one file of metadata: a long README is a hundredth of it."""

MAX_MEMBERS: Final = 1 << 16
"""Files in an sdist, as far as it has to be read."""

MAX_UNPACKED: Final = 4 << 30
"""Bytes that these unpack to."""

MAX_TAGS: Final = 1000
"""Tags of a wheel, which a few dots multiply: those of the largest are some dozens."""

_MAX_HEADERS: Final = 256 << 20  # bytes of an sdist that are not skipped

_BROKEN: Final = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile),
    *(struct.error, NotImplementedError, RuntimeError, ValueError, OverflowError, MemoryError),
)
"""What the standard library's readers raise for archives that are none, or encrypted, or packed in an unknown way."""

_METHODS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Those that the wheel format has, and the only ones of which zipfile unpacks no more than it is asked for."""

_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA")
_WHEEL: Final = re.compile(r"[^/]+\.dist-info/WHEEL")
_PKG_INFO: Final = "PKG-INFO"


class MetadataError(Exception):
    """A file whose metadata can't be read, or is not what its name says; the text goes on behind the file's name."""


def identify(path: Path) -> Release:
    """Read which release a built file says it is of.

    Args:
        path: A wheel or an sdist, by its suffix: .whl, .tar.gz or .zip.

    Raises:
        MetadataError: It does not say, or says what is no name or version; or a wheel has other tags than its name.
        OSError: It could not be read.
    """
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                _check_tags(path.name, _in_zip(archive, _WHEEL))
                return _parse(_in_zip(archive, _METADATA))
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                return _parse(_in_zip(archive, re.compile(re.escape(f"{path.stem}/{_PKG_INFO}"))))
        return _parse(_in_tar(path))
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:  # a seek to before its beginning
            raise
        raise MetadataError(f"can't be read: {str(error) or type(error).__name__}") from error


def requirements(wheel: Path) -> list[Requirement]:
    """Read what a wheel says that it requires.

    Raises:
        MetadataError: It does not say, or says what is no requirement.
        OSError: It could not be read.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            raw, _ = parse_email(_in_zip(archive, _METADATA))
        return [Requirement(line) for line in raw.get("requires_dist", ())]
    except _BROKEN as error:
        raise MetadataError(f"can't be read: {str(error) or type(error).__name__}") from error


def _parse(data: bytes) -> Release:
    raw, _ = parse_email(data)  # what stands twice or is not UTF-8 is not in it
    name, version = raw.get("name", ""), raw.get("version", "")
    if not name or not version:
        raise MetadataError(f"has metadata without {'a version' if name else 'a name'}")
    try:
        return Release(canonicalize_name(name), Version(version))
    except InvalidVersion:
        raise MetadataError(f"has metadata with the version {version!r:.200}, which is none") from None


def _check_tags(filename: str, data: bytes) -> None:
    said = [str(line).strip() for line in BytesParser().parsebytes(data, headersonly=True).get_all("Tag", [])]
    for lines, place in ((said, "metadata"), (["-".join(filename.removesuffix(".whl").split("-")[-3:])], "name")):
        if (count := sum(map(_count_tags, lines))) > MAX_TAGS:
            raise MetadataError(f"has {count} tags in its {place}, more than {MAX_TAGS}")
    tags = {tag for line in said for tag in parse_tag(line)}
    named = parse_wheel_filename(filename)[3]
    if tags != named:
        shown = [", ".join(sorted(map(str, each))[:10]) or "none" for each in (tags, named)]
        raise MetadataError(f"has the tags {shown[0]:.500} in its metadata, and {shown[1]:.500} in its name")


def _count_tags(line: str) -> int:
    """Count what one line stands for, before it is written out: each of its three parts may be several."""
    return math.prod(part.count(".") + 1 for part in line.split("-", 2))


def _in_zip(archive: zipfile.ZipFile, wanted: re.Pattern[str]) -> bytes:
    found = [info for info in archive.infolist() if wanted.fullmatch(info.filename)]
    named = wanted.pattern.replace("[^/]+", "*").replace("\\", "")
    if len(found) != 1:
        raise MetadataError(f"has {len(found) or 'no'} files like {named}")
    if (method := found[0].compress_type) not in _METHODS:
        raise MetadataError(f"has {named} packed in a way that wheels are not, by zip's method {method}")
    with archive.open(found[0]) as stream:
        return _bounded(stream.read(MAX_METADATA + 1))


def _in_tar(path: Path) -> bytes:
    wanted = f"{path.name.removesuffix('.tar.gz')}/{_PKG_INFO}"
    with _SmallReads(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as archive:
        seen = 0
        while member := archive.next():
            seen += 1
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep all that it has seen
            if seen > MAX_MEMBERS or not 0 <= member.size <= MAX_UNPACKED - member.offset_data:
                raise MetadataError(f"has more than {MAX_MEMBERS} files or {MAX_UNPACKED >> 20} MiB before {wanted}")
            if member.name == wanted and member.isreg() and (stream := archive.extractfile(member)):
                return _bounded(stream.read(MAX_METADATA + 1))
    raise MetadataError(f"has no {wanted}")


class _SmallReads(gzip.GzipFile):
    """A gzip file of which no more is unpacked at a time than metadata may have: a header may ask for any amount.

    What is skipped does not count.
    """

    _left = _MAX_HEADERS

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= min(MAX_METADATA + tarfile.BLOCKSIZE, self._left):
            raise MetadataError(f"has a header that is larger than {MAX_METADATA} bytes, or too many of them")
        self._left -= size
        return super().read(size)


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_METADATA:
        raise MetadataError(f"has more than {MAX_METADATA} bytes of metadata")
    return data
