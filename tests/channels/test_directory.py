"""Who gets a key, how long it stays, and what happens to all of them at the end."""

import asyncio

import pytest

from filepipe.channels.channel import Kind, Metadata, Reader, Writer
from filepipe.channels.directory import Directory
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.errors import Broken, Conflict, Draining
from filepipe.keys import Key
from filepipe.testing import turns
from tests.channels.reading import breaking, read

KEY = Key("key")


# -- claiming


async def test_a_key_in_use_is_in_conflict(claim, directory, storage):
    """From the claim to the end of the retention one key is one channel's."""
    channel = claim()
    with pytest.raises(Conflict, match="key already exists"):
        claim()
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        with pytest.raises(Conflict):
            claim()
    with pytest.raises(Conflict):
        claim()
    assert list(directory) == [channel]


async def test_of_many_writers_one_gets_the_key(claim):
    """A claim is one step: the others are refused, whoever comes first."""

    async def try_to_claim():
        try:
            return claim()
        except Conflict:
            return None

    claims = await asyncio.gather(*(try_to_claim() for _ in range(20)))
    assert sum(channel is not None for channel in claims) == 1


async def test_a_broken_key_is_free_at_once(claim, storage):
    """No retention for what is not whole, also while readers of it are still there."""
    channel = claim()
    with Reader(channel):
        async with breaking(channel, storage):
            pass
        assert claim() is not channel


# -- finding and waiting


async def test_readers_see_what_is_published(claim, storage, directory):
    """A claim alone is nothing to read; what is written, or whole, is."""
    assert directory.find(KEY) is None
    channel = claim()
    assert directory.find(KEY) is None
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        assert directory.find(KEY) is channel
    assert directory.find(KEY) is channel
    directory.delete(channel)
    assert directory.find(KEY) is None


async def test_what_is_there_needs_no_waiting(write, directory):
    """Not even a turn of the loop, nor any patience."""
    channel = await write()
    assert await directory.wait(KEY, 0.0) is channel
    assert await directory.wait(KEY, 60.0) is channel


async def test_whoever_waits_hears_of_the_key(claim, storage, directory):
    """All who wait for one key get it when it is published, not when it is claimed."""
    tasks = [asyncio.create_task(directory.wait(KEY, 60.0)) for _ in range(3)]
    await turns()
    assert directory.waiting == 3
    channel = claim()
    await turns()
    assert directory.waiting == 3
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        assert await asyncio.gather(*tasks) == [channel] * 3
    assert directory.waiting == 0


async def test_nobody_comes(clock, directory):
    """After its seconds the wait is over, without a channel and without a trace."""
    task = asyncio.create_task(directory.wait(KEY, 60.0))
    await clock.advance(59.0)
    assert not task.done()
    await clock.advance(2.0)
    assert await task is None
    assert directory.waiting == 0
    assert not directory.room
    assert await directory.wait(KEY, 0.0) is None


async def test_who_stops_waiting_leaves_nothing(directory, claim, storage):
    """A cancelled wait is forgotten, and disturbs nobody else's."""
    tasks = [asyncio.create_task(directory.wait(KEY, 60.0)) for _ in range(3)]
    await turns()
    for task in tasks[:2]:
        task.cancel()
    await asyncio.wait(tasks[:2])
    assert directory.waiting == 1
    channel = claim()
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        assert await tasks[2] is channel
    assert not directory.room


async def test_who_was_woken_for_nothing_waits_on(clock, directory, claim, storage):
    """A channel that broke before its waiter ran is none; the next one is, within the time."""
    task = asyncio.create_task(directory.wait(KEY, 60.0))
    await clock.advance(30.0)
    async with breaking(claim(), storage):
        pass
    await turns()
    assert not task.done()
    assert directory.waiting == 1
    channel = claim()
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        assert await task is channel


