"""One connection: aiohttp's own, with a deadline for its head and a cap on their number.

What the parser refuses is answered by one sentence.

`web.RequestHandler` is aiohttp's public protocol class; only its public callbacks are overridden.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from filepipe.channels.rendezvous import Seat
from filepipe.logs import get_logger

log = get_logger("filepipe.connection")

ConnectionFactory = Callable[[], asyncio.Protocol]


def _canned(status: str, sentence: str, *headers: str) -> bytes:
    """A whole answer for when there is no request to answer."""
    body = sentence + "\n"
    lines = (
        f"HTTP/1.1 {status}",
        "Server: filepipe",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    )
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("ascii")


LATE = _canned("408 Request Timeout", "the request's head did not arrive within its time")
_FULL = _canned(
    "503 Service Unavailable", "too many connections, try again later", "Retry-After: 5"
)

SWEEP = 0.5
"""Seconds between two looks at the deadlines."""

LINGER = 1.0
"""Seconds for which a refused connection is still read, so that no reset eats its answer."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Durations in seconds; `most` connections at the same time over all listeners."""

    head_timeout: float
    keepalive_timeout: float
    most: int


class Connection(web.RequestHandler):
    """A connection whose head has a deadline; `busy` while a request of it is handled."""

    __slots__ = (
        "_census", "_head_timer", "_held", "_limits", "_received", "_request", "busy", "carried",
        "detached", "failure", "sieve",
    )  # fmt: skip

    def __init__(
        self, manager: web.Server, limits: ConnectionLimits, census: Census, **options: Any
    ) -> None:
        super().__init__(manager, **options)
        self._limits = limits
        self._census = census
        self._head_timer: asyncio.TimerHandle | None = None
        self._received = False
        self._held = False
        self._request: web.BaseRequest | None = None
        self.busy = False
        # set once the kernel has taken the socket over: what still arrives here is nobody's
        self.detached = False
        # once it is lost: why, unless the peer closed in the ordinary way
        self.failure: BaseException | None = None
        # what bytes pass through before the parser of a protocol that was upgraded to
        self.sieve: Callable[[bytes], bytes] | None = None
        # a place in a line that the connection had before it was handed over to us
        self.carried: Seat | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and start the deadline."""
        self._census.enter(self)
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it out."""
        self.failure = exc
        self._census.leave(self)
        self._stop_head_timer()
        if (seat := self.take_carried()) is not None:
            seat.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand on to the parser; the first byte of a next head starts its deadline."""
        if self.detached:
            return
        self._received = True
        if not self.busy and self._head_timer is None:
            self._start_head_timer()
        super().data_received(data)
        if self._request is not None:
            self._check_body(self._request)

    def _check_body(self, request: web.BaseRequest) -> None:
        """Nothing can follow a body that is not whole but what the parser says of its framing.

        That aiohttp keeps to itself until the handler has ended.
        """
        if self._messages and not request.content.is_eof():
            request.content.set_exception(web.RequestPayloadError("the framing is broken"))

    def set_parser(self, parser: Any, data_received_cb: Callable[[], None] | None = None) -> None:
        """What is received from here on is another protocol's, behind our sieve."""
        sieved: Any = parser if self.sieve is None else _Sieved(parser, self.sieve)
        super().set_parser(sieved, data_received_cb)

    def take_carried(self) -> Seat | None:
        """The seat that came with the connection, once."""
        seat, self.carried = self.carried, None
        return seat

    def begin_request(self, request: web.BaseRequest) -> None:
        """A whole head was parsed."""
        self._request = request
        self.busy = True
        self._stop_head_timer()
        self._check_body(request)  # the parser may have been faster than the handler

    def end_request(self) -> None:
        """The answer is out."""
        self._request = None
        self.busy = False
        self._received = False

    def hold(self) -> None:
        """Read nothing more, so that the peer may close its side and the handler goes on."""
        self._held = True
        self._pause()

    def release(self) -> None:
        """Read again."""
        self._held = False
        self.resume_reading(resume_parser=False)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """As aiohttp does whenever a buffer of its own is empty, but for a connection on hold."""
        super().resume_reading(resume_parser)
        if self._held:
            self._pause()

    def _pause(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def _start_head_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(self._limits.head_timeout, self._late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _late(self) -> None:
        self._head_timer = None
        if self.busy or self.transport is None:
            return
        if self._received:
            self.transport.write(LATE)
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What the parser refused: one sentence, one line in the log, never an echo."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        log.warning("bad request", remote=str(request.remote), reason=type(exc).__name__)
        status, sentence = _refusal(status, exc)
        response = web.Response(status=status, text=sentence + "\n", headers={"Server": "filepipe"})
        response.force_close()
        return response


class _Sieved:
    """A parser that gets what a sieve lets through."""

    def __init__(self, parser: Any, sieve: Callable[[bytes], bytes]) -> None:
        self._parser = parser
        self._sieve = sieve

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Whether the parser wants no more, and what it did not take."""
        if not (passed := self._sieve(data)):
            return False, b""
        fed: tuple[bool, bytes] = self._parser.feed_data(passed)
        return fed

    def feed_eof(self) -> None:
        """Nothing more comes."""
        self._parser.feed_eof()


def _refusal(status: int, exc: BaseException | None) -> tuple[int, str]:
    if isinstance(exc, LineTooLong):
        return 431, "the request line or a header is too long"
    if status == 400:
        return 400, "this is no valid HTTP request"
    return status, "the server failed"


class Supervised(Protocol):
    """A connection whose deadline, a moment of `time.monotonic`, the census looks at."""

    deadline: float | None

    def expire(self) -> None:
        """The deadline has passed."""

    def dismiss(self) -> None:
        """Close: the daemon stops."""


class Census:
    """The connections that are open, over all listeners."""

    def __init__(self) -> None:
        self.open: set[asyncio.Protocol] = set()
        self.supervised: set[Supervised] = set()
        self.refused = 0
        self.lingering = 0

    def enter(self, connection: asyncio.Protocol) -> None:
        """One more."""
        self.open.add(connection)

    def leave(self, connection: asyncio.Protocol) -> None:
        """One less."""
        self.open.discard(connection)

    async def supervise(self) -> None:
        """Look at the deadlines until cancelled.

        A timer for each connection would cost more than many a request.
        """
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for connection in list(self.supervised):
                if connection.deadline is not None and connection.deadline <= now:
                    connection.expire()

    def dismiss(self) -> None:
        """Close the supervised; aiohttp closes its own."""
        for connection in list(self.supervised):
            connection.dismiss()


MOST_LINGERING = 128
"""Connections beyond the cap that may linger; those after them are closed at once."""


class Full(asyncio.Protocol):
    """A connection beyond the cap: a 503, then the end."""

    def __init__(self, census: Census) -> None:
        self._census = census
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer without waiting for the head."""
        # uvloop's transports are of no class of asyncio
        transport = cast(asyncio.Transport, transport)
        self._census.refused += 1
        self._census.lingering += 1
        transport.write(_FULL)
        if self._census.lingering > MOST_LINGERING or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(LINGER, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it out."""
        self._census.lingering -= 1
        if self._timer is not None:
            self._timer.cancel()


def aiohttp_factory(
    server: web.Server, limits: ConnectionLimits, census: Census, **options: Any
) -> Callable[[], Connection]:
    """Makes the connections of one listener that aiohttp serves."""
    loop = asyncio.get_running_loop()
    return lambda: Connection(server, limits, census, loop=loop, **options)


def capped(
    factory: ConnectionFactory, limits: ConnectionLimits, census: Census
) -> ConnectionFactory:
    """What `loop.create_server` calls for each accepted connection."""

    def accept() -> asyncio.Protocol:
        if len(census.open) >= limits.most:
            log.warning("too many connections", most=limits.most)
            return Full(census)
        return factory()

    return accept


def reset(transport: asyncio.Transport) -> None:
    """Cut the connection by a TCP reset.

    The only way to tell a reader whose body ends with the connection that it is not whole;
    `abort` alone may send a plain FIN.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
