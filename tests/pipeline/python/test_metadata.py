"""What built files say of themselves: read in memory, bounded, and no archive is more than an error."""

from __future__ import annotations

import contextlib
import gzip
import re
import resource
import string
import struct
import tarfile
import tempfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from tests import archives

from releasekit.pipeline.python import metadata
from releasekit.pipeline.python.metadata import MetadataError, identify, requirements

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAID = archives.core_metadata("Core", "1.2.0")
CORE = ("core", Version("1.2"))


def refusal(path: Path) -> str:
    with pytest.raises(MetadataError) as caught:
        identify(path)
    return str(caught.value)


def test_a_wheel_and_an_sdist_say_name_and_version(tmp_path: Path) -> None:
    assert identify(archives.wheel(tmp_path / "core-1.2-py3-none-any.whl", SAID)) == CORE
    assert identify(archives.sdist(tmp_path / "core-1.2.tar.gz", SAID)) == CORE


def test_an_sdist_may_be_a_zip_file(tmp_path: Path) -> None:
    path = tmp_path / "core-1.2.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("core-1.2/src/core.egg-info/PKG-INFO", archives.core_metadata("other", "9"))
        archive.writestr("core-1.2/PKG-INFO", SAID)
    assert identify(path) == CORE


def test_only_the_outermost_pkg_info_counts(tmp_path: Path) -> None:
    inner = archives.sdist(tmp_path / "core-1.2.tar.gz", SAID, member="core-1.2/core.egg-info/PKG-INFO")
    assert refusal(inner) == "has no core-1.2/PKG-INFO"
    other = archives.sdist(tmp_path / "core-1.3.tar.gz", SAID, member="core-1.2/PKG-INFO")
    assert refusal(other) == "has no core-1.3/PKG-INFO"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        pytest.param(b"", "has metadata without a name", id="nothing"),
        pytest.param(b"Name: core\n\n", "has metadata without a version", id="no-version"),
        pytest.param(b"Version: 1.2\n\n", "has metadata without a name", id="no-name"),
        pytest.param(b"Name: core\n\nVersion: 1.2\n", "has metadata without a version", id="in-the-description"),
        pytest.param(b"Name: core\nName: other\nVersion: 1.2\n\n", "has metadata without a name", id="two-names"),
        pytest.param(
            b"Name: core\nVersion: 1.2\nVersion: 1.3\n\n", "has metadata without a version", id="two-versions"
        ),
        pytest.param(
            b"Name: core\nVersion: main\n\n",
            "has metadata with the version 'main', which is none",
            id="none",
        ),
        pytest.param(b"Name: core\nVersion: " + b"9" * 5000, "can't be read: Exceeds the limit", id="a-long-number"),
        pytest.param(b"\xff\xfe\x00\x01", "has metadata without a name", id="bytes"),
    ],
)
def test_metadata_that_tells_no_release_is_refused(tmp_path: Path, said: bytes, problem: str) -> None:
    assert refusal(archives.wheel(tmp_path / "core-1.2-py3-none-any.whl", said)).startswith(problem)
    assert refusal(archives.sdist(tmp_path / "core-1.2.tar.gz", said)).startswith(problem)


def test_the_tags_in_a_wheel_are_those_of_its_name(tmp_path: Path) -> None:
    both = archives.wheel(tmp_path / "core-1.2-py2.py3-none-any.whl", SAID, tags="py2-none-any py3-none-any")
    assert identify(both) == CORE
    renamed = both.rename(tmp_path / "core-1.2-cp311-cp311-manylinux_2_17_x86_64.whl")
    assert refusal(renamed) == (
        "has the tags py2-none-any, py3-none-any in its metadata, and cp311-cp311-manylinux_2_17_x86_64 in its name"
    )
    none = archives.wheel(tmp_path / "core-1.2-py3-none-any.whl", SAID, tags="")
    assert refusal(none) == "has the tags none in its metadata, and py3-none-any in its name"


