"""A part that the kernel writes to its place: its bytes are hashed behind it, from the file."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, runtime_checkable

from filepipe.errors import StorageFailed
from filepipe.storage.interface import Draft

STEP = 256 * 1024
"""Bytes that are hashed at once: they are what a thread holds."""

TURN = 16 * STEP
"""Bytes after which the thread is somebody else's."""


class Placed:
    """The bytes from `position` to before `end` of a draft, whose file is `fd`, as they come."""

    def __init__(self, draft: Draft, fd: int, position: int, end: int) -> None:
        self.fd = fd
        self.position = position
        self.end = end
        self.on_growth: Callable[[], None] = _nothing
        """Called when more is there."""
        self._draft = draft
        self._hashed = position
        self._digest = hashlib.sha256()
        self._news = asyncio.Event()
        self._over = False

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Add the chunks. Raises as `Draft.write` does."""
        for chunk in chunks:
            await self._draft.write(self.position, chunk)
            self.reached(self.position + len(chunk))

    async def sync(self) -> None:
        """Make durable what is in the file. Raises as `Draft.sync` does."""
        await self._draft.sync()

    def reached(self, position: int) -> None:
        """All before `position` is in the file."""
        self.position = position
        self._news.set()
        self.on_growth()

    def give_up(self) -> None:
        """No more comes."""
        self._over = True
        self._news.set()

    async def hash(self) -> str | None:
        """The SHA-256 of all of it as hex; None where it was given up. Raises `StorageFailed`."""
        while self._hashed < self.end:
            while self._hashed == self.position and not self._over:
                self._news.clear()
                await self._news.wait()
            if self._over:
                return None
            stop = min(self.position, self._hashed + TURN)
            await asyncio.to_thread(self._take, stop)
            self._hashed = stop
        return self._digest.hexdigest()

    def _take(self, stop: int) -> None:
        """On a thread."""
        buffer = memoryview(bytearray(min(STEP, stop - self._hashed)))
        at = self._hashed
        while at < stop:
            try:
                got = os.preadv(self.fd, [buffer[: stop - at]], at)
            except OSError as error:
                raise StorageFailed(f"the storage failed: {error.strerror}") from error
            if not got:
                raise StorageFailed("the storage failed: a draft is shorter than it was")
            self._digest.update(buffer[:got])
            at += got


def _nothing() -> None:
    """Nobody wants to know."""


@runtime_checkable
class Placing(Protocol):
    """A body that may be written to its place by the kernel; else it is read in chunks."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The chunks."""

    def can_place(self, size: int) -> bool:
        """Whether the kernel can do it: a body of `size` bytes, by a plain connection."""

    async def place(self, placed: Placed) -> bool:
        """Write all of it; False, and nothing is done, where the kernel cannot at the moment.

        Raises what a body in chunks raises, and `DiskFull` and `StorageFailed`.
        """


async def hashed_behind(placed: Placed, body: Placing) -> str | None:
    """Have the body placed, durably; its SHA-256 as hex, None where it has to come in chunks.

    Raises as `Placing.place` and `Draft.sync`.
    """
    hashing = asyncio.create_task(placed.hash())
    try:
        if not await body.place(placed):
            return None
        _, digest = await asyncio.gather(placed.sync(), asyncio.shield(hashing))
        return digest
    finally:
        placed.give_up()
        # the thread lets go of the file before anybody closes it
        await asyncio.wait({hashing})
        hashing.exception()
