"""The last bytes of a log in memory, so that those who follow it live do not ask the disk."""

from __future__ import annotations

from collections import deque

from filepipe.accountant import Budget

SIZE = 256 * 1024
"""Bytes that are kept."""

PIECES = 64
"""Pieces that are kept, each as it was written."""


class Tail:
    """A few pieces in a row, paid for from `memory`; where there is no room it keeps none."""

    __slots__ = ("_memory", "_pieces", "_size")

    def __init__(self, memory: Budget) -> None:
        self._memory = memory
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._size = 0

    def add(self, offset: int, data: bytes) -> None:
        """The log has these bytes at `offset`, its end before."""
        while self._pieces and (self._size + len(data) > SIZE or len(self._pieces) >= PIECES):
            self._drop()
        if data and self._memory.fits(len(data)):
            self._memory.take(len(data))
            self._pieces.append((offset, data))
            self._size += len(data)
        elif data:
            self.clear()

    def read(self, offset: int, limit: int) -> bytes | None:
        """Between 1 and `limit` bytes from `offset`, None if they are not here."""
        if not self._pieces or offset < self._pieces[0][0]:
            return None
        for start, data in reversed(self._pieces):
            if start <= offset:
                if offset == start and len(data) <= limit:
                    return data
                return data[offset - start : offset - start + limit] or None
        return None

    def clear(self) -> None:
        """Let go of everything."""
        while self._pieces:
            self._drop()

    def _drop(self) -> None:
        _, data = self._pieces.popleft()
        self._size -= len(data)
        self._memory.give(len(data))
