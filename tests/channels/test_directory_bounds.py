"""How many keys, and waiting readers, there may be, and which key makes room for a new one."""

import asyncio

import pytest

from filepipe.channels.channel import Metadata, Reader, Writer
from filepipe.channels.state import State
from filepipe.errors import TooManyKeys
from filepipe.keys import Key
from filepipe.testing import turns
from tests.channels.reading import read, read_all

KEY = Key("key")


async def test_too_many_keys(claim, write):
    """Keys that are written, or were never read, are not driven out by new ones."""
    claim("written")
    await write(key="finished")
    await write(key="unread")
    with pytest.raises(TooManyKeys, match="too many keys, try again later"):
        claim("one more")


async def test_the_key_that_was_left_alone_longest_makes_room(claim, write, directory, storage):
    """Of the keys that have been read the one goes first whose last reader left first."""
    one, two, three = [await write(key=key) for key in ("one", "two", "three")]
    read(three)
    read(one)
    with Reader(three):  # a look at it is enough to stay
        pass
    claim("new")
    assert one.state is State.DISCARDED
    assert [channel.key for channel in directory] == ["two", "three", "new"]
    claim("newer")
    assert [channel.key for channel in directory] == ["two", "new", "newer"]
    with pytest.raises(TooManyKeys):
        claim("newest")
    assert two.state is State.FINISHED
    await turns()
    assert storage.discards == [1, 0, 1]


async def test_a_key_that_is_being_read_does_not_make_room(claim, write, directory):
    """Neither the first reader nor a later one is cut for somebody's new key."""
    channels = [await write(key=key) for key in ("one", "two", "three")]
    with Reader(channels[0]) as first:
        channels[0].was_read()
        with pytest.raises(TooManyKeys):
            claim("new")
        assert await read_all(first) == b"data"
    with Reader(channels[0]), pytest.raises(TooManyKeys):
        claim("new")
    claim("new")
    assert directory.find(Key("one")) is None


async def test_a_key_that_was_read_while_it_grew_makes_room(claim, storage, directory, write):
    """Reading counts from before the end as well."""
    channel = claim("live")
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        read(channel)
    await write(key="unread")
    await write(key="unread too")
    claim("new")
    assert directory.find(Key("live")) is None


async def test_too_many_waiting(directory, write):
    """Waiting readers are bounded too; who need not wait is served all the same."""
    channel = await write()
    tasks = [asyncio.create_task(directory.wait(Key(f"none {n}"), 60.0)) for n in range(3)]
    await turns()
    with pytest.raises(TooManyKeys, match="too many waiting readers"):
        await directory.wait(Key("one more"), 60.0)
    assert await directory.wait(Key("one more"), 0.0) is None
    assert await directory.wait(KEY, 60.0) is channel
    tasks.pop().cancel()
    await turns()
    tasks.append(asyncio.create_task(directory.wait(Key("in its place"), 60.0)))
    await turns()
    assert directory.waiting == 3
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
