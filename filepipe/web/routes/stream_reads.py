"""Reading a stream: at once, by a long poll, or as Server-Sent Events.

Who reads sees what is acknowledged, and an offset that he is given is one to go on at.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from filepipe.channels.channel import Reader
from filepipe.channels.log import Log
from filepipe.channels.state import State
from filepipe.errors import BadRequest, FilepipeError
from filepipe.keys import Key
from filepipe.protocols.preconditions import matches
from filepipe.protocols.stream_values import array_of
from filepipe.protocols.streams import Live, Reading, write_offset
from filepipe.protocols.waiting import wanted_wait
from filepipe.web.context import Context
from filepipe.web.exchange import EXCHANGE
from filepipe.web.fields import joined
from filepipe.web.pumps import cut
from filepipe.web.stream_events import LIFETIME, send_stream_events
from filepipe.web.stream_looks import (
    at,
    find,
    head_of,
    is_handed_out,
    is_json,
    news,
    next_cursor,
    tail_of,
    whole_lines,
)

LONG_POLL = 20.0
"""Seconds that a long poll waits, and waits at most."""

_CACHED = "private, max-age=60, stale-while-revalidate=300"


# -- one answer


async def read(
    context: Context, request: web.BaseRequest, key: Key, wanted: Reading
) -> web.StreamResponse:
    """Answer GET.

    Raises `NotFound`, `Conflict`, `BadRequest`, `Gone` if the stream is removed meanwhile,
    `Draining`, `StorageFailed`, `OverBudget`.
    """
    log = await find(context, key)
    log.check()
    start = await _start(log, wanted)
    await context.service.logs.touch(log)
    wait = _wait(context, request, wanted)
    with Reader(log, start) as reader:
        log.was_read()
        if wanted.live is Live.SSE:
            return await send_stream_events(context.pumps, request, log, start, wanted.cursor, wait)
        if wanted.live is Live.LONG_POLL:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await news(log, start)
        answer = _Answer(context, request, reader, wanted)
        return await (answer.values() if is_json(log) else answer.octets())


def _wait(context: Context, request: web.BaseRequest, wanted: Reading) -> float:
    most = LIFETIME if wanted.live is Live.SSE else LONG_POLL
    return wanted_wait(wanted.wait, joined(request.headers, "Prefer"), most, most)


async def _start(log: Log, wanted: Reading) -> int:
    start = await tail_of(log) if wanted.start is None else wanted.start
    if start > log.size:
        raise BadRequest(f"the offset is behind the end of the stream, {write_offset(log.size)}")
    at_end = start == log.size and log.state is State.FINISHED
    if wanted.start and is_json(log) and not at_end and not await is_handed_out(log, start):
        raise BadRequest("the offset is not one that was handed out here")
    return start


class _Answer:
    """The answer to a read that does not stay."""

    def __init__(
        self, context: Context, request: web.BaseRequest, reader: Reader, wanted: Reading
    ) -> None:
        assert isinstance(reader.channel, Log)
        self._context = context
        self._request = request
        self._reader = reader
        self._log = reader.channel
        self._wanted = wanted
        self._empty = wanted.start is None and wanted.live is Live.NO

    async def octets(self) -> web.StreamResponse:
        """Everything that is there, as it is."""
        log, reader = self._log, self._reader
        reader.stop = end = reader.offset if self._empty else log.size
        closed = end == log.size and log.state is State.FINISHED
        if (short := self._short(end, up_to_date=True, closed=closed)) is not None:
            return short
        headers = self._headers(end, up_to_date=True, closed=closed)
        return await self._context.pumps.send(self._request, reader, 200, headers)

    async def values(self) -> web.StreamResponse:
        """Whole lines as an array, at least one if there is one."""
        log, start = self._log, self._reader.offset
        lines, seen = (b"", start) if self._empty else await whole_lines(log, start)
        up_to_date = self._empty or seen == log.size
        end = start + len(lines)
        closed = up_to_date and log.state is State.FINISHED and end == log.size
        if (short := self._short(end, up_to_date=up_to_date, closed=closed)) is not None:
            return short
        body = await asyncio.to_thread(array_of, lines)
        headers = self._headers(end, up_to_date=up_to_date, closed=closed)
        return await self._send(body, headers)

    def _short(self, end: int, *, up_to_date: bool, closed: bool) -> web.StreamResponse | None:
        """The answer without a body, if that is one: nothing came, or nothing is new."""
        headers = self._headers(end, up_to_date=up_to_date, closed=closed)
        if self._wanted.live is Live.LONG_POLL:
            if end > self._reader.offset:
                return None
            headers = {**headers, "Cache-Control": "no-store"}
            for name in ("ETag", "Content-Type", "Content-Disposition"):
                headers.pop(name, None)
            return web.Response(status=204, headers=headers)
        known = joined(self._request.headers, "If-None-Match")
        if known is not None and "ETag" in headers and matches(known, headers["ETag"], weak=True):
            return web.Response(status=304, headers=headers)
        return None

    def _headers(self, end: int, *, up_to_date: bool, closed: bool) -> dict[str, str]:
        log, start, wanted = self._log, self._reader.offset, self._wanted
        headers = head_of(log) | at(end, closed=closed)
        headers["X-Request-Id"] = self._request[EXCHANGE].id
        if up_to_date:
            headers["Stream-Up-To-Date"] = "true"
        if wanted.live is not Live.NO:
            headers["Stream-Cursor"] = str(next_cursor(wanted.cursor))
        if wanted.start is not None:
            mark = "c" if closed else ""
            headers["ETag"] = f'"{log.files.birth.tag}-{start:x}-{end:x}{mark}"'
        if end > start:
            headers["Cache-Control"] = _CACHED
        return headers

    async def _send(self, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
        """Send a body that is counted in the ledger until it is gone."""
        context, request = self._context, self._request
        memory = context.service.accountant.memory
        memory.take(len(body))
        response = web.Response(body=body, headers=headers)
        try:
            with context.pumps.counted("out"), context.pumps.watch_reader() as watch:
                watch.begin()
                await response.prepare(request)
                await response.write_eof()
                await request.writer.drain()
                context.pumps.count_out(request, len(body))
        except (FilepipeError, ConnectionError):
            cut(request, framed=True)
        finally:
            memory.give(len(body))
        return response
