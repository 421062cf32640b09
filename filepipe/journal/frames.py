"""The format of a log's index: frames, each of which is whole or not there. No files here.

    frame = MAGIC, length of the body u32, crc32 of the body u32, body        (little endian)
    body  = 1, JSON of a `Birth`                                    the first frame, and no other
          | 2, flags u8, offset u64, size u64, crc32 of the bytes u32, marks  bytes that were added
    mark  = length of the name u16, name, epoch u64, number u64     how far a producer has come

Rule 1: one write adds one frame, and it is flushed before the next one is written, unless it is
        `LOOSE`. So what a crash can tear is the last frame, or one of the loose ones at the end.
Rule 2: a frame that cannot be read is the torn end if no firm frame stands behind it, and damage
        otherwise. The end is cut, damage is refused.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import IntFlag
from typing import Final, NamedTuple
from zlib import crc32

MAGIC: Final = b"\xf1log"
_HEAD: Final = struct.Struct("<4sII")
_ADDED: Final = struct.Struct("<BBQQI")
_NAME: Final = struct.Struct("<H")
_NUMBERS: Final = struct.Struct("<QQ")
_BIRTH, _FRAME = 1, 2

MOST: Final = 1 << 20
"""Bytes of a body that no frame reaches."""


class Damaged(Exception):
    """The index or the bytes are not what was written; the text says where."""


class Flag(IntFlag):
    """What else a frame says."""

    CLOSED = 1
    """Nothing is added behind it."""
    LOOSE = 2
    """It was acknowledged before it was on the disk, by request."""
    DELETED = 4
    """The log is being removed."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What is said of a log once: `ttl` in seconds, None for ever; `tag` is part of its ETags."""

    key: str
    content_type: str | None
    ttl: float | None
    tag: str


class Mark(NamedTuple):
    """The last number that a producer's record had, in the producer's `epoch`."""

    producer: str
    epoch: int
    number: int


class Frame(NamedTuple):
    """The bytes `[offset, offset + size)` were added; `crc` is theirs."""

    offset: int
    size: int
    crc: int
    flags: Flag = Flag(0)
    marks: tuple[Mark, ...] = ()

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + self.size


def write_birth(birth: Birth) -> bytes:
    """The first frame."""
    return _frame(bytes([_BIRTH]) + json.dumps(asdict(birth)).encode())


def write_frame(frame: Frame) -> bytes:
    """Any other frame."""
    body = _ADDED.pack(_FRAME, frame.flags, frame.offset, frame.size, frame.crc)
    for mark in frame.marks:
        name = mark.producer.encode()
        body += _NAME.pack(len(name)) + name + _NUMBERS.pack(mark.epoch, mark.number)
    return _frame(body)


def _frame(body: bytes) -> bytes:
    return _HEAD.pack(MAGIC, len(body), crc32(body)) + body


def read_birth(index: bytes) -> tuple[Birth, int] | None:
    """The first frame and where it ends; None where there is no whole one."""
    body = _body(index, 0)
    if body is None or body[0] != _BIRTH:
        return None
    try:
        return Birth(**json.loads(body[1:])), _HEAD.size + len(body)
    except (ValueError, TypeError):
        return None


def read_frames(index: bytes, start: int, offset: int = 0) -> Iterator[tuple[Frame, int]]:
    """Every frame from `start` on, with its end, up to the torn end; the first one is at `offset`.

    Raises `Damaged` where what cannot be read is not the end.
    """
    position, expected = start, offset
    while position < len(index):
        frame, end = _read(index, position)
        if frame is None:
            if _is_firm_behind(index, position + 1):
                raise Damaged(f"its index is damaged at byte {position}")
            return
        if frame.offset != expected:
            raise Damaged(f"its index has a gap at byte {position}")
        yield frame, end
        position, expected = end, frame.end


def _is_firm_behind(index: bytes, position: int) -> bool:
    while (position := index.find(MAGIC, position)) >= 0:
        frame, _ = _read(index, position)
        if frame is not None and not frame.flags & Flag.LOOSE:
            return True
        position += 1
    return False


def _read(index: bytes, position: int) -> tuple[Frame | None, int]:
    body = _body(index, position)
    if body is None or body[0] != _FRAME or len(body) < _ADDED.size:
        return None, position
    _, flags, offset, size, crc = _ADDED.unpack_from(body)
    marks = tuple(_marks(body)) if len(body) > _ADDED.size else ()
    return Frame(offset, size, crc, Flag(flags), marks), position + _HEAD.size + len(body)


def _marks(body: bytes) -> Iterator[Mark]:
    position = _ADDED.size
    while position < len(body):
        (length,) = _NAME.unpack_from(body, position)
        position += _NAME.size
        name = body[position : position + length].decode()
        yield Mark(name, *_NUMBERS.unpack_from(body, position + length))
        position += length + _NUMBERS.size


def _body(index: bytes, position: int) -> bytes | None:
    """The body of the frame at `position`, None if there is no whole one."""
    if len(index) - position < _HEAD.size:
        return None
    magic, length, crc = _HEAD.unpack_from(index, position)
    if magic != MAGIC or not 0 < length <= MOST:
        return None
    start = position + _HEAD.size
    body = index[start : start + length]
    return body if len(body) == length and crc32(body) == crc else None
