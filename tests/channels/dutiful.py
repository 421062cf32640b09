"""A storage that holds its caller to the duties of `filepipe.storage.interface`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from filepipe.errors import StorageFailed
from filepipe.storage.interface import Blob, Descriptor, Storage


class DutifulBlob:
    """Fails the test when calls of the writer overlap, or a discard comes twice or too early.

    `torn` says that a write was cancelled: some of it may be there, and is paid for.
    """

    def __init__(self, storage: Dutiful, inner: Blob, expected: int | None) -> None:
        self.inner = inner
        self.expected = expected or 0
        self.discards = 0
        self.torn = False
        self._storage = storage
        self._writes = 0
        self._reads = 0

    @property
    def size(self) -> int:
        return self.inner.size

    async def append(self, chunks: Sequence[bytes]) -> None:
        await self._write("append", lambda: self.inner.append(chunks))

    async def finish(self) -> None:
        await self._write("finish", self.inner.finish)

    async def read(self, offset: int, limit: int) -> bytes:
        assert not self.discards, "read after discard"
        self._reads += 1
        try:
            return await self.inner.read(offset, limit)
        finally:
            self._reads -= 1

    async def discard(self) -> None:
        assert not self._writes, "discarded during a write"
        assert not self._reads, "discarded during a read"
        self.discards += 1
        assert self.discards == 1, "discarded twice"
        await self.inner.discard()

    async def descriptor(self) -> int:
        return await self.inner.descriptor() if isinstance(self.inner, Descriptor) else -1

    def grow(self, size: int) -> None:
        assert isinstance(self.inner, Descriptor)
        self.inner.grow(size)

    async def _write(self, call: str, write: Callable[[], Awaitable[None]]) -> None:
        assert not self.discards, f"{call} after discard"
        assert not self._writes, f"{call} beside another write"
        self._writes += 1
        try:
            if call in self._storage.failing:
                raise StorageFailed(f"the storage failed: {call}")
            await write()
        except asyncio.CancelledError:
            self.torn = True
            raise
        finally:
            self._writes -= 1


class Dutiful:
    """Wraps `inner`; the calls named in `failing` (append, finish) fail."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.failing: set[str] = set()
        self.blobs: list[DutifulBlob] = []

    async def create(self, expected: int | None = None) -> DutifulBlob:
        blob = DutifulBlob(self, await self.inner.create(expected), expected)
        self.blobs.append(blob)
        return blob

    async def aclose(self) -> None:
        await self.inner.aclose()

    @property
    def held(self) -> list[DutifulBlob]:
        """The blobs that nobody has discarded yet."""
        return [blob for blob in self.blobs if not blob.discards]

    @property
    def discards(self) -> list[int]:
        """How often each blob was discarded, in order of their making."""
        return [blob.discards for blob in self.blobs]
