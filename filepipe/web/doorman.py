"""Meets every connection, and serves the small plain transfers itself.

A PUT or GET of a kilobyte costs a general HTTP server several times what the transfer costs. The
doorman answers those that are plain (`filepipe.protocols.plain`) and small through the same
directory, channels and ledger, with the same headers and the same line in the log. Everything else
it hands to aiohttp, bytes untouched, as if it had never been there.

Rule 1: what it begins to answer it can finish without waiting for anybody but a writer.
Rule 2: bytes that arrive while it waits end its part: aiohttp gets all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Protocol, cast

from filepipe.channels.rendezvous import Seat
from filepipe.errors import Broken, Draining, FilepipeError, NobodyCame, Refused, Unavailable
from filepipe.logs import get_logger
from filepipe.protocols.plain import PlainRequest, parse_plain
from filepipe.web.connection import Census, Connection, ConnectionLimits

log = get_logger("filepipe.doorman")

MAX_BODY = 64 * 1024
"""Bytes of a body that the doorman takes or gives."""

PATIENCE = 0.5
"""Seconds for which he waits for the rest of a body, which no reader sees before he has it all."""

FLUSHED = 0.005
"""Seconds between two looks at whether an answer has left."""

LEFT = 499
"""The status in the log of a request whose client left before its answer."""


class Answer:
    """A whole answer, small enough for one write; after the `last` one the connection closes.

    `on_flushed` is told, once, whether all of it has left.
    """

    __slots__ = ("body", "headers", "last", "on_flushed", "status")

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        body: bytes,
        *,
        last: bool = False,
        on_flushed: Callable[[bool], None] | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.last = last
        self.on_flushed = on_flushed

    def render(self, request_id: str, *, close: bool) -> bytes:
        """The bytes for the wire."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += (
            f"Content-Length: {len(self.body)}",
            f"X-Request-Id: {request_id}",
            f"Date: {_date()}",
        )
        if close:
            lines.append("Connection: close")
        return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + self.body


class Carried:
    """A seat that was taken for somebody whom the doorman cannot serve; it goes with him."""

    __slots__ = ("seat",)

    def __init__(self, seat: Seat) -> None:
        self.seat = seat


class Counter(Protocol):
    """What the doorman asks of a front: answers, and a record of what was answered."""

    def put(self, request: PlainRequest) -> Answer | None:
        """Store the body at once; None if that takes more. Raises `FilepipeError`."""

    async def get(self, request: PlainRequest) -> Answer | Carried | None:
        """Wait for the key and answer; not if the body is not small or not whole yet.

        Raises `FilepipeError`.
        """

    async def post(self, request: PlainRequest) -> Answer | None:
        """Wait for who takes the body; None if that is not for here. Raises `FilepipeError`."""

    def refuse(self, error: FilepipeError) -> Answer:
        """The answer to a refusal."""

    def begin(self) -> str:
        """An id for the next request."""

    def record(
        self, request: PlainRequest, request_id: str, remote: str, status: int, size: int,
        started: float,
    ) -> None:  # fmt: skip
        """Write the line in the log; the answer had `size` bytes."""


