"""The protocol `auto`: the table that finds what a request means, by its path, then its method.

Order: what is reserved (`/-/PROTOCOL/…`, `/channels/…`, pages) → `OPTIONS` → `X-Verb`, `?verb=` and
WebSocket, which mean `httpfstream` → queries of what is not built yet → `?append` and `?follow`,
which mean a log → `PUT` and `POST` with `Upload-Complete` → the method, where `POST`, and a `PUT`
with `?n=`, are the sender's side of a rendezvous.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from aiohttp import web

from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.errors import BadRequest, FilepipeError, MethodNotAllowed, NotFound
from filepipe.keys import Key, is_reserved, parse_key
from filepipe.protocols.httpipe import place_of
from filepipe.protocols.query import parse_query
from filepipe.protocols.receivers import wanted_receivers
from filepipe.protocols.waiting import wanted_retention, wanted_wait
from filepipe.web.bodies import invite, meant_part
from filepipe.web.context import Context, PipeRules
from filepipe.web.fields import joined
from filepipe.web.parcel import Parcel
from filepipe.web.pumps import Pumps
from filepipe.web.routes import httpfstream, httpipe, logs, pages, pipes, rendezvous, resumption
from filepipe.web.routes.resumable import ResumableUploads

_UNBUILT_QUERIES = frozenset({"view"})
_OWN_PATHS = {
    "uploads": re.compile(r"//?upload(?:/|\Z)"),  # old clients double a slash
    "files": re.compile(r"/files(?:/|\Z)"),
    "streams": re.compile(r"/streams(?:/|\Z)"),
}
"""The paths at the root that belong to other fronts."""

_WRITES = frozenset({"PUT", "POST", "PATCH", "DELETE"})
_READS = ("GET", "HEAD", "OPTIONS")


def dialect_of(rules: PipeRules) -> pipes.Dialect:
    """How key pipes are in this protocol."""
    retention = Retention(after_end=rules.retention)
    return pipes.Dialect(retention=retention, names_from_key=True, raw_names=False)


class Front(Protocol):
    """A protocol: answers requests whose path has lost the prefix it is mounted under."""

    newline: bool
    """Whether the sentence of a refusal ends with a newline."""

    own_paths: frozenset[str]
    """Paths that it answers itself at its root, although the daemon has such."""

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer the request. Raises `FilepipeError` for a refusal, before the head is out."""


Method = Callable[[web.BaseRequest, Key, dict[str, str], str], Awaitable[web.StreamResponse]]


