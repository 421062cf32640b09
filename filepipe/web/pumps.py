"""The two functions that own every body: `Pumps.receive` and `Pumps.send`.

Rule 1: bytes pass through untouched; only their number is looked at.
Rule 2: before a body moves it is decided who moves it: the kernel (a known length, a plain socket,
        a file behind the channel) or this event loop. Both mean the same to everybody else.
Rule 3: once a head is out nothing is answered any more: a failure cuts the connection, so that no
        reader takes a part for the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from aiohttp import web

from filepipe.channels.channel import Channel, Kind, Reader, Writer
from filepipe.channels.follower import Follower
from filepipe.channels.log import Log
from filepipe.channels.state import State
from filepipe.errors import BadRequest, Broken, FilepipeError, Stalled, TooLarge, Unavailable
from filepipe.relay.moves import Gauge, Intake, Outflow
from filepipe.relay.plane import Plane
from filepipe.service import Statistics
from filepipe.storage.interface import Descriptor
from filepipe.web.attendance import Seat, http_seat, note_cut
from filepipe.web.connection import Connection, reset
from filepipe.web.exchange import EXCHANGE
from filepipe.web.history import send_history
from filepipe.web.stall import Watch

SMALL = 64 * 1024
"""Bytes of an object that goes out in one write with its head."""

BUFFERED = 64 * 1024
"""Bytes of one write of what aiohttp has read already: all of it at once is held twice."""

FLUSH = 5.0
"""Seconds that a cut connection gets to deliver what is already in its write buffer."""


@dataclass(frozen=True, slots=True)
class PumpLimits:
    """Seconds that a peer may be silent, and the most bytes of one body (None: unlimited).

    `idle` holds for a sender; `live` for a reader of an upload under way, who may pause on purpose;
    `download` for a reader of a finished object.
    """

    idle: float
    live: float
    download: float
    max_body: int | None


class Pumps:
    """Moves bodies between connections and channels."""

    def __init__(self, plane: Plane, statistics: Statistics, limits: PumpLimits) -> None:
        self.plane = plane
        self._statistics = statistics
        self.limits = limits
        self._gauges: dict[Channel, Gauge] = {}

    def check_length(self, length: int | None) -> None:
        """Refuse a body that says itself that it is too large. Raises `TooLarge`."""
        limit = self.limits.max_body
        if limit is not None and length is not None and length > limit:
            raise TooLarge(f"the body exceeds the limit of {limit} bytes")

    def _check_whole(self, channel: Channel, size: int) -> None:
        """All the pieces of a pipe are one body; an upload has a limit of its own, a log none."""
        if channel.kind not in (Kind.UPLOAD, Kind.LOG):
            self.check_length(size)

    def watch_sender(self) -> Watch:
        """What ends a wait for a sender who has gone silent."""
        return Watch(self.limits.idle, "sent")

    def watch_reader(self) -> Watch:
        """What ends a wait for a reader who takes nothing of an answer that is all there."""
        return Watch(self.limits.download, "took")

    def watch_follower(self) -> Watch:
        """What ends a wait for a reader who takes nothing of what is live."""
        return Watch(self.limits.live, "took")

    # -- socket to channel

    async def receive(
        self, request: web.BaseRequest, writer: Writer, body: AsyncIterator[bytes] | None = None
    ) -> None:
        """Move the request's whole body to the writer; `body` if only a part of it is meant.

        It is added at the end of what the channel has.
        Raises `Broken` when the sender leaves early, `Stalled`, `BadRequest` when the framing is
        wrong, `TooLarge`, and what `Writer.write` raises. It is cancelled when aiohttp sees the
        connection go.
        """
        with self.counted("in"):
            async with interruptible(writer.channel):
                if body is not None or not await self._received_by_kernel(request, writer):
                    await self.receive_here(request, writer, body or body_of(request))

    @contextlib.contextmanager
    def counted(self, direction: str) -> Iterator[None]:
        """Count what happens inside as one transfer `in` or `out`, finished or broken."""
        outcome = "broken"
        try:
            yield
            outcome = "finished"
        finally:
            self._statistics.transfers[direction, outcome] += 1

    async def body(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        """The body for whoever keeps it elsewhere, counted, from a sender who may not be silent.

        Raises `Stalled`, `TooLarge`, and `BadRequest` when the framing is wrong.
        """
        with self.watch_sender() as watch:
            watch.begin()
            async for chunk in body_of(request):
                watch.end()
                self.count_in(request, len(chunk))
                yield chunk
                watch.begin()

    async def receive_here(
        self, request: web.BaseRequest, writer: Writer, body: AsyncIterator[bytes]
    ) -> None:
        """Move `body` by the event loop. Raises as `receive`."""
        with self.watch_sender() as watch:
            watch.begin()
            async for chunk in body:
                watch.end()
                self.count_in(request, len(chunk))
                await writer.write((chunk,))
                self._check_whole(writer.channel, writer.channel.size)
                watch.begin()

    async def _received_by_kernel(self, request: web.BaseRequest, writer: Writer) -> bool:
        length = request.content_length
        transport = request.transport
        if not self.plane.takes(transport, length) or (fd := await writer.descriptor()) < 0:
            return False
        assert transport is not None
        assert length is not None
        channel = writer.channel
        end = channel.size + length
        self._check_whole(channel, end)
        try:
            gauge = self._gauges[channel] = self.plane.gauge(fd, 0)
        except Unavailable:  # the event loop needs no thread for it
            return False
        done = False
        try:
            await self.take_buffered(request, transport, writer.write)
            await writer.descriptor()
            gauge.size = channel.size
            # also for no byte at all: it wakes the readers that wait at the gauge
            sock = transport.get_extra_info("socket").fileno()
            intake = Intake(sock, gauge, end - channel.size, self.limits.idle)
            await self._fill(request, writer, intake)
            done = True
        finally:
            del self._gauges[channel]
            if not done:
                self.plane.abandon(gauge)
            give_back(request, transport, done)
        return True

    async def take_buffered(
        self,
        request: web.BaseRequest,
        transport: asyncio.Transport,
        write: Callable[[Sequence[bytes]], Awaitable[None]],
    ) -> None:
        """Store what aiohttp has read already, before the kernel goes on.

        Reading a buffer empty resumes the transport.
        """
        while True:
            data = request.content.read_nowait(BUFFERED)
            transport.pause_reading()
            if not data:
                break
            self.count_in(request, len(data))
            await write((data,))
        assert isinstance(request.protocol, Connection)
        request.protocol.detached = True

    async def _fill(self, request: web.BaseRequest, writer: Writer, intake: Intake) -> None:
        channel = writer.channel

        def grew(gauge: Gauge) -> None:
            if size := gauge.size - channel.size:
                self.count_in(request, size)
                writer.grew(size)

        try:
            await self.plane.fill(intake, grew)
        finally:
            grew(intake.gauge)

    def count_in(self, request: web.BaseRequest, size: int) -> None:
        """`size` bytes of a body came. Raises `TooLarge`."""
        self.note_in(request, size)
        limit = self.limits.max_body
        if limit is not None and request[EXCHANGE].bytes_in > limit:
            raise TooLarge(f"the body exceeds the limit of {limit} bytes")

    def note_in(self, request: web.BaseRequest, size: int) -> None:
        """`size` bytes came, of what may go on for ever."""
        request[EXCHANGE].bytes_in += size
        self._statistics.bytes_in += size

    # -- channel to socket

    async def send(
        self, request: web.BaseRequest, reader: Reader, status: int, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Answer with the reader's bytes.

        Raises `FilepipeError` only before the head is out; afterwards a failure cuts the
        connection. The response that is returned may still be unsent, if it is small.
        """
        channel = reader.channel
        if isinstance(channel, Log):
            await channel.prove(reader.offset, reader.offset + 1)  # a refusal needs a head
        size = None if reader.stop is None else reader.stop - reader.offset
        if size is not None and size <= SMALL and channel.size - reader.offset >= size:
            return await self._small(request, reader, size, status, headers)
        outflow = await self._outflow(request, reader, size)
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = size
        try:
            with self.counted("out"):
                if outflow is None:
                    await self._send_here(request, reader, response)
                else:
                    await self._send_by_kernel(request, outflow, response)
        except (FilepipeError, ConnectionError) as error:
            if isinstance(error, Stalled) and isinstance(reader, Follower):
                note_cut(request, reader)
            cut(request, framed=size is not None or request.version >= (1, 1))
        return response

    async def _small(
        self,
        request: web.BaseRequest,
        reader: Reader,
        size: int,
        status: int,
        headers: dict[str, str],
    ) -> web.StreamResponse:
        chunks = []
        while chunk := await reader.read():
            chunks.append(chunk)
        self.count_out(request, size)
        self._statistics.transfers["out", "finished"] += 1
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return web.Response(body=body, status=status, headers=headers)

    async def _send_here(
        self, request: web.BaseRequest, reader: Reader, response: web.StreamResponse
    ) -> None:
        await response.prepare(request)
        patience = self._patience(reader.channel)
        seat = http_seat(request, reader, self.count_out) if isinstance(reader, Follower) else None
        with Watch(patience, "took") as watch:
            while chunk := await self._next(request, reader, seat, watch):
                watch.begin()
                await response.write(chunk)
                watch.end()
                self.count_out(request, len(chunk))
            watch.begin()
            await response.write_eof()
            watch.end()

    async def _next(
        self, request: web.BaseRequest, reader: Reader, seat: Seat | None, watch: Watch
    ) -> bytes:
        """The next bytes; of a log only those that nobody else sends."""
        if seat is not None:
            follower, count = seat.follower, functools.partial(self.count_out, request)
            await seat.attend(watch)
            await send_history(self.plane, request, follower, watch.limit, count)
            await seat.attend(watch)
        return await reader.read()

    async def _outflow(
        self, request: web.BaseRequest, reader: Reader, size: int | None
    ) -> Outflow | None:
        """The kernel's way out of the channel, where there is one."""
        channel = reader.channel
        transport = request.transport
        if channel.resumption is not None and channel.state is not State.FINISHED:
            return None  # its next sender may be one whose bytes the kernel does not move
        if not self.plane.takes(transport, size):
            return None
        assert transport is not None
        assert reader.stop is not None
        try:
            gauge = self._gauges.get(channel) or await self._finished_gauge(channel)
            if gauge is None:
                return None
            sock = transport.get_extra_info("socket").fileno()
            return Outflow(sock, gauge, reader.offset, reader.stop, self._patience(channel))
        except Unavailable:  # the event loop needs neither a thread nor a descriptor for it
            return None

    async def _finished_gauge(self, channel: Channel) -> Gauge | None:
        if isinstance(channel, Log):
            return self.plane.gauge(await channel.descriptor(), channel.size)
        blob = channel.blob
        if channel.state is not State.FINISHED or not isinstance(blob, Descriptor):
            return None
        fd = await blob.descriptor()
        return self.plane.gauge(fd, channel.size) if fd >= 0 else None

    async def _send_by_kernel(
        self, request: web.BaseRequest, outflow: Outflow, response: web.StreamResponse
    ) -> None:
        submitted = False
        try:
            transport = request.transport
            if transport is None:
                raise Broken("the reader left")
            # an empty write buffer is the only one that cannot mix with what the kernel sends
            transport.set_write_buffer_limits(high=0)
            response.force_close()
            with Watch(outflow.stall, "took") as watch:
                watch.begin()
                await response.prepare(request)
                await request.writer.drain()
            submitted = True
            await self.plane.empty(outflow)
            await response.write_eof()
        finally:
            if not submitted:
                outflow.close()
            self.count_out(request, outflow.moved)

    def _patience(self, channel: Channel) -> float:
        limits = self.limits
        return limits.download if channel.state is State.FINISHED else limits.live

    def count_out(self, request: web.BaseRequest, size: int) -> None:
        """`size` bytes of a body went."""
        request[EXCHANGE].bytes_out += size
        self._statistics.bytes_out += size


