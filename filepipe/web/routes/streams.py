"""The protocol `streams`: create, append, close, read and remove logs by plain requests.

`/streams/K` is the log under the key K, which `auto` appends to and follows, too.
Rule 1: a body is one record: it is in the log whole, at one place and once, or not at all.
Rule 2: between judging a producer's append and submitting it nothing is awaited.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from aiohttp import web

from filepipe.channels.log import Log
from filepipe.channels.logs import Wish
from filepipe.channels.state import State
from filepipe.errors import (
    BadRequest,
    Conflict,
    DiskFull,
    Draining,
    FilepipeError,
    Gone,
    LogClosed,
    MethodNotAllowed,
    NotFound,
    OverBudget,
    StorageFailed,
    WriterPresent,
)
from filepipe.keys import Key, is_reserved, parse_key
from filepipe.protocols.query import parse_query
from filepipe.protocols.stream_values import lines_of
from filepipe.protocols.streams import (
    JSON,
    Addition,
    Creation,
    essence,
    read_addition,
    read_creation,
    read_reading,
    write_moment,
    write_offset,
)
from filepipe.web import refusals
from filepipe.web.bodies import SMALL, check_expectation, held
from filepipe.web.context import Context
from filepipe.web.routes import pages, stream_reads
from filepipe.web.stream_looks import end_of, find, is_json, tail_of, type_of
from filepipe.web.user_content import refuse_service_worker

LARGEST = 16 * 1024 * 1024
"""Bytes of one append."""

_ROOT = "/streams"

_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "*",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Server": "filepipe",
}

Method = Callable[[web.BaseRequest, Key], Coroutine[Any, Any, web.StreamResponse]]


class Streams:
    """A front: `serve` answers one request whose path has lost the front's prefix.

    The path may begin with `/streams` all the same.
    """

    newline = True
    own_paths: frozenset[str] = frozenset()

    def __init__(self, context: Context) -> None:
        self._context = context
        self._methods: dict[str, Method] = {
            "HEAD": self._head,
            "POST": self._append,
        }
        self._allow = ["GET", "HEAD", "POST", "PUT", "OPTIONS"]
        if context.rules.allow_delete:
            self._methods["DELETE"] = self._delete
            self._allow.append("DELETE")

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer what is asked of a stream."""
        try:
            return await self._serve(request, path, query, prefix)
        except StorageFailed:  # it is logged where all are
            raise
        except FilepipeError as error:
            return self._refusal(request, error)

    async def _serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        key = _key(path)
        if request.method == "OPTIONS":
            return pages.options(request, self._allow)
        if request.method == "GET":
            refuse_service_worker(request.headers)
            wanted = read_reading(parse_query(query))
            return await stream_reads.read(self._context, request, key, wanted)
        if request.method == "PUT":
            return await self._create(request, key, prefix + path)
        method = self._methods.get(request.method)
        if method is None:
            raise MethodNotAllowed(f"{request.method} is not supported here", self._allow)
        return await method(request, key)

    def _refusal(self, request: web.BaseRequest, error: FilepipeError) -> web.StreamResponse:
        full = isinstance(error, OverBudget | DiskFull) and request.method != "GET"
        status = 507 if full else error.status
        response = refusals.answer(request, error, newline=self.newline, status=status)
        headers = response.headers
        headers["Access-Control-Expose-Headers"] = "*"
        if isinstance(error, LogClosed):
            headers["Stream-Next-Offset"] = write_offset(error.end)
        return response

    # -- making

    async def _create(self, request: web.BaseRequest, key: Key, path: str) -> web.StreamResponse:
        wanted = read_creation(request.headers)
        context = self._context
        with contextlib.suppress(NotFound, Conflict):
            await find(context, key)  # one whose time is over makes room
        async with _body(context, request) as body:
            with context.pumps.counted("in"):
                log, made = await context.service.logs.create(key, await self._wish(wanted, body))
        if not made and not self._is_as_wanted(log, wanted):
            raise Conflict("there is a stream of another kind under this key")
        answer = {**_HEADERS, **end_of(log, await tail_of(log)), "Content-Type": type_of(log)}
        if made:
            answer["Location"] = f"{pages.base_url(context, request)}{path}"
        return web.Response(status=201 if made else 200, headers=answer)

    async def _wish(self, wanted: Creation, body: bytes) -> Wish:
        if body and essence(wanted.content_type) == JSON:
            body = await _lines(body)
        ttl: float | None = wanted.ttl
        if ttl is None and wanted.expires_at is None:
            ttl = self._context.rules.log_ttl
        return Wish(wanted.content_type, ttl, wanted.expires_at, body, wanted.closed)

    def _is_as_wanted(self, log: Log, wanted: Creation) -> bool:
        log.check()
        birth = log.files.birth
        ttl = birth.ttl
        if wanted.ttl is None and ttl == self._context.rules.log_ttl:
            ttl = None  # nobody asked for it
        there = essence(birth.content_type), ttl, birth.expires_at, log.state is State.FINISHED
        return there == (
            essence(wanted.content_type), wanted.ttl, wanted.expires_at, wanted.closed,
        )  # fmt: skip

    # -- appending

    async def _append(self, request: web.BaseRequest, key: Key) -> web.StreamResponse:
        wanted = read_addition(request.headers)
        if self._context.service.logs.draining:
            raise Draining("server is shutting down, not accepting new uploads")
        log = await find(self._context, key)
        if log.state is State.FINISHED and wanted.mark is None and _has_body(request):
            raise LogClosed(log.size)  # before its body is read
        async with _body(self._context, request) as body:
            meant = bool(body) or not wanted.closes
            data = await _checked(log, wanted, body) if meant else b""
            done, new = await _submit(log, wanted, data)
            with self._context.pumps.counted("in"):
                end = await asyncio.shield(done)
            if not data:  # a write without a byte is a use of it, too
                await self._context.service.logs.touch(log)
        answer = {**_HEADERS, **end_of(log, end)}
        if (mark := wanted.mark) is None:
            return web.Response(status=204, headers=answer)
        known = log.files.marks.get(mark.producer, mark)
        last = known.number if known.epoch == mark.epoch else mark.number
        answer |= {"Producer-Epoch": str(mark.epoch), "Producer-Seq": str(last)}
        return web.Response(status=200 if new and data else 204, headers=answer)

    # -- the rest

    async def _head(self, request: web.BaseRequest, key: Key) -> web.StreamResponse:
        log = await find(self._context, key)
        log.check()
        answer = {**_HEADERS, **end_of(log, await tail_of(log)), "Content-Type": type_of(log)}
        answer["ETag"] = log.etag
        if log.ttl is not None:
            answer["Stream-TTL"] = f"{log.ttl:.0f}"
        moment = log.files.birth.expires_at
        if moment is not None:
            answer["Stream-Expires-At"] = write_moment(moment)
        return web.StreamResponse(headers=answer)

    async def _delete(self, request: web.BaseRequest, key: Key) -> web.StreamResponse:
        await self._context.service.logs.delete(await find(self._context, key))
        return web.Response(status=204, headers=_HEADERS)


