"""A stream as Server-Sent Events: what was added, and behind each of it where to go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import web

from filepipe.channels.log import Log
from filepipe.channels.state import State
from filepipe.protocols.appending import EVENTS
from filepipe.protocols.events import ENCODING, HEARTBEAT, is_text
from filepipe.protocols.stream_events import (
    bytes_event,
    control_event,
    text_event,
    whole_characters,
)
from filepipe.protocols.stream_values import array_of
from filepipe.web.events import BLOCK, SILENCE, send_events
from filepipe.web.exchange import EXCHANGE
from filepipe.web.pumps import Pumps
from filepipe.web.stream_looks import exactly, head_of, is_json, news, next_cursor, whole_lines

LIFETIME = 60.0
"""Seconds after which events end, so that their reader asks again."""


async def send_stream_events(
    pumps: Pumps,
    request: web.BaseRequest,
    log: Log,
    start: int,
    known: int | None,
    lifetime: float,
) -> web.StreamResponse:
    """Answer with what is behind `start`, and what is added within `lifetime` seconds.

    `known` is the cursor that the reader has. A failure cuts the connection.
    """
    headers = head_of(log) | {"Content-Type": EVENTS, "Cache-Control": "no-cache"}
    headers.pop("Content-Disposition", None)
    headers["X-Request-Id"] = request[EXCHANGE].id
    if not is_text(log.meta.content_type):
        headers[ENCODING] = "base64"
    return await send_events(pumps, request, headers, _events(log, start, known, lifetime))


async def _events(
    log: Log, start: int, known: int | None, lifetime: float
) -> AsyncGenerator[bytes, None]:
    """Events until the stream is closed, or `lifetime` seconds are over."""
    loop = asyncio.get_running_loop()
    ending, offset, told = loop.time() + lifetime, start, -1
    while True:
        event, end, seen = await _next_event(log, offset)
        up_to_date = seen == log.size
        closed = log.state is State.FINISHED and end == log.size
        if event or told != end or closed:
            yield event + control_event(
                end, next_cursor(known), up_to_date=up_to_date, closed=closed
            )
        offset = told = end
        left = ending - loop.time()
        if closed or left <= 0:
            return
        if up_to_date and not await _news_within(log, seen, min(left, SILENCE)):
            yield HEARTBEAT


async def _news_within(log: Log, seen: int, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await news(log, seen)
    except TimeoutError:
        return False
    return True


async def _next_event(log: Log, offset: int) -> tuple[bytes, int, int]:
    """The event of what stands at `offset`, where that ends, and how far was looked for it."""
    if is_json(log):
        lines, seen = await whole_lines(log, offset)
        if not lines:
            return b"", offset, seen
        array = await asyncio.to_thread(array_of, lines)
        return text_event(array.decode()), offset + len(lines), seen
    data = await exactly(log.read, offset, min(BLOCK, log.size - offset))
    seen = offset + len(data)
    if not is_text(log.meta.content_type):
        return bytes_event(data) if data else b"", seen, seen
    closed = log.state is State.FINISHED and seen == log.size
    whole = len(data) if closed else whole_characters(data)
    event = text_event(data[:whole].decode(errors="replace")) if whole else b""
    return event, offset + whole, seen
