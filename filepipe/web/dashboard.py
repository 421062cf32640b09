"""Who is shown what, and the stream of pictures for those who watch (Server-Sent Events).

Rule 1: a caller on this machine sees everything; what others see is a setting.
Rule 2: a picture goes out at most once a second, and only if something changed.
Rule 3: nobody who watches keeps the daemon: streams are counted, end with the first signal, and a
        watcher that takes nothing is cut at the limit for readers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from typing import Any, Final, Literal, NamedTuple

from aiohttp import web

from filepipe.errors import Draining, FilepipeError, NotFound, Unavailable
from filepipe.relay.plane import Plane
from filepipe.service import Service
from filepipe.shutdown import Phase, Shutdown
from filepipe.web import picture
from filepipe.web.exchange import EXCHANGE
from filepipe.web.pumps import Pumps, cut

MOST_STREAMS: Final = 64
"""Streams at the same time; each may hold one picture and a connection."""

PACE: Final = 1.0
"""Seconds between two pictures."""

SILENCE: Final = 15.0
"""Seconds after which a sign of life is sent although nothing changed."""

_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",
    "Server": "filepipe",
}


class _Glance(NamedTuple):
    """A picture with what is needed of it for each who watches."""

    taken: float
    picture: dict[str, Any]
    steady: dict[str, Any]
    event: bytes

    @classmethod
    def of(cls, taken: float, found: dict[str, Any]) -> _Glance:
        """What `found`, drawn at the moment `taken`, is for everybody."""
        event = f"data: {json.dumps(found, separators=(',', ':'))}\n\n".encode()
        return cls(taken, found, picture.steady(found), event)


class Dashboard:
    """The state as each caller may see it; `shows` is the setting of that name."""

    def __init__(
        self,
        service: Service,
        shutdown: Shutdown,
        pumps: Pumps,
        plane: Plane,
        shows: Literal["keys", "counts", "off"],
    ) -> None:
        self._service = service
        self._shutdown = shutdown
        self._pumps = pumps
        self._plane = plane
        self._shows = shows
        self._rates = picture.Rates()
        self._glances: dict[tuple[bool, Phase], _Glance] = {}
        self._streams = 0

    def is_open(self, *, local: bool) -> bool:
        """Whether this caller may see the channels at all, with or without their keys."""
        return local or self._shows != "off"

    def is_named(self, *, local: bool) -> bool:
        """Whether this caller may see the keys."""
        return local or self._shows == "keys"

    def picture(self, *, local: bool, whole: bool = False) -> dict[str, Any]:
        """Everything that this caller may see; `whole` leaves nothing off.

        Who is not on this machine may get one that is half a second old, however often he asks.
        """
        return self._draw(local, whole=whole) if local else self._glance(local=False).picture

    def _draw(self, local: bool, *, whole: bool = False) -> dict[str, Any]:
        going_out = self._plane.going_out
        found = picture.totals(self._service, self._shutdown.phase, going_out)
        if self.is_open(local=local):
            named = self.is_named(local=local)
            found |= picture.lists(self._service, self._rates, named=named, whole=whole)
        return found

    def _glance(self, *, local: bool) -> _Glance:
        """The picture that all who may see the same share for a while."""
        now = time.monotonic()
        view = (local, self._shutdown.phase)
        last = self._glances.get(view)
        if last is None or now - last.taken > PACE / 2:
            last = self._glances[view] = _Glance.of(now, self._draw(local))
        return last

    async def watch(self, request: web.BaseRequest, *, local: bool) -> web.StreamResponse:
        """Stream pictures until the caller leaves or the daemon goes down.

        Raises `NotFound` where the setting hides them, `Draining`, and `Unavailable` when too many
        watch already.
        """
        if not self.is_open(local=local):
            raise NotFound("the dashboard is for callers on this machine")
        if self._shutdown.phase is not Phase.RUNNING:
            raise Draining("server is shutting down")
        if self._streams >= MOST_STREAMS:
            raise Unavailable("too many dashboards are open, try again later")
        self._streams += 1
        try:
            return await self._stream(request, local=local)
        finally:
            self._streams -= 1

    async def _stream(self, request: web.BaseRequest, *, local: bool) -> web.StreamResponse:
        headers = {**_HEADERS, "X-Request-Id": request[EXCHANGE].id}
        response = web.StreamResponse(headers=headers)
        try:
            with self._pumps.watch_reader() as stall:
                stall.begin()
                await response.prepare(request)
                stall.end()
                async with contextlib.aclosing(self._events(local=local)) as events:
                    async for text in events:
                        stall.begin()
                        await response.write(text)
                        stall.end()
                        request[EXCHANGE].bytes_out += len(text)
                stall.begin()
                await response.write_eof()
        except (FilepipeError, ConnectionError):
            cut(request, framed=request.version >= (1, 1))
        return response

    async def _events(self, *, local: bool) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        shown: dict[str, Any] | None = None
        spoke = loop.time()
        ending = False
        while True:
            glance = self._glance(local=local)
            if glance.steady != shown:
                shown, spoke = glance.steady, loop.time()
                yield glance.event
            elif loop.time() - spoke >= SILENCE:
                spoke = loop.time()
                yield b": nothing changed\n\n"
            if ending:
                return
            ending = await self._shutdown.asked_within(PACE)
