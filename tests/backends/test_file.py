"""Blobs in unlinked files."""

import asyncio
import contextlib
import errno
import os
import resource
import stat
import threading

import pytest

from filepipe.errors import ConfigError, DiskFull, StorageFailed, TooManyFiles
from filepipe.testing import StorageSuite, read_all
from filepipe_backends import file
from filepipe_backends.file import FileStorage

MIB = 1024 * 1024


@pytest.fixture
async def storage(tmp_path):
    storage = FileStorage(str(tmp_path / "spill"))
    yield storage
    await storage.aclose()


@pytest.fixture
async def small(small_folder):
    """A storage on the small file system."""
    storage = FileStorage(small_folder)
    yield storage
    await storage.aclose()


def take_descriptors():
    """Open files until there is no descriptor left."""
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    return taken


class TestFile(StorageSuite):
    """The suite that every storage passes."""


class TestFileWithoutTmpfile(StorageSuite):
    """The suite on a system that has no unnamed files."""

    @pytest.fixture
    async def storage(self, tmp_path, monkeypatch):
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        storage = FileStorage(str(tmp_path))
        yield storage
        assert os.listdir(tmp_path) == []
        await storage.aclose()


class TestFileWithShortWrites(StorageSuite):
    """The suite where the kernel takes only a part of each write."""

    @pytest.fixture
    async def storage(self, tmp_path, monkeypatch):
        write = os.pwritev

        def write_a_part(fd, views, offset):
            part = max(1, 2 * len(views[0]) // 3)
            return write(fd, [views[0][:part]], offset)

        monkeypatch.setattr(os, "pwritev", write_a_part)
        storage = FileStorage(str(tmp_path))
        yield storage
        await storage.aclose()


@pytest.mark.parametrize("way", ["unnamed", "named", "refused"])
async def test_modes_and_names(tmp_path, monkeypatch, way):
    """Folder 0700, file 0600 and without a name, also where unnamed files are not supported."""
    if way == "unnamed" and not hasattr(os, "O_TMPFILE"):
        pytest.skip("O_TMPFILE exists on Linux only")
    if way == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if way == "refused":
        system_open, unnamed = os.open, getattr(os, "O_TMPFILE", 1 << 30)

        def refuse(path, flags, mode=0o777, **more):
            if flags & unnamed == unnamed:
                raise OSError(errno.EOPNOTSUPP, "not supported")
            return system_open(path, flags, mode, **more)

        monkeypatch.setattr(os, "open", refuse)
    folder = tmp_path / "deep" / "spill"
    storage = FileStorage(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    blob = await storage.create()
    await blob.append([b"secret"])
    status = os.fstat(await blob.descriptor())
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_nlink == 0
    assert os.listdir(folder) == []
    await blob.discard()
    await storage.aclose()


async def test_a_folder_that_exists_keeps_its_mode(tmp_path):
    """The owner's choice is left alone."""
    folder = tmp_path / "mine"
    folder.mkdir()
    folder.chmod(0o750)
    await FileStorage(str(folder)).aclose()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


async def test_names_that_a_crash_left_are_removed(tmp_path):
    """A start removes what a crash left between making and unlinking, and nothing else."""
    (tmp_path / f"{file.PREFIX}0123").touch()
    (tmp_path / "mine").touch()
    await FileStorage(str(tmp_path)).aclose()
    assert os.listdir(tmp_path) == ["mine"]


@pytest.mark.parametrize("location", ["", "/dev/null", "/dev/null/below", "/proc/nowhere"])
def test_a_useless_location_is_a_config_error(location):
    """What cannot be a folder of ours is said before serving."""
    with pytest.raises(ConfigError, match="storage file:"):
        FileStorage(location)


async def test_a_full_disk(small):
    """ENOSPC becomes DiskFull; the blob keeps what it had, and half an append takes no room."""
    blob = await small.create()
    await blob.append([b"a" * (MIB // 2)])
    with pytest.raises(DiskFull, match=r"^disk full, try again later$"):
        await blob.append([b"b" * (MIB // 4), b"c" * MIB])
    assert blob.size == MIB // 2
    assert await read_all(blob) == b"a" * (MIB // 2)
    other = await small.create()
    await other.append([b"o" * (MIB // 4)])
    await blob.append([b"d" * 1000])
    assert await read_all(blob) == b"a" * (MIB // 2) + b"d" * 1000
    await blob.discard()
    await other.append([b"o" * (MIB // 2)])
    await other.discard()


async def test_a_blob_that_cannot_fit_is_refused_at_once(small):
    """`expected` is held against the room of the file system."""
    await (await small.create()).discard()
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(DiskFull):
        await small.create(2 * MIB)
    assert sorted(os.listdir("/proc/self/fd")) == before
    blob = await small.create(MIB // 2)
    await blob.discard()


async def test_no_inodes_left(small, small_folder):
    """A file system without inodes is a full disk too, until a blob goes."""
    blobs = [await small.create() for _ in range(os.statvfs(small_folder).f_favail)]
    with pytest.raises(DiskFull):
        await small.create()
    await blobs.pop().discard()
    blobs.append(await small.create())
    for blob in blobs:
        await blob.discard()


async def test_a_file_system_that_counts_no_blocks_is_not_full(storage, monkeypatch):
    """A tmpfs without a limit says that it has 0 of 0 blocks, where only that can be asked."""
    monkeypatch.setattr("filepipe_backends.preallocation.preallocate", lambda fd, size: False)
    real = os.fstatvfs

    def count_nothing(fd):
        fields = list(real(fd))
        fields[2:5] = [0, 0, 0]
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "fstatvfs", count_nothing)
    blob = await storage.create(10**15)
    await blob.discard()


async def test_no_descriptors_left(storage):
    """EMFILE becomes TooManyFiles, and passes when a descriptor is free again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    await (await storage.create()).discard()
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
        taken = take_descriptors()
        with pytest.raises(TooManyFiles, match=r"^too many open files, try again later$"):
            await storage.create()
        os.close(taken.pop())
        await (await storage.create()).discard()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.EDQUOT, DiskFull), (errno.ENFILE, TooManyFiles), (errno.EIO, StorageFailed)],
)
async def test_errors_are_translated_without_the_path(
    storage, tmp_path, monkeypatch, number, error
):
    """No OSError and no path leaves the storage, in any call."""
    blob = await storage.create()
    await blob.append([b"before"])

    def fail(*args, **more):
        raise OSError(number, os.strerror(number), str(tmp_path))

    for name in ("pwritev", "pread", "open"):
        monkeypatch.setattr(os, name, fail)
    for call in (blob.append([b"x"]), blob.read(0, 1), storage.create()):
        with pytest.raises(error) as caught:
            await call
        assert str(tmp_path) not in str(caught.value)
    monkeypatch.undo()
    await blob.append([b" after"])
    assert await read_all(blob) == b"before after"
    await blob.discard()


async def test_a_file_that_lost_its_end(storage):
    """A file that somebody cut is a failure, not the end of the blob."""
    blob = await storage.create()
    await blob.append([b"whole"])
    os.ftruncate(await blob.descriptor(), 2)
    assert await blob.read(0, 5) == b"wh"
    with pytest.raises(StorageFailed, match="shorter"):
        await blob.read(2, 3)
    await blob.discard()


async def test_aclose_ends_the_threads(tmp_path):
    """No thread of a closed storage is left."""
    storage = FileStorage(str(tmp_path))
    blobs = [await storage.create() for _ in range(10)]
    await asyncio.gather(*(blob.append([b"x"]) for blob in blobs))
    names = [thread.name for thread in threading.enumerate()]
    assert 1 <= sum(name.startswith("filepipe-file") for name in names) <= file.THREADS
    await asyncio.gather(*(blob.discard() for blob in blobs))
    await storage.aclose()
    assert not [t for t in threading.enumerate() if t.name.startswith("filepipe-file")]
