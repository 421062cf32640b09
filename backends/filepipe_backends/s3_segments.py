"""The segments of a draft that grows, and their files here.

What touches files runs on threads and raises OSError.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from filepipe.errors import StorageFailed
from filepipe_backends.s3_names import GONE
from filepipe_backends.s3_notes import Notes

SMALLEST: Final = 8 * 1024 * 1024
"""Bytes of the first segments."""

STEP: Final = 75
"""After so many segments they get larger by `SMALLEST`: the 10,000th ends behind 5 TiB."""


class Segment(NamedTuple):
    """Segment `number`, from 0: the bytes from `start` up to before `end`."""

    number: int
    start: int
    end: int


def segment(number: int) -> Segment:
    """Where a segment is."""
    level, rest = divmod(number, STEP)
    start = SMALLEST * (STEP * level * (level + 1) // 2 + rest * (level + 1))
    return Segment(number, start, start + SMALLEST * (level + 1))


def segment_at(offset: int) -> Segment:
    """The segment that has the byte at `offset`."""
    level = 0
    while segment((level + 1) * STEP).start <= offset:
        level += 1
    first = segment(level * STEP)
    return segment(first.number + (offset - first.start) // (first.end - first.start))


def segments_of(size: int) -> list[Segment]:
    """The segments of `size` bytes; the last one may end behind them."""
    return [segment(number) for number in range(segment_at(size - 1).number + 1)] if size else []


def store(notes: Notes, handle: str, offset: int, data: memoryview) -> None:
    """Write bytes to the files of their segments."""
    while data:
        found = segment_at(offset)
        fd = os.open(notes.segment(handle, found.number), _WRITE, 0o600)
        try:
            written = os.pwrite(fd, data[: found.end - offset], offset - found.start)
        finally:
            os.close(fd)
        offset, data = offset + written, data[written:]


def fetch(path: Path, start: int, limit: int) -> bytes:
    """Up to `limit` bytes of a file from `start`; nothing where it is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(fd, limit, start)
    finally:
        os.close(fd)


def flush(notes: Notes, handle: str, number: int) -> None:
    """Make a segment's file durable, if there is one."""
    with suppress(FileNotFoundError):
        fd = os.open(notes.segment(handle, number), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    notes.flush()


def cut(notes: Notes, handle: str, offset: int, *, settled: bool) -> None:
    """Remove the files of what is at or behind `offset`; what is before it has to be there.

    With `settled` false, after a restart, full segments before it are sent, and their files go.
    """
    here = notes.segments(handle)
    for found in map(segment, here):
        if found.start >= offset or (found.end <= offset and not settled):
            notes.segment(handle, found.number).unlink()
    last = segment_at(offset)
    if last.start < offset:
        path = notes.segment(handle, last.number)
        if last.number not in here or path.stat().st_size < offset - last.start:
            raise StorageFailed(GONE)


_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