@contextlib.asynccontextmanager
async def interruptible(channel: Channel) -> AsyncIterator[None]:
    """End what happens inside, however long its peer is silent, when somebody breaks the channel.

    Or takes over. Raises the reason then.
    """
    reasons: list[FilepipeError] = []

    def interrupt(reason: FilepipeError) -> None:
        reasons.append(reason)
        life.reschedule(0.0)

    try:
        async with asyncio.timeout(None) as life:
            channel.interrupt = interrupt
            yield
    except BaseException as error:
        if life.expired():
            raise reasons[0] from error
        raise
    finally:
        channel.interrupt = None


async def body_of(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises `BadRequest` when the framing is wrong."""
    content = request.content
    try:
        while chunk := await content.readany():
            yield chunk
    except web.RequestPayloadError as error:
        raise BadRequest("upload failed: the body's framing is broken") from error


def give_back(request: web.BaseRequest, transport: asyncio.Transport, done: bool) -> None:
    """Let aiohttp have the connection again, for the answer and for closing it."""
    if done and not request.content.is_eof():
        request.content.feed_eof()
    elif not done and not transport.is_closing():
        # what the sender still sends is read and dropped, so that no reset eats the refusal
        transport.resume_reading()


def cut(request: web.BaseRequest, *, framed: bool) -> None:
    """End a response that is not whole so that its reader notices.

    `framed` bodies miss their last bytes or their last chunk; where only the connection's end is
    the body's end, a reset says it.
    """
    transport = request.transport
    if transport is None:
        return
    if not framed:
        reset(transport)
    elif not transport.is_closing():
        transport.close()
        asyncio.get_running_loop().call_later(FLUSH, transport.abort)
