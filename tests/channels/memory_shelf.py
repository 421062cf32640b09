"""A shelf in memory whose steps a test can hold up or let fail; it keeps the promises otherwise."""

from __future__ import annotations

import asyncio
import sys
from pathlib import PurePosixPath

from filepipe.errors import FilepipeError, NotFound, StorageFailed
from filepipe.storage.interface import Traits


class MemoryDraft:
    """Bytes without a name."""

    def __init__(self, shelf: MemoryShelf, handle: str, size: int | None) -> None:
        self.handle = handle
        self._grows = size is None
        self._shelf = shelf
        published = shelf.published.get(handle)
        self._bytes = shelf.unnamed[handle] if published is None else shelf.named[published]
        shelf.open_drafts.append(handle)

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """As it has to be, or the fault."""
        await self._shelf.step("write")
        assert self.handle in self._shelf.unnamed, "a published draft is written to"
        if self._grows:
            assert offset <= len(self._bytes)
            del self._bytes[offset:]
        else:
            assert offset + len(data) <= len(self._bytes)
        self._bytes[offset : offset + len(data)] = data

    async def sync(self) -> None:
        """As it has to be, or the fault."""
        await self._shelf.step("sync")

    async def read(self, offset: int, limit: int) -> bytes:
        """As it has to be."""
        return bytes(self._bytes[offset : offset + limit])

    async def publish(self, name: PurePosixPath, *, unique: bool, size: int) -> str:
        """As it has to be, when the gate opens, or the fault."""
        await self._shelf.step("publish")
        shelf = self._shelf
        if self.handle not in shelf.published:
            path = str(name)
            while unique and path in shelf.named:
                path += "'"
            self._bytes = self._bytes[:size]
            assert len(self._bytes) == size
            del shelf.unnamed[self.handle]
            shelf.named[path] = self._bytes
            shelf.published[self.handle] = path
        return shelf.published[self.handle]

    async def discard(self) -> None:
        """As it has to be."""
        await self.close()
        self._shelf.unnamed.pop(self.handle, None)
        self._shelf.published.pop(self.handle, None)

    async def close(self) -> None:
        """As it has to be."""
        self._shelf.open_drafts.remove(self.handle)


class MemoryObject:
    """A whole object."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.size = len(body)

    async def read(self, offset: int, limit: int) -> bytes:
        """As it has to be."""
        return self._body[offset : offset + limit]

    async def descriptor(self) -> int:
        """There is none."""
        return -1

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryShelf:
    """`unnamed` and `named` are what is on the disk; `faults` are raised by the step they name."""

    def __init__(self) -> None:
        self.unnamed: dict[str, bytearray] = {}
        self.named: dict[str, bytearray] = {}
        self.published: dict[str, str] = {}
        self.open_drafts: list[str] = []
        self.faults: dict[str, FilepipeError] = {}
        self.gates: dict[str, asyncio.Event] = {}

    async def step(self, name: str) -> None:
        """Wait for the gate of a step, and fail if it is to."""
        if name in self.gates:
            await self.gates[name].wait()
        if name in self.faults:
            raise self.faults[name]

    @property
    def traits(self) -> Traits:
        """Those of the local disk."""
        return Traits(live=True, smallest_part=0, largest_part=sys.maxsize, local_disk=True)

    async def begin(
        self, upload_id: str, size: int | None, name: PurePosixPath | None = None
    ) -> MemoryDraft:
        """As it has to be, or the fault."""
        await self.step("begin")
        self.unnamed[upload_id] = bytearray(size or 0)
        return MemoryDraft(self, upload_id, size)

    async def reopen(self, handle: str, size: int | None) -> MemoryDraft:
        """As it has to be, or the fault."""
        await self.step("reopen")
        if handle not in self.unnamed and handle not in self.published:
            raise StorageFailed("the draft is gone")
        return MemoryDraft(self, handle, size)

    async def drafts(self) -> list[str]:
        """As it has to be."""
        return [*self.unnamed, *self.published]

    async def drop(self, handle: str) -> None:
        """As it has to be."""
        assert handle not in self.open_drafts
        self.unnamed.pop(handle, None)
        self.published.pop(handle, None)

    async def open(self, path: str) -> MemoryObject:
        """As it has to be."""
        if path not in self.named:
            raise NotFound("the file is gone")
        return MemoryObject(bytes(self.named[path]))

    async def remove(self, path: str) -> None:
        """As it has to be."""
        self.named.pop(path, None)

    async def check(self) -> str | None:
        """All is well."""
        return None

    async def aclose(self) -> None:
        """Nothing to let go of."""