def test_a_wheel_has_one_dist_info(tmp_path: Path) -> None:
    path = tmp_path / "core-1.2-py3-none-any.whl"
    more = {"other-1.0.dist-info/METADATA": SAID}
    assert refusal(archives.wheel(path, SAID, more=more)) == "has 2 files like *.dist-info/METADATA"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("core.py", "")
    assert refusal(path) == "has no files like *.dist-info/WHEEL"


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def rubbish(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b\x08" + bytes(range(256)) * 40)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [truncated, empty, rubbish, flipped])
def test_a_damaged_file_is_refused_and_no_other_error(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    for path in archives.release(tmp_path, "core", "1.2"):
        damage(path)
        assert refusal(path)


def test_any_byte_may_be_wrong_and_there_is_no_other_error(tmp_path: Path) -> None:
    for path in archives.release(tmp_path, "core", "1.2"):
        whole = path.read_bytes()
        for place in range(0, len(whole), 3):
            for byte in (0, 255, whole[place] ^ 1):
                path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
                with contextlib.suppress(MetadataError):
                    identify(path)


def test_an_encrypted_wheel_is_refused(tmp_path: Path) -> None:
    path = archives.wheel(tmp_path / "core-1.2-py3-none-any.whl", SAID)
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(signature, place + 1)) >= 0:
            data[place + flags] |= 1
    path.write_bytes(data)
    assert "encrypted" in refusal(path)


def test_metadata_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MAX_METADATA", len(SAID))
    wheel, sdist = tmp_path / "core-1.2-py3-none-any.whl", tmp_path / "core-1.2.tar.gz"
    assert identify(archives.wheel(wheel, SAID)) == CORE
    assert identify(archives.sdist(sdist, SAID)) == CORE
    for path in (archives.wheel(wheel, SAID + b"."), archives.sdist(sdist, SAID + b".")):
        assert refusal(path) == f"has more than {len(SAID)} bytes of metadata"


def test_an_sdist_has_a_bounded_number_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archives.sdist(tmp_path / "core-1.2.tar.gz", SAID)
    monkeypatch.setattr(metadata, "MAX_MEMBERS", 2)
    assert identify(path) == CORE
    monkeypatch.setattr(metadata, "MAX_MEMBERS", 1)
    assert "has more than 1 files" in refusal(path)


def a_member(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of a file that claims a size, however wrong."""
    header = tarfile.TarInfo(name)
    header.type = kind
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        block[124:136] = b"\xff" * 4 + struct.pack(">q", size)
    else:
        block[124:136] = b"\x80" + bytes(3) + struct.pack(">q", size)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        pytest.param(a_member("core-1.2/x", 1 << 50), "has more than", id="too-large"),
        pytest.param(a_member("core-1.2/x", -512), "has more than", id="negative"),
        pytest.param(a_member("core-1.2/PKG-INFO", -1), "has more than", id="negative-metadata"),
        pytest.param(a_member("x", 1 << 40, tarfile.XHDTYPE), "has a header that is larger", id="a-large-header"),
        pytest.param(a_member("x", 1 << 40, tarfile.GNUTYPE_LONGNAME), "has a header that is larger", id="a-long-name"),
        pytest.param(a_member("x", -1024, tarfile.XHDTYPE), "", id="a-negative-header"),
        pytest.param(a_member("core-1.2/PKG-INFO", 0, tarfile.SYMTYPE), "has no core-1.2/PKG-INFO", id="a-link"),
        pytest.param(a_member("core-1.2/PKG-INFO", 0, tarfile.FIFOTYPE), "has no core-1.2/PKG-INFO", id="a-pipe"),
    ],
)
@pytest.mark.timeout(60)
def test_what_a_header_of_an_sdist_claims_is_not_believed(tmp_path: Path, header: bytes, problem: str) -> None:
    path = tmp_path / "core-1.2.tar.gz"
    path.write_bytes(gzip.compress(header + bytes(1 << 20)))
    assert refusal(path).startswith(problem)


@pytest.mark.timeout(120)
def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """A header that is 256 MiB of zeros, packed into a quarter of one; and as much in a wheel's METADATA."""
    path = tmp_path / "core-1.2.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(a_member("x", 256 << 20, tarfile.XHDTYPE))
        for _ in range(256):
            packed.write(bytes(1 << 20))
    wheel = tmp_path / "core-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("core-1.2.dist-info/WHEEL", "Tag: py3-none-any\n")
        with archive.open("core-1.2.dist-info/METADATA", "w") as member:
            for _ in range(256):
                member.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert "is larger than" in refusal(path)
    assert "has more than" in refusal(wheel)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
@pytest.mark.parametrize("place", ["WHEEL", "METADATA"])
def test_a_wheel_that_is_packed_otherwise_than_wheels_are_is_refused_unread(
    tmp_path: Path, method: int, place: str
) -> None:
    """A few hundred bytes of these are gigabytes, and zipfile unpacks them at once, however little is read."""
    path = tmp_path / "core-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, said in (("WHEEL", b"Tag: py3-none-any\n"), ("METADATA", SAID)):
            archive.writestr(f"core-1.2.dist-info/{name}", said, method if name == place else zipfile.ZIP_DEFLATED)
    problem = f"has *.dist-info/{place} packed in a way that wheels are not, by zip's method {method}"
    assert refusal(path) == problem
    if place == "METADATA":
        with pytest.raises(MetadataError, match=re.escape(problem)):
            requirements(path)


@pytest.mark.timeout(10)
def test_a_wheel_has_a_bounded_number_of_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ".".join(f"t{number}" for number in range(150))
    path = archives.wheel(tmp_path / "core-1.2-py3-none-any.whl", SAID, tags=f"{parts}-{parts}-{parts}")
    assert refusal(path) == "has 3375000 tags in its metadata, more than 1000"
    path = archives.wheel(path, SAID, tags="py3-none-any " + "py2.py3-none-any " * 500)
    assert refusal(path) == "has 1001 tags in its metadata, more than 1000"
    path = archives.wheel(path, SAID, tags="py3-none-any " * 1000)
    assert identify(path) == CORE
    parts = ".".join(string.ascii_letters[:11])
    path = archives.wheel(tmp_path / f"core-1.2-{parts}-{parts}-{parts}.whl", SAID)
    monkeypatch.setattr(metadata, "parse_wheel_filename", None)
    assert refusal(path) == "has 1331 tags in its name, more than 1000"


def test_a_file_that_can_not_be_read_is_an_error_of_the_system(tmp_path: Path) -> None:
    for name in ("core-1.2.tar.gz", "core-1.2-py3-none-any.whl"):
        with pytest.raises(FileNotFoundError):
            identify(tmp_path / name)


def test_nothing_is_unpacked_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = archives.release(tmp_path / "files", "core", "1.2")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.chdir(scratch)
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "files").chmod(0o500)
    for file in files:
        assert identify(file) == CORE
    assert not [*scratch.iterdir()]
    assert sorted((tmp_path / "files").iterdir()) == sorted(files)
