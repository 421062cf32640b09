"""The folder of drafts: whose it is, where it is, and what a full disk leaves there."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import ConfigError, Conflict, DiskFull, StorageFailed
from filepipe.storage.interface import Shelf
from filepipe.testing import ShelfSuite, opened, store
from filepipe_backends import drafts, objects
from filepipe_backends.local import LocalShelf
from tests.backends.conftest import Failing

MIB = 1024 * 1024


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Shelf]:
    """Open a shelf that may not move a file from the daemon's own folder to its objects."""
    rename = os.rename

    def refuse(source: str, target: str | Path, **more: int) -> None:
        if "dst_dir_fd" not in more:  # the trial at the start
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target, **more)

    monkeypatch.setattr(os, "rename", refuse)
    return lambda: LocalShelf(str(tmp_path / "objects"), tmp_path / "parts")


class TestDraftsBesideTheObjects(ShelfSuite):
    """The suite where the objects are on a file system of their own."""

    @pytest.fixture
    def make(self, beside: Callable[[], Shelf]) -> Callable[[], Shelf]:
        return beside


async def test_the_folder_beside_the_objects(beside: Callable[[], Shelf], tmp_path: Path) -> None:
    """It is hidden and private, is no place for objects, and the other folder stays empty."""
    async with opened(beside) as shelf:
        draft = await shelf.begin("a", 5)
        await draft.write(0, b"draft")
        hidden = tmp_path / "objects" / ".filepipe-parts"
        assert stat.S_IMODE(hidden.stat().st_mode) == 0o700
        assert (hidden / "a").read_bytes() == b"draft"
        for name in (".filepipe-parts/b", ".filepipe-parts/b/c", ".filepipe-parts"):
            with pytest.raises(Conflict):
                await draft.publish(PurePosixPath(name), unique=False, size=5)
        assert (
            await draft.publish(PurePosixPath(".filepipe-parts"), unique=True, size=5)
            != hidden.name
        )
        await draft.discard()
        assert await shelf.drafts() == []
        assert os.listdir(tmp_path / "parts") == []


async def test_one_daemon_at_a_time(beside: Callable[[], Shelf]) -> None:
    """Another daemon would take the first one's drafts for left behind; it is sent away."""
    async with opened(beside):
        with pytest.raises(ConfigError, match="another filepipe"):
            beside()
    async with opened(beside):
        pass


@pytest.mark.parametrize("fault", ["locks", "owner", "link", "file"])
def test_a_useless_folder_of_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: Callable[[], Shelf], fault: str
) -> None:
    """A folder that cannot be private to one daemon is a setting that cannot be used."""
    if fault == "locks":

        def refuse(_fd: int, _how: int) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(drafts.fcntl, "flock", refuse)
    elif fault == "owner":
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    elif fault == "link":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "parts").symlink_to("elsewhere")
    else:
        (tmp_path / "parts").touch()
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(ConfigError):
        beside()
    assert sorted(os.listdir("/dev/fd")) == before


async def test_a_folder_that_others_may_enter_is_closed_to_them(
    tmp_path: Path, make: Callable[[], Shelf]
) -> None:
    """The mode of a draft is the umask's; its folder is what keeps others out."""
    folder = tmp_path / "own" / "parts"
    folder.mkdir(parents=True, mode=0o755)
    umask = os.umask(0o027)
    try:
        async with opened(make) as shelf:
            await store(shelf, "a", b"", "f/a")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "objects/f").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "objects/f/a").stat().st_mode) == 0o640


@pytest.fixture
async def small(small_folder: str, tmp_path: Path) -> AsyncIterator[Shelf]:
    """Open a shelf on a disk of 1 MiB, which is not the daemon's."""
    async with opened(lambda: LocalShelf(small_folder, tmp_path / "parts")) as shelf:
        yield shelf


