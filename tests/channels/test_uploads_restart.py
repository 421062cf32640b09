"""The engine of uploads over stops and crashes: it goes on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from filepipe.errors import DiskFull, Gone, OverBudget, StorageFailed
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryShelf
from tests.channels.uploading import RULES, World

BODY = b"abcdefghijklmnopqrstuvwxy"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database of the test."""
    return tmp_path / "uploads.db"


async def crash(world: World) -> None:
    """End it as kill -9 does: nothing is told to anybody, the disk stays as it is."""
    sessions = world.uploads._sessions._open.values()
    for job in [session.finishing for session in sessions if session.finishing is not None]:
        job.cancel()
    await turns()
    await world.database.aclose()
    world.shelf.open_drafts.clear()
    world.shelf.gates.clear()


async def test_cancelled_while_it_is_opened_after_a_restart(path: Path) -> None:
    """The draft is opened to its end, then removed; whoever wanted it hears of that."""
    shelf = MemoryShelf()
    first = await World.open(path, shelf)
    upload = await first.begin(BODY)
    await crash(first)
    world = await World.open(path, shelf)
    shelf.gates["reopen"] = asyncio.Event()
    late = asyncio.create_task(world.uploads.put_part(upload, 0, endless()))
    while not world.activity.busy:
        await turns()
    cancelling = asyncio.create_task(world.uploads.cancel(upload.id))
    await turns()
    shelf.gates["reopen"].set()
    with pytest.raises(Gone):
        await late
    await cancelling
    await world.aclose()
    assert (shelf.unnamed, world.activity.open) == ({}, 0)


async def endless() -> AsyncIterator[bytes]:
    """A body that begins, and says no more."""
    yield b"*"
    await asyncio.Event().wait()


@pytest.mark.parametrize("ending", ["stop", "crash"])
@pytest.mark.parametrize("where", ["parts", "finishing", "published"])
async def test_a_restart(
    path: Path, ending: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every acknowledged part is there; finishing goes on by itself; drafts of nobody go."""
    shelf = MemoryShelf()
    world = await World.open(path, shelf, replace(RULES, complete_wait=0.0))
    upload = await world.begin(BODY)
    await world.put(upload, 1, BODY[9:18])
    if where != "parts":
        await world.put_all(upload, BODY)
        if where == "finishing":
            shelf.gates["publish"] = asyncio.Event()
            await world.uploads.complete(upload.id)
            await turns()
        else:
            with monkeypatch.context() as patch:
                patch.setattr("filepipe.records.uploads.complete", raising)
                await world.uploads.complete(upload.id)
                while world.activity.busy:
                    await turns()
            assert shelf.named == {"name": BODY}
    await (world.aclose() if ending == "stop" else crash(world))
    shelf.gates.clear()
    shelf.unnamed["of nobody"] = bytearray()
    world = await World.open(path, shelf)
    assert "of nobody" not in shelf.unnamed
    reserved = 0 if where != "parts" else len(BODY)
    while world.disk.used != reserved:  # what is finished by itself gives its room back
        await turns()
    if where == "parts":
        assert [part.number for part in await world.uploads.parts(upload.id)] == [1]
        await world.put_all(upload, BODY)
    done = await world.uploads.complete(upload.id)
    assert (done.status, done.final_path) == ("complete", "name")
    assert shelf.named == {"name": BODY}
    await turns()
    await world.aclose()
    assert await shelf.drafts() == []


def raising(*arguments: object) -> bool:
    """A database without room."""
    raise DiskFull("disk full, try again later")


async def test_a_draft_that_is_gone_at_the_start(path: Path) -> None:
    """The daemon starts, the upload has failed and can be removed."""
    shelf = MemoryShelf()
    first = await World.open(path, shelf, replace(RULES, complete_wait=0.0))
    upload = await first.begin(BODY)
    await first.put_all(upload, BODY)
    shelf.gates["publish"] = asyncio.Event()
    await first.uploads.complete(upload.id)
    await crash(first)
    shelf.unnamed.clear()
    world = await World.open(path, shelf)
    assert (await world.uploads.find(upload.id)).status == "failed"
    with pytest.raises(StorageFailed):
        await world.uploads.complete(upload.id)
    await world.uploads.cancel(upload.id)
    await world.aclose()


async def test_what_is_reserved_stays_reserved(path: Path) -> None:
    """Over a restart, until the upload is gone or complete."""
    shelf = MemoryShelf()
    first = await World.open(path, shelf)
    uploads = [await first.begin(bytes(900)), await first.begin(bytes(900), "other")]
    await first.aclose()
    world = await World.open(path, shelf)
    assert world.disk.used == 1800
    with pytest.raises(OverBudget):
        await world.begin(bytes(900))
    await world.uploads.cancel(uploads[0].id)
    await world.put_all(uploads[1], bytes(900))
    await world.uploads.complete(uploads[1].id)
    assert world.disk.used == 0
    await turns()
    await world.aclose()
