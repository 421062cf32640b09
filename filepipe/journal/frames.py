"""The format of a log's index: frames, each of which is whole or not there. No files here.

    frame = MAGIC, length of the body u32, crc32 of the body u32, body        (little endian)
    body  = 1, JSON of a `Birth`                                    the first frame, and no other
          | 2, flags u8, offset u64, size u64, crc32 of the bytes u32, [order,] marks
                                                                    bytes that were added
    order = length u16, text            with `SEQUENCED`: the last Stream-Seq, for writers in turn
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
_BOTH: Final = struct.Struct(_HEAD.format + _ADDED.format[1:])
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
    SEQUENCED = 8
    """It says which place in the order of its writers was the last."""
    ADOPTED = 16
    """It is of a file that was there before its log; nobody knows the checksum of its bytes."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What is said of a log once: `ttl` in seconds, None for ever; `tag` is part of its ETags.

    `expires_at` is the moment it goes, in seconds since 1970, whoever uses it. With `begun` its
    first frame belongs to its making: without that there is no log. Its bytes are below a root if
    it is `named`, and began before it did if it is `adopted`.
    """

    key: str
    content_type: str | None
    ttl: float | None
    tag: str
    expires_at: float | None = None
    begun: bool = False
    named: bool = False
    adopted: bool = False


_FLAGS: Final = tuple(map(Flag, range(256)))


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
    order: str | None = None

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + self.size


def write_birth(birth: Birth) -> bytes:
    """The first frame."""
    return _frame(bytes([_BIRTH]) + json.dumps(asdict(birth)).encode())


def write_frame(frame: Frame) -> bytes:
    """Any other frame."""
    flags = frame.flags if frame.order is None else frame.flags | Flag.SEQUENCED
    body = _ADDED.pack(_FRAME, flags, frame.offset, frame.size, frame.crc)
    if frame.order is not None:
        body += _text(frame.order)
    for mark in frame.marks:
        body += _text(mark.producer) + _NUMBERS.pack(mark.epoch, mark.number)
    return _frame(body)


def _text(text: str) -> bytes:
    raw = text.encode()
    return _NAME.pack(len(raw)) + raw


def _frame(body: bytes) -> bytes:
    return _HEAD.pack(MAGIC, len(body), crc32(body)) + body


def read_birth(index: bytes) -> tuple[Birth, int] | None:
    """The first frame and where it ends; None where there is no whole one, nor any behind it.

    Raises `Damaged` where there was one.
    """
    body = _body(index, 0)
    if body is None or body[0] != _BIRTH:
        if _is_firm_behind(index, 0):
            raise Damaged("its index is damaged at byte 0")
        return None
    try:
        return Birth(**json.loads(body[1:])), _HEAD.size + len(body)
    except (ValueError, TypeError) as error:
        raise Damaged("the first frame of its index cannot be read") from error


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
        position, expected = end, frame.offset + frame.size


def _is_firm_behind(index: bytes, position: int) -> bool:
    while (position := index.find(MAGIC, position)) >= 0:
        frame, _ = _read(index, position)
        if frame is not None and not frame.flags & Flag.LOOSE:
            return True
        position += 1
    return False


def _read(index: bytes, position: int) -> tuple[Frame | None, int]:
    # a gigabyte may be a million frames, and the start waits for them
    start = position + _HEAD.size
    if len(index) < start + _ADDED.size:
        return None, position
    magic, length, check, kind, flags, offset, size, crc = _BOTH.unpack_from(index, position)
    if magic != MAGIC or kind != _FRAME or not _ADDED.size <= length <= MOST:
        return None, position
    body = index[start : start + length]
    if len(body) != length or crc32(body) != check:
        return None, position
    if length == _ADDED.size:
        return Frame(offset, size, crc, _FLAGS[flags]), start + length
    rest, order = _ADDED.size, None
    if flags & Flag.SEQUENCED.value:
        order, rest = _named(body, rest)
    return Frame(offset, size, crc, _FLAGS[flags], _marks(body, rest), order), start + length


def _named(body: bytes, position: int) -> tuple[str, int]:
    (length,) = _NAME.unpack_from(body, position)
    position += _NAME.size
    return body[position : position + length].decode(), position + length


def _marks(body: bytes, position: int) -> tuple[Mark, ...]:
    marks = []
    while position < len(body):
        name, position = _named(body, position)
        marks.append(Mark(name, *_NUMBERS.unpack_from(body, position)))
        position += _NUMBERS.size
    return tuple(marks)


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
