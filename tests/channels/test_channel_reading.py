"""The readers' side of a channel: who waits for what, when the bytes go, what a break leaves."""

import asyncio
import itertools

import pytest

from filepipe.channels.channel import Metadata, Reader, Writer
from filepipe.channels.state import State
from filepipe.errors import Broken
from filepipe.testing import turns
from tests.channels.reading import breaking, read_all

ORDERS = list(itertools.permutations(["writer", "delete", "reader", "second"]))


# -- rule 2: nobody stalls the writer, nor another reader


async def test_a_stuck_reader_stalls_nobody(claim, storage, slow):
    """While one read hangs, the writer ends and another reader reads all."""
    channel = claim()
    async with Writer(channel) as writer:
        await channel.publish(storage, Metadata())
        await writer.write([b"first"])
        with Reader(channel) as stuck, Reader(channel) as idle:
            slow.held = {"read"}
            hanging = asyncio.create_task(stuck.read())
            await turns()
            slow.held = set()  # from now on; the one that hangs goes on hanging
            await writer.write([b" second"])
            with Reader(channel) as other:
                assert await other.read() == b"first second"
                assert not hanging.done()
            slow.release()
            assert b"first second".startswith(await hanging)
            assert idle.offset == 0


async def test_readers_have_offsets_of_their_own(write):
    """Each reader starts where it wants and gets the rest, whatever others do."""
    channel = await write(b"0123456789")
    with Reader(channel) as whole, Reader(channel, 7) as tail, Reader(channel, 2, 5) as middle:
        assert await middle.read(2) == b"23"
        assert await tail.read(1) == b"7"
        assert await whole.read(3) == b"012"
        assert await read_all(middle, 2) == b"4"
        assert await read_all(tail, 2) == b"89"
        assert await read_all(whole, 4) == b"3456789"
        assert (whole.offset, tail.offset, middle.offset) == (10, 10, 5)
    with Reader(channel, 10) as past, Reader(channel, 4, 4) as empty:
        assert await past.read() == b""
        assert await empty.read() == b""


# -- wake-ups


async def test_a_waiting_reader_wakes_for_bytes_and_for_the_end(claim, storage):
    """Every reader at the end of what is there hears of more, and of the end."""
    channel = claim()

    async def follow(start):
        blocks = []
        with Reader(channel, start) as reader:
            while block := await reader.read():
                blocks.append(block)
        return blocks

    async with Writer(channel) as writer:
        await channel.publish(storage, Metadata())
        tasks = [asyncio.create_task(follow(start)) for start in (0, 0, 5)]
        for block in (b"one ", b"two ", b"three"):
            await turns()
            await writer.write([block])
        await turns()
        assert not any(task.done() for task in tasks)
    one, two, three = await asyncio.gather(*tasks)
    assert one == two == [b"one ", b"two ", b"three"]
    assert b"".join(three) == b"wo three"


async def test_a_range_ends_before_the_upload_does(claim, storage):
    """A reader with a stop waits for its last byte only."""
    channel = claim()
    async with Writer(channel) as writer:
        await channel.publish(storage, Metadata())
        with Reader(channel, 1, 4) as reader:
            task = asyncio.create_task(read_all(reader))
            await writer.write([b"012"])
            await turns()
            assert not task.done()
            await writer.write([b"345"])
            assert await task == b"123"


async def test_the_break_wakes_a_waiting_reader(claim, storage):
    """Who waits for more hears at once that nothing comes."""
    channel = claim()
    with Reader(channel) as reader:
        async with breaking(channel, storage) as writer:
            await writer.write([b"part"])
            assert await reader.read() == b"part"
            waiting = asyncio.create_task(reader.read())
            await turns()
        with pytest.raises(Broken, match="the upload broke off"):
            await waiting


async def test_who_stops_waiting_leaves_nothing(claim, storage):
    """Cancelled waiters are no longer woken, and later ones are."""
    channel = claim()
    async with Writer(channel) as writer:
        await channel.publish(storage, Metadata())
        tasks = [asyncio.create_task(channel.progress()) for _ in range(50)]
        await turns()
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError)
            for end in await asyncio.gather(*tasks, return_exceptions=True)
        )
        assert not channel._tip
        later = asyncio.create_task(channel.progress())
        await turns()
        await writer.write([b"x"])
        await later
        assert not channel._tip


