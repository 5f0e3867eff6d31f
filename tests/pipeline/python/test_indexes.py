from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from releasekit.errors import E, ReleaseKitError
from releasekit.pipeline.directory_index import DirectoryIndex
from releasekit.pipeline.python.indexes import choose_index
from releasekit.pipeline.python.names import belongs, is_complete
from releasekit.pipeline.python.package_index import PackageIndex
from releasekit.workspace import Index, Workspace

if TYPE_CHECKING:
    from pathlib import Path

INDEXES = {
    "inner": Index("inner", "http://127.0.0.1:9/simple/", "http://127.0.0.1:9/"),
    "read-only": Index("read-only", "http://127.0.0.1:9/simple/", ""),
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace that declares two indexes; the current directory is outside of it."""
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.chdir(tmp_path)
    return Workspace(root, MappingProxyType({}), MappingProxyType(INDEXES))


def directory_index(name: str, workspace: Workspace) -> DirectoryIndex:
    index = choose_index(name, workspace)
    assert isinstance(index, DirectoryIndex)
    return index


def test_a_name_of_the_workspace_is_that_index(workspace: Workspace) -> None:
    index = choose_index("inner", workspace)

    assert isinstance(index, PackageIndex)
    assert (index.name, index.url, index.workspace) == ("inner", INDEXES["inner"].url, workspace.root)


def test_a_directory_does_not_hide_a_name_of_the_workspace(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "pypi").mkdir()

    assert isinstance(choose_index("inner", workspace), PackageIndex)
    assert isinstance(choose_index("pypi", workspace), PackageIndex)


def test_pypi_is_the_default_of_uv(workspace: Workspace) -> None:
    index = choose_index("pypi", workspace)

    assert isinstance(index, PackageIndex)
    assert index.url == ""


def test_an_index_without_a_publish_url_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ReleaseKitError, match="has no publish-url") as caught:
        choose_index("read-only", workspace)

    assert caught.value.code is E.INDEX_UNKNOWN


def test_a_message_names_the_file_and_the_table_in_which_uv_looks(workspace: Workspace) -> None:
    other = Workspace(workspace.root, workspace.packages, workspace.indexes, "uv.toml")

    for name, said in (("read-only", "has no publish-url"), ("iner", "there is no index")):
        with pytest.raises(ReleaseKitError, match=said) as caught:
            choose_index(name, other)
        assert str(workspace.root / "uv.toml") in caught.value.message
        assert " [[index]]" in caught.value.hint


@pytest.mark.parametrize("name", ["iner", "PYPI", "", " ", "~nobody-of-this-name/out", "~nobody-of-this-name"])
def test_anything_else_is_refused_with_what_there_is(workspace: Workspace, tmp_path: Path, name: str) -> None:
    with pytest.raises(ReleaseKitError, match="choose one of inner, pypi, read-only") as caught:
        choose_index(name, workspace)

    assert caught.value.code is E.INDEX_UNKNOWN
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


@pytest.mark.parametrize("name", ["./out", "deep/out", "."])
def test_a_directory_is_written_with_a_slash_and_need_not_exist(
    workspace: Workspace, tmp_path: Path, name: str
) -> None:
    index = directory_index(name, workspace)

    assert index.directory == tmp_path / name
    assert index.name == str(tmp_path / name)


def test_a_directory_that_exists_needs_no_slash(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    assert directory_index("out", workspace).directory == tmp_path / "out"


def test_a_tilde_is_the_home_directory(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    assert directory_index("~/out", workspace).directory == tmp_path / "home" / "out"


def test_a_directory_inside_the_workspace_is_named_from_there(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the run goes on after the workspace was moved, and whatever the current directory is."""
    for name, base in (
        ("./out", workspace.root),
        ("root/out", workspace.root.parent),
        (str(workspace.root / "out"), tmp_path),
    ):
        monkeypatch.chdir(base)
        index = directory_index(name, workspace)
        assert (index.name, index.directory) == ("./out", workspace.root / "out")


def test_a_workspace_reached_by_a_link_names_its_directories_the_same(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(workspace.root)
    linked = Workspace(tmp_path / "link", workspace.packages, workspace.indexes)

    for seen in (workspace, linked):
        monkeypatch.chdir(seen.root)
        assert directory_index("./out", seen).name == "./out"


def test_a_name_of_the_workspace_with_a_slash_is_still_that_name(workspace: Workspace) -> None:
    odd = Workspace(
        workspace.root, workspace.packages, {"a/b": Index("a/b", "http://127.0.0.1:9/", "http://127.0.0.1:9/")}
    )

    assert isinstance(choose_index("a/b", odd), PackageIndex)


@pytest.mark.parametrize(
    ("filename", "mine"),
    [
        ("some_thing-1.0.tar.gz", True),
        ("some-thing-1.0.tar.gz", True),
        ("Some.Thing-1.0.0.tar.gz", True),
        ("some_thing-1.0.zip", True),
        ("some_thing-1.0-py3-none-any.whl", True),
        ("some_thing-1.0-1-cp311-cp311-manylinux_2_28_x86_64.whl", True),
        ("some_thing-1.0.post1.tar.gz", False),
        ("some_thing-1.0+local.tar.gz", False),
        ("some_thing_else-1.0.tar.gz", False),
        ("thing-1.0.tar.gz", False),
        ("some_thing-1.0.tar.bz2", False),
        ("some_thing-1.0.whl", False),
        ("some_thing-1.0-py3-none-any.whl.metadata", False),
        ("some_thing-one.tar.gz", False),
        (".gitignore", False),
        ("", False),
    ],
)
def test_which_files_belong_to_a_version(filename: str, *, mine: bool) -> None:
    assert belongs(filename, "some-thing", "1.0") is mine


@pytest.mark.parametrize(
    ("names", "complete"),
    [
        ("", False),
        ("p-1.tar.gz", False),
        ("p-1-py3-none-any.whl", False),
        ("p-1.tar.gz p-1-py3-none-any.whl", True),
        ("p-1.tar.gz p-1-cp311-cp311-linux_x86_64.whl p-1-cp312-cp312-linux_x86_64.whl", True),
        ("p-1.tar.gz p-1.zip p-1-py3-none-any.whl", False),
    ],
)
def test_complete_is_one_sdist_and_at_least_one_wheel(names: str, *, complete: bool) -> None:
    assert is_complete(dict.fromkeys(names.split(), "0" * 64)) is complete


@pytest.mark.parametrize("address", ["https://x.invalid/simple", "http://127.0.0.1:1/", "file:///tmp"])
def test_an_address_is_no_directory(workspace: Workspace, address: str) -> None:
    with pytest.raises(ReleaseKitError, match="is an address") as caught:
        choose_index(address, workspace)

    assert caught.value.code is E.INDEX_UNKNOWN
