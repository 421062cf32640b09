"""The engine of uploads by their offset: what it promises, one by one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from filepipe.channels.channel import Metadata, Reader
from filepipe.channels.offset_plan import Wish
from filepipe.errors import (
    BadRequest,
    Broken,
    Conflict,
    Draining,
    Gone,
    NotFound,
    OverBudget,
    PastLength,
    TooLarge,
    WrongLength,
    WrongOffset,
)
from filepipe.keys import Key
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryShelf
from tests.channels.offsetting import RULES, World, follow

TEN = b"0123456789"

WISH = Wish(
    principal="me",
    front="tus",
    key=None,
    path=None,
    unique=True,
    length=None,
    meta=Metadata(),
    notes={},
    storage="memory",
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A daemon, stopped at the end."""
    opened = await World.open(tmp_path / "uploads.db", MemoryShelf())
    yield opened
    await opened.aclose()


async def test_it_grows_and_ends(world: World) -> None:
    """Piece by piece; with the last byte it is complete by itself."""
    upload = await world.begin(10, path="a/b")
    assert world.disk.used == 10
    assert (await world.append(upload, 0, b"0123")).offset == 4
    await world.append(upload, 4, b"456", b"789")
    done = await world.uploads.complete(upload.id)
    assert (done.status, done.offset, done.final_path) == ("complete", 10, "a/b")
    assert world.shelf.named == {"a/b": TEN}
    assert await world.content(upload) == TEN
    assert (world.disk.used, world.activity.open, world.activity.busy) == (0, 0, 0)
    with pytest.raises(Conflict, match="is complete"):
        await world.append(upload, 10, b"x")


async def test_it_ends_when_it_is_asked_to(world: World) -> None:
    """Where the front says so; its length is then what came. Without a name it has one of ours."""
    upload = await world.begin(front="resumable")
    assert (await world.append(upload, 0, TEN)).status == "pending"
    done = await world.uploads.complete(upload.id)
    assert (done.status, done.total_size) == ("complete", 10)
    assert world.shelf.named == {f"keys/{upload.id}": TEN}
    assert (await world.uploads.complete(upload.id)) == done


async def test_offsets_and_lengths_that_are_wrong(world: World) -> None:
    """Nothing changes."""
    upload = await world.begin(front="resumable")
    await world.append(upload, 0, b"0123")
    with pytest.raises(WrongOffset) as found:
        await world.append(upload, 3, b"x")
    assert (found.value.expected, found.value.provided) == (4, 3)
    with pytest.raises(WrongLength, match="bytes already"):
        await world.uploads.set_length(upload.id, 3)
    await world.uploads.set_length(upload.id, 10)
    await world.uploads.set_length(upload.id, 10)
    with pytest.raises(WrongLength, match="was said"):
        async with world.uploads.appending(upload.id, 4, length=11):
            pass
    with pytest.raises(BadRequest, match="only 4 of 10"):
        await world.uploads.complete(upload.id)
    for unknown in (world.uploads.find, world.uploads.settle, world.uploads.complete):
        with pytest.raises(NotFound):
            await unknown("unknown")
    assert (await world.append(upload, 4, b"456789")).offset == 10


@pytest.mark.parametrize("announced", [None, 7])
async def test_more_than_was_said(world: World, announced: int | None) -> None:
    """What passes the length is not taken, and known at once where it is announced."""
    upload = await world.begin(10)
    await world.append(upload, 0, b"0123")

    async def send() -> None:
        async with world.uploads.appending(upload.id, 4, announced=announced) as appending:
            assert announced is None
            await appending.writer.write((b"45",))
            await appending.writer.write((b"67890",))

    with pytest.raises(PastLength, match="has 10 bytes"):
        await send()
    assert (await world.uploads.find(upload.id)).offset == (4 if announced else 6)


async def test_limits(world: World) -> None:
    """Of one, at the beginning and on the way; of the disk; of a principal."""
    with pytest.raises(TooLarge):
        await world.begin(1001)
    upload = await world.begin()
    with pytest.raises(TooLarge, match="limit of 1000"):
        await world.append(upload, 0, bytes(999), bytes(2))
    assert (await world.uploads.find(upload.id)).offset == 999
    await world.begin(1000)
    with pytest.raises(OverBudget, match="disk"):
        await world.begin(2)
    assert world.disk.used == 1999
    for _ in range(7):
        await world.begin(0, front="resumable")
    with pytest.raises(OverBudget, match="open uploads"):
        await world.begin(0, key="k")
    assert world.directory.find(Key("k")) is None
    assert (world.disk.used, world.activity.open) == (1999, 9)


@pytest.mark.parametrize("how", ["lost", "cancelled"])
async def test_what_came_before_a_loss_stays(world: World, how: str) -> None:
    """Also of a writer that is cancelled; readers at the key stay and get the rest."""
    upload = await world.begin(10, key="k")
    reading = asyncio.create_task(follow(world, "k"))
    arrived = asyncio.Event()

    async def send() -> None:
        async with world.uploads.appending(upload.id, 0) as appending:
            await appending.writer.write((b"01234",))
            arrived.set()
            if how == "lost":
                raise Broken("lost")
            await asyncio.Event().wait()

    sending = asyncio.create_task(send())
    await arrived.wait()
    sending.cancel()
    with pytest.raises((Broken, asyncio.CancelledError)):
        await sending
    assert (await world.uploads.settle(upload.id)).offset == 5
    await world.append(upload, 5, b"56789")
    assert await reading == TEN
    assert (await world.uploads.complete(upload.id)).status == "complete"
    assert await follow(world, "k") == TEN


