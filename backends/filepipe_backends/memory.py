"""Blobs in memory.

A large chunk is kept as it came, without a copy. Small ones are gathered in an open tail that is
frozen into one piece when it is full, so that a million chunks of one byte do not cost a million
objects.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from filepipe.errors import ConfigError

WHOLE = 16 * 1024
"""Chunks from this size on are kept as they are: what a piece costs beside its bytes is < 1 %."""

FULL = 64 * 1024
"""A tail of this size becomes a piece: as much as a reader usually asks for at once."""


class MemoryBlob:
    """Bytes in few pieces."""

    __slots__ = ("_pieces", "_starts", "_tail", "size")

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._starts: list[int] = []
        self._tail = bytearray()

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Add the chunks at the end."""
        for chunk in chunks:
            if len(chunk) >= WHOLE:
                self._freeze()
                self._starts.append(self.size)
                self._pieces.append(chunk)
                self.size += len(chunk)
            else:
                self._tail += chunk
                self.size += len(chunk)
                if len(self._tail) >= FULL:
                    self._freeze()

    async def read(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`, at most to the end of the piece that holds it."""
        if offset >= self.size:
            return b""
        first = offset - (self.size - len(self._tail))
        if first >= 0:
            return bytes(memoryview(self._tail)[first : first + limit])
        index = bisect_right(self._starts, offset) - 1
        first = offset - self._starts[index]
        return self._pieces[index][first : first + limit]  # a whole piece is no copy

    async def finish(self) -> None:
        """Freeze the tail: from now on a read of a whole piece is no copy."""
        self._freeze()

    async def discard(self) -> None:
        """Let go of every piece."""
        self.size = 0
        self._pieces.clear()
        self._starts.clear()
        self._tail = bytearray()

    def _freeze(self) -> None:
        if self._tail:
            self._starts.append(self.size - len(self._tail))
            self._pieces.append(bytes(self._tail))
            self._tail = bytearray()


class MemoryStorage:
    """Makes blobs in memory; it has no limit of its own."""

    def __init__(self, location: str) -> None:
        if location:
            raise ConfigError(f"storage memory: has no location, but {location!r} was given")

    async def create(self, expected: int | None = None) -> MemoryBlob:
        """Make an empty blob."""
        return MemoryBlob()

    async def aclose(self) -> None:
        """Do nothing: there are no threads and no folders."""
