"""What several tests of channels need: read to the end, break off, a clock that can be set."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from filepipe.channels.channel import READ_SIZE, Channel, Metadata, Reader, Writer
from filepipe.storage.interface import Storage
from filepipe.testing import turns


async def read_all(reader: Reader, limit: int = READ_SIZE) -> bytes:
    """Everything up to the clean end."""
    data = b""
    while block := await reader.read(limit):
        assert len(block) <= limit
        data += block
    return data


@contextlib.asynccontextmanager
async def breaking(
    channel: Channel, storage: Storage, length: int | None = None
) -> AsyncIterator[Writer]:
    """A published writer that leaves its block with an exception."""
    with contextlib.suppress(ZeroDivisionError):
        async with Writer(channel) as writer:
            await channel.publish(storage, Metadata(length=length))
            yield writer
            raise ZeroDivisionError


class Clock:
    """The time of one event loop and of the channels on it; it moves when a test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time()
        # timers of the loop and moments of the channels are of one clock in earnest as well
        loop.time = self.monotonic

    def monotonic(self) -> float:
        return self.now

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, and everything that is due happen."""
        await turns()
        self.now += seconds
        await turns()
