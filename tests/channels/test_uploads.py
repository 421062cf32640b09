"""The engine of uploads: what is acknowledged stays, and what has a name is whole."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from filepipe.channels.channel import Reader
from filepipe.errors import (
    BadRequest,
    Busy,
    Conflict,
    DiskFull,
    Draining,
    FilepipeError,
    Gone,
    NotFound,
    OverBudget,
    StorageFailed,
    TooLarge,
)
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryShelf
from tests.channels.uploading import RULES, World, part_of, pieces

BODY = b"abcdefghijklmnopqrstuvwxy"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database of the test."""
    return tmp_path / "uploads.db"


@pytest.fixture
async def world(path: Path) -> AsyncIterator[World]:
    """A running engine."""
    world = await World.open(path, MemoryShelf())
    yield world
    await world.aclose()


async def test_a_whole_life(world: World) -> None:
    """Parts in any order become one object; the ledger and the counters come back to rest."""
    upload = await world.begin(BODY)
    assert (world.disk.used, world.activity.open) == (len(BODY), 1)
    for count, number in enumerate((2, 0, 1), start=1):
        part, stored = await world.put(upload, number, part_of(upload, BODY, number))
        assert (part.number, stored) == (number, count)
    done = await world.uploads.complete(upload.id)
    assert (done.status, done.final_path) == ("complete", "name")
    assert world.shelf.named == {"name": BODY}
    await turns()
    assert await world.shelf.drafts() == []
    activity = world.activity
    assert (world.disk.used, activity.open, activity.stored, activity.busy) == (0, 0, 3, 0)
    assert [ended.id for ended in world.ended] == [upload.id]