class Auto:
    """What a curl user expects at the root; the other fronts under `/-/PROTOCOL/`."""

    newline = True
    own_paths: frozenset[str] = frozenset()

    def __init__(
        self, context: Context, mounted: Mapping[str, Front], resumable: ResumableUploads
    ) -> None:
        self._context = context
        self._resumable = resumable
        self._mounted = {**mounted, "auto": self}
        self._dialect = dialect_of(context.rules)
        self._methods: dict[str, Method] = {
            "GET": self._get,
            "HEAD": self._head,
            "POST": self._post,
            "PUT": self._put,
        }
        if context.rules.allow_delete:
            self._methods["DELETE"] = self._delete
        self._allow = (*sorted(self._methods), "OPTIONS")
        self._methods.setdefault("DELETE", self._give_up)

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer one request."""
        if path.startswith("/-/") and not prefix and path != f"/{pages.QR}":
            return await self._delegate(request, path, query)
        for front, paths in _OWN_PATHS.items():
            if paths.match(path):
                return await self._mounted[front].serve(request, path, query, prefix)
        try:
            return await self._serve_key(request, path, query, prefix)
        except FilepipeError as error:
            if request.method in ("POST", "PUT") and self._resumable.is_meant(request):
                return self._resumable.refuse(request, error)
            raise

    async def _serve_key(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        if path == "/":
            return await self._reserved(request, Key(""), query)
        key = parse_key(path)
        if is_reserved(key):
            return await self._at_reserved(request, key, query)
        if request.method == "OPTIONS":
            return self._options(request)
        return await self._at_key(request, key, path, query, prefix)

    async def _at_key(
        self, request: web.BaseRequest, key: Key, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        arguments = parse_query(query)
        if httpfstream.is_meant(request, arguments):
            return await self._mounted["httpfstream"].serve(request, path, query, prefix)
        self._refuse_unbuilt(arguments)
        method = self._method(request.method, arguments)
        if method is None:
            raise MethodNotAllowed(f"{request.method} is not supported here", self._allow)
        return await method(request, key, arguments, prefix)

    def _method(self, name: str, arguments: Mapping[str, str]) -> Method | None:
        """What a method means; of a log with its query. Raises `BadRequest`."""
        for query, methods, meant in (
            ("append", ("PUT", "POST"), self._append),
            ("follow", ("GET",), self._follow),
        ):
            if query in arguments and name in self._methods:
                if name in methods:
                    return meant
                if name != "HEAD":
                    raise BadRequest(f"?{query} is for {' and '.join(methods)}")
        return self._methods.get(name)

    async def _delegate(
        self, request: web.BaseRequest, path: str, query: str
    ) -> web.StreamResponse:
        protocol, slash, rest = path[len("/-/") :].partition("/")
        front = self._mounted.get(protocol)
        if front is None or not slash:
            if request.method in _WRITES:
                raise BadRequest("this name is reserved")
            raise NotFound("there is no such protocol under /-/")
        return await front.serve(request, "/" + rest, query, f"/-/{protocol}")

    async def _at_reserved(
        self, request: web.BaseRequest, key: Key, query: str
    ) -> web.StreamResponse:
        place = place_of(key)
        if place is None:
            return await self._reserved(request, key, query)
        if request.method == "OPTIONS":
            return pages.options(request, (*place.methods, "OPTIONS"))
        return await httpipe.answer(self._context, request, key, query)

    async def _reserved(self, request: web.BaseRequest, key: Key, query: str) -> web.StreamResponse:
        if request.method in _WRITES:
            raise BadRequest("this name is reserved" if key else "missing key in path")
        if request.method == "OPTIONS":
            return pages.options(request, _READS)
        if request.method not in _READS:
            raise MethodNotAllowed("only GET is supported here", _READS)
        return await pages.page(self._context, request, key, query)

    def _options(self, request: web.BaseRequest) -> web.StreamResponse:
        response = pages.options(request, self._allow)
        response.headers.update(self._resumable.limits_at_start(request))
        return response

    @staticmethod
    def _refuse_unbuilt(arguments: Mapping[str, str]) -> None:
        for name in _UNBUILT_QUERIES.intersection(arguments):
            raise BadRequest(f"?{name} is not available in this version")

    # -- methods of a key

    async def _put(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str], prefix: str
    ) -> web.StreamResponse:
        if self._resumable.is_meant(request):
            return await self._resumable.create(request, key, arguments, prefix)
        if "n" in arguments:
            return await self._post(request, key, arguments, prefix)
        rules = self._context.rules
        seconds = wanted_retention(arguments.get("max-age"), rules.retention, rules.max_retention)
        dialect = self._dialect
        if seconds != rules.retention:
            dialect = replace(dialect, retention=Retention(after_end=seconds))
        resumed = "Content-Range" in request.headers
        put = resumption.put if resumed else pipes.put
        channel = await put(self._context, request, key, dialect)
        headers, text = pipes.receipt(channel, pages.base_url(self._context, request), prefix)
        if resumed:
            headers["Upload-Offset"] = str(channel.size)
        if channel.state is not State.FINISHED:
            return web.Response(status=202, text=text, headers=headers)
        headers |= pipes.digest_headers(channel, request.headers)
        return web.Response(text=text, headers=headers)

    async def _post(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str], prefix: str
    ) -> web.StreamResponse:
        if self._resumable.is_meant(request):
            return await self._resumable.create(request, key, arguments, prefix)
        number = wanted_receivers(arguments.get("n", "1"), self._context.rules.max_receivers)
        wait = self._wait(request, arguments)
        with rendezvous.offered(self._context, request, key, number, forms=True) as offered:
            await rendezvous.hand_over(self._context, request, offered, wait, self._bring)
        text = f"delivered to {number} receiver{'s' if number > 1 else ''}\n"
        headers = {"Access-Control-Allow-Origin": "*", "Server": "filepipe"}
        return web.Response(text=text, headers=headers)

    @staticmethod
    async def _bring(request: web.BaseRequest, pumps: Pumps) -> Parcel:
        await invite(request)
        return await meant_part(request, pumps)

    async def _get(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str], prefix: str
    ) -> web.StreamResponse:
        number = None
        if "n" in arguments:
            number = wanted_receivers(arguments["n"], self._context.rules.max_receivers)
        wait = self._wait(request, arguments)
        return await pipes.get(self._context, request, key, self._dialect, wait, number)

    async def _append(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str], prefix: str
    ) -> web.StreamResponse:
        return await logs.append(self._context, request, key, arguments)

    async def _follow(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str], prefix: str
    ) -> web.StreamResponse:
        wait = self._wait(request, arguments)
        return await logs.follow(self._context, request, key, arguments, wait, self._dialect)

    def _wait(self, request: web.BaseRequest, arguments: Mapping[str, str]) -> float:
        rules = self._context.rules
        prefer = joined(request.headers, "Prefer")
        return wanted_wait(arguments.get("wait"), prefer, rules.wait, rules.max_wait)

    async def _head(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str], prefix: str
    ) -> web.StreamResponse:
        return await pipes.head(self._context, request, key, self._dialect)

    async def _delete(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str], prefix: str
    ) -> web.StreamResponse:
        await pipes.delete(self._context, request, key)
        return web.Response(status=204, headers={"Access-Control-Allow-Origin": "*"})

    async def _give_up(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str], prefix: str
    ) -> web.StreamResponse:
        if not resumption.may_give_up(self._context, request, key):
            raise MethodNotAllowed("DELETE is not supported here", self._allow)
        return await self._delete(request, key, arguments, prefix)
