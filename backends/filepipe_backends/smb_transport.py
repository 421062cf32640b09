"""The connection to an SMB server, with a limit on every wait.

It stands in for the one of smbprotocol, which waits for ever where a server has stopped reading,
and cannot wait at all once the process has more than 1024 descriptors (`select`).
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

CONNECT = 10.0
"""Seconds to connect."""

SILENCE = 20.0
"""Seconds to send one message, and seconds of silence after which the server is asked for an echo;
when the echo is not there after as many again, the connection is given up."""


_HEAD = 4


class Transport:
    """Messages over TCP, each behind its length. One thread receives; any may send."""

    def __init__(self, host: str, port: int) -> None:
        self.connected = False
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._sending = threading.Lock()

    def connect(self) -> None:
        """Raises OSError."""
        self._socket = socket.create_connection(self._address, timeout=CONNECT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(SILENCE)
        self.connected = True

    def send(self, message: Any) -> None:
        """Send a message whole, bytes or what packs into them.

        Raises OSError, and then nothing more can be sent.
        """
        if self._socket is None:
            raise ConnectionError("not connected")
        packed: bytes = message if isinstance(message, bytes) else message.pack()
        with self._sending:
            try:
                self._socket.sendall(len(packed).to_bytes(_HEAD, "big") + packed)
            except OSError:
                self.close()  # a part of it may have gone
                raise

    def recv(self, timeout: float) -> bytes:
        """Receive a message; b"" at the end. Raises `TimeoutError` where none began in time."""
        del timeout  # it is the socket's
        head = self._receive(_HEAD, first=True)
        if not head:
            return b""
        if head[0]:
            raise ConnectionError("the server does not speak SMB")
        return self._receive(int.from_bytes(head, "big"))

    def _receive(self, size: int, *, first: bool = False) -> bytes:
        if self._socket is None:
            return b""
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            try:
                got = self._socket.recv_into(view)
            except ConnectionError:
                got = 0
            except TimeoutError as error:
                if first and len(view) == size:
                    raise
                raise ConnectionError("the server fell silent within a message") from error
            if not got:
                self.close()
                return b""
            view = view[got:]
        return bytes(buffer)

    def close(self) -> None:
        """End it, whoever is sending or receiving. May be called again."""
        self.connected = False
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Give the descriptor back, once nobody receives any more."""
        self.close()
        with self._sending:
            if self._socket is not None:
                self._socket.close()
