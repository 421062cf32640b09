"""The engine of uploads by their offset over stops and crashes, and on shelves of other kinds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from filepipe.channels import offset_session, opened
from filepipe.errors import Broken, Conflict, DiskFull, StorageFailed
from filepipe.keys import Key
from filepipe.records import offsets
from filepipe.storage.interface import Traits
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryShelf
from tests.channels.offsetting import RULES, World, follow

TEN = b"0123456789"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database of the test."""
    return tmp_path / "uploads.db"


async def crash(world: World) -> None:
    """End it as kill -9 does: nothing is told to anybody, the disk stays as it is."""
    for session in world.uploads._sessions:
        if session.finishing is not None:
            session.finishing.cancel()
    await turns()
    await world.database.aclose()
    world.shelf.open_drafts.clear()
    world.shelf.gates.clear()


@pytest.mark.parametrize("ending", ["stop", "crash"])
@pytest.mark.parametrize("where", ["middle", "finishing", "published", "complete"])
async def test_a_restart(
    path: Path, ending: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was told is there, at its key as well; finishing goes on by itself, under one name."""
    shelf = MemoryShelf()
    world = await World.open(path, shelf, replace(RULES, complete_wait=0.0))
    upload = await world.begin(10, key="k", path="name")
    await world.append(upload, 0, b"01234")
    with monkeypatch.context() as patch:
        if where == "finishing":
            shelf.gates["publish"] = asyncio.Event()
        if where == "published":
            patch.setattr("filepipe.records.uploads.complete", raising)
        if where != "middle":
            await world.append(upload, 5, b"56789")
            while world.activity.busy and where != "finishing":
                await turns()
        assert bool(shelf.named) == (where in ("published", "complete"))
        await (world.aclose() if ending == "stop" else crash(world))
    shelf.gates.clear()
    world = await World.open(path, shelf)
    with pytest.raises(Conflict):
        await world.begin(key="k")
    assert world.disk.used == 10
    if where == "middle":
        assert (await world.uploads.find(upload.id)).offset == 5
        await world.append(upload, 5, b"56789")
    assert await follow(world, "k") == TEN
    done = await world.uploads.complete(upload.id)
    assert (done.status, done.final_path) == ("complete", "name")
    assert shelf.named == {"name": TEN}
    channel = world.directory.find(Key("k"))
    assert channel is not None
    await world.uploads.delete(channel)
    assert (shelf.named, world.disk.used) == ({}, 0)
    await world.aclose()
    assert await shelf.drafts() == []


def raising(*arguments: object) -> bool:
    """A database without room."""
    raise DiskFull("disk full, try again later")


async def test_the_end_of_a_whole_is_not_forgotten(path: Path) -> None:
    """A crash between the last byte and the end of an upload that ends by itself."""
    shelf = MemoryShelf()
    world = await World.open(path, shelf)
    upload = await world.begin(10, path="name")
    await world.append(upload, 0, b"01234")
    shelf.unnamed[upload.handle] += b"56789"
    await world.database.run(lambda conn: offsets.append(conn, upload.id, 10, 1.0, 2.0))
    await crash(world)
    world = await World.open(path, shelf)
    assert (await world.uploads.complete(upload.id)).status == "complete"
    assert shelf.named == {"name": TEN}
    await world.aclose()


async def test_what_is_not_put_together_yet(path: Path) -> None:
    """A final upload that a crash left in pieces goes: nobody has heard of it."""
    shelf = MemoryShelf()
    world = await World.open(path, shelf)
    await world.begin(10, key="k", notes={"concat": "final"})
    await crash(world)
    world = await World.open(path, shelf)
    assert (shelf.unnamed, len(world.directory), world.activity.open) == ({}, 0, 0)
    await world.aclose()


async def test_a_draft_that_is_gone(path: Path) -> None:
    """The daemon starts; the upload can be asked for and removed, and not gone on with."""
    shelf = MemoryShelf()
    world = await World.open(path, shelf)
    upload = await world.begin(10, key="k")
    await world.append(upload, 0, b"01234")
    await crash(world)
    shelf.unnamed.clear()
    world = await World.open(path, shelf)
    assert (await world.uploads.find(upload.id)).offset == 5
    with pytest.raises(StorageFailed):
        await world.append(upload, 5, b"x")
    with pytest.raises((StorageFailed, Broken)):
        await follow(world, "k")
    await world.uploads.cancel(upload.id)
    assert world.directory.find(Key("k")) is None
    await world.aclose()


async def test_a_long_append_loses_little(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came is recorded while more comes; a failure of that ends the append."""
    monkeypatch.setattr(offset_session, "SYNC_AFTER", 0.0)
    shelf = MemoryShelf()
    world = await World.open(path, shelf)
    upload = await world.begin(10)

    async def send() -> None:
        async with world.uploads.appending(upload.id, 0) as appending:
            await appending.writer.write((b"01234",))
            while (await world.uploads.find(upload.id)).offset != 5:
                await turns()
            assert appending.recorded == 5
            await appending.writer.write((b"56",))
            shelf.faults["sync"] = StorageFailed("broken")
            await asyncio.sleep(5)

    with pytest.raises(StorageFailed, match="broken"):
        await send()
    shelf.faults.clear()
    assert (await world.append(upload, 5, b"56")).offset == 7
    await world.aclose()


async def test_drafts_that_nobody_uses_are_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for some; they are opened again when somebody comes."""
    monkeypatch.setattr(opened, "MOST_IDLE", 1)
    shelf = MemoryShelf()
    world = await World.open(path, shelf)
    made = [await world.begin(10, key=f"k{number}") for number in range(3)]
    await world.uploads._jobs.settle()
    assert shelf.open_drafts == [made[2].handle]
    for upload in made:
        await world.append(upload, 0, b"01234")
    await world.uploads._jobs.settle()
    assert shelf.open_drafts == [made[2].handle]
    for upload in made:
        await world.append(upload, 5, b"56789")
        assert await follow(world, upload.key or "") == TEN
    await world.aclose()


class Distant(MemoryShelf):
    """A shelf that shows only wholes, and whose bytes take no room here."""

    @property
    def traits(self) -> Traits:
        """As those of an object store."""
        return replace(super().traits, live=False, local_disk=False)


async def test_a_shelf_that_shows_only_wholes(path: Path) -> None:
    """Readers at the key wait until it is whole; a restart in between changes nothing."""
    shelf = Distant()
    world = await World.open(path, shelf)
    upload = await world.begin(10, key="k")
    await world.append(upload, 0, b"01234")
    with pytest.raises(Conflict, match="only wholes"):
        async with world.uploads.reading(upload):
            pass
    assert (world.directory.find(Key("k")), world.disk.used) == (None, 0)
    await crash(world)
    world = await World.open(path, shelf)
    waiting = asyncio.create_task(world.directory.wait(Key("k"), 10.0))
    with pytest.raises(Conflict):
        await world.begin(key="k")
    await world.append(upload, 5, b"56789")
    assert await waiting is not None
    assert await follow(world, "k") == TEN
    assert await world.content(upload) == TEN
    await world.aclose()
