"""The kernel's way for a body that is handed over live, from socket to sockets.

It is taken when the body is the request's own, long, of known length, and all peers are plain.
What has been read of it already goes out with the heads; the rest Python never sees. It means the
same as the way through the event loop, but that the connections close afterwards.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from filepipe.channels.rendezvous import Rendezvous, Seat
from filepipe.errors import Broken, Unavailable
from filepipe.relay.passage import Passage, Sink
from filepipe.relay.plane import MIN_SIZE, Plane
from filepipe.web.connection import Connection
from filepipe.web.delivery import Delivery
from filepipe.web.parcel import Parcel
from filepipe.web.pumps import Pumps, give_back
from filepipe.web.stall import Watch


@dataclass(slots=True)
class Way:
    """A passage, and what goes before its bytes."""

    passage: Passage
    head: bytes


class Direct:
    """Finds ways and goes them; `idle` and `stall` are the seconds of `PumpLimits`."""

    def __init__(self, plane: Plane, pumps: Pumps, idle: float, stall: float) -> None:
        self._plane = plane
        self._pumps = pumps
        self._idle = idle
        self._stall = stall
        self._ways: dict[Rendezvous, Way] = {}

    def takes(self, request: web.BaseRequest) -> bool:
        """Whether a sender's body may go this way."""
        return self._plane.takes(request.transport, request.content_length)

    def of(self, rendezvous: Rendezvous) -> Way | None:
        """The way that was found for it."""
        return self._ways.get(rendezvous)

    # -- the sender's side

    def find(self, request: web.BaseRequest, rendezvous: Rendezvous, parcel: Parcel) -> Way | None:
        """A way for `parcel` to those who sit, whose first bytes then hold all that was read."""
        transport = request.transport
        length = parcel.meta.length
        if transport is None or length is None or not self._suits(request, rendezvous, parcel):
            _resume(request)
            return None
        begun = parcel.first or b""
        parcel.first = _read_ahead(request, transport, begun)
        self._pumps.count_in(request, len(parcel.first) - len(begun))
        left = length - len(parcel.first)
        way = None
        if left >= MIN_SIZE:
            way = self._open(transport, left, rendezvous, parcel.first)
        if way is None:
            _resume(request)
            transport.resume_reading()
        return way

    def _suits(self, request: web.BaseRequest, rendezvous: Rendezvous, parcel: Parcel) -> bool:
        if not parcel.whole or not self.takes(request):
            return False
        guests = [seat.guest for seat in rendezvous.seats]
        return all(
            isinstance(guest, web.BaseRequest)
            and self._plane.takes(guest.transport, parcel.meta.length)
            for guest in guests
        )

    def _open(
        self, transport: asyncio.Transport, left: int, rendezvous: Rendezvous, head: bytes
    ) -> Way | None:
        sock = transport.get_extra_info("socket").fileno()
        count = len(rendezvous.seats)
        try:
            passage = self._plane.passage(sock, left, count, self._idle, self._stall)
        except Unavailable:  # the event loop needs neither a thread nor descriptors for it
            return None
        way = self._ways[rendezvous] = Way(passage, head)
        rendezvous.on_absent = lambda seat: self._plane.absent(passage)
        return way

    def give_up(self, rendezvous: Rendezvous, way: Way) -> None:
        """The way will not be gone."""
        del self._ways[rendezvous]
        rendezvous.on_absent = None
        self._plane.abandon_passage(way.passage)

    async def give(self, request: web.BaseRequest, rendezvous: Rendezvous, way: Way) -> None:
        """Go it to its end. Raises what `Plane.pass_on` raises."""
        transport = request.transport
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.detached = True
        passed = False

        def moved(size: int) -> None:
            self._pumps.count_in(request, size)
            rendezvous.grew(size)

        def before_last() -> None:
            if rendezvous.on_whole is not None:
                rendezvous.on_whole()

        rendezvous.grew(len(way.head))
        try:
            await self._plane.pass_on(way.passage, moved, before_last)
            passed = True
        finally:
            del self._ways[rendezvous]
            rendezvous.on_absent = None
            # untouched, it is offered to somebody else, from where it stands
            if transport is not None and (passed or rendezvous.touched):
                give_back(request, transport, passed)

    # -- a receiver's side

    async def take(
        self,
        request: web.BaseRequest,
        seat: Seat,
        way: Way,
        response: web.StreamResponse,
        delivery: Delivery,
    ) -> None:
        """Answer with `response` and let the kernel write its body.

        Raises `Broken` when the receiver leaves or the sender breaks off, and `Stalled`.
        """
        transport = request.transport
        if transport is None or transport.is_closing():
            raise Broken("the receiver left")
        seat.rendezvous.touch()
        response.force_close()
        # an empty write buffer is the only one that cannot mix with what the kernel sends
        transport.set_write_buffer_limits(high=0)
        with Watch(self._stall, "took") as watch:
            watch.begin()
            await response.prepare(request)
            await response.write(way.head)
            await request.writer.drain()
        self._pumps.count_out(request, len(way.head))
        sink = Sink(transport.get_extra_info("socket").fileno(), way.passage)
        seat.began = True
        try:
            await self._plane.attach(sink)
            await response.write_eof()
        finally:
            self._pumps.count_out(request, sink.moved)
            if sink.moved == way.passage.length:  # also if he closed before we were told
                delivery.flushed()


def _read_ahead(request: web.BaseRequest, transport: asyncio.Transport, begun: bytes) -> bytes:
    """All that aiohttp has read; reading its buffer empty resumes the transport."""
    chunks = [begun]
    while True:
        chunk = request.content.read_nowait()
        transport.pause_reading()
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _resume(request: web.BaseRequest) -> None:
    """Let the event loop read the body on, of which the kernel has taken nothing."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    if connection.detached and request.transport is not None:
        connection.detached = False
        request.transport.resume_reading()
