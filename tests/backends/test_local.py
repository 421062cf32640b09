"""Whole objects in a folder of the local disk."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import ConfigError, DiskFull, StorageFailed, TooManyFiles
from filepipe.storage.interface import Shelf
from filepipe.testing import ShelfSuite, opened, store
from filepipe_backends import local
from filepipe_backends.local import LocalDraft, LocalShelf
from tests.backends.conftest import Failing


class TestLocal(ShelfSuite):
    """The suite that every shelf passes."""


class TestLocalWithShortWrites(ShelfSuite):
    """The suite where the kernel takes only a part of each write."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write = os.pwrite

        def write_a_part(fd: int, data: memoryview, offset: int) -> int:
            return write(fd, data[: max(1, 2 * len(data) // 3)], offset)

        monkeypatch.setattr(os, "pwrite", write_a_part)


@pytest.mark.parametrize("location", ["", "/dev/null", "/dev/null/below", "/proc/nowhere", "/proc"])
def test_a_useless_location_is_a_config_error(location: str, tmp_path: Path) -> None:
    """What cannot be a folder of ours is said before serving, and no descriptor stays open."""
    before = sorted(os.listdir("/dev/fd"))
    with pytest.raises(ConfigError):
        LocalShelf(location, tmp_path / "parts")
    assert sorted(os.listdir("/dev/fd")) == before


async def test_the_folder_of_objects_may_be_a_link(tmp_path: Path) -> None:
    """Where the root is, its owner says."""
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to("real")
    async with opened(lambda: LocalShelf(str(tmp_path / "root"), tmp_path / "parts")) as shelf:
        await store(shelf, "a", b"body", "name")
        assert await shelf.check() is None
    assert (tmp_path / "real" / "name").read_bytes() == b"body"


async def test_a_folder_of_objects_is_one_daemon_s(tmp_path: Path) -> None:
    """Another one would replace and remove what this one knows as its own."""
    place = str(tmp_path / "objects")
    async with opened(lambda: LocalShelf(place, tmp_path / "parts")):
        with pytest.raises(ConfigError, match="another filepipe keeps its uploads there"):
            LocalShelf(place, tmp_path / "other-parts")
    async with opened(lambda: LocalShelf(place, tmp_path / "other-parts")):
        pass


async def test_a_file_system_that_locks_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is used all the same."""

    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.EBADF, "as NFS has it")

    monkeypatch.setattr(fcntl, "flock", refuse)
    place = str(tmp_path / "objects")
    async with opened(lambda: LocalShelf(place, tmp_path / "parts")) as shelf:
        await store(shelf, "a", b"body", "name")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.EIO, StorageFailed),
        (errno.EDQUOT, DiskFull),
        (errno.ENOSPC, DiskFull),
        (errno.EMFILE, TooManyFiles),
    ],
)
async def test_a_call_that_fails(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception]
) -> None:
    """No OSError and no path leaves the shelf; the draft goes on where no flush failed."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", 6)
        for name, call in {
            "pwrite": lambda: draft.write(0, b"before"),
            "pread": lambda: draft.read(0, 6),
            "listdir": shelf.drafts,
            "unlink": lambda: shelf.drop("a"),
            "open": lambda: shelf.reopen("a", 6),
            "dup": lambda: shelf.open("a"),
        }.items():
            Failing(monkeypatch, name, code)
            with pytest.raises(error) as caught:
                await call()
            assert "secret" not in str(caught.value)
        monkeypatch.undo()
        await draft.write(0, b"before")
        await draft.sync()
        path = await draft.publish(PurePosixPath("a"), unique=True, size=6)
        await draft.discard()
        kept = await shelf.open(path)
        assert os.pread(await kept.descriptor(), 10, 0) == b"before"
        await kept.close()


async def test_a_removal_that_may_come_back(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removal is only said to be done when a power cut does not undo it."""
    async with opened(make) as shelf:
        path = await store(shelf, "a", b"", "a")
        Failing(monkeypatch, "fsync", errno.EIO)
        with pytest.raises(StorageFailed):
            await shelf.remove(path)


async def test_a_discard_raises_nothing(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be removed now is found among the drafts at the next start."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", 6)
        Failing(monkeypatch, "unlink", errno.EIO)
        await draft.discard()
        assert await shelf.drafts() == ["a"]


async def test_a_close_waits_for_a_cancelled_write(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a closed descriptor may be another file's before a late write is through."""
    entered, go = threading.Event(), threading.Event()
    pwrite = os.pwrite

    def held(fd: int, data: bytes, offset: int) -> int:
        entered.set()
        assert go.wait(30)
        return pwrite(fd, data, offset)

    async with opened(make) as shelf:
        draft = await shelf.begin("a", 6)
        monkeypatch.setattr(os, "pwrite", held)
        write = asyncio.create_task(draft.write(0, b"before"))
        await asyncio.to_thread(entered.wait, 30)
        write.cancel()
        await asyncio.wait({write})
        closing = asyncio.create_task(draft.close())
        assert not (await asyncio.wait({closing}, timeout=0.05))[0]
        go.set()
        await closing
        again = await shelf.reopen("a", 6)
        assert await again.read(0, 6) == b"before"
        await again.close()


async def test_a_closed_draft_touches_no_file(make: Callable[[], Shelf]) -> None:
    """Whoever comes late is refused, and closes nothing that has the number now."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", 6)
        await draft.close()
        other = await shelf.begin("b", 6)
        name = PurePosixPath("a")
        late = (draft.write(0, b"late"), draft.read(0, 6), draft.publish(name, unique=True, size=6))
        for call in (*late, draft.sync()):
            with pytest.raises(StorageFailed):
                await call
        await draft.close()
        await other.write(0, b"others")
        await draft.discard()
        assert await shelf.drafts() == ["b"]
        assert await other.read(0, 6) == b"others"
        await other.discard()


async def test_flushes_do_not_hold_up_writes(
    make: Callable[[], Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others write and read while a slow disk keeps every flusher waiting."""
    go = threading.Event()
    async with opened(make) as shelf:
        count = 2 * local.FLUSHERS
        drafts = [await shelf.begin(f"d{number}", 6) for number in range(count)]
        monkeypatch.setattr(os, "fdatasync", lambda _fd: go.wait(30))
        syncs = [asyncio.create_task(draft.sync()) for draft in drafts]
        for draft in drafts:
            await draft.write(0, b"before")
            assert await draft.read(0, 6) == b"before"
        assert not any(sync.done() for sync in syncs)
        go.set()
        await asyncio.gather(*syncs)
        for draft in drafts:
            await draft.discard()


async def test_a_draft_is_trimmed(make: Callable[[], Shelf]) -> None:
    """What is behind its end goes, and it goes on there; one that is shorter stays as it is."""
    async with opened(make) as shelf:
        draft = await shelf.begin("grows", None)
        assert isinstance(draft, LocalDraft)
        await draft.write(0, b"kept" + bytes(1_000_000))
        for size in (4, 100):
            await draft.trim(size)
            assert os.fstat(await draft.descriptor()).st_size == 4
        await draft.write(4, b" and more")
        assert await draft.read(0, 100) == b"kept and more"
        await draft.close()
        await draft.trim(1)
        assert await (await shelf.reopen("grows", None)).read(0, 100) == b"kept and more"


async def test_aclose_ends_the_threads(make: Callable[[], Shelf]) -> None:
    """No thread and no descriptor of a closed shelf is left, and there are never too many."""
    before = sorted(os.listdir("/dev/fd"))
    async with opened(make) as shelf:
        await asyncio.gather(*(store(shelf, f"u{n}", b"body", "name") for n in range(30)))
        ours = [t for t in threading.enumerate() if t.name.startswith("filepipe-")]
        assert 1 <= len(ours) <= local.THREADS + local.FLUSHERS
    assert not [t for t in threading.enumerate() if t.name.startswith("filepipe-")]
    assert sorted(os.listdir("/dev/fd")) == before
