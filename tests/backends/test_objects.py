"""Below one folder: what others plant there leads nowhere else, and what is wrong is said."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import Conflict, NotFound
from filepipe.storage.interface import Shelf
from filepipe.testing import opened, store


@pytest.fixture
async def shelf(make: Callable[[], Shelf]) -> AsyncIterator[Shelf]:
    """Open the shelf."""
    async with opened(make) as shelf:
        yield shelf


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the objects are."""
    return tmp_path / "objects"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that is none of the shelf's business, with a file."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_bytes(b"not yours")
    return folder


@pytest.mark.parametrize("unique", [True, False])
async def test_a_link_in_place_of_a_folder(
    shelf: Shelf, root: Path, outside: Path, unique: bool
) -> None:
    """A symbolic link is not followed: nothing is made, read or removed behind it."""
    (root / "link").symlink_to(outside)
    (root / "real").mkdir()
    (root / "real" / "deeper").symlink_to("../../outside")
    draft = await shelf.begin("a", 0)
    for name in ("link/file", "link/new", "link/new/folder", "real/deeper/file"):
        with pytest.raises(Conflict, match="the name cannot be had"):
            await draft.publish(PurePosixPath(name), unique=unique, size=0)
        with pytest.raises(NotFound):
            await shelf.open(name)
        await shelf.remove(name)
    await draft.discard()
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_bytes() == b"not yours"


@pytest.mark.parametrize("target", ["../outside/file", "../outside/new", "nowhere/at/all"])
async def test_a_link_in_place_of_an_object(
    shelf: Shelf, root: Path, outside: Path, target: str
) -> None:
    """It is stepped aside for, or replaced itself; what it names stays as it is."""
    (root / "name").symlink_to(target)
    with pytest.raises(NotFound):
        await shelf.open("name")
    assert await store(shelf, "a", b"ours", "name") == "name (1)"
    assert (root / "name").is_symlink()
    assert await store(shelf, "b", b"ours", "name", unique=False) == "name"
    assert not (root / "name").is_symlink()
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_bytes() == b"not yours"


async def test_what_is_no_file_is_no_object(shelf: Shelf, root: Path) -> None:
    """A pipe without a writer does not stop the reader, and a folder is not removed."""
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for name in ("pipe", "folder", "folder/none"):
        with pytest.raises(NotFound):
            await shelf.open(name)
    await shelf.remove("folder")
    assert (root / "folder").is_dir()


async def test_descriptors_are_given_back(shelf: Shelf, root: Path, outside: Path) -> None:
    """Whether a walk ended well or not, nothing stays open."""
    (root / "link").symlink_to(outside)
    draft = await shelf.begin("a", 4)
    await shelf.check()
    before = sorted(os.listdir("/dev/fd"))
    for name in ("a/b/c/d", "link/x", "a/link/../x", "a/b"):
        try:
            await draft.publish(PurePosixPath(name), unique=False, size=4)
        except Conflict:
            assert name != "a/b/c/d"
    with pytest.raises(NotFound):
        await shelf.open("a/b/none")
    await (await shelf.open("a/b/c/d")).close()
    await shelf.remove("a/b/c/d")
    await shelf.remove("link/file")
    assert sorted(os.listdir("/dev/fd")) == before
    await draft.discard()


async def test_the_folder_went(shelf: Shelf, root: Path) -> None:
    """Removed or replaced, as by a mount that failed: the shelf is not well, and says no place."""
    root.rename(root.with_name("away"))
    assert await shelf.check() == "the storage failed: No such file or directory"
    root.mkdir()
    assert "not the one" in str(await shelf.check())
    root.rmdir()
    root.with_name("away").rename(root)
    assert await shelf.check() is None


@pytest.mark.parametrize("way", ["read-only", "access"])
async def test_the_folder_cannot_be_written_to(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A disk that went read-only after an error is seen before the next upload is lost."""
    if way == "read-only":
        real = os.fstatvfs

        def read_only(fd: int) -> os.statvfs_result:
            fields = list(real(fd))
            fields[8] |= os.ST_RDONLY
            return os.statvfs_result(fields)

        monkeypatch.setattr(os, "fstatvfs", read_only)
    else:
        monkeypatch.setattr(os, "access", lambda *_: False)
    assert await shelf.check() == "the folder of uploads cannot be written to"
