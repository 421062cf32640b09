"""Uploads whose callers leave, or cross each other, in the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from filepipe.errors import Busy, FilepipeError, NotFound, StorageFailed
from filepipe.records import uploads as records
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryShelf
from tests.channels.uploading import RULES, World, pieces

BODY = b"abcdefghijklmnopqrstuvwxy"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A running engine."""
    world = await World.open(tmp_path / "uploads.db", MemoryShelf())
    yield world
    await turns()
    await world.aclose()


async def test_a_sender_that_leaves_while_a_part_is_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part is missing, and is taken from the next one who sends it."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    forgotten, going_on = asyncio.Event(), asyncio.Event()
    run = world.database.run

    async def late(work: object) -> object:
        result = await run(work)  # type: ignore[arg-type]
        if result is True:  # of all that is done here only the forgetting says so
            forgotten.set()
            await going_on.wait()
        return result

    monkeypatch.setattr(world.database, "run", late)
    sender = asyncio.create_task(world.put(upload, 0, b"*" * 9))
    await forgotten.wait()
    sender.cancel()
    await asyncio.wait({sender})
    going_on.set()
    await turns()
    assert (await world.put(upload, 0, BODY[:9]))[1] == 3
    assert (await world.uploads.complete(upload.id)).status == "complete"
    assert world.shelf.named == {"name": BODY}


async def test_a_shelf_that_fails_at_the_end(world: World) -> None:
    """The draft that failed is let go of: the next try has a fresh one."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    before = world.uploads._sessions.get(upload.id)
    world.shelf.faults["publish"] = StorageFailed("ill")
    assert (await world.uploads.complete(upload.id)).status == "failed"
    assert world.shelf.open_drafts == []
    del world.shelf.faults["publish"]
    assert (await world.uploads.complete(upload.id)).status == "complete"
    assert before is not world.uploads._sessions.get(upload.id)


async def test_removed_as_soon_as_it_is_complete(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for the end hears that it is gone; nothing is said behind everybody's back."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    found: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: found.append(str(what)))
    end = type(world.uploads._sessions.get(upload.id)).end

    def removing(session: object) -> None:
        end(session)  # type: ignore[arg-type]
        removals.append(asyncio.ensure_future(world.uploads.cancel(upload.id)))

    removals: list[asyncio.Future[None]] = []
    monkeypatch.setattr("filepipe.channels.upload_session.Session.end", removing)
    world.uploads._rules = replace(RULES, complete_wait=0.0)
    await world.uploads.complete(upload.id)
    while world.activity.busy or not removals:
        await turns()
    await removals[0]
    with pytest.raises(NotFound):
        await world.uploads.find(upload.id)
    assert (world.shelf.named, found) == ({}, [])


async def test_what_somebody_goes_on_with_in_the_last_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not expire: neither while a part is sent, nor when one was stored just now."""
    world.uploads._rules = replace(RULES, ttl=-1.0)
    sent, stored = await world.begin(BODY), await world.begin(BODY)
    never = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"*"
        await never.wait()

    sender = asyncio.create_task(world.uploads.put_part(sent, 0, slow()))
    while not world.activity.busy:
        await turns()
    world.uploads._rules = RULES
    find = records.expired

    def meanwhile(connection: object, now: float, limit: int) -> object:
        found = find(connection, now, limit)  # type: ignore[arg-type]
        records.touch(connection, stored.id, now, now + 100.0)  # type: ignore[arg-type]
        return found

    monkeypatch.setattr(records, "expired", meanwhile)
    assert await world.uploads.expire() == 0
    assert world.activity.open == 2
    sender.cancel()
    await asyncio.wait({sender})
    assert await world.uploads.expire() == 1


async def test_sent_while_it_is_completed(world: World) -> None:
    """A sender who had asked for the record just before is told to ask again."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    await world.uploads.complete(upload.id)
    with pytest.raises(Busy):
        await world.uploads.put_part(upload, 0, pieces(BODY[:9]))
    assert (await world.put(upload, 0, BODY[:9]))[1] == 3


async def test_everything_at_once(world: World) -> None:
    """Sent, completed, cancelled and read by many at the same time: an end, and nothing stays."""
    world.uploads._rules = replace(RULES, max_open=100)
    for turn in range(15):
        upload = await world.begin(BODY, f"{turn}")
        callers = [
            *(world.put(upload, number, BODY[number * 9 : number * 9 + 9]) for number in range(3)),
            world.uploads.complete(upload.id),
            world.put(upload, turn % 3, b"*" * (9 if turn % 3 < 2 else 7)),
            world.uploads.rest(0.0),
            world.uploads.cancel(upload.id),
            world.put(upload, 0, BODY[:9]),
            world.uploads.complete(upload.id),
        ]
        tasks = [asyncio.ensure_future(caller) for caller in callers[turn % 2 :: 1 + turn % 2]]
        for step in range(turn):
            await asyncio.sleep(0)
            tasks[step % len(tasks)].cancel() if step % 7 == 6 else None
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        wrong = [end for end in ends if isinstance(end, Exception)]
        assert all(isinstance(end, FilepipeError) for end in wrong), wrong
        try:
            await world.uploads.cancel(upload.id)
        except FilepipeError:
            await turns()
        [caller.close() for caller in callers if asyncio.iscoroutine(caller)]
    await world.uploads.rest(0.0)
    activity = world.activity
    assert (activity.open, activity.busy, world.disk.used) == (0, 0, 0)
    assert (world.shelf.open_drafts, world.shelf.unnamed, world.shelf.named) == ([], {}, {})
