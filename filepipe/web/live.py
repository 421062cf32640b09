"""Hands a body over live: from one sender to the receivers who sit at a rendezvous.

Rule 1: of the body nothing is read before all are there; the head of an answer leaves together with
        the first bytes.
Rule 2: the slowest of those who are there sets the pace; who leaves hurts nobody else.
Rule 3: a receiver has received when his kernel has every byte (`filepipe.web.delivery`); only then
        the sender is told of success.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from multidict import CIMultiDict

from filepipe.channels.channel import Kind, Writer
from filepipe.channels.rendezvous import Receiver, Rendezvous, Seat
from filepipe.channels.window import Windows
from filepipe.errors import Broken, FilepipeError
from filepipe.web.bare import BareResponse
from filepipe.web.connection import Connection
from filepipe.web.delivery import CHECKED, Delivery
from filepipe.web.departures import Departures, may_be_whole
from filepipe.web.direct import Direct
from filepipe.web.exchange import EXCHANGE
from filepipe.web.parcel import Bring, Parcel
from filepipe.web.pumps import Pumps, cut, interruptible
from filepipe.web.stall import Watch


class Handover:
    """Both sides of what is handed over live; `stall` seconds may a receiver take nothing."""

    def __init__(
        self,
        pumps: Pumps,
        direct: Direct,
        departures: Departures,
        windows: Windows,
        stall: float,
    ) -> None:
        self._pumps = pumps
        self._direct = direct
        self._departures = departures
        self._windows = windows
        self._stall = stall

    # -- the sender's side

    async def give(self, request: web.BaseRequest, rendezvous: Rendezvous, bring: Bring) -> None:
        """Send what `bring` brings to those who sit; return when they have received or left.

        Raises `Broken` when not all of them have everything, and what ended it otherwise.
        """
        with self._pumps.counted("in"):
            async with interruptible(rendezvous):
                await self._give(request, rendezvous, await bring(request, self._pumps))
            await rendezvous.settled()
            if rendezvous.received < rendezvous.number:
                raise Broken(_shortfall(rendezvous))

    async def _give(self, request: web.BaseRequest, rendezvous: Rendezvous, parcel: Parcel) -> None:
        if parcel.first is None:
            with self._pumps.watch_sender() as watch:
                watch.begin()
                parcel.first = await anext(parcel.chunks, b"")
            self._pumps.count_in(request, len(parcel.first))
        way = self._direct.find(request, rendezvous, parcel)
        try:
            await rendezvous.start(self._windows, parcel.meta)
        except BaseException:
            if way is not None:
                self._direct.give_up(rendezvous, way)
            raise
        async with Writer(rendezvous) as writer:
            if way is not None:
                await self._direct.give(request, rendezvous, way)
                return
            if parcel.first:
                await writer.write((parcel.first,))
            more = parcel.first and len(parcel.first) != parcel.meta.length
            if rendezvous.kind is Kind.QUEUE and more:
                await rendezvous.tried()
            await self._pumps.receive_here(request, writer, parcel.chunks)

    def watch_departure(self, request: web.BaseRequest) -> Departed:
        """While it is entered, a sender who leaves with his body unread is cut off."""
        return Departed(self._departures, request)

    # -- the receivers' side

    async def take(
        self,
        request: web.BaseRequest,
        seat: Seat,
        describe: Callable[[], CIMultiDict[str]],
    ) -> web.StreamResponse:
        """Answer with what the sender gives, with the headers that `describe` finds.

        Raises `Broken`, `Draining`, `Gone` or `TooManyFiles` before the head is out; afterwards it
        is cut.
        """
        with seat:
            reader = await seat.started()
            rendezvous = seat.rendezvous
            way = self._direct.of(rendezvous)
            chunk = b"" if way is not None else await reader.read()
            length = rendezvous.meta.length
            response = BareResponse(headers=describe())
            response.headers["X-Request-Id"] = request[EXCHANGE].id
            response.content_length = length
            with Delivery(request, self._stall) as delivery:
                if length is not None and length > CHECKED:
                    delivery.expect_large()  # a refusal needs an answer that has not begun
                try:
                    with self._pumps.counted("out"):
                        if way is None:
                            await self._send(request, reader, response, chunk, delivery)
                        else:
                            await self._direct.take(request, seat, way, response, delivery)
                        await self._complete(delivery)
                except (FilepipeError, ConnectionError):
                    cut(request, framed=length is not None or request.version >= (1, 1))
                except asyncio.CancelledError:
                    if delivery.arrived():
                        request[EXCHANGE].delivered = response.status
                        seat.received()
                    raise
                else:
                    seat.received()
            return response

    async def _complete(self, delivery: Delivery) -> None:
        with Watch(self._stall, "took") as watch:
            watch.begin()
            await delivery.complete()

    async def _send(
        self,
        request: web.BaseRequest,
        reader: Receiver,
        response: web.StreamResponse,
        chunk: bytes,
        delivery: Delivery,
    ) -> None:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise Broken("the receiver left")
        seat_channel = reader.channel
        assert isinstance(seat_channel, Rendezvous)
        seat_channel.touch()
        sent = 0
        with Watch(self._stall, "took") as watch:
            await response.prepare(request)
            while chunk:
                sent += len(chunk)
                if sent > CHECKED:
                    delivery.expect_large()
                watch.begin()
                await response.write(chunk)
                watch.end()
                self._pumps.count_out(request, len(chunk))
                if sent == response.content_length:
                    break  # who has all of it may leave before its end is known here
                chunk = await reader.read()
            watch.begin()
            await response.write_eof()
            watch.end()


class Departed:
    """Watches one sender; what has arrived of his body decides what his leaving means."""

    def __init__(self, departures: Departures, request: web.BaseRequest) -> None:
        assert isinstance(request.protocol, Connection)
        self._request = request
        self._connection = request.protocol
        self._reading = False
        self._watching = None
        if request.transport is not None and not request.content.is_eof():
            sock = request.transport.get_extra_info("socket")
            self._watching = departures.watch(sock, self._left)

    def __enter__(self) -> Departed:
        if self._watching is not None:
            self._watching.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._watching is not None:
            self._watching.__exit__(None, None, None)
        if self._reading:
            self._connection.release()

    def begin_reading(self) -> None:
        """From now on the body is read; what comes behind its end has time until the answer."""
        self._reading = True
        self._request.content.on_eof(self._connection.hold)

    def _left(self, fd: int, *, reset: bool) -> None:
        request = self._request
        transport = request.transport
        if transport is None or self._connection.detached:  # the kernel's way watches for itself
            return
        if self._reading and (request.content.is_eof() or not (reset or self._is_short(fd))):
            return
        transport.abort()

    def _is_short(self, fd: int) -> bool:
        """Whether the body is not whole, and will never be."""
        length = self._request.content_length
        missing = None if length is None else length - self._request.content.total_bytes
        secure = self._connection.ssl_context is not None
        return not may_be_whole(fd, missing, secure=secure)


def _shortfall(rendezvous: Rendezvous) -> str:
    if rendezvous.number == 1:
        return "the receiver left before it had everything"
    return f"{rendezvous.received} of {rendezvous.number} receivers got everything"