class Doorman(asyncio.Protocol):
    """One connection, until it is handed over."""

    __slots__ = (
        "_answering", "_broken", "_census", "_counter", "_data", "_hire", "_later", "_limits",
        "_transport", "_unsent", "_waiting", "deadline",
    )  # fmt: skip

    def __init__(
        self,
        counter: Counter,
        hire: Callable[[], Connection],
        limits: ConnectionLimits,
        census: Census,
    ) -> None:
        self._counter = counter
        self._hire = hire
        self._limits = limits
        self._census = census
        self._transport: asyncio.Transport | None = None
        self.deadline: float | None = None
        self._data = b""
        self._later = b""
        self._broken = False
        self._answering: asyncio.Task[None] | None = None
        self._waiting: tuple[PlainRequest, str, float] | None = None
        self._unsent = _UNKNOWN

    # -- asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and start the deadline of its first head."""
        # uvloop's transports are of no class of asyncio
        self._transport = cast(asyncio.Transport, transport)
        self._census.enter(self)
        self._census.supervised.add(self)
        self.deadline = time.monotonic() + self._limits.head_timeout

    def connection_lost(self, exc: BaseException | None) -> None:
        """The peer left: nobody waits any more."""
        self._broken = exc is not None
        self._census.leave(self)
        self._census.supervised.discard(self)
        if self._answering is not None:
            self._answering.cancel()
            self._record(LEFT, 0)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Serve a plain request when it is whole; hand over what is none."""
        if self._answering is not None:
            self._interrupted(data)
            return
        begun = self._data
        self._data = data = begun + data if begun else data
        request = parse_plain(data, MAX_BODY)
        if request is None:
            self._hand_over(data)
        elif request.missing == 0:
            self._serve(request)
        elif request.method == "POST":  # its place in a line counts from its head on
            self._hand_over(data)
        elif not begun:
            self.deadline = time.monotonic() + PATIENCE

    def pause_writing(self) -> None:
        """The peer does not read: no further request is taken from it."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._transport is not None:
            self._transport.resume_reading()

    # -- serving

    def _serve(self, request: PlainRequest) -> None:
        self.deadline = None
        self._waiting = (request, self._counter.begin(), time.perf_counter())
        if request.method != "PUT":
            find = self._counter.get if request.method == "GET" else self._counter.post
            work = self._answer(request, find(request))
            self._answering = asyncio.get_running_loop().create_task(work)
            return
        try:
            answer = self._counter.put(request)
        except Exception as error:  # noqa: BLE001 - `_refuse` tells them apart
            answer = self._refuse(request, error)
        if answer is None:
            self._hand_over(self._data)
        else:
            self._send(request, answer)

    async def _answer(
        self, request: PlainRequest, work: Coroutine[Any, Any, Answer | Carried | None]
    ) -> None:
        try:
            answer = await work
        except Exception as error:  # noqa: BLE001 - `_refuse` tells them apart
            answer = self._refuse(request, error)
        self._answering = None
        if not isinstance(answer, Answer):
            self._hand_over(self._data, answer)
            return
        transport = self._transport
        if transport is None or transport.is_closing():
            if answer.on_flushed is not None:
                answer.on_flushed(False)
            return
        self._send(request, answer)
        if answer.on_flushed is not None:
            answer.on_flushed(await self._flushed(transport))

    async def _flushed(self, transport: asyncio.Transport) -> bool:
        """Whether all that was written has left; the peer has as long as for a next request.

        It may have closed since, which is no failure: its end comes after the bytes have left.
        """
        deadline = time.monotonic() + self._limits.keepalive_timeout
        await asyncio.sleep(0)
        while transport.get_write_buffer_size() and not transport.is_closing():
            if time.monotonic() > deadline:
                transport.abort()
            await asyncio.sleep(FLUSHED)
        if transport.is_closing():
            await asyncio.sleep(0)  # what broke it is told by now
        return transport.get_write_buffer_size() == 0 and not self._broken

    def _interrupted(self, data: bytes) -> None:
        """More came before the answer was found."""
        assert self._answering is not None
        assert self._waiting is not None
        if self._waiting[0].committed:
            self._later += data
            if self._transport is not None:
                self._transport.pause_reading()
            return
        self._answering.cancel()
        self._hand_over(self._data + data)

    def _refuse(self, request: PlainRequest, error: Exception) -> Answer | None:
        """The answer to a refusal; None for a failure, which whoever is handed to tells of."""
        if not isinstance(error, Refused | Unavailable | Broken | NobodyCame):
            if not isinstance(error, FilepipeError):
                log.exception("internal error")
            return None
        answer = self._counter.refuse(error)
        request.close = request.close or answer.last
        return answer

    def _send(self, request: PlainRequest, answer: Answer) -> None:
        transport = self._transport
        assert transport is not None
        assert self._waiting is not None
        transport.write(answer.render(self._waiting[1], close=request.close))
        self._record(answer.status, len(answer.body) if answer.status == 200 else 0)
        self._data = b""
        self._waiting = None
        self._unsent = _UNKNOWN
        self.deadline = time.monotonic() + self._limits.keepalive_timeout
        if request.close:
            transport.close()
        elif self._later:
            later, self._later = self._later, b""
            transport.resume_reading()
            self._hand_over(later)

    def _record(self, status: int, size: int) -> None:
        assert self._transport is not None
        assert self._waiting is not None
        request, request_id, started = self._waiting
        peer = self._transport.get_extra_info("peername")
        remote = peer[0] if isinstance(peer, tuple) else ""
        self._counter.record(request, request_id, remote, status, size, started)

    # -- the end of its part

    def dismiss(self) -> None:
        """The daemon stops; a body that was on its way is sent away, not just dropped."""
        if self._transport is None:
            return
        if self._data and self._answering is None:
            refusal = self._counter.refuse(
                Draining("server is shutting down, not accepting new uploads")
            )
            self._transport.write(refusal.render(self._counter.begin(), close=True))
        self._transport.close()

    def _hand_over(self, data: bytes, carried: Carried | None = None) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            if carried is not None:
                carried.seat.leave()
            return
        self._census.leave(self)
        self._census.supervised.discard(self)
        self._transport = None
        self._data = b""
        connection = self._hire()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if carried is not None:
            connection.carried = carried.seat
        connection.data_received(data)

    def expire(self) -> None:
        """The deadline has passed: a next head, or the body of one, did not come."""
        self.deadline = None
        transport = self._transport
        if self._data:
            # how long a body may take is not the doorman's to say
            self._hand_over(self._data)
        elif transport is None or (unsent := transport.get_write_buffer_size()) == 0:
            self.dismiss()
        elif unsent < self._unsent:  # a peer that reads may be slow
            self._unsent = unsent
            self.deadline = time.monotonic() + self._limits.keepalive_timeout
        else:
            transport.abort()


_UNKNOWN = 1 << 62
_dated = (0, "")


def _date() -> str:
    global _dated  # noqa: PLW0603 - a memory of one second
    now = int(time.time())
    if _dated[0] != now:
        _dated = (now, formatdate(now, usegmt=True))
    return _dated[1]
