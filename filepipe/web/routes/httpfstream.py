"""The protocol httpfstream: APPEND and FOLLOW by WebSocket, on logs; a plain GET is a look.

`docs/decisions/httpfstream.md` lists where the program of that name differs.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from filepipe.channels.channel import Kind
from filepipe.channels.follower import Follower
from filepipe.channels.log import Log
from filepipe.channels.retention import Retention
from filepipe.errors import (
    Conflict,
    FilepipeError,
    MethodNotAllowed,
    NotAtEnd,
    NotFound,
    StorageFailed,
    WriterPresent,
)
from filepipe.keys import Key, parse_key
from filepipe.protocols import fstream
from filepipe.protocols.appending import wanted_append, wanted_start
from filepipe.protocols.query import parse_query
from filepipe.protocols.waiting import wanted_wait
from filepipe.protocols.websocket import wants_upgrade
from filepipe.web import refusals, websocket
from filepipe.web.appender import Appender
from filepipe.web.context import Context
from filepipe.web.fields import joined
from filepipe.web.follower import FollowSocket
from filepipe.web.routes import logs, pipes
from filepipe.web.user_content import refuse_service_worker

_DIALECT = pipes.Dialect(retention=Retention(after_end=0.0), names_from_key=True, raw_names=False)
_READABLE = (Kind.LOG, Kind.PIPE, Kind.UPLOAD)


def is_meant(request: web.BaseRequest, arguments: Mapping[str, str]) -> bool:
    """Whether a request of `auto` speaks this protocol."""
    return "X-Verb" in request.headers or "verb" in arguments or wants_upgrade(request.headers)


class Httpfstream:
    """A front: `serve` answers one request whose path has lost the front's prefix."""

    newline = True
    own_paths: frozenset[str] = frozenset()

    def __init__(self, context: Context) -> None:
        self._context = context

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer an appender, a follower, or who looks."""
        try:
            return await self._serve(request, path, query)
        except StorageFailed:  # it is logged where all are
            raise
        except MethodNotAllowed as error:
            return self._refusal(request, error, fstream.METHOD_REFUSED)
        except NotFound as error:
            return self._refusal(request, error, fstream.NOT_THERE)
        except WriterPresent as error:
            return self._refusal(request, error, fstream.SECOND_WRITER, 403)

    def _refusal(
        self, request: web.BaseRequest, error: FilepipeError, text: str, status: int | None = None
    ) -> web.StreamResponse:
        return refusals.answer(request, error, newline=self.newline, status=status, text=text)

    async def _serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        if request.method != "GET":
            raise MethodNotAllowed("only GET is supported here", ("GET",))
        arguments = parse_query(query)
        if fstream.wants_append(request.headers.get("X-Verb"), arguments):
            return await self._append(request, parse_key(path), arguments)
        if path == "/":
            raise NotFound("the keys are not listed")
        return await self._follow(request, parse_key(path), arguments)

    async def _append(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str]
    ) -> web.StreamResponse:
        context = self._context
        websocket.check(request, context.rules.public_url)
        wish = wanted_append({name: arguments[name] for name in arguments if name != "append"})
        found = context.service.directory.present(key)
        if isinstance(found, Log) and found.session is not None:
            raise WriterPresent("somebody else is appending to this log")
        if wish.offset and found is None:
            raise NotAtEnd(0, wish.offset)
        quiet = fstream.is_original(request.headers)
        return await Appender(context, request, wish, quiet=quiet).serve(key)

    async def _follow(
        self, request: web.BaseRequest, key: Key, arguments: dict[str, str]
    ) -> web.StreamResponse:
        context, rules = self._context, self._context.rules
        refuse_service_worker(request.headers)
        binary, body = fstream.wants_binary(arguments), fstream.wants_body(arguments)
        prefer = joined(request.headers, "Prefer")
        wait = wanted_wait(arguments.get("wait"), prefer, 0.0, rules.max_wait)
        channel = await context.service.directory.wait(key, wait)
        if channel is None:
            raise NotFound("key not found")
        if channel.kind not in _READABLE:
            raise Conflict("what is under this key is handed over by another protocol")
        if isinstance(channel, Log) and channel.session is not None:
            if body:
                asked = {name: arguments[name] for name in arguments if name == "offset"}
                return await logs.follow(context, request, key, asked, 0.0, _DIALECT)
            if wants_upgrade(request.headers):
                return await self._follow_live(request, channel, arguments, binary=binary)
        return await pipes.read(context, request, channel, _DIALECT)

    async def _follow_live(
        self,
        request: web.BaseRequest,
        log: Log,
        arguments: Mapping[str, str],
        *,
        binary: bool,
    ) -> web.StreamResponse:
        websocket.check(request, self._context.rules.public_url)
        start = wanted_start({**arguments, "follow": ""}, None, log.size) or 0
        original = fstream.is_original(request.headers)
        with Follower(log, start) as follower:
            log.was_read()
            socket = FollowSocket(
                self._context, request, follower, binary=binary, original=original
            )
            return await socket.serve()
