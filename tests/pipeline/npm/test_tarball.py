"""What was packed is looked at before it is kept: its name, and what the package.json in it says."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.npm_trees import archive, member, package, tarball

from releasekit.errors import E
from releasekit.pipeline import archives
from releasekit.pipeline.npm import tarball as tarballs
from releasekit.pipeline.outcome import StepError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "s-core-1.0.0.tgz"
CORE = member("@s/core")


def refusal(directory: Path, *filenames: str) -> StepError:
    names = filenames or (NAME,)
    with pytest.raises(StepError) as caught:
        tarballs.version_of(package("@s/core"), directory, dict.fromkeys(names, ""))
    return caught.value


def test_a_file_that_says_what_its_name_says_is_a_release(tmp_path: Path) -> None:
    tarball(tmp_path / NAME, CORE, {"package/built.js": b"x", "package/deep/package.json": b"{"})
    assert tarballs.version_of(package("@s/core"), tmp_path, {NAME: ""}) == "1.0.0"


@pytest.mark.parametrize("names", [(), ("core-1.0.0.tgz",), (NAME, "x.tgz"), ("s-core-1.0.1.tgz",)])
def test_another_file_is_no_release(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(StepError) as caught:
        tarballs.version_of(package("@s/core"), tmp_path, dict.fromkeys(names, ""))
    assert caught.value.code is E.BUILD_INCOMPLETE
    assert f"not {NAME}" in caught.value.message


@pytest.mark.parametrize("content", [member("@s/other"), member("@s/core", version="1.0.1"), {}, {"name": "@s/core"}])
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    tarball(tmp_path / NAME, content)
    error = refusal(tmp_path)
    assert error.code is E.BUILD_MISMATCH
    assert "and should be of '@s/core' 1.0.0" in error.message


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1 column 1 is not JSON"),
        (b"[]", "is not an object"),
        (b'{"name": 1}', "name expected `str"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_package_json_in_it_that_is_none_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    tarball(tmp_path / NAME, content)
    error = refusal(tmp_path)
    assert error.code is E.BUILD_MISMATCH
    assert error.message.startswith(f"{NAME} has a package.json that can't be read")
    assert problem in error.message


def test_a_file_without_a_package_json_is_refused(tmp_path: Path) -> None:
    archive(tmp_path / NAME, {"package/index.js": b"", "other/package.json": b"{}"})
    assert "has no files called package/package.json" in refusal(tmp_path).message


def test_a_file_with_two_is_refused_since_who_installs_it_may_take_the_other(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / NAME, "w:gz") as made:
        for _ in range(2):
            header = tarfile.TarInfo("package/package.json")
            header.size = 2
            made.addfile(header, io.BytesIO(b"{}"))
    assert "has 2 files called package/package.json" in refusal(tmp_path).message


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / NAME, "w:gz") as made:
        header = tarfile.TarInfo("package/package.json")
        header.type, header.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(header)
    assert "is not JSON" in refusal(tmp_path).message


def test_files_of_a_release_must_not_be_packed(tmp_path: Path) -> None:
    tarball(tmp_path / NAME, CORE, {"package/.releasekit-state.journal": b"{}"})
    error = refusal(tmp_path)
    assert "has package/.releasekit-state.journal in it" in error.message
    assert ".npmignore" in error.message


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", gzip.compress(b"x"), gzip.compress(b"x" * 2000), b"\x1f\x8b" + b"\0" * 100],
    ids=["nothing", "of a zip", "one byte", "many bytes", "no gzip"],  # gzip's bytes tell the time
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    tmp_path.joinpath(NAME).write_bytes(data)
    assert refusal(tmp_path).code is E.BUILD_MISMATCH


def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = tarball(tmp_path / NAME, CORE, {"package/x": bytes(range(256)) * 1000}).read_bytes()
    tmp_path.joinpath(NAME).write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path).code is E.BUILD_MISMATCH


def test_what_is_read_of_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tarball(tmp_path / NAME, b'{"x": "' + b"x" * 100 + b'"}', {"package/a": b"", "package/b": b""})
    monkeypatch.setattr(tarballs, "MAX_METADATA", 50)
    assert "has a package.json of more than 50 bytes" in refusal(tmp_path).message
    monkeypatch.setattr(tarballs, "MAX_MEMBERS", 2)
    assert "has more than 2 files" in refusal(tmp_path).message


def test_a_header_that_asks_for_any_amount_is_not_given_it(tmp_path: Path) -> None:
    header = tarfile.TarInfo("package/package.json")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, archives.MAX_METADATA * 10
    tmp_path.joinpath(NAME).write_bytes(gzip.compress(header.tobuf() + bytes(header.size + 1024)))
    assert "has a header that is larger" in refusal(tmp_path).message


def test_one_that_is_gone_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tarballs.read_packed(tmp_path / NAME)
