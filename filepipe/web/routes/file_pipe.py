"""The protocol `file-pipe`, exactly: its keys, its texts, its lifetimes.

Where it differs from the program of that name, that program fails its users;
`docs/decisions/file-pipe.md` lists the differences.
"""

from __future__ import annotations

from aiohttp import web

from filepipe.channels.retention import Retention
from filepipe.errors import BadKey, Draining, FilepipeError, MethodNotAllowed, StorageFailed
from filepipe.keys import parse_key
from filepipe.web import refusals
from filepipe.web.context import Context
from filepipe.web.routes import pipes
from filepipe.web.routes.status import DAEMON_PATHS

WAIT = 5.0
"""Seconds that a GET waits for its key."""

DIALECT = pipes.Dialect(
    retention=Retention(after_end=30.0, after_first_read=5.0),
    names_from_key=False,
    raw_names=True,
    closes=True,
)


class FilePipe:
    """A front: `serve` answers one request whose path has lost the front's prefix."""

    newline = False
    own_paths: frozenset[str] = frozenset()

    def __init__(self, context: Context) -> None:
        self._context = context

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer PUT and GET of any key; the query is ignored.

        Every answer ends its connection. A refusal is the text alone, also where this front is
        mounted below another one's listener.
        """
        try:
            response = await self._serve(request, path, prefix)
        except StorageFailed:  # it is logged where all are
            raise
        except FilepipeError as error:
            response = refusals.answer(request, error, newline=self.newline)
            response.charset = None
        response.force_close()
        return response

    async def _serve(self, request: web.BaseRequest, path: str, prefix: str) -> web.StreamResponse:
        context = self._context
        key = parse_key(path, strip_all=True)
        if request.method == "PUT":
            if context.service.directory.draining:
                raise Draining("server is shutting down, not accepting new uploads")
            if not prefix and f"/{key}" in DAEMON_PATHS:
                raise BadKey("this key is the daemon's own")
            channel = await pipes.put(context, request, key, DIALECT)
            return web.Response(headers=pipes.digest_headers(channel, request.headers))
        if request.method == "GET":
            return await pipes.get(context, request, key, DIALECT, WAIT)
        raise MethodNotAllowed("only PUT and GET are supported", ("GET", "PUT"))
