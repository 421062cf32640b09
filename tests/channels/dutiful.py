"""A storage that holds its caller to the duties of `filepipe.storage.interface`."""

from __future__ import annotations

from collections.abc import Sequence

from filepipe.errors import StorageFailed
from filepipe.storage.interface import Blob, Descriptor, Storage


class DutifulBlob:
    """Fails the test when calls of the writer overlap, or a discard comes twice or too early."""

    def __init__(self, storage: Dutiful, inner: Blob) -> None:
        self.inner = inner
        self.discards = 0
        self._storage = storage
        self._writes = 0
        self._reads = 0

    @property
    def size(self) -> int:
        return self.inner.size

    async def append(self, chunks: Sequence[bytes]) -> None:
        await self._write("append", self.inner.append(chunks))

    async def finish(self) -> None:
        await self._write("finish", self.inner.finish())

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

    async def _write(self, call: str, write) -> None:
        assert not self.discards, f"{call} after discard"
        assert not self._writes, f"{call} beside another write"
        self._writes += 1
        try:
            await write
            if call in self._storage.failing:
                raise StorageFailed(f"the storage failed: {call}")
        finally:
            self._writes -= 1


class Dutiful:
    """Wraps `inner`; calls named in `failing` (append, finish) raise after they were done."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.failing: set[str] = set()
        self.blobs: list[DutifulBlob] = []

    async def create(self, expected: int | None = None) -> DutifulBlob:
        blob = DutifulBlob(self, await self.inner.create(expected))
        self.blobs.append(blob)
        return blob

    async def aclose(self) -> None:
        await self.inner.aclose()

    @property
    def discards(self) -> list[int]:
        """How often each blob was discarded, in order of their making."""
        return [blob.discards for blob in self.blobs]
