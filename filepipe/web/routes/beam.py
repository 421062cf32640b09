"""The protocol Beam: one uploader meets one downloader under a name, and nothing is kept.

`docs/decisions/beam.md` lists where the program of that name differs.
"""

from __future__ import annotations

from aiohttp import web

from filepipe.channels.retention import Retention
from filepipe.errors import BadKey, FilepipeError, MethodNotAllowed, NotFound, StorageFailed
from filepipe.keys import Key, parse_key
from filepipe.protocols import beam
from filepipe.protocols.query import lone_value
from filepipe.protocols.waiting import wanted_wait
from filepipe.web import refusals
from filepipe.web.bodies import invite, whole_body
from filepipe.web.context import Context
from filepipe.web.fields import joined
from filepipe.web.parcel import Parcel
from filepipe.web.pumps import Pumps
from filepipe.web.routes import pipes, rendezvous
from filepipe.web.routes.status import DAEMON_PATHS, is_local

_DIALECT = pipes.Dialect(
    retention=Retention(after_end=0.0), names_from_key=True, raw_names=False, saved=True
)


class Beam:
    """A front: `serve` answers one request whose path has lost the front's prefix."""

    newline = False
    own_paths: frozenset[str] = frozenset()

    def __init__(self, context: Context) -> None:
        self._context = context

    async def serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        """Answer an uploader, a downloader, or with the dashboard."""
        try:
            return await self._serve(request, path, query, prefix)
        except StorageFailed:  # it is logged where all are
            raise
        except MethodNotAllowed as error:
            return refusals.answer(request, error, newline=False, text="")
        except FilepipeError as error:
            return refusals.answer(request, error, newline=self.newline)

    async def _serve(
        self, request: web.BaseRequest, path: str, query: str, prefix: str
    ) -> web.StreamResponse:
        if path == "/":
            _check_method(request, beam.PAGE_METHODS)
            return self._dashboard(request)
        key = parse_key(path)
        if "/" in key:
            raise NotFound("")
        _check_method(request, beam.NAME_METHODS)
        if request.method == "PUT":
            if not prefix and f"/{key}" in DAEMON_PATHS:
                raise BadKey("this name is the daemon's own")
            return await self._put(request, key, self._wait(request, query))
        try:
            if request.method == "HEAD":
                return await pipes.head(self._context, request, key, _DIALECT)
            wait = self._wait(request, query)
            return await pipes.get(self._context, request, key, _DIALECT, wait)
        except NotFound as error:
            raise NotFound(beam.NO_UPLOAD) from error

    def _wait(self, request: web.BaseRequest, query: str) -> float:
        rules = self._context.rules
        prefer = joined(request.headers, "Prefer")
        return wanted_wait(lone_value(query, "wait"), prefer, rules.wait, rules.max_wait)

    async def _put(self, request: web.BaseRequest, key: Key, wait: float) -> web.StreamResponse:
        context = self._context
        waits = False
        try:
            with rendezvous.offered(context, request, key, 1, forms=False) as found:
                waits = True
                await rendezvous.hand_over(context, request, found, wait, _bring)
        except StorageFailed:
            raise
        except FilepipeError as error:
            status, text = beam.failed_upload(error) if waits else beam.refused_upload(error)
            return refusals.answer(request, error, newline=False, status=status, text=text)
        return web.Response(text=beam.COMPLETED, headers={"Server": "filepipe"})

    def _dashboard(self, request: web.BaseRequest) -> web.StreamResponse:
        names = [
            found.key
            for found in self._context.service.meetings
            if not found.closed and "/" not in found.key
        ]
        named = self._context.dashboard.is_named(local=is_local(request))
        text = beam.waiting_streams(names if named else len(names))
        headers = {"Cache-Control": "no-store", "Server": "filepipe"}
        return web.Response(text=text, headers=headers)


async def _bring(request: web.BaseRequest, pumps: Pumps) -> Parcel:
    await invite(request)
    return await whole_body(request, pumps)


def _check_method(request: web.BaseRequest, allow: tuple[str, ...]) -> None:
    if request.method not in allow:
        raise MethodNotAllowed(f"{request.method} is not supported here", allow)
