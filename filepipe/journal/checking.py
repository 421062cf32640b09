"""Are the bytes of a log what was written? They are compared with the checksums of its frames."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from zlib import crc32

from filepipe.journal.frames import Damaged, Flag, Frame

BLOCK = 1024 * 1024
"""Bytes that are read at a time."""

STRETCH = 16 * BLOCK
"""Bytes that are compared at a time, and some more."""

FRAMES = 20_000
"""Frames that are compared at a time."""

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
    """Compares the frames one after the other; those before `proven` are as they were written.

    `whole` once all are. One thread at a time goes on; others wait for it.
    """

    def __init__(self, frames: Iterator[Frame]) -> None:
        self.proven = 0
        self.whole = False
        self._frames = frames
        self._block = memoryview(b"")
        self._start = 0
        self._turn = threading.Lock()

    def go_on(self, read: Read) -> None:
        """Compare the next stretch. Raises `Damaged`, and what `read` raises."""
        with self._turn:
            end = self.proven + STRETCH
            for count, frame in enumerate(self._frames, 1):
                if not self._holds(read, frame):
                    raise Damaged(f"its bytes from {frame.offset} on are damaged")
                self.proven = frame.offset + frame.size
                if self.proven >= end or count >= FRAMES:
                    return
            self.whole = True
            self._block = memoryview(b"")

    def _holds(self, read: Read, frame: Frame) -> bool:
        if frame.size > BLOCK or (frame.flags and Flag.ADOPTED in frame.flags):
            return holds(read, frame)
        at = frame.offset - self._start
        if at + frame.size > len(self._block):
            self._block, self._start, at = memoryview(read(BLOCK, frame.offset)), frame.offset, 0
        return crc32(self._block[at : at + frame.size]) == frame.crc
