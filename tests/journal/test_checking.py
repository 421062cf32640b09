"""Bytes are compared stretch by stretch, and no byte counts as proven before that."""

from __future__ import annotations

from zlib import crc32

import pytest

from filepipe.journal.checking import BLOCK, FRAMES, STRETCH, Check, holds
from filepipe.journal.frames import Damaged, Frame


def framed(pieces: list[bytes]) -> tuple[bytes, list[Frame]]:
    """The bytes, and a frame for each piece."""
    frames, offset = [], 0
    for piece in pieces:
        frames.append(Frame(offset, len(piece), crc32(piece)))
        offset += len(piece)
    return b"".join(pieces), frames


class File:
    """Can be read, and remembers how often it was."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.reads = 0

    def __call__(self, limit: int, offset: int) -> bytes:
        self.reads += 1
        return self.content[offset : offset + limit]


def prove(check: Check, file: File) -> list[int]:
    """Go on to the end; how far each stretch went."""
    ends = []
    while not check.whole:
        check.go_on(file)
        ends.append(check.proven)
    return ends


def test_it_goes_on_stretch_by_stretch() -> None:
    """Each is about as long; frames that are larger than a block are read in blocks."""
    piece = bytes(range(256)) * (5 * BLOCK // 2 // 256)
    content, frames = framed([piece] * 16)
    ends = prove(Check(iter(frames)), File(content))
    assert ends[-1] == len(content)
    steps = [end - start for start, end in zip([0, *ends], ends, strict=False) if end > start]
    assert all(step < STRETCH + len(piece) for step in steps)
    assert len(steps) == 3


def test_many_small_frames_are_read_together() -> None:
    """And one stretch has not more than so many."""
    content, frames = framed([b"", b"a", b"bcd", b""] * FRAMES)
    file = File(content)
    ends = prove(Check(iter(frames)), file)
    assert len(ends) == 5
    assert file.reads <= 2


@pytest.mark.parametrize("size", [10, BLOCK - 1, BLOCK, BLOCK + 1])
def test_one_changed_byte_is_found(size: int) -> None:
    """What stands before is proven, it and what stands behind is not."""
    content, frames = framed([b"x" * size] * 3)
    for position in (size, 2 * size - 1):
        changed = bytearray(content)
        changed[position] ^= 4
        check = Check(iter(frames))
        with pytest.raises(Damaged, match=f"from {size} on"):
            prove(check, File(bytes(changed)))
        assert not check.whole


def test_missing_bytes_do_not_hold() -> None:
    """They are not waited for."""
    content, (frame,) = framed([b"bytes"])
    assert holds(File(content), frame)
    assert not holds(File(content[:-1]), frame)
    with pytest.raises(Damaged):
        Check(iter([frame])).go_on(File(content[:-1]))
