"""What is to be seen of a stream: its type and its end, whole lines of it, and that there is more.

Of JSON only whole lines are read; the last one of a closed stream is whole as it is, and one that
is too long comes in pieces, each as if it were a line.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable

from filepipe.channels.log import Log
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.errors import Conflict, Draining, Gone, NotFound
from filepipe.keys import Key
from filepipe.protocols.stream_events import TORN, whole_characters
from filepipe.protocols.streams import CURSOR_JITTER, JSON, OCTETS, cursor, essence, write_offset
from filepipe.web.context import Context
from filepipe.web.routes import pipes

LINES = 128 * 1024
"""Bytes of JSON in one answer, but for a value that is larger alone."""

LONGEST_LINE = 32 * 1024 * 1024
"""Bytes of a line, or of one of its pieces, at most; appends here make no longer ones."""

_DIALECT = pipes.Dialect(retention=Retention(after_end=0.0), names_from_key=True, raw_names=False)


async def find(context: Context, key: Key) -> Log:
    """The log under `key`. Raises `NotFound`, and `Conflict` where something else is there."""
    log = context.service.directory.find(key)
    if log is None:
        raise NotFound("there is no stream under this key")
    if not isinstance(log, Log):
        raise Conflict("the key is in use, and not by a stream")
    if await context.service.logs.ended(log):
        raise NotFound("there is no stream under this key")
    return log


def type_of(log: Log) -> str:
    """The type of a stream; bytes where nobody gave it one."""
    return log.meta.content_type or OCTETS


def is_json(log: Log) -> bool:
    """Whether it is a stream of values."""
    return essence(log.meta.content_type) == JSON


def end_of(log: Log, end: int) -> dict[str, str]:
    """The headers that say where a stream ends, and whether for ever."""
    return at(end, closed=log.state is State.FINISHED)


def at(offset: int, *, closed: bool) -> dict[str, str]:
    """The headers that say where a reader goes on, and whether nothing will be there."""
    headers = {"Stream-Next-Offset": write_offset(offset)}
    if closed:
        headers["Stream-Closed"] = "true"
    return headers


async def tail_of(log: Log) -> int:
    """Where a reader of the end begins: of JSON behind the last whole line."""
    end = log.size
    if not is_json(log) or log.state is State.FINISHED:
        return end
    return await _line_start(log, end)


async def is_handed_out(log: Log, offset: int) -> bool:
    """Whether a reader of JSON may have been told to go on here."""
    return not offset or await _line_start(log, offset) == offset


async def _line_start(log: Log, end: int) -> int:
    """Where the line begins in which `end` is; `end` itself if a piece of a line may end there."""
    start = end
    lowest = end - (LONGEST_LINE - TORN)
    while start > max(0, lowest):
        first = max(0, lowest, start - LINES)
        block = await exactly(log.glance, first, start - first)
        if (found := block.rfind(b"\n")) >= 0:
            return first + found + 1
        start = first
    return end if lowest >= 0 else 0


async def exactly(read: Callable[[int, int], Awaitable[bytes]], start: int, size: int) -> bytes:
    """Exactly these bytes, which are there."""
    block = b""
    while len(block) < size:
        block += await read(start + len(block), size - len(block))
    return block


def head_of(log: Log) -> dict[str, str]:
    """What is said of a stream's bytes in each answer that has some."""
    headers = pipes.describe_body(log.key, log.meta, _DIALECT)
    headers["Content-Type"] = type_of(log)
    return headers


def next_cursor(known: int | None) -> int:
    """The cursor of an answer now."""
    return cursor(time.time(), known, random.randint(1, CURSOR_JITTER))  # noqa: S311


async def whole_lines(log: Log, start: int) -> tuple[bytes, int]:
    """Whole lines from `start` on, or a piece of one, and how far was looked for them.

    Raises `StorageFailed`.
    """
    blocks, size, end = [], 0, 0
    while not end and (most := min(log.size - start, LONGEST_LINE) - size):
        block = await exactly(log.read, start + size, min(LINES, most))
        if (found := block.rfind(b"\n")) >= 0:
            end = size + found + 1
        blocks.append(block)
        size += len(block)
    lines = b"".join(blocks)
    seen = start + len(lines)
    if seen == log.size and log.state is State.FINISHED:
        return lines, seen
    if not end and size == LONGEST_LINE:
        end = whole_characters(lines)
        seen = start + end
    return lines[:end], seen


async def news(log: Log, seen: int) -> None:
    """Return when there is something to read behind `seen`, or the stream is closed.

    Raises `Gone`, `Draining`, `StorageFailed`.
    """
    while not await _has_news(log, seen):
        if log.state is State.BROKEN or log.forgotten:
            raise Gone("the stream was removed")
        if log.draining:
            raise Draining("server is shutting down")
        await log.progress()
        log.check()


async def _has_news(log: Log, seen: int) -> bool:
    if log.state is State.FINISHED:
        return True
    if not is_json(log):
        return log.size > seen
    first = seen
    while seen < log.size:
        if seen - first >= LONGEST_LINE:
            return True
        block = await exactly(log.read, seen, min(LINES, log.size - seen))
        if b"\n" in block:
            return True
        seen += len(block)
    return False