async def test_a_full_disk(small: Shelf, small_folder: str) -> None:
    """What has no room is refused before its first byte; the others are not disturbed."""
    draft = await small.begin("a", MIB // 2)
    for _ in range(3):
        with pytest.raises(DiskFull, match=r"^disk full, try again later$"):
            await small.begin("b", 3 * MIB // 4)
    assert await small.drafts() == ["a"]
    await draft.write(0, bytes(MIB // 2))
    await draft.sync()
    await draft.publish(PurePosixPath("a"), unique=True, size=MIB // 2)
    await draft.discard()
    (Path(small_folder) / "filler").write_bytes(bytes(os.statvfs(small_folder).f_bavail * 4096))
    assert await small.check() == "the disk of uploads is full"
    await small.remove("a")
    assert await small.check() is None
    await (await small.begin("b", MIB // 4)).discard()


async def test_a_disk_that_fills_up(
    small: Shelf, small_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where blocks are not given in advance a write may fail; it succeeds when there is room."""
    monkeypatch.setattr("filepipe_backends.preallocation.preallocate", lambda _fd, _size: False)
    with pytest.raises(DiskFull):
        await small.begin("large", 2 * MIB)
    draft = await small.begin("a", MIB // 2)
    filler = Path(small_folder) / "filler"
    filler.write_bytes(bytes(os.statvfs(small_folder).f_bavail * 4096))
    with pytest.raises(DiskFull):
        await draft.write(0, bytes(MIB // 2))
    filler.unlink()
    await draft.write(0, b"x" * (MIB // 2))
    await draft.sync()
    path = await draft.publish(PurePosixPath("a"), unique=True, size=MIB // 2)
    assert (Path(small_folder) / path).read_bytes() == b"x" * (MIB // 2)
    await draft.discard()


async def test_no_inodes_left(small: Shelf, small_folder: str) -> None:
    """No room for one more file is a full disk too, when drafts begin and when folders are made."""
    draft = await small.begin("a", 1)
    others = [await small.begin(f"d{n}", 0) for n in range(os.statvfs(small_folder).f_favail)]
    with pytest.raises(DiskFull):
        await small.begin("b", 0)
    with pytest.raises(DiskFull):
        await draft.publish(PurePosixPath("folder/a"), unique=True, size=1)
    for _ in range(2):  # a second name takes an inode as well, on this kind of disk
        await others.pop().discard()
    assert await draft.publish(PurePosixPath("folder/a"), unique=True, size=1) == "folder/a"
    for other in (draft, *others):
        await other.discard()


@pytest.mark.parametrize("name", ["open", "ftruncate", "fsync"])
@pytest.mark.parametrize(("code", "error"), [(errno.EIO, StorageFailed), (errno.EDQUOT, DiskFull)])
async def test_a_draft_that_cannot_begin(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch,
    name: str, code: int, error: type[Exception],
) -> None:  # fmt: skip
    """Whatever fails, no file and no descriptor is left, and the error has no path."""
    async with opened(make) as shelf:
        await (await shelf.begin("warm", 10)).discard()
        before = sorted(os.listdir("/dev/fd"))
        Failing(monkeypatch, name, code)
        with pytest.raises(error) as caught:
            await shelf.begin("a", 10)
        assert "secret" not in str(caught.value)
        assert await shelf.drafts() == []
        assert sorted(os.listdir("/dev/fd")) == before
        await (await shelf.begin("a", 10)).discard()


async def test_a_draft_that_begins_is_durable(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its size and its name are on the disk before anybody is told of it."""
    flushed: list[os.stat_result] = []
    real = os.fsync

    def note(fd: int) -> None:
        flushed.append(os.fstat(fd))
        real(fd)

    async with opened(make) as shelf:
        monkeypatch.setattr(os, "fsync", note)
        draft = await shelf.begin("a", 12_345)
        monkeypatch.undo()
        folder = tmp_path / "own" / "parts"
        assert [found.st_ino for found in flushed] == [
            (folder / "a").stat().st_ino,
            folder.stat().st_ino,
        ]
        assert flushed[0].st_size == 12_345
        await draft.discard()


async def test_a_draft_that_somebody_cut(make: Callable[[], Shelf], tmp_path: Path) -> None:
    """A file that lost its end is neither published nor read as if it had one."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", 10)
        await draft.write(0, b"0123456789")
        os.truncate(tmp_path / "own/parts/a", 5)
        for call in (draft.read(5, 5), draft.publish(PurePosixPath("a"), unique=True, size=10)):
            with pytest.raises(StorageFailed, match="not the size"):
                await call
        await draft.close()
        with pytest.raises(StorageFailed, match="not the size"):
            await shelf.reopen("a", 10)
        assert os.listdir(tmp_path / "objects") == []


def test_the_folders_are_apart(tmp_path: Path) -> None:
    """Objects among the daemon's own files, or drafts among objects, are refused at the start."""
    for root, own in (("a", "a/filepipe/parts"), ("a/parts", "a/parts"), ("a/b/c", "a/b")):
        with pytest.raises(ConfigError, match="own files are there"):
            LocalShelf(str(tmp_path / root), tmp_path / own)


def test_a_note_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a draft is moved is noted on the disk before anything moves."""
    fd = os.open(tmp_path, objects.FOLDER)
    place = objects.Place(fd, fd)
    drafts.note_move(place, "a", "f/ü")
    assert drafts.moved_to(place, "a") == PurePosixPath("f/ü")
    Failing(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(OSError, match="Input"):
        drafts.note_move(place, "a", "other")
    os.close(fd)
