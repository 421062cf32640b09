"""The protocol piping, as its clients know it, with an end that can be believed.

Where it differs from the original, `docs/decisions/piping.md` says why.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from aiohttp import web
from multidict import CIMultiDict

from filepipe.channels.rendezvous import Happening, Rendezvous, Seat
from filepipe.channels.retention import Retention
from filepipe.errors import (
    BadRequest,
    Conflict,
    FilepipeError,
    Forbidden,
    MethodNotAllowed,
    NobodyCame,
    StorageFailed,
    Unavailable,
)
from filepipe.keys import Key, parse_key
from filepipe.protocols import piping
from filepipe.protocols.query import parse_query
from filepipe.protocols.receivers import wanted_receivers
from filepipe.protocols.waiting import wanted_wait
from filepipe.sizes import format_duration
from filepipe.web import refusals
from filepipe.web.bare import BareAnswer, BareResponse
from filepipe.web.bodies import invite, verbatim_part
from filepipe.web.context import Context
from filepipe.web.exchange import EXCHANGE
from filepipe.web.narrator import Narrator
from filepipe.web.parcel import Parcel
from filepipe.web.pumps import Pumps
from filepipe.web.routes import pipes, piping_pages, rendezvous
from filepipe.web.routes.status import DAEMON_PATHS
from filepipe.web.user_content import refuse_service_worker

_DIALECT = pipes.Dialect(retention=Retention(after_end=0.0), names_from_key=False, raw_names=False)
"""How a pipe that another protocol wrote is read here."""

_TEXT = {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*", "Server": "filepipe"}

_AS_400 = (BadRequest, Conflict, Forbidden)
"""What the original refuses, and always by this status; what it does not know keeps its own."""

_HARMLESS = {
    "X-Robots-Tag": "none",
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Server": "filepipe",
}


class Piping:
    """A front: `serve` answers one request whose path has lost the front's prefix."""

    newline = True
    own_paths: frozenset[str] = frozenset()

    def __init__(self, context: Context) -> None:
        self._context = context

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer a sender, a receiver, or with a page; refusals are those of piping."""
        try:
            return await self._serve(request, path or "/", query, prefix)
        except StorageFailed:  # it is logged where all are
            raise
        except MethodNotAllowed as error:
            return _unsupported(request, error)
        except FilepipeError as error:
            return _refuse(request, error, path)

    async def _serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        method = request.method
        if method == "OPTIONS":
            return _preflight(request)
        if path.removeprefix("/") in piping.RESERVED:
            return self._page(request, path, query, prefix)
        if method not in ("GET", "POST", "PUT"):
            raise MethodNotAllowed(f"Unsupported method: {method}", piping.METHODS)
        if method == "GET":
            refuse_service_worker(request.headers)
        elif "Content-Range" in request.headers:
            raise piping.content_range(method)
        key = parse_key(path)
        arguments = parse_query(query)
        number = wanted_receivers(arguments.get("n", "1"), self._context.rules.max_receivers)
        if method == "GET":
            return await self._receive(request, key, arguments, number)
        if not prefix and f"/{key}" in DAEMON_PATHS:
            raise piping.reserved_path(path)
        return await self._send(request, key, arguments, number)

    # -- pages

    def _page(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        if request.method in ("POST", "PUT"):
            raise piping.reserved_path(path)
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"Unsupported method: {request.method}", piping.METHODS)
        name = path.removeprefix("/")
        if name == "help":
            return piping_pages.help_text(_base(request, prefix))
        if name == "noscript":
            return piping_pages.noscript(query)
        pages = {
            "": piping_pages.front,
            "version": piping_pages.version,
            "favicon.ico": piping_pages.favicon,
            "robots.txt": piping_pages.robots,
        }
        return pages[name]()

    # -- receivers

    async def _receive(
        self, request: web.BaseRequest, key: Key, arguments: Mapping[str, str], number: int
    ) -> web.StreamResponse:
        wait = self._wait(arguments)
        meetings = self._context.service.meetings
        found = await meetings.take(request, key, wait, number, strict=True)
        if found is None:
            raise NobodyCame(f"no sender came within {format_duration(wait)}")
        if not isinstance(found, Seat):
            return await pipes.read(self._context, request, found, _DIALECT)
        describe = functools.partial(_describe, request, found.rendezvous)
        return await self._context.handover.take(request, found, describe)

    def _wait(self, arguments: Mapping[str, str]) -> float:
        most = self._context.rules.piping_wait
        return wanted_wait(arguments.get("wait"), None, most, most)

    # -- senders

    async def _send(
        self, request: web.BaseRequest, key: Key, arguments: Mapping[str, str], number: int
    ) -> web.StreamResponse:
        strict = arguments.get("strict", "0")
        if strict not in ("0", "1"):
            raise BadRequest("strict is neither 0 nor 1")
        wait = self._wait(arguments)
        with rendezvous.offered(self._context, request, key, number, forms=True) as offered:
            if strict == "1":
                await rendezvous.hand_over(self._context, request, offered, wait, _bring)
                return web.Response(body=f"{piping.RECEIVED}\n".encode(), headers=_TEXT)
            await invite(request)
            telling = _Telling(self._context, request, offered, wait)
            if request.version < (1, 1):
                return await telling.at_the_end()
            return await telling.early()


class _Telling:
    """One sender who is told, while it goes on, what becomes of his body."""

    def __init__(
        self, context: Context, request: web.BaseRequest, offered: Rendezvous, wait: float
    ) -> None:
        self._context = context
        self._request = request
        self._offered = offered
        self._wait = wait
        watch = context.pumps.watch_reader
        self._narrator = Narrator(context.rules.heartbeat, piping.still_waiting, watch)

    async def early(self) -> web.StreamResponse:
        """Answer 200 at once, then line by line; after a failure the end is missing."""
        response = BareResponse(headers={**_TEXT, "X-Request-Id": self._request[EXCHANGE].id})
        if self._context.direct.takes(self._request):
            response.force_close()
        await response.prepare(self._request)
        async with self._narrator.telling(response):
            failure = await self._hand_over()
        if failure is not None:
            response.cut(self._request)
        return response

    async def at_the_end(self) -> web.StreamResponse:
        """Answer once, with all lines, for a client that reads no answer before its end."""
        failure = await self._hand_over()
        status = 200 if failure is None else failure.status
        body = self._narrator.collected().encode()
        headers = {**_TEXT, "Connection": "close"}
        return web.Response(status=status, body=body, headers=headers)

    async def _hand_over(self) -> FilepipeError | None:
        say = self._narrator.say
        offered = self._offered
        say(piping.waiting(offered.number))
        if offered.seats:
            say(piping.connected(len(offered.seats)))
        offered.on_happening = self._happened
        try:
            await rendezvous.hand_over(
                self._context, self._request, offered, self._wait, _bring_invited, self._full
            )
        except FilepipeError as error:
            for line in _failure(error, self._request, offered):
                say(line)
            if offered.open:
                offered.break_off(error)
            return error
        say(piping.RECEIVED)
        return None

    def _full(self) -> None:
        self._narrator.stop_reminding()
        self._narrator.say(piping.started(self._offered.number))

    def _happened(self, happening: Happening) -> None:
        lines = {
            Happening.CONNECTED: piping.CONNECTED,
            Happening.ABORTED: piping.ABORTED,
            Happening.SENT: piping.SENT,
        }
        self._narrator.say(lines[happening])


def _failure(error: FilepipeError, request: web.BaseRequest, offered: Rendezvous) -> list[str]:
    """What a sender is told at the end of a hand-over that failed."""
    reason = piping.refusal(error, request.method, f"/{offered.key}")
    if offered.deserted:
        return [piping.ALL_ABORTED]
    if isinstance(error, NobodyCame | Unavailable) or offered.received:
        return [reason]
    return [piping.FAILED, reason]


async def _bring(request: web.BaseRequest, pumps: Pumps) -> Parcel:
    await invite(request)
    return await verbatim_part(request, pumps)


async def _bring_invited(request: web.BaseRequest, pumps: Pumps) -> Parcel:
    return await verbatim_part(request, pumps)


def _describe(request: web.BaseRequest, offered: Rendezvous) -> CIMultiDict[str]:
    meta = offered.meta
    headers = CIMultiDict(_HARMLESS)
    if (content_type := piping.harmless_type(meta.content_type)) is not None:
        headers["Content-Type"] = content_type
    if meta.disposition is not None:
        headers["Content-Disposition"] = meta.disposition
    for label in meta.labels:
        headers.add("X-Piping", label)
    if meta.labels:
        headers["Access-Control-Expose-Headers"] = "X-Piping"
    if request.version < (1, 1):
        headers["Connection"] = "close"
    return headers


def _base(request: web.BaseRequest, prefix: str) -> str:
    return piping_pages.base_url(
        tls=request.protocol.ssl_context is not None,
        forwarded_proto=request.headers.get("X-Forwarded-Proto"),
        host=request.headers.get("Host"),
        prefix=prefix,
    )


def _preflight(request: web.BaseRequest) -> web.StreamResponse:
    headers = {**piping.PREFLIGHT, "Server": "filepipe"}
    if request.headers.get("Access-Control-Request-Private-Network") == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return BareAnswer(headers=headers)


def _refuse(request: web.BaseRequest, error: FilepipeError, path: str) -> web.StreamResponse:
    status = 400 if isinstance(error, _AS_400) else error.status
    text = piping.refusal(error, request.method, path)
    response = refusals.answer(request, error, newline=True, status=status, text=text)
    response.headers["Content-Type"] = "text/plain"
    return response


def _unsupported(request: web.BaseRequest, error: MethodNotAllowed) -> web.StreamResponse:
    body = f"[ERROR] {error}.\n".encode()
    response = BareAnswer(status=error.status, body=body, headers=refusals.headers_of(error))
    if not request.content.is_eof():
        response.force_close()
    return response