@pytest.mark.parametrize("by", ["append", "settle", "cancel"])
async def test_a_new_request_ends_the_one_before(world: World, by: str) -> None:
    """However silent its sender is; what it brought is there for the new one."""
    upload = await world.begin(10)
    arrived = asyncio.Event()

    async def send() -> None:
        async with world.uploads.appending(upload.id, 0) as appending:
            await appending.writer.write((b"01234",))
            arrived.set()
            await asyncio.Event().wait()

    sending = asyncio.create_task(send())
    await arrived.wait()
    if by == "append":
        with pytest.raises(WrongOffset) as found:
            await world.append(upload, 0, b"x")
        assert found.value.expected == 5
    elif by == "settle":
        assert (await world.uploads.settle(upload.id)).offset == 5
    else:
        await world.uploads.cancel(upload.id)
        with pytest.raises(Gone):
            await world.uploads.find(upload.id)
    with pytest.raises(Gone if by == "cancel" else Broken):
        await sending


async def test_only_one_of_many_appends(world: World) -> None:
    """Those at the same offset do not mix, and each byte is there once."""
    upload = await world.begin(front="resumable")

    async def send(letter: bytes) -> bool:
        try:
            await world.append(upload, 0, letter * 5, letter * 5)
        except (WrongOffset, Broken):
            return False
        return True

    done = await asyncio.gather(*(send(bytes((65 + number,))) for number in range(6)))
    assert sum(done) <= 1
    body = world.shelf.unnamed[upload.handle]
    assert len(set(body)) <= 1
    assert (await world.uploads.settle(upload.id)).offset == len(body)


async def test_what_is_staged_stays_only_if_it_is_committed(world: World) -> None:
    """Nobody reads it before; what it hashes to is known by then."""
    upload = await world.begin(10, key="k")
    reading = asyncio.create_task(follow(world, "k"))
    await world.append(upload, 0, b"01")
    channel = world.directory.find(Key("k"))
    assert channel is not None
    for good in (False, True):
        digest = hashlib.sha256()
        async with world.uploads.appending(
            upload.id, 2, announced=8, staged=True, hashing=digest
        ) as appending:
            await appending.writer.write((b"2345" if good else b"wron",))
            await appending.writer.write((b"6789",))
            await appending.hashed()
            assert channel.size == 2
            if digest.digest() == hashlib.sha256(TEN[2:]).digest():
                await appending.commit()
        assert channel.size == (10 if good else 2)
    assert await reading == TEN
    assert (await world.uploads.complete(upload.id)).offset == 10


async def test_others_are_put_together(world: World) -> None:
    """In the order that was given, also twice; the parts stay until they expire."""
    partial = {"concat": "partial"}
    parts = [await world.begin(size, notes=partial) for size in (4, 6)]
    await world.append(parts[0], 0, b"0123")
    wish = replace(WISH, notes={"x": "y"})
    ids = [part.id for part in parts]
    with pytest.raises(BadRequest, match="not whole"):
        await world.uploads.concatenate(wish, ids)
    await world.append(parts[1], 0, b"456789")
    done = await world.uploads.concatenate(wish, [*ids, ids[0]])
    assert (done.status, done.offset) == ("complete", 14)
    assert world.shelf.named == {f"keys/{done.id}": TEN + b"0123"}
    assert (await world.uploads.find(ids[0])).status == "pending"
    with pytest.raises(BadRequest, match="only partial"):
        await world.uploads.concatenate(wish, [done.id])
    with pytest.raises(NotFound):
        await world.uploads.concatenate(replace(wish, principal="other"), ids)
    empty = await world.uploads.concatenate(wish, [(await world.begin(0, notes=partial)).id])
    assert (empty.status, empty.offset) == ("complete", 0)


async def test_while_the_daemon_goes_down(world: World) -> None:
    """Nothing begins; who appends goes on until they are cut, and what came is recorded."""
    upload = await world.begin(10, key="k")
    arrived = asyncio.Event()

    async def send() -> None:
        async with world.uploads.appending(upload.id, 0) as appending:
            await appending.writer.write((b"01234",))
            arrived.set()
            await asyncio.Event().wait()

    sending = asyncio.create_task(send())
    await arrived.wait()
    world.activity.draining = True
    for refused in (world.begin(), world.append(upload, 0)):
        with pytest.raises(Draining):
            await refused
    assert world.activity.busy == 1
    await world.uploads.cut()
    with pytest.raises(Draining):
        await sending
    assert (await world.uploads.find(upload.id)).offset == 5


async def test_what_nobody_goes_on_with(tmp_path: Path) -> None:
    """It goes; what is complete goes with its file where it has a key, else only its record."""
    world = await World.open(tmp_path / "db", MemoryShelf(), replace(RULES, ttl=-1.0))
    open_one = await world.begin(10, key="open")
    waiting = asyncio.create_task(follow(world, "open"))
    await turns()
    for name, key in (("plain", None), ("keyed", "key")):
        await world.append(await world.begin(10, path=name, key=key), 0, TEN)
    while len(world.shelf.named) < 2 or world.activity.busy:
        await turns()
    channel = world.directory.find(Key("key"))
    assert channel is not None
    with Reader(channel):
        assert await world.uploads.chores.expire() == 2
    with pytest.raises(Broken):
        await waiting
    assert world.shelf.named == {"plain": TEN, "keyed": TEN}
    assert await world.uploads.chores.expire() == 1
    assert world.shelf.named == {"plain": TEN}
    assert (len(world.directory), world.disk.used) == (0, 0)
    with pytest.raises(Gone):
        await world.append(open_one, 0, b"x")
    await world.aclose()
