"""The clients of the original, as they are on the wire: what they send, and what they overlook.

They were written in Go in 2013. What counts is in their library: its handshake has X-Verb and
nothing else that is not needed; the appender never reads; the follower gives away, of each message,
what one read of its buffer has, and drops the rest.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
import socket
import struct
from typing import Self

from tests.conftest import Daemon
from tests.scenarios.httpfstream.wire import TEXT, masked

COPIED = 32 * 1024
"""Bytes of a message, where the source is copied piece by piece."""

BUFFER = 10 * 1024
"""Bytes that a follower reads at once."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    """An answer that is neither the WebSocket nor, for a follower, a body."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


class _Line:
    """A connection on which a handshake was sent; `status`, and the header of the answer."""

    def __init__(self, daemon: Daemon, path: str, verb: str, listener: int) -> None:
        key = base64.b64encode(os.urandom(16))
        host = daemon.addresses[listener]
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n"
            f"X-Verb: {verb}\r\n\r\n"
        )
        self.sock = daemon.connect(head.encode(), listener)
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.header = {name.lower(): text for name, _, text in (s.partition(": ") for s in lines)}
        if self.status == 101:
            accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
            assert self.header["sec-websocket-accept"] == accept
            assert self.header["upgrade"].lower() == "websocket"
            assert self.header["connection"].lower() == "upgrade"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def fill(self) -> None:
        """One read of the buffer's free space. Raises `EOFError`."""
        chunk = self.sock.recv(BUFFER - len(self.buffer))
        if not chunk:
            raise EOFError
        self.buffer += chunk


class Appender(_Line):
    """`OpenAppend`: each write is a message; it never reads. Raises `Refused`."""

    def __init__(self, daemon: Daemon, path: str, listener: int = 1) -> None:
        super().__init__(daemon, path, "APPEND", listener)
        if self.status != 101:
            self.sock.close()
            raise Refused(self.status)

    def write(self, data: bytes) -> None:
        """Send a text, whatever the bytes are."""
        self.sock.sendall(masked(TEXT, data))

    def unread(self) -> bytes:
        """What the kernel has for it: with that, its close would be a reset."""
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1000, socket.MSG_PEEK)
        except BlockingIOError:
            return b""
        finally:
            self.sock.settimeout(20)

    def close(self) -> None:
        """End the connection, without a CLOSE."""
        self.sock.close()


def append(daemon: Daemon, path: str, data: bytes, size: int = COPIED) -> None:
    """`Append`: copy a source, and believe that all is well."""
    with Appender(daemon, path) as appender:
        for start in range(0, len(data), size):
            appender.write(data[start : start + size])


class Follower(_Line):
    """`Follow`: a reader of messages, or of the body of a 200. Raises `Refused`."""

    def __init__(self, daemon: Daemon, path: str, listener: int = 1) -> None:
        super().__init__(daemon, path, "FOLLOW", listener)
        self._left = 0
        if self.status not in (101, 200):
            self.sock.close()
            raise Refused(self.status)

    def read(self, most: int = 32 * 1024) -> bytes | None:
        """What one read gives; None at the end.

        It begins with the next message, whatever was left of the one before.
        """
        self._skip(self._left)
        op = TEXT + 1
        while op != TEXT:
            op, size = self._begin()
            if op == 8:
                assert self._take(size)[:2] == struct.pack(">H", 1000), self.buffer
                return None
            if op != TEXT:
                assert op in (9, 10), op  # a binary message is an error
                self._skip(size)
        if size and not self.buffer:
            self.fill()
        data = self.buffer[: min(size, most)]
        self.buffer = self.buffer[len(data) :]
        self._left = size - len(data)
        return data

    def _begin(self) -> tuple[int, int]:
        first, size = self._take(2)
        assert first & 0x80
        if size == 126:
            size = int.from_bytes(self._take(2))
        elif size == 127:
            size = int.from_bytes(self._take(8))
        return first & 0x0F, size

    def _take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self.fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def _skip(self, size: int) -> None:
        while size:
            if not self.buffer:
                self.fill()
            size -= len(self._take(min(size, len(self.buffer))))

    def everything(self) -> bytes:
        """Until the end; of a body every byte, of messages what is not lost."""
        if self.status == 200:
            return self._body()
        found = b""
        while (data := self.read()) is not None:
            found += data
        return found

    def _body(self) -> bytes:
        data = self.buffer
        while chunk := self.sock.recv(BUFFER):
            data += chunk
            if self.header.get("content-length") == str(len(data)) or data.endswith(
                b"\r\n0\r\n\r\n"
            ):
                break
        if "transfer-encoding" not in self.header:
            return data
        whole = b""
        while data:
            size, _, data = data.partition(b"\r\n")
            whole += data[: int(size, 16)]
            data = data[int(size, 16) + 2 :]
        return whole


def look(daemon: Daemon, path: str) -> bytes:
    """A plain GET, as the tests of its library have it."""
    host, _, port = daemon.addresses[1].rpartition(":")
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=20)) as line:
        line.request("GET", path)
        answer = line.getresponse()
        assert answer.status == 200
        return answer.read()
