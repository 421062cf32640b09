"""Writers and readers that do one thing at a time, each beside its model."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from filepipe.channels.channel import Channel, Metadata, Reader, Writer
from filepipe.channels.state import State
from filepipe.errors import Broken, FilepipeError, Unavailable
from filepipe.storage.interface import Storage


class Upload:
    """A writer in a task of its own that does what it is told.

    `sent` is every byte that it began to write, `model` those that were accepted.
    """

    def __init__(self, channel: Channel, storage: Storage, length: int | None) -> None:
        self.channel = channel
        self.sent = b""
        self.model = b""
        self.deleted = False
        self._orders: asyncio.Queue[Sequence[bytes] | int | Exception | None] = asyncio.Queue()
        self._length = length
        self._busy = False
        self.task = asyncio.ensure_future(self._run(storage))

    @property
    def idle(self) -> bool:
        """Whether it waits for an order."""
        return not self.task.done() and not self._busy and self.channel.state is State.WRITING

    def order(self, order: Sequence[bytes] | int | Exception | None) -> None:
        """Chunks to write, bytes that the kernel writes, an exception to die of, None to finish."""
        self._busy = True
        self._orders.put_nowait(order)

    async def _run(self, storage: Storage) -> None:
        try:
            async with Writer(self.channel) as writer:
                await self.channel.publish(storage, Metadata(length=self._length))
                while (order := await self._orders.get()) is not None:
                    await self._obey(writer, order)
                    self._busy = False
        except (FilepipeError, ZeroDivisionError):
            assert self.channel.failure is not None
        else:
            assert self.channel.failure is None
            assert self.channel.ended is not None

    async def _obey(self, writer: Writer, order: Sequence[bytes] | int | Exception) -> None:
        if isinstance(order, Exception):
            raise order
        if isinstance(order, int):
            await self._write_as_the_kernel_does(writer, order)
            return
        chunks = b"".join(order)
        self.sent = self.model + chunks
        await writer.write(order)
        self.model += chunks

    async def _write_as_the_kernel_does(self, writer: Writer, size: int) -> None:
        if (fd := await writer.descriptor()) < 0 or self.channel.state is not State.WRITING:
            return
        assert os.fstat(fd).st_size == len(self.model) == self.channel.size
        self.sent = self.model + os.urandom(size)
        os.pwrite(fd, self.sent[len(self.model) :], len(self.model))
        try:
            writer.grew(size)
        except Unavailable:
            os.ftruncate(fd, len(self.model))
            raise
        self.model = self.sent


class Follower:
    """A reader that reads when it is told to, and checks everything that it gets."""

    def __init__(self, upload: Upload, start: int, stop: int | None) -> None:
        self.upload = upload
        self.got = b""
        self.over = False
        self.task: asyncio.Task[None] | None = None
        self._start = start
        self._reader = Reader(upload.channel, start, stop)
        self._last_blocks = 0
        self._reader.__enter__()

    @property
    def idle(self) -> bool:
        """Whether it could read."""
        return not self.over and (self.task is None or self.task.done())

    @property
    def has_to_wait(self) -> bool:
        """Whether there is neither a byte for it nor an end."""
        channel = self.upload.channel
        return channel.state is State.WRITING and self._reader.offset >= channel.size

    def read(self, limit: int) -> None:
        """Begin to read, perhaps to wait."""
        self.task = asyncio.ensure_future(self._read(limit))

    async def close(self) -> None:
        """Leave, also in the middle of a read."""
        self.over = True
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task})
            if not self.task.cancelled():
                self.task.result()
        self._reader.__exit__()

    async def _read(self, limit: int) -> None:
        channel, stop = self.upload.channel, self._reader.stop
        try:
            block = await self._reader.read(limit)
        except Broken:
            assert channel.failure is not None
            self.over = True
            return
        assert len(block) <= limit
        self.got += block
        assert self.upload.sent[self._start :].startswith(self.got)
        if channel.failure is not None and block:
            self._last_blocks += 1
            assert self._last_blocks == 1
        if not block:
            self.over = True
            assert self.got == self.upload.sent[self._start : stop]
            assert stop is not None or channel.failure is None
