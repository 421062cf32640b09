"""Bytes are compared stretch by stretch, and no byte counts as proven before that."""

from __future__ import annotations

from zlib import crc32

import pytest

from filepipe.journal import checking
from filepipe.journal.checking import BLOCK, STRETCH, Check, holds
from filepipe.journal.frames import Damaged, Frame, write_frame


class File:
    """Can be read, and remembers how often it was."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.reads = 0

    def __call__(self, limit: int, offset: int) -> bytes:
        self.reads += 1
        return bytes(self.content[offset : offset + limit])


class Log:
    """Some bytes, a frame for each piece, and their check."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.check = Check()
        self.frames, index, offset = [], [], 0
        position = 0
        for piece in pieces:
            frame = Frame(offset, len(piece), crc32(piece))
            self.frames.append(frame)
            self.check.note(offset, position)
            index.append(write_frame(frame))
            offset, position = offset + len(piece), position + len(index[-1])
        self.size = offset
        self.check.end(offset, position)
        self.data, self.index = File(b"".join(pieces)), File(b"".join(index))

    def prove(self, start: int, stop: int) -> int:
        """Until these bytes are proven; how many stretches that took."""
        count = 0
        while not self.check.is_proven(start, stop):
            self.check.go_on(start, stop, self.data, self.index)
            count += 1
        return count


def test_stretches_are_about_as_long() -> None:
    """And a frame that is larger than a block is read in blocks."""
    log = Log([bytes(5 * BLOCK // 2)] * 16)
    assert log.prove(0, log.size) == 3
    assert log.prove(0, log.size) == 0


def test_what_is_asked_for_is_compared_first() -> None:
    """And nothing else: who reads the end need not wait for the beginning."""
    log = Log([bytes(BLOCK)] * 64)
    assert log.prove(log.size - 10, log.size) == 1
    assert not log.check.is_proven(0, 1)
    assert not log.check.is_proven(log.size - STRETCH - 1, log.size)
    assert log.prove(STRETCH - 1, STRETCH + 1) == 2
    assert log.prove(0, log.size) == 1
    assert log.data.reads == 64


def test_bytes_behind_those_that_were_found_are_ours() -> None:
    """Nobody waits for what was written since."""
    log = Log([b"found"])
    assert log.check.is_proven(5, 10)
    assert not log.check.is_proven(4, 10)
    assert Check().is_proven(0, 10)


def test_many_small_frames_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one stretch has not more than so many."""
    monkeypatch.setattr(checking, "FRAMES", 34 * 1000)
    log = Log([b"", b"a", b"bcd", b""] * 1000)
    assert log.prove(0, log.size) == 4
    assert log.data.reads == 4


@pytest.mark.parametrize("size", [10, BLOCK - 1, BLOCK, BLOCK + 1])
def test_one_changed_byte_is_found(size: int) -> None:
    """Whichever it is."""
    for position in (size, 2 * size - 1):
        log = Log([b"x" * size] * 3)
        log.data.content[position] ^= 4
        with pytest.raises(Damaged, match=f"from {size} on"):
            log.prove(0, log.size)
        assert not log.check.is_proven(0, 1)


def test_a_changed_index_is_found() -> None:
    """Though it was whole when the log was recovered."""
    for change in (b"", b"\0"):
        log = Log([b"one", b"two"])
        log.index.content[-1:] = change
        with pytest.raises(Damaged, match="index"):
            log.prove(0, log.size)


def test_missing_bytes_do_not_hold() -> None:
    """They are not waited for."""
    log = Log([b"bytes"])
    assert holds(log.data, log.frames[0])
    del log.data.content[-1:]
    assert not holds(log.data, log.frames[0])
    with pytest.raises(Damaged):
        log.prove(0, 5)
