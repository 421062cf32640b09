"""Whose a file is: nobody reads, removes or claims what another upload has put in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filepipe.channels.channel import Reader
from filepipe.errors import NotFound, StorageFailed
from filepipe.records.uploads import Upload
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryShelf
from tests.channels.uploading import World

OLD, NEW = b"the old bytes", b"the new ones"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A running engine."""
    world = await World.open(tmp_path / "uploads.db", MemoryShelf())
    yield world
    await turns()
    await world.aclose()


async def stored(world: World, body: bytes) -> Upload:
    """An upload that replaces what has its name, with all its parts."""
    upload = await world.begin(body, unique=False)
    await world.put_all(upload, body)
    return upload


async def content(world: World, upload: Upload) -> bytes:
    """What can be read of it."""
    async with world.uploads.reading(await world.uploads.find(upload.id)) as channel:
        with Reader(channel) as reader:
            return await reader.read()


class Recording:
    """Holds up the first record that is made while `body` has the name, until `going_on`."""

    def __init__(self, world: World, body: bytes) -> None:
        self.begun = asyncio.Event()
        self.going_on = asyncio.Event()
        self._run = world.database.run
        self._world = world
        self._body = body

    async def __call__(self, work: object) -> object:
        """In place of `Database.run`."""
        if self._world.shelf.named.get("name") == self._body and not self.begun.is_set():
            self.begun.set()
            await self.going_on.wait()
        return await self._run(work)  # type: ignore[arg-type]


async def test_removed_while_it_is_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the new one stays, however the two are woven into each other."""
    old, new = await stored(world, OLD), await stored(world, NEW)
    await world.uploads.complete(old.id)
    recording = Recording(world, NEW)
    monkeypatch.setattr(world.database, "run", recording)
    finishing = asyncio.create_task(world.uploads.complete(new.id))
    await recording.begun.wait()  # it has its name, which is not recorded yet
    removing = asyncio.create_task(world.uploads.cancel(old.id))
    reading = asyncio.create_task(content(world, old))
    await turns()
    recording.going_on.set()
    done = await finishing
    await asyncio.wait({removing, reading})
    assert isinstance(reading.exception(), NotFound)
    assert (done.status, done.final_path) == ("complete", "name")
    assert world.shelf.named == {"name": NEW}
    assert await content(world, new) == NEW


async def test_two_of_one_name_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is that of the one that says so."""
    world.uploads._finishers = asyncio.Semaphore(2)
    first, second = await stored(world, OLD), await stored(world, NEW)
    recording = Recording(world, OLD)
    monkeypatch.setattr(world.database, "run", recording)
    finishing = [asyncio.create_task(world.uploads.complete(first.id))]
    await recording.begun.wait()
    finishing.append(asyncio.create_task(world.uploads.complete(second.id)))
    for _ in range(50):  # the second one would be done by then, if nothing held it up
        await turns()
    recording.going_on.set()
    await asyncio.gather(*finishing)
    ends = [await world.uploads.find(upload.id) for upload in (first, second)]
    assert [end.final_path for end in ends] == [None, "name"]
    assert world.shelf.named == {"name": NEW}


async def test_what_cannot_be_removed_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be removed later; else nobody would ever know of the file."""
    upload = await stored(world, OLD)
    await world.uploads.complete(upload.id)

    async def fail(shelf: MemoryShelf, path: str) -> None:
        raise StorageFailed("ill")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryShelf, "remove", fail)
        with pytest.raises(StorageFailed):
            await world.uploads.cancel(upload.id)
    assert (await world.uploads.find(upload.id)).final_path == "name"
    await world.uploads.cancel(upload.id)
    assert world.shelf.named == {}


async def test_a_file_that_somebody_changed(world: World) -> None:
    """It is not shown as what was uploaded, with a length that it has not."""
    upload = await stored(world, OLD)
    await world.uploads.complete(upload.id)
    world.shelf.named["name"] += b"more"
    with pytest.raises(NotFound, match="changed"):
        await content(world, upload)
