"""The bytes of one upload as a blob: in its draft while it grows, then in the finished object.

Rule 1: `written` bytes are in the draft; the rest up to `size` waits here for a larger write, or
        for the first reader that wants it.
Rule 2: the draft is written by one task at a time, each write to its end, whoever leaves meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from filepipe.accountant import Budget
from filepipe.channels.opened import Opened, Retired
from filepipe.errors import Broken, FilepipeError, PastLength, TooLarge
from filepipe.storage.interface import Draft, FileDraft, Kept

WRITE_SIZE = 256 * 1024
"""Bytes that are gathered before a thread writes them."""

PACE = 64 * 1024 * 1024
"""Bytes after which they are to be made durable, also while more come."""


class Hashing(Protocol):
    """What `hashlib` makes."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""


class Room:
    """How large one upload may get, and what it holds of the disk; sizes in bytes.

    `total` is its length once it is known, `most` the limit of the settings.
    """

    def __init__(self, disk: Budget | None, most: int | None, total: int | None = None) -> None:
        self.total = total
        self._disk = disk
        self._most = most
        self._held = 0

    def reach(self, size: int) -> None:
        """Have room for the first `size` bytes. Raises `PastLength`, `TooLarge`, `OverBudget`."""
        if self.total is not None and size > self.total:
            raise PastLength(f"the upload has {self.total} bytes, and not more")
        if self._most is not None and size > self._most:
            raise TooLarge(f"the upload exceeds the limit of {self._most} bytes")
        if self._disk is not None and size > self._held:
            self._disk.take(size - self._held)
            self._held = size

    def adopt(self, size: int) -> None:
        """Hold the disk for the first `size` bytes, which are there already."""
        if self._disk is not None:
            self._disk.adopt(size - self._held)
            self._held = size

    def release(self) -> None:
        """Give back what is held of the disk."""
        if self._disk is not None:
            self._disk.give(self._held)
        self._held = 0


class UploadBlob:
    """The first `size` bytes of an upload.

    `hashing` gets every byte that is added, where somebody has set it.
    """

    def __init__(self, draft: Opened[Draft], room: Room, size: int) -> None:
        self.draft = draft
        self.room = room
        self.size = size
        self.written = size
        self.announced = False
        """Whether there is room for all that the sender will send: then the kernel may write."""
        self.hashing: Hashing | None = None
        self.much = asyncio.Event()
        """Set when there is much that is not durable."""
        self._durable = size
        self._pending: list[bytes] = []
        self._flushing = asyncio.Lock()
        self._failure: FilepipeError | None = None
        self._kept: Opened[Kept] | None = None

    # -- growing

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Add the chunks. Raises as `Room.reach` and `Draft.write` do."""
        size = self.size + sum(map(len, chunks))
        self.room.reach(size)
        self._pending += chunks
        self.size = size
        self._look()
        if size - self.written >= WRITE_SIZE:
            await self.flush()

    async def flush(self) -> None:
        """Return once all is in the draft. Raises as `Draft.write` does."""
        if self._failure is not None:
            raise self._failure
        if self._pending or self._flushing.locked():  # a reader may have begun it
            await asyncio.shield(self._flush())

    async def _flush(self) -> None:
        async with self._flushing:
            if self._failure is not None:
                raise self._failure
            pending, self._pending = self._pending, []
            if not pending:
                return
            data = pending[0] if len(pending) == 1 else b"".join(pending)
            try:
                async with self.draft.using() as draft:
                    await draft.write(self.written, data)
            except FilepipeError as error:
                self._failure = error
                raise
            if self.hashing is not None:
                await asyncio.to_thread(self.hashing.update, data)
            self.written += len(data)

    async def secure(self) -> int:
        """Make durable what is written; how many bytes that are. Raises as `Draft.sync` does."""
        reach = self.written
        async with self.draft.using() as draft:
            await draft.sync()
        self._durable = reach
        self.much.clear()
        return reach

    async def descriptor(self) -> int:
        """The file, for the kernel; -1 where it may not write or there is none."""
        if self._kept is not None:
            async with self._kept.using() as kept:
                return await kept.descriptor()
        if not self.announced or self.hashing is not None:
            return -1
        await self.flush()
        async with self.draft.using() as draft:
            return await draft.descriptor() if isinstance(draft, FileDraft) else -1

    def grow(self, size: int) -> None:
        """Count `size` bytes that are in the draft already."""
        self.size += size
        self.written += size
        self._look()

    def _look(self) -> None:
        if self.size - self._durable >= PACE:
            self.much.set()

    async def finish(self) -> None:
        """Nothing to do: whoever publishes the draft has made it durable."""

    # -- reading

    async def read(self, offset: int, limit: int) -> bytes:
        """Between 1 and `limit` bytes from `offset`, b"" at the end. Raises `StorageFailed`."""
        if self._kept is None:
            if offset >= self.written:
                await self.flush()
            try:
                async with self.draft.using() as draft:
                    return await draft.read(offset, max(0, min(limit, self.written - offset)))
            except Retired:
                pass
        if self._kept is None:
            raise Broken("the upload was ended")
        async with self._kept.using() as kept:
            return await kept.read(offset, limit)

    # -- the end

    def become(self, kept: Opened[Kept]) -> None:
        """From now on the bytes are those of a finished object."""
        self._kept = kept

    async def rest(self, needed: Callable[[], bool]) -> None:
        """Close what is open, unless it is `needed`, until somebody uses it again."""
        if self._kept is not None:
            await self._kept.rest(needed)
        else:
            await self.draft.rest(needed)

    async def discard(self) -> None:
        """Let go of the finished object. Its draft is the business of whoever owns it."""
        if self._kept is not None and (kept := await self._kept.retire()) is not None:
            await kept.close()
