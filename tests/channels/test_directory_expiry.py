"""How long a key stays: timers that are never early, never late, and never another key's."""

from filepipe.channels.channel import Reader
from filepipe.keys import Key
from filepipe.testing import turns
from tests.channels.reading import read, read_all

KEY = Key("key")


async def test_a_key_goes_after_its_retention(clock, write, directory, storage):
    """60 s after the end, when nobody came, the bytes are let go."""
    channel = await write(after_end=60.0)
    await clock.advance(59.0)
    assert directory.find(KEY) is channel
    await clock.advance(1.0)
    assert directory.find(KEY) is None
    assert storage.discards == [1]


async def test_a_reader_keeps_its_key(clock, write, directory):
    """The retention of `auto` starts anew when the last reader leaves."""
    channel = await write(after_end=60.0)
    await clock.advance(50.0)
    with Reader(channel):
        await clock.advance(500.0)
        assert directory.find(KEY) is channel
    await clock.advance(40.0)
    read(channel)
    await clock.advance(59.0)
    assert directory.find(KEY) is channel
    await clock.advance(1.0)
    assert directory.find(KEY) is None


async def test_a_first_read_shortens_the_retention(clock, write, directory, storage):
    """In file-pipe the key goes 5 s after the first read; who still reads keeps the bytes."""
    channel = await write(after_end=30.0, first_read=5.0)
    await clock.advance(10.0)
    with Reader(channel) as reader:
        channel.was_read()
        await clock.advance(4.0)
        assert directory.find(KEY) is channel
        await clock.advance(1.0)
        assert directory.find(KEY) is None
        assert storage.discards == [0]
        assert await read_all(reader) == b"data"
    await turns()
    assert storage.discards == [1]
    await clock.advance(60.0)
    assert storage.discards == [1]


async def test_a_first_read_near_the_end_does_not_prolong(clock, write, directory):
    """30 s after the end the key goes, though it was first read 2 s before."""
    channel = await write(after_end=30.0, first_read=5.0)
    await clock.advance(28.0)
    read(channel)
    await clock.advance(2.0)
    assert directory.find(KEY) is None


async def test_no_retention(clock, write, directory, storage):
    """With 0 s a key that nobody reads goes with its end."""
    await write(after_end=0.0)
    await clock.advance(0.0)
    assert len(directory) == 0
    assert storage.discards == [1]


async def test_an_old_timer_leaves_a_successor_alone(clock, write, directory, storage):
    """The key's next channel has its own time, whatever became of the first one."""
    first = await write(after_end=60.0)
    await clock.advance(59.0)
    directory.delete(first)
    second = await write(after_end=60.0)
    await clock.advance(59.0)
    assert directory.find(KEY) is second
    directory.delete(first)
    assert directory.find(KEY) is second
    await clock.advance(1.0)
    assert directory.find(KEY) is None
    assert storage.discards == [1, 1]


async def test_no_timer_is_left(clock, write, directory):
    """Each key has one timer at most, and none once it is gone."""
    channels = [await write(key=str(n), after_end=60.0) for n in range(3)]
    for channel in channels:
        for _ in range(10):
            read(channel)
    assert set(directory._timers) == set(channels)
    for channel in channels:
        directory.delete(channel)
    assert not directory._timers
    assert not directory._read_before
