"""The bytes of an upload while it grows: what is safe, whoever writes it."""

from __future__ import annotations

import asyncio

from filepipe.channels.opened import Opened
from filepipe.channels.upload_blob import Room, UploadBlob


class SlowDraft:
    """Takes a write once it is allowed to."""

    def __init__(self) -> None:
        self.data = b""
        self.may_write = asyncio.Event()
        self.synced = 0

    async def write(self, offset: int, data: bytes) -> None:
        """At the end only."""
        await self.may_write.wait()
        assert offset == len(self.data)
        self.data += data

    async def read(self, offset: int, limit: int) -> bytes:
        """What is there."""
        return self.data[offset : offset + limit]

    async def sync(self) -> None:
        """All that is there is safe."""
        self.synced = len(self.data)

    async def close(self) -> None:
        """Nothing to let go of."""


async def never() -> SlowDraft:
    """It is open from the beginning."""
    raise AssertionError


async def test_what_a_reader_has_begun_to_write_is_safe_too() -> None:
    """Who wants the bytes to be safe waits for the write that a reader began."""
    draft = SlowDraft()
    blob = UploadBlob(Opened(never, draft), Room(None, None), 0)  # type: ignore[arg-type]
    await blob.append((b"12",))
    reading = asyncio.create_task(blob.read(0, 10))
    await asyncio.sleep(0)
    flushing = asyncio.create_task(blob.flush())
    for _ in range(5):
        await asyncio.sleep(0)
    draft.may_write.set()
    await flushing
    assert (await blob.secure(), draft.synced) == (2, 2)
    assert await reading == b"12"
