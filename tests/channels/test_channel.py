"""The writer's side of a channel: how writing ends, what is known then, the descriptor."""

import asyncio
import os
import re

import pytest

from filepipe.accountant import Accountant
from filepipe.channels.channel import Metadata, Reader, Writer
from filepipe.channels.state import State
from filepipe.errors import Broken, Conflict, OverBudget, Stalled, StorageFailed
from filepipe.service import Spilling, stack
from filepipe.testing import turns
from filepipe_backends.memory import MemoryStorage
from tests.channels.reading import read_all


async def upload(channel, storage, error=None):
    """Write a part, then leave the block, with `error` if there is one."""
    async with Writer(channel) as writer:
        await channel.publish(storage, Metadata())
        await writer.write([b"part"])
        if error is not None:
            raise error


# -- rule 1: leaving the writing block


async def test_leaving_the_block_finishes(claim, storage):
    """Without an exception every byte is there."""
    channel = claim()
    async with Writer(channel) as writer:
        await channel.publish(storage, Metadata(content_type="text/plain"))
        assert channel.state is State.WRITING
        await writer.write([b"some", b" bytes"])
        assert channel.ended is None
    assert (channel.state, channel.size, channel.failure) == (State.FINISHED, 10, None)
    assert channel.ended is not None
    assert not channel.writing
    with Reader(channel) as reader:
        assert await read_all(reader) == b"some bytes"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (Stalled("the peer sent nothing for 3 seconds"), "the peer sent nothing for 3 seconds"),
        (OverBudget("disk quota exceeded", "disk"), "disk quota exceeded"),
        (ValueError("a secret of ours"), "the upload ended before its last byte"),
        (KeyboardInterrupt(), "the upload ended before its last byte"),
    ],
)
async def test_an_exception_breaks(claim, storage, directory, error, failure):
    """Any exception breaks the channel, passes on, and frees the key; ours keep their words."""
    channel = claim()
    with pytest.raises(type(error)):
        await upload(channel, storage, error)
    assert channel.state is State.DISCARDED
    assert str(channel.failure) == failure
    assert directory.find(channel.key) is None
    await turns()
    assert storage.discards == [1]


@pytest.mark.parametrize("call", ["create", "append", "finish"])
async def test_cancelling_a_writer_breaks(claim, storage, slow, call):
    """Wherever the writer waits: cancelled, it breaks the channel and frees the key."""
    channel = claim()
    slow.held = {call}
    task = asyncio.create_task(upload(channel, storage))
    await turns()
    assert slow.waiting == [call]
    with pytest.raises(Conflict):
        claim()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert channel.state is State.DISCARDED
    assert str(channel.failure) == "the upload ended before its last byte"
    claim()
    await turns()
    assert storage.discards == ([] if call == "create" else [1])


@pytest.mark.parametrize("call", ["append", "finish"])
async def test_a_storage_that_fails_breaks(claim, storage, call):
    """Bytes that could not be kept are no whole, even where only the finishing failed."""
    storage.failing = {call}
    channel = claim()
    with Reader(channel) as reader:
        with pytest.raises(StorageFailed, match=call):
            await upload(channel, storage)
        assert channel.state is State.BROKEN
        if call == "finish":
            assert await reader.read() == b"part"
        with pytest.raises(Broken) as broken:
            await reader.read()
    assert isinstance(broken.value.__cause__, StorageFailed)
    await turns()
    assert storage.discards == [1]


async def test_leaving_the_block_without_publishing_breaks(claim):
    """A defect of ours does not keep the key for ever."""
    channel = claim()
    with pytest.raises(AssertionError):
        async with Writer(channel):
            pass
    assert channel.state is State.DISCARDED
    claim()


