"""The bytes between a sender and the slowest of its receivers; what all have taken is let go.

A window is a `Blob` of a rendezvous' channel. Rule: it never holds more than `HELD` bytes and one
chunk of the sender; they are paid for when the window is made, so that no transfer fails half-way
because somebody else has filled the memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from filepipe.accountant import Budget

HELD = 64 * 1024
"""Bytes that the sender may be ahead before he has to wait."""

RESERVE = HELD + 384 * 1024
"""Bytes that are paid for: what may be held, and the most that one chunk of a sender has.

That is what aiohttp may have buffered before it stops reading, 128 KiB, and what one read of the
event loop brings, 250 KiB.
"""


class Window:
    """A growing sequence of bytes of which only the end is there."""

    def __init__(self, budget: Budget, reserved: int) -> None:
        self._budget = budget
        self._reserved = reserved
        self._chunks: deque[bytes] = deque()
        self._start = 0
        self.size = 0
        self._cursors: dict[object, int] = {}
        self._room: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Window {self._start} to {self.size}, {len(self._cursors)} cursors>"

    # -- receivers

    def enter(self, who: object) -> None:
        """`who` wants every byte from the first one on; nothing was let go yet."""
        assert self._start == 0, self
        self._cursors[who] = 0

    def took(self, who: object, offset: int) -> None:
        """`who` needs nothing before `offset` any more."""
        self._cursors[who] = offset
        self._trim()

    def leave(self, who: object) -> None:
        """`who` needs nothing any more."""
        if self._cursors.pop(who, None) is not None:
            self._trim()

    def _trim(self) -> None:
        needed = min(self._cursors.values(), default=self.size)
        while self._chunks and self._start + len(self._chunks[0]) <= needed:
            self._start += len(self._chunks.popleft())
        if self._room is not None and not self._room.done() and self._has_room():
            self._room.set_result(None)

    def _has_room(self) -> bool:
        return self.size - self._start < HELD

    # -- as a blob

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Add the chunks, as soon as the slowest receiver is near enough."""
        self._trim()
        while not self._has_room():
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        for chunk in chunks:
            if chunk:
                self._chunks.append(chunk)
                self.size += len(chunk)

    async def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`, which is that of somebody who entered."""
        assert offset >= self._start, self
        place = self._start
        for chunk in self._chunks:
            if offset < place + len(chunk):
                return (
                    chunk
                    if offset == place and len(chunk) <= limit
                    else _cut(chunk, offset - place, limit)
                )
            place += len(chunk)
        return b""

    async def finish(self) -> None:
        """Nothing more will be appended."""

    async def discard(self) -> None:
        """Let go of everything."""
        self._chunks.clear()
        self._budget.give(self._reserved)
        self._reserved = 0


def _cut(chunk: bytes, start: int, limit: int) -> bytes:
    return chunk[start : start + limit]


class Windows:
    """The storage of what is handed over live; `budget` is that of the memory."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    async def create(self, expected: int | None = None) -> Window:
        """A window for a body of `expected` bytes. Raises `OverBudget`."""
        reserved = RESERVE if expected is None else min(expected, RESERVE)
        self._budget.take(reserved)
        return Window(self._budget, reserved)

    async def aclose(self) -> None:
        """There is nothing to let go of."""