# -- rule 3: when the bytes go


async def test_readers_keep_the_bytes_after_forgetting(write, directory, storage):
    """A deleted key is free, its readers read on to the end, then the bytes go."""
    channel = await write(b"a" * 10)
    with Reader(channel) as one:
        with Reader(channel) as two:
            assert await one.read(3) == b"aaa"
            directory.delete(channel)
            assert directory.find(channel.key) is None
            assert await read_all(two) == b"a" * 10
        await turns()
        assert storage.discards == [0]
        assert await read_all(one) == b"a" * 7
    await turns()
    assert storage.discards == [1]
    assert channel.state is State.DISCARDED


@pytest.mark.parametrize("ends_well", [True, False], ids=["finish", "break"])
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
async def test_a_blob_is_discarded_once_in_every_order(claim, directory, storage, order, ends_well):
    """Writer, readers and the key may go in any order: the last one discards, nobody else."""
    channel = claim()
    writer = await Writer(channel).__aenter__()
    await channel.publish(storage, Metadata())
    await writer.write([b"data"])
    readers = {"reader": Reader(channel), "second": Reader(channel)}
    for reader in readers.values():
        reader.__enter__()
    users = {"writer", *readers}
    for event in order:
        if event == "delete":
            directory.delete(channel)
        elif event == "writer":
            error = None if ends_well else OSError()
            if ends_well and channel.state is State.BROKEN:
                with pytest.raises(Broken):
                    await writer.__aexit__(None, None, None)
            else:
                await writer.__aexit__(error and OSError, error, None)
        else:
            readers[event].__exit__()
        users.discard(event)
        await turns()
        assert storage.discards == [0 if users or not channel.forgotten else 1]
    assert storage.discards == [1]
    assert len(directory) == 0


async def test_nobody_joins_what_has_been_let_go(write, directory):
    """Whoever held on to a channel without reading it does not read what is there instead."""
    channel = await write()
    directory.delete(channel)
    with pytest.raises(Broken, match="the key was deleted"), Reader(channel):
        raise AssertionError("it could be entered")
    assert channel.readers == 0


async def test_a_read_under_way_holds_the_bytes(write, directory, storage, slow):
    """A reader cancelled in the middle of a read leaves after that read, not before."""
    channel = await write()

    async def read():
        with Reader(channel) as reader:
            await reader.read()

    slow.held = {"read"}
    task = asyncio.create_task(read())
    await turns()
    directory.delete(channel)
    await turns()
    assert storage.discards == [0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns()
    assert storage.discards == [1]


# -- rule 4: after a break


async def test_after_a_break_one_more_block(claim, storage):
    """A reader gets one more block of what is there, then the failure, every time it asks."""
    channel = claim()
    with Reader(channel) as one, Reader(channel) as two:
        async with breaking(channel, storage) as writer:
            await writer.write([bytes(10)])
        assert await one.read(4) == bytes(4)
        for _ in range(3):
            with pytest.raises(Broken, match="the upload broke off") as error:
                await one.read(4)
        assert error.value.__cause__ is channel.failure
        assert await two.read(100) == bytes(10)
        with pytest.raises(Broken):
            await two.read(100)


async def test_the_block_under_way_is_the_last_one(claim, storage, slow):
    """A block that was being read when the upload broke is the one more block."""
    channel = claim()
    with Reader(channel) as reader:
        async with breaking(channel, storage) as writer:
            await writer.write([bytes(10)])
            slow.held = {"read"}
            block = asyncio.create_task(reader.read(4))
            await turns()
        slow.release()
        assert await block == bytes(4)
        with pytest.raises(Broken):
            await reader.read(4)


async def test_no_clean_end_of_a_broken_upload(claim, storage):
    """Also a reader that has every byte there was does not take them for the whole."""
    channel = claim()
    with Reader(channel) as reader:
        async with breaking(channel, storage, length=10) as writer:
            await writer.write([bytes(10)])
            assert await reader.read() == bytes(10)
        with pytest.raises(Broken):
            await reader.read()
