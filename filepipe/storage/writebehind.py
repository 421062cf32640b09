"""A storage that answers before its disk does.

Rule 1: an append returns once its bytes are in the blob's window, which the memory budget pays
        for. Bytes for which window or budget have no room are written at once, after the window.
Rule 2: one write at a time takes what is in the window; a full window makes the writer wait.
Rule 3: bytes leave the window when they are on the disk. Until then they are read from it.
Rule 4: a blob whose write failed stays failed: each later append, finish and descriptor raises
        that error. What it had accepted stays readable, from the window, until `discard`.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence

from filepipe.accountant import Budget
from filepipe.errors import StorageFailed
from filepipe.storage.interface import Blob, Descriptor, Storage

BATCH = 256 * 1024
"""From here on a write is worth a thread's time: below it the switch costs more than the write."""

MERGED = 16 * 1024
"""Small chunks are joined up to this size, so that the window's own lists stay short."""


class WriteBehindBlob:
    """A blob whose last bytes may still be in memory."""

    __slots__ = (
        "_error",
        "_flush",
        "_flushing",
        "_inner",
        "_memory",
        "_pieces",
        "_starts",
        "_window",
        "_written",
        "size",
    )

    def __init__(self, inner: Blob, memory: Budget, window: int) -> None:
        self._inner = inner
        self._memory = memory
        self._window = window
        self.size = 0
        self._written = 0  # the window holds what lies between this and `size`
        self._pieces: list[bytes] = []
        self._starts: list[int] = []
        self._flush: asyncio.Task[None] | None = None
        self._flushing = 0  # so many pieces, the first ones, are being written
        self._error: BaseException | None = None

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Take the chunks into the window, when it has room, or write them out."""
        size = sum(map(len, chunks))
        while self._flush is not None and not self._has_room(size):
            await asyncio.wait({self._flush})
        if self._error is None and self._has_room(size) and self._memory.fits(size):
            self._hold(chunks, size)
        else:
            await self._write_out()
            await self._inner.append(chunks)
            self._written += size
            self.size += size

    async def read(self, offset: int, limit: int) -> bytes:
        """Read from the window what is not on the disk yet."""
        if offset < self._written:
            return await self._inner.read(offset, limit)
        if offset >= self.size:
            return b""
        index = bisect_right(self._starts, offset) - 1
        first = offset - self._starts[index]
        return self._pieces[index][first : first + limit]

    async def finish(self) -> None:
        """Write everything out; the window's memory is free afterwards."""
        await self._write_out()
        await self._inner.finish()

    async def discard(self) -> None:
        """Stop writing and let go of window and inner blob, even when this call is cancelled."""
        await asyncio.shield(asyncio.create_task(self._let_go()))

    async def descriptor(self) -> int:
        """Write everything out, then name the file of the inner blob; -1 if it has none."""
        await self._write_out()
        if isinstance(self._inner, Descriptor):
            return await self._inner.descriptor()
        return -1

    def grow(self, size: int) -> None:
        """Count `size` bytes that were written through the descriptor."""
        assert isinstance(self._inner, Descriptor)
        self._inner.grow(size)
        self._written += size
        self.size += size

    def _has_room(self, size: int) -> bool:
        return self.size - self._written + size <= self._window

    def _hold(self, chunks: Sequence[bytes], size: int) -> None:
        self._memory.take(size)
        for chunk in chunks:
            last = len(self._pieces) - 1
            if last >= self._flushing and len(self._pieces[last]) + len(chunk) <= MERGED:
                self._pieces[last] += chunk
            elif chunk:
                self._pieces.append(chunk)
                self._starts.append(self.size)
            self.size += len(chunk)
        if self._flush is None and self.size - self._written >= BATCH:
            self._start_flush()

    def _start_flush(self) -> asyncio.Task[None]:
        batch = self._pieces[:]
        self._flushing = len(batch)
        self._flush = asyncio.create_task(self._inner.append(batch))
        self._flush.add_done_callback(self._end_flush)
        return self._flush

    def _end_flush(self, flush: asyncio.Task[None]) -> None:
        # A callback, because it runs before anyone who waits for the task, and for a task that
        # was cancelled before its first step too.
        count, self._flushing, self._flush = self._flushing, 0, None
        if flush.cancelled():
            self._error = StorageFailed("the storage failed: a write was cut off")
        elif (error := flush.exception()) is not None:
            self._error = error
        else:
            self._forget(count)
            if self.size - self._written >= BATCH:
                self._start_flush()

    def _forget(self, count: int) -> None:
        """Let go of the first `count` pieces: they are on the disk."""
        end = self._starts[count] if count < len(self._starts) else self.size
        del self._pieces[:count], self._starts[:count]
        self._memory.give(end - self._written)
        self._written = end

    async def _write_out(self) -> None:
        """Empty the window; raises the error that a write of this blob ever met."""
        while self._pieces and self._error is None:
            await asyncio.wait({self._flush or self._start_flush()})
        if self._error is not None:
            raise self._error

    async def _let_go(self) -> None:
        while self._flush is not None:
            self._flush.cancel()
            await asyncio.wait({self._flush})
        await self._inner.discard()
        self._forget(len(self._pieces))


class WriteBehindStorage:
    """Makes blobs with a window of at most `window` bytes each, which `memory` pays for."""

    def __init__(self, inner: Storage, memory: Budget, window: int = 1024 * 1024) -> None:
        self._inner = inner
        self._memory = memory
        self._window = window

    async def create(self, expected: int | None = None) -> WriteBehindBlob:
        """Make an empty blob."""
        return WriteBehindBlob(await self._inner.create(expected), self._memory, self._window)

    async def aclose(self) -> None:
        """Close the inner storage."""
        await self._inner.aclose()
