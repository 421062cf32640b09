"""One WebSocket: aiohttp's, with what aiohttp does not look at: masks, whole messages, the ledger.

Rule 1: nothing is answered by 101 that is not checked before.
Rule 2: bytes of a message that is not whole are paid for; over the limit of memory it is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable, Sequence

from aiohttp import WSMsgType, web

from filepipe.accountant import Budget
from filepipe.errors import BadRequest, FilepipeError, OverBudget
from filepipe.protocols.websocket import Meter, check_handshake, check_origin
from filepipe.web.connection import Connection, reset
from filepipe.web.exchange import EXCHANGE

FLUSH = 60.0
"""Seconds that a connection which is closed gets to deliver what is in its write buffer."""

WAITING = 16 * 1024
"""Bytes that wait for a slow client, beside those that its kernel and ours hold."""

PARTING = 2.0
"""Seconds that a peer has for its half of the closing handshake."""

KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6))
"""Seconds after which the kernel asks whether a silent peer is there, and between; how often."""


def check(request: web.BaseRequest, public_url: str | None) -> None:
    """Raise `UpgradeRequired`, `BadRequest` or `Forbidden` for what is no handshake of ours."""
    headers = request.headers
    check_handshake(headers, (request.version.major, request.version.minor))
    check_origin(headers.get("Origin"), headers.get("Host"), public_url)


class WebSocket:
    """A connection after `open`, in the first subprotocol of the client that is `known`.

    Messages of a client may have `most` bytes; `on_fault` is called, once, when it must not go on.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        memory: Budget,
        most: int,
        known: Sequence[str],
        on_fault: Callable[[FilepipeError], None],
    ) -> None:
        self._request = request
        self._memory = memory
        self._on_fault = on_fault
        self._meter = Meter(most)
        self._fault: FilepipeError | None = None
        self._paid = 0
        self._loop = asyncio.get_running_loop()
        self.heard = self._loop.time()
        """When the client last sent anything."""
        self.response = web.WebSocketResponse(
            timeout=PARTING,
            autoclose=False,
            protocols=known,
            compress=False,
            max_msg_size=most + 1,
            decode_text=False,
        )

    @property
    def is_open(self) -> bool:
        """Whether the handshake was answered."""
        return self.response.prepared

    @property
    def subprotocol(self) -> str | None:
        """What is spoken, once it is open."""
        return self.response.ws_protocol

    async def open(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer the handshake. Raises `ConnectionError`."""
        request = self._request
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.sieve = self._pass
        self.response.headers.update({"Server": "filepipe", "X-Request-Id": request[EXCHANGE].id})
        self.response.headers.extend(headers)
        _keep_alive(request.transport)
        await self.response.prepare(request)
        if request.transport is not None:
            request.transport.set_write_buffer_limits(high=WAITING)

    def _pass(self, data: bytes) -> bytes:
        """What the parser is given of what came: nothing after a fault, but it is read."""
        self.heard = self._loop.time()
        if self._fault is not None:
            return b""
        passed = self._meter.feed(data)
        self._fault = self._meter.fault
        try:
            self._pay(0 if self._fault else self._meter.unfinished)
        except OverBudget as error:
            self._fault, passed = error, 0
        if self._fault is not None:
            self._on_fault(self._fault)
        return data[:passed]

    def _pay(self, size: int) -> None:
        if size > self._paid:
            self._memory.take(size - self._paid)
        elif size < self._paid:
            self._memory.give(self._paid - size)
        self._paid = size

    async def receive(self) -> tuple[bytes, bool] | int | None:
        """The next message, and whether it is text; the code of the CLOSE, 0 for none; or None.

        None says that the client left without a CLOSE. Raises `BadRequest` for what is no
        WebSocket; the client has been told then.
        """
        message = await self.response.receive()
        if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
            assert isinstance(message.data, bytes)
            return message.data, message.type is WSMsgType.TEXT
        if message.type is WSMsgType.CLOSE:
            return int(message.data)
        if message.type is WSMsgType.ERROR and not isinstance(message.data, ConnectionError):
            raise BadRequest("what the client sends is no WebSocket")
        return None

    @property
    def was_cut(self) -> bool:
        """Whether the client, who left without a CLOSE, was not between two messages.

        Or was not heard to leave: the network, not a program, ended the connection.
        """
        connection = self._request.protocol
        assert isinstance(connection, Connection)
        left = connection.failure is None or isinstance(connection.failure, ConnectionError)
        return not (left and self._meter.between)

    async def tell(self, text: str) -> None:
        """Send a text. Raises `ConnectionError`."""
        await self.response.send_str(text)

    async def ping(self) -> None:
        """Ask for a sign of life. Raises `ConnectionError`."""
        await self.response.ping()

    async def send(self, frames: bytes) -> None:
        """Send whole frames; waits while nobody takes them. Raises `ConnectionError`."""
        writer = self._request.writer
        await writer.write(frames)
        await writer.drain()  # `write` does that only every now and then

    async def close(self, code: int, reason: str) -> None:
        """End it, and wait a moment for the client's half. Nothing if it is over already."""
        transport = self._request.transport
        with contextlib.suppress(ConnectionError):
            await self.response.close(code=code, message=reason.encode())
        if transport is not None:  # who takes nothing of what is left does not stay for ever
            self._loop.call_later(FLUSH, transport.abort)

    def abort(self) -> None:
        """End it at once, unsaid: the client takes nothing."""
        if self._request.transport is not None:
            reset(self._request.transport)

    def settle(self) -> None:
        """Pay back."""
        self._pay(0)


def _keep_alive(transport: asyncio.Transport | None) -> None:
    """Let the kernel notice a peer that vanished, so that who may be silent for ever may be."""
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
