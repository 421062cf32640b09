"""What several tests of channels do: read to the end, break off."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from filepipe.channels.channel import READ_SIZE, Channel, Metadata, Reader, Writer
from filepipe.storage.interface import Storage


def read(channel: Channel) -> None:
    """Read a finished channel, and leave."""
    with Reader(channel):
        channel.was_read()


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
