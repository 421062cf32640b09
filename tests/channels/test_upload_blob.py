"""The bytes of an upload as a blob: gathered, read before they are written, made durable."""

from __future__ import annotations

import asyncio

import pytest

from filepipe.accountant import Budget
from filepipe.channels import upload_blob
from filepipe.channels.opened import Opened
from filepipe.channels.upload_blob import Room, UploadBlob
from filepipe.errors import Broken, DiskFull, OverBudget, PastLength, TooLarge
from filepipe.storage.interface import Draft, Kept
from tests.channels.memory_shelf import MemoryShelf


async def made(shelf: MemoryShelf, room: Room | None = None) -> UploadBlob:
    """A blob over a draft."""
    draft = await shelf.begin("a", None)

    async def opening() -> Draft:
        return await shelf.reopen("a", None)

    return UploadBlob(Opened(opening, draft), room or Room(None, None), 0)


async def test_small_chunks_are_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Into larger writes; a reader gets what waits, and so does the disk when it is to."""
    monkeypatch.setattr(upload_blob, "WRITE_SIZE", 8)
    shelf = MemoryShelf()
    blob = await made(shelf)
    await blob.append((b"012", b"34"))
    assert (blob.size, blob.written, shelf.unnamed["a"]) == (5, 0, b"")
    assert await blob.read(0, 2) == b"01"
    await blob.append((b"56789", b"abc"))
    assert shelf.unnamed["a"] == b"0123456789abc"
    await blob.append((b"d",))
    await blob.flush()
    assert await blob.secure() == 14
    assert [await blob.read(12, 9), await blob.read(14, 9)] == [b"cd", b""]


async def test_it_says_when_there_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is not durable: written by us, or by the kernel."""
    monkeypatch.setattr(upload_blob, "PACE", 10)
    blob = await made(MemoryShelf())
    await blob.append((bytes(9),))
    assert not blob.much.is_set()
    await blob.append((bytes(1),))
    assert blob.much.is_set()
    await blob.flush()
    await blob.secure()
    assert not blob.much.is_set()
    blob.grow(10)
    assert blob.much.is_set()


async def test_a_write_that_failed_is_not_forgotten() -> None:
    """What comes after it would be in its place."""
    shelf = MemoryShelf()
    blob = await made(shelf)
    await blob.append((b"0123",))
    shelf.faults["write"] = DiskFull("full")
    with pytest.raises(DiskFull):
        await blob.flush()
    shelf.faults.clear()
    with pytest.raises(DiskFull):
        await blob.read(0, 9)
    assert blob.written == 0


async def test_a_writer_that_is_cancelled_has_written() -> None:
    """Its write goes on, and the next one waits for it."""
    shelf = MemoryShelf()
    blob = await made(shelf)
    shelf.gates["write"] = asyncio.Event()
    await blob.append((b"0123",))
    flushing = asyncio.create_task(blob.flush())
    await asyncio.sleep(0)
    flushing.cancel()
    await blob.append((b"45",))
    asyncio.get_running_loop().call_soon(shelf.gates["write"].set)
    await blob.flush()
    assert shelf.unnamed["a"] == b"012345"


async def test_the_kernel_writes_only_what_there_is_room_for() -> None:
    """And nothing that has to be hashed; a shelf without files has nothing for it."""
    blob = await made(MemoryShelf())
    assert await blob.descriptor() == -1
    blob.announced = True
    assert await blob.descriptor() == -1


async def test_it_becomes_the_object() -> None:
    """Readers find the bytes there; what was ended before that has none."""
    shelf = MemoryShelf()
    blob = await made(shelf)
    await blob.append((b"0123",))
    await blob.flush()
    shelf.named["x"] = bytearray(b"0123")

    async def opening() -> Kept:
        return await shelf.open("x")

    await blob.draft.retire()
    with pytest.raises(Broken):
        await blob.read(0, 9)
    blob.become(Opened(opening))
    assert await blob.read(1, 9) == b"123"
    assert await blob.descriptor() == -1
    await blob.rest(lambda: False)
    await blob.discard()
    await blob.discard()


def test_room() -> None:
    """It is held once, refused where there is none, and given back."""
    disk = Budget("disk", 10)
    room = Room(disk, 8, 6)
    room.reach(4)
    room.reach(3)
    assert disk.used == 4
    with pytest.raises(PastLength):
        room.reach(7)
    room.total = None
    with pytest.raises(TooLarge):
        room.reach(9)
    disk.take(5)
    with pytest.raises(OverBudget):
        room.reach(6)
    room.adopt(8)
    assert disk.used == 13
    room.release()
    room.release()
    assert disk.used == 5
