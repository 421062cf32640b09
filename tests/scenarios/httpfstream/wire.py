"""A WebSocket client that says what it is told, and sees every byte."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
from typing import NamedTuple

from tests.conftest import Daemon, read_until
from tests.scenarios.answers import Answer, parse, raw

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
EMPTY_TEXT = b"\x81\x00"
CLOSES = "Connection: close"
ORIGINAL = "X-Verb: {}"
"""What the original's clients add to a handshake; nothing else tells them from others."""


class Frame(NamedTuple):
    """One frame of the daemon, and that it is whole in itself."""

    op: int
    data: bytes
    last: bool = True

    @property
    def code(self) -> int:
        """Of a CLOSE."""
        assert self.op == CLOSE, self
        return int.from_bytes(self.data[:2])

    @property
    def reason(self) -> str:
        """Of a CLOSE."""
        return self.data[2:].decode()


def handshake(*headers: str) -> list[str]:
    """The headers of a good one; those that are given replace them."""
    key = base64.b64encode(os.urandom(16)).decode()
    usual = [
        "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    ]  # fmt: skip
    names = {header.partition(":")[0] for header in headers}
    return [line for line in usual if line.partition(":")[0] not in names] + [
        header for header in headers if header.partition(":")[2]
    ]


def masked(op: int, data: bytes, *, last: bool = True, flags: int = 0) -> bytes:
    """A frame of a client."""
    mask = b"\x00\x00\x00\x00" if len(data) > 1 << 16 else b"\x01\x02\x03\x04"
    if mask != bytes(4):
        data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
    first = (0x80 if last else 0) | flags | op
    if len(data) < 126:
        return bytes((first, 0x80 | len(data))) + mask + data
    if len(data) < 1 << 16:
        return bytes((first, 0xFE)) + len(data).to_bytes(2) + mask + data
    return bytes((first, 0xFF)) + len(data).to_bytes(8) + mask + data


class Wire:
    """A connection whose handshake was accepted."""

    def __init__(self, daemon: Daemon, path: str, *headers: str, listener: int = 0) -> None:
        self.sock = daemon.connect(raw(f"GET {path} HTTP/1.1", *handshake(*headers)), listener)
        self._data = read_until(self.sock, b"\r\n\r\n")
        self.head, _, self._data = self._data.partition(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 101 "), self.head

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def say(self, data: bytes, op: int = TEXT) -> None:
        """Send a message."""
        self.sock.sendall(masked(op, data))

    def close(self, code: int | None = 1000) -> Frame:
        """Send a CLOSE; what answers that."""
        self.say(b"" if code is None else code.to_bytes(2), CLOSE)
        return self.until_close()[-1]

    def reset(self) -> None:
        """Close by a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            chunk = self.sock.recv(65536)
            if not chunk:
                raise EOFError(self._data)
            self._data += chunk
        data, self._data = self._data[:size], self._data[size:]
        return data

    def read(self) -> Frame:
        """The next frame; it must not be masked. Raises `EOFError`."""
        first, second = self._take(2)
        assert not second & 0x80
        size = second
        if second >= 126:
            size = int.from_bytes(self._take(2 if second == 126 else 8))
        return Frame(first & 0x0F, self._take(size), bool(first & 0x80))

    def message(self) -> Frame:
        """The next frame that is no ping."""
        while (frame := self.read()).op == PING:
            pass
        return frame

    def join(self) -> bytes:
        """The history, up to the empty text."""
        history = b""
        while (frame := self.read()).data or frame.op == PING:
            history += frame.data
        assert frame == Frame(TEXT, b"")
        return history

    def to_close(self) -> list[Frame]:
        """Every frame up to the CLOSE, pings left out."""
        frames = [self.message()]
        while frames[-1].op != CLOSE:
            frames.append(self.message())
        return frames

    def until_close(self) -> list[Frame]:
        """The same; it is answered, and then the connection must end."""
        frames = self.to_close()
        with contextlib.suppress(OSError):
            self.say(frames[-1].data[:2], CLOSE)
        with contextlib.suppress(ConnectionError):
            assert self._data + self.sock.recv(1) == b""
        return frames

    def live(self) -> bytes:
        """The bytes up to a CLOSE 1000."""
        *frames, end = self.until_close()
        assert (end.code, end.reason) == (1000, "")
        return b"".join(frame.data for frame in frames)


def ask(daemon: Daemon, path: str, *headers: str, method: str = "GET", listener: int = 0) -> Answer:
    """One request that is answered in the ordinary way; with a handshake that asks no close."""
    close = [] if any(header.startswith("Connection:") for header in headers) else [CLOSES]
    with daemon.connect(raw(f"{method} {path} HTTP/1.1", *headers, *close), listener) as sock:
        data = read_until(sock, b"\r\n\r\n")
        size = parse(data)["Content-Length"]
        end = data.index(b"\r\n\r\n") + 4 + (0 if method == "HEAD" else int(size or 0))
        while len(data) < end:
            chunk = sock.recv(65536)
            assert chunk, data
            data += chunk
        return parse(data)
