"""Where a request enters: checks that hold everywhere, then the front, then one line in the log."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from filepipe.errors import (
    BadRequest,
    FilepipeError,
    Stalled,
    StorageFailed,
    UnknownCoding,
    UnknownVersion,
)
from filepipe.keys import split_target
from filepipe.logs import get_logger
from filepipe.protocols.authority import check_host
from filepipe.web import access_log, refusals
from filepipe.web.auto import Front
from filepipe.web.connection import Connection
from filepipe.web.context import Context
from filepipe.web.doorman import LEFT
from filepipe.web.exchange import EXCHANGE, Exchange, loggable
from filepipe.web.pumps import cut
from filepipe.web.routes.status import DAEMON_PATHS

log = get_logger("filepipe.entry")


class Entry:
    """The handler of one listener; `loopback_only` if it is bound to a loopback address."""

    def __init__(self, context: Context, front: Front, *, loopback_only: bool) -> None:
        self._context = context
        self._front = front
        self._loopback_only = loopback_only

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; nothing but a cancellation leaves here."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.begin_request(request)
        started = time.perf_counter()
        exchange = request[EXCHANGE] = Exchange(access_log.next_request_id())
        status = LEFT
        try:
            response = await self._answer(request, exchange)
            status = response.status
            await self._finish(request, response)
            return response
        finally:
            if status == LEFT and exchange.delivered is not None:
                status = exchange.delivered
            connection.end_request()
            access_log.record(
                self._context.service.statistics,
                exchange.id,
                request.remote or "",
                (request.method, exchange.path),
                status,
                (exchange.bytes_in, exchange.bytes_out),
                started,
            )

    async def _answer(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        try:
            return await self._dispatch(request, exchange)
        except UnknownVersion as error:
            return refusals.answer_in_ours(request, exchange.id, error)
        except FilepipeError as error:
            if isinstance(error, StorageFailed):
                log.warning("storage failed", request_id=exchange.id, reason=repr(error.__cause__))
            return refusals.answer(request, error, newline=self._front.newline)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            log.exception("internal error", request_id=exchange.id)
            failure = FilepipeError("internal error")
            return refusals.answer(request, failure, newline=self._front.newline)

    async def _dispatch(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        _check_framing(request)
        target = request.raw_path
        path, query = split_target(target)
        exchange.path = loggable(path) if "files/" in path else path
        host = request.headers.get("Host")
        check_host(host, request.version >= (1, 1), self._loopback_only)
        if not target.startswith("/"):
            self._check_authority(host, target)
        own = DAEMON_PATHS.get(path)
        asked = request.method in ("GET", "HEAD") and path not in self._front.own_paths
        if own is not None and asked:
            return await own(self._context, request)
        return await self._front.serve(request, path, query, "")

    def _check_authority(self, host: str | None, target: str) -> None:
        """An absolute target names the host that Host names, if any (RFC 9112, 3.2.2)."""
        authority = target.partition("://")[2].partition("/")[0].partition("?")[0]
        if host is not None and authority.lower() != host.lower():
            raise BadRequest("the request's target and its Host name different hosts")
        check_host(authority, True, self._loopback_only)

    async def _finish(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Send what is not sent yet, so that the log tells of the whole exchange."""
        if request.transport is None or request.transport.is_closing():
            return
        connection = request.protocol
        assert isinstance(connection, Connection)
        if not response.prepared:
            response.headers.setdefault("Server", "filepipe")
            response.headers["X-Request-Id"] = request[EXCHANGE].id
            if connection.detached or not request.content.is_eof() or _is_last(request):
                response.force_close()
        elif request.writer.output_size == 0:
            return
        elif _is_last(request) or (response.content_length is None and request.version < (1, 1)):
            response.force_close()  # its end is that of the connection; aiohttp forgets that
        try:
            with self._context.pumps.watch_reader() as watch:
                watch.begin()
                await response.prepare(request)
                await response.write_eof()
                await request.writer.drain()
        except (ConnectionError, Stalled):
            cut(request, framed=True)
        if request.content.exception() is not None:
            request.content.feed_eof()  # of a body whose framing is broken aiohttp can read no more


def _is_last(request: web.BaseRequest) -> bool:
    """Whether what follows on the connection may not be what aiohttp takes it for.

    It may be in a protocol that was asked for and is not ours, or begin where a coding that we do
    not speak says (RFC 9112, 6.1).
    """
    headers = request.headers
    if request.method == "CONNECT" or headers.get("Upgrade", "").lower() == "websocket":
        return True
    return "Transfer-Encoding" in headers and not _is_chunked(request)


def _is_chunked(request: web.BaseRequest) -> bool:
    coding = request.headers.get("Transfer-Encoding", "")
    return request.version >= (1, 1) and coding.strip().lower() == "chunked"


def _check_framing(request: web.BaseRequest) -> None:
    """What aiohttp's parser lets through and we do not (RFC 9112, 6.1 and 2.3)."""
    if request.version not in ((1, 0), (1, 1)):
        raise UnknownVersion("only HTTP/1.0 and HTTP/1.1 are spoken here")
    if "Transfer-Encoding" not in request.headers or _is_chunked(request):
        return
    if request.version < (1, 1):
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding")
    raise UnknownCoding("the only transfer coding that is understood here is chunked")
