"""A storage that is hot (memory) until a blob grows too large or memory runs out, then cold (disk).

Rule 1: a blob moves once, from hot to cold, as a task that nobody's cancellation stops.
Rule 2: a move never meets an append. Writers wait while their blob moves, and a blob in the
        middle of an append (`busy`) is not chosen to move.
Rule 3: readers never wait. They read hot until the whole content is cold, and the hot blob is
        discarded when the last read of it has returned.
Rule 4: when the hot storage refuses, another blob that needs it less gives way, one at a time;
        where that does not help, the asker goes cold itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from filepipe.errors import FilepipeError, OverBudget
from filepipe.storage.interface import Blob, Descriptor, Storage

T = TypeVar("T")

SIZE = attrgetter("size")

COPIED = 1024 * 1024
"""A move reads and writes so many bytes at a time."""


class SpillBlob:
    """A blob that is hot or cold; `spilled` says which."""

    __slots__ = (
        "_blob",
        "_expected",
        "_hot_reads",
        "_last_read",
        "_move",
        "_storage",
        "busy",
        "finished",
        "size",
        "spilled",
    )

    def __init__(
        self, storage: SpillStorage, blob: Blob, expected: int | None, *, spilled: bool
    ) -> None:
        self._storage = storage
        self._blob = blob
        self._expected = expected
        self.size = 0
        self.spilled = spilled
        self.busy = False
        self.finished = False
        self._move: asyncio.Task[FilepipeError | None] | None = None
        self._hot_reads = 0
        self._last_read: asyncio.Future[None] | None = None

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Add the chunks where the blob is, or has to be from now on."""
        while self._move is not None:
            await asyncio.wait({self._move})
        size = sum(map(len, chunks))
        if self.spilled or not await self._append_hot(chunks, size):
            await self._blob.append(chunks)
        self.size += size

    async def read(self, offset: int, limit: int) -> bytes:
        """Read from wherever the whole content is."""
        if self.spilled:
            return await self._blob.read(offset, limit)
        self._hot_reads += 1
        try:
            return await self._blob.read(offset, limit)
        finally:
            self._hot_reads -= 1
            if self._last_read is not None and not self._hot_reads:
                self._last_read.set_result(None)

    async def finish(self) -> None:
        """Finish the blob; from now on it is the first to give way."""
        while self._move is not None:
            await asyncio.wait({self._move})
        self.busy = True
        try:
            await self._blob.finish()
        finally:
            self.busy = False
        self.finished = True
        if not self.spilled:
            self._storage.forget(self)
            self._storage.admit(self)

    async def discard(self) -> None:
        """Let go of the blob, after a move that is under way."""
        if self._move is None:
            await self._let_go()
        else:
            await asyncio.shield(self._storage.spawn(self._let_go()))

    async def descriptor(self) -> int:
        """Name the file behind the blob; -1 while it is hot."""
        while self._move is not None:
            await asyncio.wait({self._move})
        if self.spilled and isinstance(self._blob, Descriptor):
            return await self._blob.descriptor()
        return -1

    def grow(self, size: int) -> None:
        """Count `size` bytes that were written through the descriptor."""
        assert isinstance(self._blob, Descriptor)
        self._blob.grow(size)
        self.size += size

    async def move(self) -> FilepipeError | None:
        """Go cold; returns why that was not possible, and the blob stays as it is then."""
        self._storage.forget(self)
        self._move = self._storage.spawn(self._go_cold())
        return await asyncio.shield(self._move)

    async def _append_hot(self, chunks: Sequence[bytes], size: int) -> bool:
        """Append to the hot blob; False if the blob had to go cold instead."""
        self.busy = True
        try:
            if self.size + size <= self._storage.threshold and (
                await self._try_hot(chunks) or await self._squeeze(chunks, size)
            ):
                return True
            if (error := await self.move()) is not None:
                raise error
        finally:
            self.busy = False
        return False

    async def _try_hot(self, chunks: Sequence[bytes]) -> bool:
        try:
            await self._blob.append(chunks)
        except OverBudget:
            return False
        return True

    async def _squeeze(self, chunks: Sequence[bytes], size: int) -> bool:
        async with self._storage.eviction:  # whoever waited here may find room already
            if await self._try_hot(chunks):
                return True
            return await self._storage.evict_for(self, size) and await self._try_hot(chunks)

    async def _go_cold(self) -> FilepipeError | None:
        try:
            hot, cold = self._blob, await self._copy()
        except FilepipeError as error:
            self._storage.admit(self)
            return error
        else:
            self._blob, self.spilled = cold, True
            if self._hot_reads:
                self._last_read = asyncio.get_running_loop().create_future()
                await self._last_read
            await hot.discard()
            return None
        finally:
            self._move = None

    async def _copy(self) -> Blob:
        cold = await self._storage.cold.create(self._expected)
        try:
            offset = 0
            while offset < self.size:
                batch = await self._read_batch(offset)
                await cold.append(batch)
                offset += sum(map(len, batch))
            if self.finished:
                await cold.finish()
        except BaseException:
            await cold.discard()
            raise
        return cold

    async def _read_batch(self, offset: int) -> list[bytes]:
        batch = []
        end = min(self.size, offset + COPIED)
        while offset < end:
            batch.append(await self._blob.read(offset, end - offset))
            offset += len(batch[-1])
        return batch

    async def _let_go(self) -> None:
        while self._move is not None:
            await asyncio.wait({self._move})
        self._storage.forget(self)
        await self._blob.discard()


class SpillStorage:
    """Makes hot blobs, and cold ones where `threshold` bytes are, or will be, exceeded."""

    def __init__(self, hot: Storage, cold: Storage, threshold: int) -> None:
        self.hot = hot
        self.cold = cold
        self.threshold = threshold
        self.eviction = asyncio.Lock()
        # Who may be asked to move, in order of age: of two equals the older one goes.
        self._growing: dict[SpillBlob, None] = {}
        self._finished: dict[SpillBlob, None] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def create(self, expected: int | None = None) -> SpillBlob:
        """Make an empty blob, cold at once where `expected` is above the threshold."""
        if expected is not None and expected > self.threshold:
            return SpillBlob(self, await self.cold.create(expected), expected, spilled=True)
        blob = SpillBlob(self, await self.hot.create(expected), expected, spilled=False)
        self.admit(blob)
        return blob

    async def aclose(self) -> None:
        """Close both storages, after the moves under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.hot.aclose()
        await self.cold.aclose()

    async def evict_for(self, asker: SpillBlob, size: int) -> bool:
        """Move one blob so that `asker` may hold `size` bytes more; False if none gave way."""
        victim = self._victim(asker, size)
        # Why a victim could not move is no concern of the asker's.
        return victim is not None and await victim.move() is None

    def admit(self, blob: SpillBlob) -> None:
        """Take note that `blob` is hot and may be asked to move."""
        (self._finished if blob.finished else self._growing)[blob] = None

    def forget(self, blob: SpillBlob) -> None:
        """Take note that `blob` may not be asked to move any more."""
        self._growing.pop(blob, None)
        self._finished.pop(blob, None)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` to its end, whatever happens to who asked for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _victim(self, asker: SpillBlob, size: int) -> SpillBlob | None:
        """Choose the largest finished blob, else the largest, if its going would help."""
        # There may be ten thousand finished ones: this is a plain max() for its speed.
        largest = max(self._finished, key=SIZE, default=None)
        if largest is not None and largest.size >= size:
            return largest
        idle = (blob for blob in self._growing if not blob.busy)
        largest = max(idle, key=SIZE, default=None)
        if largest is not None and largest.size > asker.size + size:
            return largest
        return None