async def test_waiting_on_does_not_prolong_the_wait(clock, directory, claim, storage):
    """The seconds are those of the whole wait."""
    task = asyncio.create_task(directory.wait(KEY, 60.0))
    await clock.advance(30.0)
    async with breaking(claim(), storage):
        pass
    await clock.advance(29.0)
    assert not task.done()
    await clock.advance(2.0)
    assert await task is None


# -- deleting


async def test_deleting_what_is_whole(write, directory, claim, storage):
    """The key is free and the bytes go; once is enough."""
    channel = await write()
    directory.delete(channel)
    directory.delete(channel)
    claim()
    await turns()
    assert storage.discards == [1]


async def test_deleting_what_is_written_cuts_its_readers(claim, directory, storage):
    """The key is free at once; a reader is told why, and the writer at its next write."""
    channel = claim()

    async def upload():
        async with Writer(channel) as writer:
            await channel.publish(storage, Metadata())
            await writer.write([b"part"])
            directory.delete(channel)
            directory.delete(channel)
            claim()
            await writer.write([b"more"])

    with Reader(channel) as reader:
        with pytest.raises(Broken, match="the key was deleted"):
            await upload()
        assert channel.size == len(b"part")
        assert (await reader.read()).startswith(b"part")
        with pytest.raises(Broken) as broken:
            await reader.read()
    assert str(broken.value.__cause__) == "the key was deleted"


# -- going down


async def test_draining_refuses_what_is_new(claim, write, directory):
    """New keys and waiting readers are refused; what is there is still found."""
    channel = await write()
    task = asyncio.create_task(directory.wait(Key("none"), 60.0))
    await turns()
    directory.drain()
    with pytest.raises(Draining):
        await task
    with pytest.raises(Draining):
        await directory.wait(Key("none"), 60.0)
    with pytest.raises(Draining):
        claim("new")
    with pytest.raises(Draining):
        claim()  # rather than the conflict: there is nothing to gain by another key
    assert await directory.wait(KEY, 60.0) is channel
    assert await directory.wait(Key("none"), 0.0) is None


async def test_a_waiter_whose_key_came_with_the_drain_is_served(claim, storage, directory):
    """Whoever was woken for a key gets it, though the drain begins before it runs."""
    task = asyncio.create_task(directory.wait(KEY, 60.0))
    await turns()
    channel = claim()
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        directory.drain()
        assert await task is channel


async def test_what_a_drain_waits_for(claim, directory, storage):
    """Channels that are written, read, or whole and never read; not those only kept."""
    assert directory.busy() == 0
    channel = claim()
    assert directory.busy() == 1
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        assert directory.busy() == 1
        read(channel)
        assert directory.busy() == 1
    assert directory.busy() == 0
    with Reader(channel):
        assert directory.busy() == 1
    assert directory.busy() == 0


async def test_a_finished_key_is_busy_until_it_is_read(write, directory):
    """Its bytes would be lost; a look at its head is no reading."""
    channel = await write()
    with Reader(channel):
        pass
    assert directory.busy() == 1
    read(channel)
    assert directory.busy() == 0


async def test_closing_cuts_everything(storage, slow):
    """Uploads break, finished keys go, and the close waits until their bytes are let go."""
    directory = Directory(10)

    def claim(key):
        return directory.claim(Key(key), Kind.PIPE, Retention(60.0))

    async def upload(channel):
        async with Writer(channel) as writer:
            await channel.publish(storage, Metadata())
            await writer.write([b"data"])
            await asyncio.Event().wait()

    finished = claim("finished")
    async with Writer(finished):
        await finished.publish(storage, Metadata())
    written, claimed = claim("written"), claim("claimed")
    task = asyncio.create_task(upload(written))
    await turns()
    slow.held = {"discard"}
    closing = asyncio.create_task(directory.aclose())
    await turns()
    assert not closing.done()
    assert (len(directory), claimed.state, written.state) == (0, State.DISCARDED, State.BROKEN)
    with pytest.raises(Draining):
        claim("new")
    slow.release()
    await closing
    assert storage.discards == [1, 0]
    task.cancel()
    await asyncio.wait({task})
    await turns()
    assert storage.discards == [1, 1]
