"""Drafts are open while somebody needs them, one for each upload, and not for ever."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filepipe.channels import opened
from filepipe.channels.channel import Reader
from filepipe.errors import Draining, StorageFailed
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryDraft, MemoryShelf
from tests.channels.uploading import World, part_of

BODY = b"abcdefghijklmnopqrstuvwxy"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A running engine."""
    world = await World.open(tmp_path / "uploads.db", MemoryShelf())
    yield world
    await world.aclose()


async def held() -> AsyncIterator[bytes]:
    """A body that begins, and says no more."""
    yield b"*"
    await asyncio.Event().wait()


async def test_what_nobody_uses_is_closed(world: World) -> None:
    """And opened again when somebody comes; nothing is lost by it."""
    upload = await world.begin(BODY)
    await world.put(upload, 1, BODY[9:18])
    assert await world.uploads.rest(60.0) == 0
    assert await world.uploads.rest(0.0) == 1
    assert (world.shelf.open_drafts, world.activity.open) == ([], 1)
    await world.put_all(upload, BODY)
    assert await world.uploads.rest(0.0) == 1
    assert (await world.uploads.complete(upload.id)).status == "complete"
    assert world.shelf.named == {"name": BODY}


async def test_not_much_that_nobody_uses_stays_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has been unused for longest is closed, at once, and opened again when somebody comes."""
    monkeypatch.setattr(opened, "MOST_IDLE", 1)
    uploads = [await world.begin(BODY) for _ in range(3)]
    await world.uploads._jobs.settle()
    assert world.shelf.open_drafts == [uploads[2].handle]
    for upload in uploads:
        await world.put(upload, 1, BODY[9:18])
        await world.uploads._jobs.settle()
        assert world.shelf.open_drafts == [upload.handle]
    for upload in uploads:
        await world.put_all(upload, BODY)
        assert (await world.uploads.complete(upload.id)).status == "complete"


@pytest.mark.parametrize("who", ["sender", "reader", "finisher"])
async def test_what_somebody_uses_stays_open(world: World, who: str) -> None:
    """Who sends, who reads along, who finishes: none of them loses the draft."""
    upload = await world.begin(BODY)
    if who == "sender":
        using = asyncio.create_task(world.uploads.put_part(upload, 0, held()))
    else:
        await world.put_all(upload, BODY)
        world.shelf.gates["publish"] = asyncio.Event()
        work = read(world, upload.id) if who == "reader" else world.uploads.complete(upload.id)
        using = asyncio.create_task(work)  # type: ignore[arg-type]
    session = world.uploads._sessions.get(upload.id)
    assert session is not None
    while session.unused_since(math.inf):
        await turns()
    await world.uploads.rest(0.0)
    assert upload.handle in world.shelf.open_drafts
    using.cancel()
    await asyncio.wait({using})
    world.shelf.gates.clear()


async def read(world: World, upload_id: str) -> None:
    """Read along until cancelled."""
    async with world.uploads.reading(await world.uploads.find(upload_id)) as channel:
        with Reader(channel) as reader:
            while True:
                await reader.read()


async def test_one_draft_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure it is opened anew only when everybody has let go of the old one."""
    upload = await world.begin(BODY)
    slow = asyncio.create_task(world.uploads.put_part(upload, 2, held()))
    while not world.activity.busy:
        await turns()
    closing = asyncio.Event()
    close = MemoryDraft.close

    async def late(draft: MemoryDraft) -> None:
        await closing.wait()
        await close(draft)

    monkeypatch.setattr(MemoryDraft, "close", late)
    world.shelf.faults["sync"] = StorageFailed("ill")
    failing = asyncio.create_task(world.put(upload, 0, BODY[:9]))
    with pytest.raises(StorageFailed):
        await slow
    del world.shelf.faults["sync"]
    failing.cancel()  # its client leaves: the draft is closed all the same
    await asyncio.wait({failing})
    again = asyncio.create_task(world.put(upload, 0, BODY[:9]))
    await turns()
    assert world.shelf.open_drafts == [upload.handle]
    closing.set()
    assert (await again)[1] == 1
    assert world.shelf.open_drafts == [upload.handle]


async def test_after_a_cut_nothing_is_opened(world: World) -> None:
    """Who comes too late is told, and leaves nothing behind."""
    upload, whole = await world.begin(BODY), await world.begin(BODY[:5])
    await world.put_all(whole, BODY[:5])
    sending = asyncio.create_task(world.uploads.put_part(upload, 0, held()))
    world.shelf.gates["begin"] = asyncio.Event()
    beginning = asyncio.create_task(world.begin(BODY))
    while not world.activity.busy:
        await turns()
    await world.uploads.rest(0.0)
    await world.uploads.cut()
    for each in (sending, world.put(whole, 0, BODY[:5]), world.uploads.complete(whole.id)):
        with pytest.raises(Draining):
            await each
    world.shelf.gates["begin"].set()
    await beginning
    assert world.shelf.open_drafts == [upload.handle]


async def test_a_part_of_everybody(world: World) -> None:
    """Many senders of one upload share its draft, also when they come while it is opened."""
    upload = await world.begin(BODY)
    await world.uploads.rest(0.0)
    world.shelf.gates["reopen"] = asyncio.Event()
    senders = [
        asyncio.create_task(world.put(upload, number, part_of(upload, BODY, number)))
        for number in range(3)
    ]
    while world.activity.busy < 3:
        await turns()
    world.shelf.gates["reopen"].set()
    await asyncio.gather(*senders)
    assert world.shelf.open_drafts == [upload.handle]
