"""The protocol httpipe: lines of producers and consumers under `/channels/NAMESPACE/NAME`.

Rule 1: a producer is told of success when its consumer took the last byte, and of failure else.
Rule 2: a message of which its consumer had no byte goes to the next consumer.
`docs/decisions/httpipe.md` lists where the program of that name differs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace

from aiohttp import web
from multidict import CIMultiDict

from filepipe.channels.channel import Metadata
from filepipe.channels.queue import Offer, unbegun
from filepipe.channels.retention import Retention
from filepipe.errors import (
    Broken,
    FilepipeError,
    Forbidden,
    MethodNotAllowed,
    NobodyCame,
    NotFound,
    StorageFailed,
)
from filepipe.keys import Key, parse_key
from filepipe.protocols.httpipe import (
    NAMESPACES,
    STATE_METHODS,
    Place,
    by_namespace,
    delivered_type,
    is_in,
    place_of,
)
from filepipe.protocols.query import lone_value
from filepipe.protocols.waiting import wanted_wait
from filepipe.sizes import format_duration
from filepipe.web import refusals
from filepipe.web.bodies import invite
from filepipe.web.connection import Connection
from filepipe.web.context import Context
from filepipe.web.fields import joined
from filepipe.web.parcel import Bring, Parcel
from filepipe.web.pumps import Pumps, body_of
from filepipe.web.routes import pipes
from filepipe.web.routes.rendezvous import offered_meta
from filepipe.web.routes.status import is_local
from filepipe.web.user_content import refuse_service_worker

DIALECT = pipes.Dialect(retention=Retention(after_end=0.0), names_from_key=False, raw_names=False)

HEADERS = {"Access-Control-Allow-Origin": "*", "Server": "filepipe"}

EMPTY = frozenset({404, 405, 408})
"""Statuses that the protocol answers without a sentence."""


class Httpipe:
    """A front: `serve` answers one request whose path has lost the front's prefix."""

    newline = False
    own_paths = frozenset({"/state"})

    def __init__(self, context: Context) -> None:
        self._context = context

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer what is asked of a channel, of a namespace, or of all."""
        try:
            return await self._serve(request, path, query, prefix)
        except StorageFailed:  # it is logged where all are
            raise
        except FilepipeError as error:
            text = "" if error.status in EMPTY else None
            return refusals.answer(request, error, newline=self.newline, text=text)

    async def _serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        # who opened a listener for this protocol wants its lists
        public = not prefix
        if path == "/state":
            return _state(self._context, request, public=public)
        if path == "/":
            raise NotFound("there is no page here")
        return await answer(self._context, request, parse_key(path), query, public=public)


async def answer(
    context: Context, request: web.BaseRequest, key: Key, query: str, *, public: bool = False
) -> web.StreamResponse:
    """Answer for the `key` of a whole path; `public` if every caller may see names.

    Raises `NotFound`, `MethodNotAllowed`, `NobodyCame`, `Gone`, `Forbidden`, `BadRequest`, what
    `Queues.offer` raises, and `Broken` when a message was not delivered.
    """
    place = place_of(key)
    if place is None:
        raise NotFound("a channel is /channels/NAMESPACE/NAME")
    method = request.method
    if method not in place.methods:
        raise MethodNotAllowed(f"{method} is not supported here", place.methods)
    if method == "DELETE":
        return _delete(context, place, key)
    if place.name is None:
        return _list(context, request, place.namespace, public=public)
    if method == "HEAD":
        return _look(context, key)
    wait = _wait(context, request, query)
    if method == "GET":
        return await _consume(context, request, key, wait)
    return await _produce(context, request, key, wait)


def _wait(context: Context, request: web.BaseRequest, query: str) -> float | None:
    """Seconds to wait for the other side; None for as long as it takes."""
    rules = context.rules
    default = math.inf if rules.request_timeout is None else rules.request_timeout
    prefer = joined(request.headers, "Prefer")
    seconds = wanted_wait(lone_value(query, "wait"), prefer, default, rules.max_wait)
    return None if seconds == math.inf else seconds


def nobody(who: str, wait: float | None) -> NobodyCame:
    """The refusal of a request whose other side, `who`, did not come within `wait` seconds."""
    assert wait is not None  # who waits for ever is never told
    return NobodyCame(f"no {who} came within {format_duration(wait)}")


# -- producers


async def _produce(
    context: Context, request: web.BaseRequest, key: Key, wait: float | None
) -> web.StreamResponse:
    meta = offered_meta(context, request)
    meta = replace(meta, content_type=delivered_type(meta.content_type))
    bring = _bringing(meta)
    with context.service.queues.offer(key, meta) as offer:
        while not await _delivered(context, request, offer, wait, bring):
            pass
    return web.Response(headers=HEADERS)


async def _delivered(
    context: Context, request: web.BaseRequest, offer: Offer, wait: float | None, bring: Bring
) -> bool:
    """Wait for a consumer and give it the message; False if it left before it had a byte."""
    with context.handover.watch_departure(request) as departed:
        rendezvous = await offer.pair(wait)
        if rendezvous is None:
            raise nobody("consumer", wait)
        departed.begin_reading()
        try:
            await context.handover.give(request, rendezvous, bring)
        except Broken:
            if not unbegun(rendezvous):
                raise
            return False
    return True


def _bringing(meta: Metadata) -> Bring:
    """What is brought to each consumer in turn: bytes that were read for one go to the next."""
    parcel: Parcel | None = None

    async def bring(request: web.BaseRequest, pumps: Pumps) -> Parcel:
        nonlocal parcel
        if parcel is None:
            await invite(request)
        # anew each time: an interrupted reader of the body is at its end, the body is not
        first = None if parcel is None else parcel.first
        parcel = Parcel(meta, body_of(request), whole=True, first=first)
        return parcel

    return bring


# -- consumers


async def _consume(
    context: Context, request: web.BaseRequest, key: Key, wait: float | None
) -> web.StreamResponse:
    refuse_service_worker(request.headers)
    connection = request.protocol
    assert isinstance(connection, Connection)
    seat = connection.take_carried() or await context.service.queues.take(request, key, wait)
    if seat is None:
        raise nobody("producer", wait)
    rendezvous = seat.rendezvous
    return await context.handover.take(
        request, seat, lambda: CIMultiDict(pipes.describe(rendezvous, DIALECT))
    )


def _look(context: Context, key: Key) -> web.StreamResponse:
    """What the next consumer will get, without taking it. Raises `NotFound`."""
    offer = context.service.queues.first(key)
    if offer is None:
        raise NotFound("no producer waits here")
    response = web.StreamResponse(headers=pipes.describe_body(key, offer.meta, DIALECT))
    response.content_length = offer.meta.length
    return response


# -- lists and ends


def _delete(context: Context, place: Place, key: Key) -> web.StreamResponse:
    queues = context.service.queues
    keys = [key]
    if place.name is None:
        keys = [each for each in queues.occupied() if is_in(each, place.namespace)]
    if not sum(map(queues.remove, keys)):
        raise NotFound("nobody waits here")
    return web.Response(status=204, headers=HEADERS)


def _list(
    context: Context, request: web.BaseRequest, namespace: str, *, public: bool
) -> web.StreamResponse:
    found = _waiting(context, request, public=public)
    if namespace == NAMESPACES:
        return _json(list(found))
    if namespace not in found:
        raise NotFound("nobody waits in this namespace")
    return _json(found[namespace])


def _state(context: Context, request: web.BaseRequest, *, public: bool) -> web.StreamResponse:
    if request.method not in STATE_METHODS:
        raise MethodNotAllowed(f"{request.method} is not supported here", STATE_METHODS)
    return _json(_waiting(context, request, public=public))


def _waiting(context: Context, request: web.BaseRequest, *, public: bool) -> dict[str, list[str]]:
    """Where somebody waits. Raises `Forbidden` for a caller who may not see names."""
    if not public and not context.dashboard.is_named(local=is_local(request)):
        raise Forbidden("the names of channels are shown to callers on this machine only")
    return by_namespace(context.service.queues.waiting())


def _json(value: Iterable[object]) -> web.StreamResponse:
    body = json.dumps(value, ensure_ascii=False).encode()
    headers = {**HEADERS, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=body, content_type="application/json", headers=headers)