async def test_limits(world: World) -> None:
    """Too large, too many, too full: nothing is kept of what was refused."""
    with pytest.raises(TooLarge):
        await world.begin(bytes(1001))
    made = await asyncio.gather(*(world.begin(b"") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(each, OverBudget) for each in made) == 5, "three fit, also at once"
    assert len(world.shelf.unnamed) == len(world.shelf.open_drafts) == world.activity.open == 3


async def test_no_room(world: World) -> None:
    """What the ledger or the disk refuses takes nothing."""
    for body in (bytes(900), bytes(900)):
        await world.begin(body)
    with pytest.raises(OverBudget):
        await world.begin(bytes(900))
    world.shelf.faults["begin"] = DiskFull("full")
    with pytest.raises(DiskFull):
        await world.begin(bytes(100))
    assert (world.disk.used, world.activity.open) == (1800, 2)


async def test_a_client_that_leaves_at_once(world: World) -> None:
    """Its upload is there with all that belongs to it, and can be cancelled like any other."""
    world.shelf.gates["begin"] = asyncio.Event()
    leaving = asyncio.create_task(world.begin(BODY))
    await turns()
    leaving.cancel()
    await asyncio.wait({leaving})
    world.shelf.gates["begin"].set()
    while not (found := await world.uploads.listing("me", 9, None)):
        await turns()
    await world.uploads.cancel(found[0].id)
    assert (world.disk.used, world.activity.open, world.shelf.unnamed) == (0, 0, {})


async def test_a_part_again(world: World) -> None:
    """The same is welcome; other content takes two tries and then counts; a size is a size."""
    upload = await world.begin(BODY)
    first = await world.put(upload, 0, BODY[:9])
    assert await world.put(upload, 0, BODY[:9]) == first
    for wrong in (b"", BODY[:8], BODY[:10]):
        with pytest.raises(BadRequest):
            await world.put(upload, 0, wrong)
    assert await world.uploads.stored_parts(upload.id) == 1
    with pytest.raises(Busy):
        await world.put(upload, 0, b"*" * 9)
    assert await world.uploads.stored_parts(upload.id) == 0
    part, _ = await world.put(upload, 0, b"*" * 9)
    assert part.sha256 == hashlib.sha256(b"*" * 9).hexdigest()


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_part_again_after_the_end(path: Path, restarted: bool) -> None:
    """A finished upload takes the same part, and no other; its file stays."""
    world = await World.open(path, MemoryShelf())
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    await world.uploads.complete(upload.id)
    if restarted:
        await world.aclose()
        world = await World.open(path, world.shelf)
    _, stored = await world.put(upload, 1, BODY[9:18])
    with pytest.raises(BadRequest):
        await world.put(upload, 1, b"*" * 9)
    assert stored == await world.uploads.stored_parts(upload.id) == 3
    assert world.shelf.named == {"name": BODY}
    await turns()
    await world.aclose()


async def test_a_hole_that_opens_meanwhile(world: World) -> None:
    """Whoever sends other content while the upload is being finished is refused, not obeyed."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    going_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"*"
        await going_on.wait()
        yield b"*" * 8

    writer = asyncio.create_task(
        world.uploads.put_part(await world.uploads.find(upload.id), 0, slow())
    )
    await turns()
    assert (await world.uploads.complete(upload.id)).status == "complete"
    going_on.set()
    with pytest.raises(BadRequest):
        await writer
    assert await world.uploads.stored_parts(upload.id) == 3
    assert world.shelf.named["name"] == BODY


async def test_parts_while_it_is_finished(world: World) -> None:
    """The same part is acknowledged; the upload cannot be cancelled; a wait has its limit."""
    world.shelf.gates["publish"] = asyncio.Event()
    world.uploads._rules = replace(RULES, complete_wait=0.01)
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    assert (await world.uploads.complete(upload.id)).status == "finalizing"
    assert (await world.uploads.complete(upload.id)).status == "finalizing"
    assert world.activity.busy == 1, "one job, however often it was asked for"
    assert (await world.put(upload, 0, BODY[:9]))[1] == 3
    with pytest.raises(BadRequest):
        await world.put(upload, 0, b"*" * 9)
    with pytest.raises(Conflict):
        await world.uploads.cancel(upload.id)
    world.shelf.gates["publish"].set()
    world.uploads._rules = RULES
    assert (await world.uploads.complete(upload.id)).status == "complete"


async def test_two_completes_are_one_job(world: World) -> None:
    """Whoever comes second waits for the same end."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    ends = await asyncio.gather(*(world.uploads.complete(upload.id) for _ in range(5)))
    assert {end.status for end in ends} == {"complete"}
    assert len(world.ended) == len(world.shelf.named) == 1


async def test_finishing_fails(world: World) -> None:
    """The upload says why, keeps its parts, and is finished by asking again."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    world.shelf.faults["publish"] = StorageFailed("the storage failed: the disk is ill")
    failed = await world.uploads.complete(upload.id)
    assert (failed.status, failed.error) == ("failed", "the storage failed: the disk is ill")
    assert (world.activity.open, world.disk.used) == (1, len(BODY))
    del world.shelf.faults["publish"]
    assert (await world.uploads.complete(upload.id)).status == "complete"
    assert [ended.status for ended in world.ended] == ["failed", "complete"]


async def test_the_record_of_the_end_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The object has its name, the record has not: asking again finds it, and makes no second."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)

    def no_room(*arguments: object) -> bool:
        raise DiskFull("disk full, try again later")

    with monkeypatch.context() as patch:
        patch.setattr("filepipe.records.uploads.complete", no_room)
        assert (await world.uploads.complete(upload.id)).status == "finalizing"
    done = await world.uploads.complete(upload.id)
    assert (done.status, done.final_path) == ("complete", "name")
    assert world.shelf.named == {"name": BODY}


async def test_a_checksum(world: World) -> None:
    """The wrong whole gets no name; the part that was wrong is sent again."""
    upload = await world.begin(BODY, checksum=hashlib.sha256(BODY).hexdigest())
    await world.put_all(upload, b"*" + BODY[1:])
    assert (await world.uploads.complete(upload.id)).status == "failed"
    assert world.shelf.named == {}
    with pytest.raises(Busy):
        await world.put(upload, 0, BODY[:9])
    await world.put(upload, 0, BODY[:9])
    assert (await world.uploads.complete(upload.id)).status == "complete"


async def test_a_part_cannot_be_made_durable(world: World) -> None:
    """It is not acknowledged and not there."""
    upload = await world.begin(BODY)
    world.shelf.faults["sync"] = StorageFailed("ill")
    with pytest.raises(StorageFailed):
        await world.put(upload, 0, BODY[:9])
    assert await world.uploads.stored_parts(upload.id) == 0
    with pytest.raises(BadRequest, match="0/3"):
        await world.uploads.complete(upload.id)


async def test_a_sender_that_leaves_in_the_last_moment(world: World) -> None:
    """What is durable is recorded, whoever is still there to hear of it."""
    upload = await world.begin(BODY)
    world.shelf.gates["sync"] = asyncio.Event()
    sender = asyncio.create_task(world.put(upload, 0, BODY[:9]))
    while not world.activity.busy:
        await turns()
    with pytest.raises(Busy):
        await world.put(upload, 0, BODY[:9])
    sender.cancel()
    await asyncio.wait({sender})
    world.shelf.gates["sync"].set()
    assert (await world.put(upload, 0, BODY[:9]))[1] == 1


async def test_cancelled_while_a_part_is_sent(world: World) -> None:
    """The sender hears of it, the bytes are gone."""
    upload = await world.begin(BODY)
    never = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"*"
        await never.wait()

    sender = asyncio.create_task(world.uploads.put_part(upload, 0, slow()))
    while not world.activity.busy:
        await turns()
    await world.uploads.cancel(upload.id)
    with pytest.raises(Gone):
        await sender
    assert (world.shelf.unnamed, world.shelf.open_drafts, world.disk.used) == ({}, [], 0)
    with pytest.raises(NotFound):
        await world.put(upload, 0, BODY[:9])


async def test_what_nobody_goes_on_with(world: World) -> None:
    """Only that is removed, however many finished ones are as old."""
    done = await world.begin(b"")
    await world.uploads.complete(done.id)
    world.uploads._rules = replace(RULES, ttl=-1.0)
    old, failed = await world.begin(BODY), await world.begin(b"", "x", "0" * 64)
    await world.uploads.complete(failed.id)
    await world.uploads.touch(done.id)
    world.uploads._rules = RULES
    young = await world.begin(BODY, "young")
    await world.put(old, 0, BODY[:9])
    assert await world.uploads.expire() == 1
    left = {upload.id for upload in await world.uploads.listing("me", 9, None)}
    assert left == {done.id, old.id, young.id}, "a part makes an upload live on"
    assert "name" in world.shelf.named


async def test_a_drain(world: World) -> None:
    """Nothing new begins; what is under way, and what is whole, is brought to its end."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    world.activity.draining = True
    for new in (world.begin(BODY), world.put(upload, 0, BODY[:9])):
        with pytest.raises(Draining):
            await new
    assert (await world.uploads.complete(upload.id)).status == "complete"


async def test_reading_along(world: World) -> None:
    """What has no gap is there at once, the rest as it comes, and the end does not hurt."""
    upload = await world.begin(BODY)
    await world.put(upload, 1, BODY[9:18])
    async with world.uploads.reading(upload) as channel:
        with Reader(channel) as reader:
            first = asyncio.create_task(reader.read())
            await turns()
            assert not first.done()
            await world.put(upload, 0, BODY[:9])
            got = await first
            while len(got) < 18:
                got += await reader.read()
            await world.put(upload, 2, BODY[18:])
            await world.uploads.complete(upload.id)
            while data := await reader.read():
                got += data
    assert got == BODY
    async with world.uploads.reading(await world.uploads.find(upload.id)) as channel:
        with Reader(channel) as reader:
            assert await reader.read() == BODY


async def test_a_body_that_never_ends(world: World) -> None:
    """It is refused at the first byte too many, however much would follow."""
    upload = await world.begin(BODY)
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x"

    with pytest.raises(BadRequest, match="expected 9"):
        await world.uploads.put_part(upload, 0, endless())
    assert taken == 10


async def test_nobody_writes_over_a_stored_part(world: World) -> None:
    """While other content is compared the first stays what it was."""
    upload = await world.begin(BODY)
    await world.put_all(upload, BODY)
    for data in (b"*" * 9, b"*" * 8):
        with pytest.raises(FilepipeError):
            await world.uploads.put_part(await world.uploads.find(upload.id), 0, pieces(data))
    assert world.shelf.unnamed[upload.handle] == BODY