def _key(path: str) -> Key:
    """The key of a path. Raises `BadKey`, `BadRequest`."""
    if path == _ROOT or path.startswith(f"{_ROOT}/"):
        path = path[len(_ROOT) :]
    key = parse_key(path)
    if is_reserved(key):
        raise BadRequest("this name is reserved")
    return key


def _has_body(request: web.BaseRequest) -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


async def _checked(log: Log, wanted: Addition, body: bytes) -> bytes:
    """What is appended for this body. Raises `BadRequest`, `Conflict`."""
    if not body:
        raise BadRequest("an append needs a body, unless it closes the stream")
    if wanted.content_type is None:
        raise BadRequest("an append needs a Content-Type")
    if essence(wanted.content_type) != essence(log.meta.content_type):
        raise Conflict(f"the stream is of the type {type_of(log)}")
    if not is_json(log):
        return body
    lines = await _lines(body)
    if not lines:
        raise BadRequest("an append needs a value, and the array is empty")
    return lines


async def _submit(log: Log, wanted: Addition, data: bytes) -> tuple[asyncio.Future[int], bool]:
    """Append; where the log ends with it, and whether it was not done before.

    Raises as `Log.submit`, and `Conflict` for a place in the order that is over.
    """
    mark = wanted.mark
    if log.state not in (State.WRITING, State.FINISHED):
        raise Gone("the stream was removed")
    if data and is_json(log):
        await _know_last_byte(log)
    if not data and mark is None and log.closing:
        await log.settle()
    new = log.is_new(mark) if mark is not None else bool(data) or log.state is not State.FINISHED
    if new:
        if log.state is State.FINISHED:
            raise LogClosed(log.size)
        _check_order(log, wanted)
        if log.session is not None:
            raise WriterPresent("somebody else is appending to this stream")
    elif mark is None:
        return log.now(), False
    if data and is_json(log) and log.last_byte not in (b"", b"\n"):
        data = b"\n" + data  # somebody else's line was not finished
    return log.submit(data, close=wanted.closes, mark=mark, order=wanted.order), new


async def _know_last_byte(log: Log) -> None:
    while not log.last_byte and log.tip:
        await log.settle()
        size = log.size
        byte = await log.glance(size - 1, 1)
        if log.tip == size:
            log.last_byte = log.last_byte or byte


def _check_order(log: Log, wanted: Addition) -> None:
    last = log.last_order
    if wanted.order is not None and last is not None and wanted.order <= last:
        raise Conflict("Stream-Seq is not above the last one")


async def _lines(body: bytes) -> bytes:
    if len(body) <= SMALL:
        return lines_of(body)
    return await asyncio.to_thread(lines_of, body)


@contextlib.asynccontextmanager
async def _body(context: Context, request: web.BaseRequest) -> AsyncIterator[bytes]:
    """The body, counted in the ledger while inside.

    Raises `TooLarge`, `OverBudget`, `Stalled`, `BadRequest`, `ExpectationFailed`.
    """
    check_expectation(request)
    context.pumps.check_length(request.content_length)
    memory = context.service.accountant.memory
    async with held(request, context.pumps, memory, LARGEST) as body:
        yield body
