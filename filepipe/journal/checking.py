"""Are the bytes of a log what was written? They are compared with the checksums of its frames.

Stretch by stretch, in whatever order they are asked for.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from zlib import crc32

from filepipe.journal.frames import Damaged, Flag, Frame, read_frames

BLOCK = 1024 * 1024
"""Bytes that are read at a time."""

STRETCH = 16 * BLOCK
"""Bytes of a stretch, and some more."""

FRAMES = BLOCK
"""Bytes of the frames of a stretch, and some more."""

Read = Callable[[int, int], bytes]
"""Up to so many bytes at an offset; b"" at the end."""


def holds(read: Read, frame: Frame) -> bool:
    """Whether the bytes of the frame are as they were written, if anybody knows how they were."""
    if frame.flags and Flag.ADOPTED in frame.flags:
        return True
    crc, offset = 0, frame.offset
    while offset < frame.end:
        block = read(min(BLOCK, frame.end - offset), offset)
        if not block:
            return False
        crc, offset = crc32(block, crc), offset + len(block)
    return crc == frame.crc


class Check:
    """Takes note of where stretches begin, by `note`, then `go_on` compares them.

    One thread at a time goes on; others wait for it.
    """

    def __init__(self) -> None:
        self._offsets: list[int] = []
        """Where stretches begin in the bytes, and where the last one ends."""
        self._positions: list[int] = []
        """The same in the index."""
        self._left: set[int] = set()
        self._turn = threading.Lock()

    def note(self, offset: int, position: int) -> None:
        """At `position` of the index is the frame of the bytes at `offset`; told in order."""
        if (
            not self._offsets
            or offset - self._offsets[-1] >= STRETCH
            or position - self._positions[-1] >= FRAMES
        ):
            self._offsets.append(offset)
            self._positions.append(position)

    def end(self, size: int, position: int) -> None:
        """Nothing more is to be compared than what is before these."""
        self._left = set(range(len(self._offsets)))
        self._offsets.append(size)
        self._positions.append(position)

    def is_proven(self, start: int, stop: int) -> bool:
        """Whether the bytes `[start, stop)` are as they were written, as far as they are ours."""
        return self._next(start, stop) is None

    def go_on(self, start: int, stop: int, data: Read, index: Read) -> None:
        """Compare the next stretch that has some of these bytes. Raises `Damaged`, as `read`."""
        with self._turn:
            number = self._next(start, stop)
            if number is not None:
                self._compare(number, data, index)
                self._left.discard(number)

    def _next(self, start: int, stop: int) -> int | None:
        if not self._left:
            return None
        for number in range(max(0, bisect_right(self._offsets, start) - 1), len(self._offsets)):
            if self._offsets[number] >= stop:
                return None
            if number in self._left:
                return number
        return None

    def _compare(self, number: int, data: Read, index: Read) -> None:
        position, end = self._positions[number : number + 2]
        offset, stop = self._offsets[number : number + 2]
        block, begin = memoryview(b""), offset
        for frame, _ in read_frames(_exactly(index, position, end), 0, offset):
            at = frame.offset - begin
            if frame.size > BLOCK or (frame.flags and Flag.ADOPTED in frame.flags):
                fits = holds(data, frame)
            else:
                if at + frame.size > len(block):
                    block, begin, at = memoryview(data(BLOCK, frame.offset)), frame.offset, 0
                fits = crc32(block[at : at + frame.size]) == frame.crc
            if not fits:
                raise Damaged(f"its bytes from {frame.offset} on are damaged")
            offset = frame.offset + frame.size
        if offset != stop:
            raise Damaged(f"its index is damaged behind byte {position}")


def _exactly(read: Read, start: int, end: int) -> bytes:
    blocks = []
    while start < end and (block := read(end - start, start)):
        blocks.append(block)
        start += len(block)
    return b"".join(blocks)
