"""The bytes of a source, again from where the server has them.

What can be read again is read again. Of everything else, such as a pipe, what the server has not
confirmed is kept in memory, which is bounded: when it is full nothing is read before some of it is
confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from filepipe.client.source import CHUNK, Body, Source, open_body

# More than the buffers between us and a server hold, so that nothing waits while it moves.
MOST_KEPT: Final = 32 * 1024 * 1024
# Seconds after which who is told too little asks again.
ASK_AGAIN: Final = 0.05


class Replay(Protocol):
    """A source of which some can be had again."""

    length: int | None
    """All its bytes, None if only the end will tell."""

    lowest: int
    """The first byte that can be had."""

    waits: asyncio.Event
    """Set when it would like to be told what is confirmed."""

    @property
    def crowded(self) -> bool:
        """Whether it holds so much that it would."""
        ...

    def read(self, offset: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `offset` on, which is not below `lowest`; one reader at a time."""
        ...

    def confirm(self, offset: int) -> None:
        """Hear that the bytes before `offset` will not be asked for again."""
        ...

    def let_go(self) -> None:
        """Hear that nothing will be asked for again."""
        ...


@asynccontextmanager
async def open_replay(source: Source, length: int | None = None) -> AsyncIterator[Replay]:
    """Open a source as `open_body` does, and lend it out."""
    async with open_body(source, length) as body:
        if body.again is not None:
            yield Readable(body)
            return
        kept = Kept(body)
        try:
            yield kept
        finally:
            await kept.aclose()


class Readable:
    """A file, or bytes."""

    def __init__(self, body: Body) -> None:
        self.length = body.length
        self.lowest = 0
        self.waits = asyncio.Event()
        self._body = body
        self._begun = False

    @property
    def crowded(self) -> bool:
        """Nothing is held."""
        return False

    async def read(self, offset: int) -> AsyncIterator[bytes]:
        """Read it, again if need be."""
        assert self._body.again is not None
        chunks = self._body.again(offset) if self._begun or offset else self._body.chunks
        self._begun = True
        async for chunk in chunks:
            yield chunk

    def confirm(self, offset: int) -> None:
        """It can be read from 0 on all the same."""

    def let_go(self) -> None:
        """Nothing is held."""


class Kept:
    """A stream that cannot be rewound, and its bytes that are not confirmed."""

    def __init__(self, body: Body, most: int = MOST_KEPT) -> None:
        self.length = body.length
        self.lowest = 0
        self.waits = asyncio.Event()
        self._chunks = aiter(body.chunks)
        self._most: float = most
        self._buffer = bytearray()
        self._room = asyncio.Event()
        self._ended = False
        # Who reads may be cancelled; what is being read then must not be lost.
        self._reading: asyncio.Task[None] | None = None

    @property
    def crowded(self) -> bool:
        """Whether half of what may be is held."""
        return len(self._buffer) >= self._most / 2

    async def read(self, offset: int) -> AsyncIterator[bytes]:
        """Yield what is kept, then what comes."""
        while True:
            start = offset - self.lowest
            chunk = bytes(self._buffer[start : start + CHUNK])
            if chunk:
                offset += len(chunk)
                yield chunk
            elif self._ended:
                return
            else:
                await self._read_on(offset)

    def confirm(self, offset: int) -> None:
        """Keep only what comes after."""
        del self._buffer[: max(0, offset - self.lowest)]
        self.lowest = max(offset, self.lowest)
        self._room.set()
        if self.crowded:
            asyncio.get_running_loop().call_later(ASK_AGAIN, self.waits.set)

    def let_go(self) -> None:
        """Keep nothing any more but what is on its way."""
        self._most = float("inf")
        self._room.set()

    async def aclose(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read_on(self, offset: int) -> None:
        if self._most == float("inf"):
            self.confirm(offset)
        if self.crowded:
            self.waits.set()
        while len(self._buffer) >= self._most:
            self._room.clear()
            await self._room.wait()
        if self._reading is None:
            self._reading = asyncio.create_task(self._take())
        await asyncio.shield(self._reading)
        self._reading = None

    async def _take(self) -> None:
        chunk = await anext(self._chunks, b"")
        self._buffer += chunk
        self._ended = not chunk