@pytest.mark.parametrize("phase", ["claimed", "creating", "writing", "appending", "finishing"])
async def test_deleting_under_the_writer(claim, directory, storage, slow, phase):
    """Whatever the writer does, it is told, and the bytes are let go once."""
    channel = claim()
    resume = asyncio.Event()

    async def upload_in_phases():
        async with Writer(channel) as writer:
            if phase == "claimed":
                await resume.wait()
            await channel.publish(storage, Metadata())
            if phase == "writing":
                await resume.wait()
            await writer.write([b"part"])

    slow.held = {"creating": {"create"}, "appending": {"append"}, "finishing": {"finish"}}.get(
        phase, set()
    )
    task = asyncio.create_task(upload_in_phases())
    await turns()
    directory.delete(channel)
    assert claim() is not channel
    assert channel.state is State.BROKEN
    slow.release()
    resume.set()
    with pytest.raises(Broken, match="the key was deleted"):
        await task
    await turns()
    assert channel.state is State.DISCARDED
    assert storage.discards == [1]


async def test_a_refused_create_breaks(claim, directory):
    """A storage that has no room for the announced bytes frees the key at once."""

    class NoRoom:
        async def create(self, expected=None):
            raise OverBudget(f"no room for {expected}", "disk")

        async def aclose(self):
            pass

    channel = claim()
    with pytest.raises(OverBudget, match="no room for 77"):
        async with Writer(channel):
            await channel.publish(NoRoom(), Metadata(length=77))
    assert len(directory) == 0
    assert isinstance(channel.failure, OverBudget)


# -- what is known of a channel


async def test_the_length_is_announced_or_known(claim, storage):
    """None until it is announced or all is there; what arrived beats what was announced."""
    channel = claim()
    assert channel.length is None
    async with Writer(channel) as writer:
        await channel.publish(storage, Metadata(length=5))
        assert channel.length == 5
        await writer.write([b"four"])
    assert channel.length == 4
    channel = claim("other")
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        assert channel.length is None
    assert channel.length == 0


def test_an_etag_is_strong_and_names_one_upload(claim):
    """Two uploads under one key are told apart."""
    one, two = claim("one"), claim("two")
    assert re.fullmatch(r'"[0-9a-f]{16}"', one.etag)
    assert one.etag != two.etag


async def test_what_the_retention_sees(write):
    """Joining is no reading; the first read and the last leaving are remembered."""
    channel = await write()
    with Reader(channel):
        assert channel.usage().readers == 1
        assert channel.usage().first_read is None
        assert channel.usage().last_left is None
    left = channel.usage().last_left
    assert left is not None
    with Reader(channel):
        channel.was_read()
        first_read = channel.first_read
        channel.was_read()
    assert first_read is not None
    assert channel.first_read == first_read
    assert channel.usage().last_left >= left
    assert channel.usage().readers == 0


def test_a_channel_shows_itself_in_a_line(claim):
    """For the log and the debugger."""
    assert repr(claim()) == "<Channel 'key' claimed 0 bytes 0 readers>"


# -- the descriptor


async def test_the_kernel_writes_through_the_descriptor(claim, tmp_path):
    """A spilled channel names its file, with all its bytes, and counts what is written there."""
    accountant = Accountant.of(None, None)
    storage = stack(Spilling(f"file:{tmp_path}", 100, None, None), accountant)
    channel = claim(after_end=0.0)
    async with Writer(channel) as writer:
        await channel.publish(storage, Metadata(length=200))
        await writer.write([b"a" * 50])
        fd = await writer.descriptor()
        assert os.pread(fd, 100, 0) == b"a" * 50
        with Reader(channel, 50) as reader:
            waiting = asyncio.create_task(reader.read())
            await turns()
            os.pwrite(fd, b"b" * 150, 50)
            writer.grew(150)
            assert await waiting == b"b" * 150
    assert (channel.size, accountant.disk.used) == (200, 200)
    while not channel.forgotten or accountant.disk.used:
        await asyncio.sleep(0.001)
    await storage.aclose()


async def test_no_descriptor(claim):
    """A storage without files, or a channel that is still in memory, has none."""
    storage = MemoryStorage("")
    channel = claim()
    async with Writer(channel) as writer:
        await channel.publish(storage, Metadata())
        assert await writer.descriptor() == -1
