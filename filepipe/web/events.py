"""Sends a log as Server-Sent Events, with a sign of life where it is silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from aiohttp import web

from filepipe.channels.follower import Follower
from filepipe.channels.state import State
from filepipe.errors import FilepipeError
from filepipe.protocols.events import HEARTBEAT, Events
from filepipe.web.pumps import Pumps, cut

SILENCE = 15.0
"""Seconds after which a sign of life is sent."""

BLOCK = 32 * 1024
"""Bytes of a log in one event at most."""


async def send_log_events(
    pumps: Pumps,
    request: web.BaseRequest,
    follower: Follower,
    headers: dict[str, str],
    *,
    text: bool,
) -> web.StreamResponse:
    """Answer with the follower's bytes as events; a failure cuts the connection."""
    return await send_events(pumps, request, headers, _events(follower, text=text))


async def send_events(
    pumps: Pumps,
    request: web.BaseRequest,
    headers: dict[str, str],
    source: AsyncGenerator[bytes, None],
) -> web.StreamResponse:
    """Answer with what `source` makes, event by event; a failure cuts the connection."""
    response = web.StreamResponse(headers=headers)
    try:
        with pumps.counted("out"), pumps.watch_follower() as stall:
            stall.begin()
            await response.prepare(request)
            stall.end()
            async with contextlib.aclosing(source) as events:
                async for event in events:
                    stall.begin()
                    await response.write(event)
                    stall.end()
                    pumps.count_out(request, len(event))
            stall.begin()
            await response.write_eof()
    except (FilepipeError, ConnectionError):
        cut(request, framed=request.version >= (1, 1))
    return response


async def _events(follower: Follower, *, text: bool) -> AsyncGenerator[bytes, None]:
    events = Events(follower.offset, text=text)
    while True:
        try:
            async with asyncio.timeout(SILENCE):
                data = await follower.read(BLOCK)
        except TimeoutError:
            yield HEARTBEAT
            continue
        if event := events.event(data, last=not data):
            yield event
        if not data:
            break
    yield events.end("closed" if follower.log.state is State.FINISHED else "end")
