"""Logs in `auto`: `?append` and `?follow`; what else a key is asked, `pipes` answers for logs, too.

Rule 1: a body whose length is known and at most `WHOLE` is one record: all of it, or nothing; of a
        producer at most `NUMBERED`.
        Any other body is a session, and what of it was read is in the log, however it ends.
Rule 2: an answer comes when everything is acknowledged, and says where the log ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from filepipe.channels.follower import Follower
from filepipe.channels.log import Log
from filepipe.channels.log_session import Session
from filepipe.channels.state import State
from filepipe.errors import (
    BadRequest,
    Conflict,
    DiskFull,
    FilepipeError,
    LogClosed,
    NotAtEnd,
    NotFound,
    OverBudget,
    RangeNotSatisfiable,
    StorageFailed,
    WriterPresent,
)
from filepipe.journal.frames import Mark
from filepipe.keys import Key
from filepipe.protocols.appending import (
    EVENTS,
    Append,
    wanted_append,
    wanted_mark,
    wanted_start,
    wants_events,
)
from filepipe.protocols.events import ENCODING, is_text
from filepipe.protocols.media import clean_content_type, multipart_boundary
from filepipe.ranges import content_range, parse_range
from filepipe.web import refusals
from filepipe.web.bodies import check_expectation, held, invite, length_of
from filepipe.web.context import Context
from filepipe.web.events import send_log_events
from filepipe.web.exchange import EXCHANGE
from filepipe.web.fields import joined
from filepipe.web.routes import pipes
from filepipe.web.user_content import refuse_service_worker

WHOLE = 64 * 1024
"""Bytes of a body that is appended whole or not at all."""

NUMBERED = 1024 * 1024
"""The same of a producer, who numbers them."""

_FORM = "application/x-www-form-urlencoded"
"""What curl says of whatever `-d` sends; it tells nothing of the bytes."""


async def append(
    context: Context, request: web.BaseRequest, key: Key, arguments: Mapping[str, str]
) -> web.StreamResponse:
    """Append the body; the answer is the end of the log, also where not all could be appended.

    Raises `BadRequest`, `TooLarge`, `ExpectationFailed`, and what `Logs.enter` raises.
    """
    wish = wanted_append(arguments)
    _check(context, request)
    mark = wanted_mark(request.headers)
    if wish.offset and context.service.directory.present(key) is None:
        raise NotAtEnd(0, wish.offset)
    log = None
    try:
        ttl = wish.ttl or context.rules.log_ttl
        log = await context.service.logs.enter(key, _type(request), ttl)
        end = await _append(context, request, log, wish, mark)
    except StorageFailed:
        raise
    except FilepipeError as error:
        return _refusal(request, error, log)
    headers = {"Access-Control-Allow-Origin": "*", "Server": "filepipe", **pipes.end_of(log, end)}
    if not wish.durable:
        headers["Stream-Durability"] = "async"
    return web.Response(text=f"{end}\n", headers=headers)


def _check(context: Context, request: web.BaseRequest) -> None:
    for name in ("Content-Range", "X-Forward-Url", "If-Match", "If-None-Match"):
        if name in request.headers:
            raise BadRequest(f"{name} is not supported with ?append")
    if multipart_boundary(request.headers.get("Content-Type")) is not None:
        raise BadRequest("a form cannot be appended, send the file itself")
    context.pumps.check_length(request.content_length)
    check_expectation(request)


def _type(request: web.BaseRequest) -> str | None:
    found = clean_content_type(request.headers.get("Content-Type"))
    return None if found is not None and found.lower().startswith(_FORM) else found


def _refusal(request: web.BaseRequest, error: FilepipeError, log: Log | None) -> web.StreamResponse:
    """What went wrong, and how much of it all is acknowledged nevertheless."""
    full = isinstance(error, DiskFull) or (isinstance(error, OverBudget) and error.budget == "disk")
    status = 507 if full else error.status
    response = refusals.answer(request, error, newline=True, status=status)
    if log is not None and "Stream-Next-Offset" not in response.headers:
        response.headers.update(pipes.end_of(log, log.size))
    return response


async def _append(
    context: Context, request: web.BaseRequest, log: Log, wish: Append, mark: Mark | None
) -> int:
    size = length_of(request)
    if size is not None and size <= (WHOLE if mark is None else NUMBERED):
        return await _append_whole(context, request, log, wish, mark)
    if mark is not None:
        raise BadRequest("a producer's record states its length, and is 1 MiB or less")
    return await _append_session(context, request, log, wish)


async def _append_whole(
    context: Context, request: web.BaseRequest, log: Log, wish: Append, mark: Mark | None
) -> int:
    if log.session is not None:
        raise WriterPresent("somebody else is appending to this log")
    if request.content_length and log.state is State.FINISHED and mark is None:
        raise LogClosed(log.size)
    memory = context.service.accountant.memory
    async with held(request, context.pumps, memory, NUMBERED) as data:
        if log.session is not None:
            raise WriterPresent("somebody else is appending to this log")
        if not data and mark is None:
            if not wish.close and wish.offset in (None, log.tip):
                return log.size
            if wish.close and log.state is State.FINISHED:
                return log.size  # it was closed before
        with context.pumps.counted("in"):
            return await log.submit(
                data, at=wish.offset, close=wish.close, durable=wish.durable, mark=mark
            )


async def _append_session(
    context: Context, request: web.BaseRequest, log: Log, wish: Append
) -> int:
    session = Session(log, at=wish.offset, durable=wish.durable)
    try:
        async with session:
            await invite(request)
            await context.pumps.receive(request, session)
            if wish.close:
                await session.close()
    except FilepipeError:
        await session.decided()  # the refusal says what is acknowledged
        raise
    return session.end


async def follow(
    context: Context,
    request: web.BaseRequest,
    key: Key,
    arguments: Mapping[str, str],
    wait: float,
    dialect: pipes.Dialect,
) -> web.StreamResponse:
    """Send the log from an offset on, then live; wait up to `wait` seconds for it to be made.

    Raises `NotFound`, `Conflict` where the key holds no log, `BadRequest`, `RangeNotSatisfiable`.
    """
    refuse_service_worker(request.headers)
    log = await context.service.directory.wait(key, wait)
    if log is None:
        raise NotFound("key not found")
    if not isinstance(log, Log):
        raise Conflict("there is no log under this key")
    events = wants_events(request.headers.get("Accept"))
    seen = request.headers.get("Last-Event-ID") if events else None
    start = wanted_start(arguments, seen, log.size)
    headers = pipes.describe(log, dialect)
    headers["X-Request-Id"] = request[EXCHANGE].id
    del headers["Stream-Next-Offset"]  # it will be another one when the answer ends
    if events:
        return await _follow_events(context, request, log, start or 0, headers)
    status = 200
    if start is None:
        start = _range_start(request, log)
        if start is not None:
            status, headers["Content-Range"] = 206, content_range(start, None, None)
    with Follower(log, start or 0) as follower:
        log.was_read()
        return await context.pumps.send(request, follower, status, headers)


def _range_start(request: web.BaseRequest, log: Log) -> int | None:
    wanted = parse_range(joined(request.headers, "Range"))
    if wanted is None:
        return None
    if wanted.first is None:
        return max(0, log.size - (wanted.suffix or 0))
    if wanted.last is not None:
        raise BadRequest("?follow has no end, so its range has none")
    if wanted.first > log.size:
        raise RangeNotSatisfiable(f"range lies behind the {log.size} bytes of the log", log.size)
    return wanted.first


async def _follow_events(
    context: Context, request: web.BaseRequest, log: Log, start: int, headers: dict[str, str]
) -> web.StreamResponse:
    text = is_text(log.meta.content_type)
    for name in ("ETag", "Accept-Ranges", "Content-Disposition"):
        headers.pop(name, None)
    if log.state is State.FINISHED and start == log.size:
        log.check()
        return web.Response(status=204, headers=headers)  # an EventSource asks no more then
    headers["Content-Type"] = f"{EVENTS}; charset=utf-8"
    if not text:
        headers[ENCODING] = "base64"
    with Follower(log, start) as follower:
        log.was_read()
        return await send_log_events(context.pumps, request, follower, headers, text=text)
