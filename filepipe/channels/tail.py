"""The last bytes of a log in memory, so that those who follow it live do not ask the disk."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

from filepipe.accountant import Budget

SIZE = 256 * 1024
"""Bytes that are kept."""

PIECES = 64
"""Pieces that are kept, each as it was written."""

MOST = 1024 * 1024
"""Bytes that are kept where somebody has not got them yet."""


class Tail:
    """A few pieces in a row, paid for from `memory`; where there is no room it keeps none."""

    __slots__ = ("_memory", "_pieces", "_size", "needed")

    def __init__(self, memory: Budget) -> None:
        self._memory = memory
        self._pieces: deque[tuple[int, bytes, Sequence[int]]] = deque()
        self._size = 0
        self.needed = sys.maxsize
        """Who follows live has not got the bytes from here on."""

    def add(self, offset: int, data: bytes, ends: Sequence[int] = ()) -> None:
        """The log has these bytes at `offset`, its end before; `ends` are those of its records."""
        while self._pieces and self._is_too_much(len(data)):
            self._drop()
        if data and self._memory.fits(len(data)):
            self._memory.take(len(data))
            self._pieces.append((offset, data, ends))
            self._size += len(data)
        elif data:
            self.clear()

    def _is_too_much(self, more: int) -> bool:
        size = self._size + more
        if size > MOST:
            return True
        start, data, _ = self._pieces[0]
        if start + len(data) > self.needed:
            return False
        return size > SIZE or len(self._pieces) >= PIECES

    def read(self, offset: int, limit: int) -> bytes | None:
        """Between 1 and `limit` bytes from `offset`, None if they are not here."""
        if not self._pieces or offset < self._pieces[0][0]:
            return None
        for start, data, _ in reversed(self._pieces):
            if start <= offset:
                if offset == start and len(data) <= limit:
                    return data
                return data[offset - start : offset - start + limit] or None
        return None

    def end_of_record(self, offset: int) -> int | None:
        """Where the record ends that has the byte at `offset`, None if that is not known here."""
        for start, _, ends in reversed(self._pieces):
            if start <= offset:
                found = bisect_right(ends, offset)
                return ends[found] if found < len(ends) else None
        return None

    def portion(self, offset: int, limit: int, *, whole: bool) -> list[bytes] | None:
        """Up to `limit` bytes from `offset` on, in pieces; None if they are not here.

        `whole`: each piece is one record. None also where the first of them exceeds `limit`.
        """
        if not self._pieces or offset < self._pieces[0][0]:
            return None
        pieces = []
        for piece in reversed(self._pieces):
            pieces.append(piece)
            if piece[0] <= offset:
                break
        found: list[bytes] = []
        for start, data, ends in reversed(pieces):
            for end in ends if whole else (start + len(data),):
                if end <= offset:
                    continue
                if end - offset > limit and whole:
                    return found or None
                stop = min(end, offset + limit)
                found.append(data[offset - start : stop - start])
                limit -= stop - offset
                offset = stop
                if not limit:
                    return found
        return found or None

    def clear(self) -> None:
        """Let go of everything."""
        while self._pieces:
            self._drop()

    def _drop(self) -> None:
        _, data, _ = self._pieces.popleft()
        self._size -= len(data)
        self._memory.give(len(data))
