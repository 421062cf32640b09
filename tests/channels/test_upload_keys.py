"""Keys of uploads: taken from the beginning of the upload to the end of its file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filepipe.channels.channel import Reader
from filepipe.channels.state import State
from filepipe.errors import (
    Broken,
    Conflict,
    DiskFull,
    Gone,
)
from filepipe.keys import Key
from filepipe.testing import turns
from tests.channels.memory_shelf import MemoryShelf
from tests.channels.offsetting import World, follow

TEN = b"0123456789"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A daemon, stopped at the end."""
    opened = await World.open(tmp_path / "uploads.db", MemoryShelf())
    yield opened
    await opened.aclose()


async def test_keys(world: World) -> None:
    """One has its key from the beginning to its end, which is that of its file."""
    waiting = asyncio.create_task(world.directory.wait(Key("k"), 5.0))
    await turns()
    upload = await world.begin(10, key="k")
    assert await waiting is world.directory.find(Key("k"))
    with pytest.raises(Conflict):
        await world.begin(10, key="k")
    assert world.disk.used == 10
    await world.append(upload, 0, TEN)
    await world.uploads.complete(upload.id)
    with pytest.raises(Conflict):
        await world.begin(10, key="k")
    assert world.disk.used == 10  # what can be read at a key counts, as all that is there does
    channel = world.directory.find(Key("k"))
    assert channel is not None
    await world.uploads.delete(channel)
    assert (world.directory.find(Key("k")), world.shelf.named, world.disk.used) == (None, {}, 0)
    with pytest.raises(Gone):
        await world.uploads.find(upload.id)
    await world.begin(10, key="k")


async def test_a_key_is_deleted_under_its_readers(world: World) -> None:
    """They hear that the rest does not come."""
    await world.append(await world.begin(10, key="k"), 0, b"01234")
    channel = world.directory.find(Key("k"))
    assert channel is not None
    with Reader(channel) as reader:
        assert await reader.read() == b"01234"
        await world.uploads.delete(channel)
        with pytest.raises(Broken):
            await reader.read()
    assert (world.shelf.unnamed, world.disk.used) == ({}, 0)


async def test_a_reader_outlives_the_end_of_a_key(world: World) -> None:
    """What has begun to read a finished object reads it to its end."""
    upload = await world.begin(10, key="k")
    await world.append(upload, 0, TEN)
    await world.uploads.complete(upload.id)
    channel = world.directory.find(Key("k"))
    assert channel is not None
    with Reader(channel) as reader:
        assert await reader.read(4) == b"0123"
        await world.uploads.cancel(upload.id)
        assert await reader.read() == b"456789"
    assert channel.state is State.DISCARDED


async def test_a_full_disk(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The sender hears of it, readers are cut, what was told before is there to go on with.

    The log says which upload it was, and not what one could write to it with.
    """
    upload = await world.begin(10, key="k")
    await world.append(upload, 0, b"0123")
    reading = asyncio.create_task(follow(world, "k"))
    await turns()
    world.shelf.faults["write"] = DiskFull("full")
    with pytest.raises(DiskFull):
        await world.append(upload, 4, b"456")
    with pytest.raises((DiskFull, Broken)):
        await reading
    log = capsys.readouterr().out
    assert upload.id[:8] in log
    assert upload.id not in log
    with pytest.raises(Conflict):
        await world.begin(key="k")
    world.shelf.faults.clear()
    await world.append(upload, 4, b"456789")
    assert await follow(world, "k") == TEN
