"""A file of a share that is opened again after a loss, as long as that is safe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from filepipe.errors import DiskFull, StorageAway, StorageFailed
from filepipe.testing import opened, store
from filepipe.testing.shelf_steps import content
from filepipe_backends.smb import SmbDraft, SmbShelf
from filepipe_backends.smb_errors import Refusal
from filepipe_backends.smb_link import Link, Opened
from tests import smbd
from tests.backends.smb_faults import shelf_on
from tests.between import Between
from tests.smbd import Smbd

BODY = os.urandom(3_000_000)
HALF = len(BODY) // 2


@pytest.fixture
def between(samba: Smbd) -> Iterator[Between]:
    """A proxy to the server."""
    proxy = Between(samba.port)
    yield proxy
    proxy.close()


@pytest.fixture
def make(samba: Smbd, between: Between, tmp_path: Path) -> Callable[[], SmbShelf]:
    """Open a shelf through the proxy."""
    return shelf_on(samba, tmp_path, between.port)


async def test_what_is_flushed_outlives_a_loss(
    make: Callable[[], SmbShelf], between: Between
) -> None:
    """Between two flushed parts nobody notices that the connection was lost."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", len(BODY))
        await draft.write(0, BODY[:HALF])
        await draft.sync()
        between.cut()
        await draft.write(HALF, BODY[HALF:])
        await draft.sync()
        between.cut()
        assert await draft.read(HALF, 100) == BODY[HALF : HALF + 100]
        between.cut()
        path = await draft.publish(PurePosixPath("a"), unique=True, size=len(BODY))
        await draft.discard()
        assert await content(shelf, path) == BODY


STEPS: dict[str, Callable[[SmbDraft], Awaitable[object]]] = {
    "sync": lambda draft: draft.sync(),
    "write": lambda draft: draft.write(HALF, BODY[HALF:]),
    "read": lambda draft: draft.read(0, 10),
    "publish": lambda draft: draft.publish(PurePosixPath("a"), unique=True, size=len(BODY)),
}


@pytest.mark.parametrize("step", STEPS)
async def test_what_is_not_flushed_does_not(
    make: Callable[[], SmbShelf], between: Between, step: str
) -> None:
    """A draft whose bytes may be gone takes and gives no more; opened anew it goes on."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", len(BODY))
        await draft.write(0, BODY[:HALF])
        await draft.sync()
        await draft.write(HALF, BODY[HALF:])
        between.cut()
        for _ in range(2):
            with pytest.raises(StorageAway, match="before all was on the disk"):
                await STEPS[step](draft)
        await draft.close()
        again = await shelf.reopen("a", len(BODY))
        assert await again.read(0, 1000) == BODY[:1000]
        await again.write(HALF, BODY[HALF:])
        path = await again.publish(PurePosixPath("a"), unique=True, size=len(BODY))
        await again.discard()
        assert await content(shelf, path) == BODY


async def test_cut_in_the_middle_of_a_write(make: Callable[[], SmbShelf], between: Between) -> None:
    """One that was not answered is done again where nothing else was at stake."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", 1_000_000)
        between.cut_after(500_000)
        await draft.write(0, BODY[:1_000_000])
        assert between.accepted == 2
        await draft.sync()
        path = await draft.publish(PurePosixPath("a"), unique=True, size=1_000_000)
        assert await content(shelf, path) == BODY[:1_000_000]
        await draft.discard()


async def test_a_flush_that_fails(
    make: Callable[[], SmbShelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tried again: the server may have forgotten the bytes and say that all is well."""
    async with opened(make) as shelf:
        draft = await shelf.begin("a", 10)
        await draft.write(0, b"0123456789")
        flush = Link.flush

        def fail(link: Link, opened: Opened) -> None:
            raise Refusal(0xC0000185)

        monkeypatch.setattr(Link, "flush", fail)
        with pytest.raises(StorageFailed, match="disk failed"):
            await draft.sync()
        monkeypatch.setattr(Link, "flush", flush)
        with pytest.raises(StorageFailed, match="may not be on the disk"):
            await draft.sync()
        with pytest.raises(StorageFailed, match="may not be on the disk"):
            await draft.publish(PurePosixPath("a"), unique=True, size=10)
        await draft.discard()


async def test_reading_outlives_a_loss(
    make: Callable[[], SmbShelf], between: Between, samba: Smbd
) -> None:
    """An object is read on after a loss, if it is the same still."""
    async with opened(make) as shelf:
        path = await store(shelf, "a", BODY, "a")
        kept = await shelf.open(path)
        assert await kept.read(0, 10) == BODY[:10]
        between.cut()
        assert await kept.read(10, 10) == BODY[10:20]
        await store(shelf, "b", BODY, "a", unique=False)
        between.cut()
        with pytest.raises(StorageFailed, match="the object is gone"):
            await kept.read(20, 10)
        await kept.close()


async def test_a_share_that_is_full(tmp_path: Path, small_folder: str) -> None:
    """That is said as of any disk, before and while it is written."""
    smbd.need()
    server = Smbd(tmp_path, share=Path(small_folder))
    try:
        async with opened(lambda: SmbShelf(server.location(), tmp_path / "own")) as shelf:
            with pytest.raises(DiskFull):
                await shelf.begin("a", 2_000_000)
            assert await shelf.drafts() == []
            draft = await shelf.begin("b", None)
            with pytest.raises(DiskFull):
                await draft.write(0, BODY)
            await draft.discard()
            assert await shelf.drafts() == []
            assert await shelf.check() is None
    finally:
        server.kill()


async def test_many_at_once_over_losses(make: Callable[[], SmbShelf], between: Between) -> None:
    """What is published is whole, whatever was lost when; who hears of a failure tries again."""
    async with opened(make) as shelf:

        async def bring(number: int) -> None:
            body = BODY[number * 1000 : number * 1000 + 600_000]
            handle = f"u{number}"
            await (await shelf.begin(handle, len(body))).close()
            while True:
                draft = await shelf.reopen(handle, len(body))
                try:
                    for at in range(0, len(body), 100_000):
                        await draft.write(at, body[at : at + 100_000])
                    await draft.sync()
                    path = await draft.publish(PurePosixPath("n"), unique=True, size=len(body))
                except StorageFailed:
                    await draft.close()
                    continue
                await draft.discard()
                break
            assert await content(shelf, path) == body

        async def disturb() -> None:
            seen = 0
            while seen < 8:
                if between.accepted > seen:  # else what has passed would count anew
                    seen = between.accepted
                    between.cut_after(1_000_000)
                await asyncio.sleep(0.01)

        disturbing = asyncio.create_task(disturb())
        await asyncio.gather(*map(bring, range(6)))
        disturbing.cancel()
        assert between.accepted > 2
        assert await shelf.drafts() == []
