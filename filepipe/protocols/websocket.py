"""WebSocket (RFC 6455): the handshake, where frames begin and end, frames to send. No sockets.

aiohttp reads the messages; what it does not tell is told here: whether a connection ended between
two messages, whether frames are masked, and how much of an unfinished message it holds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from enum import IntEnum
from typing import Final
from urllib.parse import urlsplit

from filepipe.errors import BadRequest, FilepipeError, Forbidden, TooLarge, UpgradeRequired

VERSION: Final = "13"
MOST_OF_A_REASON: Final = 123
"""Bytes of the text in a CLOSE."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Op(IntEnum):
    """What a frame is."""

    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class Code(IntEnum):
    """Why a connection is closed (RFC 6455, 7.4.1, and its registry)."""

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    BAD_TEXT = 1007
    TOO_LARGE = 1009
    FAILED = 1011
    TRY_AGAIN_LATER = 1013


def wants_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether a request asks for WebSocket, well or badly."""
    return headers.get("Upgrade", "").strip().lower() == "websocket"


def check_handshake(headers: Mapping[str, str], version: tuple[int, int]) -> None:
    """Raise `UpgradeRequired` for no handshake or another version, `BadRequest` for a bad one."""
    if not wants_upgrade(headers):
        raise UpgradeRequired("appending needs a WebSocket handshake, or PUT with ?append")
    if headers.get("Sec-WebSocket-Version", "").strip() != VERSION:
        raise UpgradeRequired(f"the version of WebSocket that is spoken here is {VERSION}")
    if version < (1, 1):
        raise BadRequest("a WebSocket handshake needs HTTP/1.1")
    connection = headers.get("Connection", "").lower().split(",")
    if "upgrade" not in (token.strip() for token in connection):
        raise BadRequest("the handshake's Connection header does not say Upgrade")
    if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
        raise BadRequest("a WebSocket handshake has no body")
    try:
        key = base64.b64decode(headers.get("Sec-WebSocket-Key", ""), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        raise BadRequest("Sec-WebSocket-Key is not 16 bytes in base64")


def check_origin(origin: str | None, host: str | None, public_url: str | None) -> None:
    """Raise `Forbidden` where a page of another site asks.

    A browser always says whose page it is; other programs say nothing.
    """
    if origin is None:
        return
    try:
        asking = urlsplit(origin)
    except ValueError:
        asking = urlsplit("")
    ours = {_site(asking.scheme, host or "")}
    if public_url is not None:
        ours.add(_site(asking.scheme, urlsplit(public_url).netloc))
    if asking.scheme not in _DEFAULT_PORTS or _site(asking.scheme, asking.netloc) not in ours:
        raise Forbidden("a page of another site may not open a WebSocket here")


def _site(scheme: str, netloc: str) -> str:
    return netloc.lower().removesuffix(f":{_DEFAULT_PORTS.get(scheme)}")


def head(op: Op, size: int) -> bytes:
    """What stands before the `size` bytes of a message in one frame, as a server sends it."""
    if size < 126:
        return bytes((0x80 | op, size))
    if size < 1 << 16:
        return bytes((0x80 | op, 126)) + size.to_bytes(2)
    return bytes((0x80 | op, 127)) + size.to_bytes(8)


def frame(op: Op, data: bytes) -> bytes:
    """A whole message in one frame."""
    return head(op, len(data)) + data


class Meter:
    """Follows the frames of a client, whose messages may have `most` bytes, as they arrive."""

    __slots__ = ("_head", "_left", "_most", "_payload", "fault", "open", "unfinished")

    def __init__(self, most: int) -> None:
        self._most = most
        self._head = b""
        self._left = 0
        """Bytes that the frame under way still has."""
        self._payload = False
        """Whether they are a message's."""
        self.open = False
        """Whether a message has begun whose last frame has not."""
        self.unfinished = 0
        """Bytes that have come of a message that is not whole."""
        self.fault: FilepipeError | None = None
        """What is wrong with a frame: `BadRequest` or `TooLarge`. Nothing behind is looked at."""

    @property
    def between(self) -> bool:
        """Whether every frame and every message that began is whole."""
        return not (self._head or self._left or self.open or self.fault)

    def feed(self, data: bytes) -> int:
        """Look at what came; how many bytes of it, from the first one on, stand before a fault."""
        position, size = 0, len(data)
        while position < size:
            if self._left:
                step = min(self._left, size - position)
                position += step
                self._pass(step)
                continue
            begin = position
            position = self._read_head(data, position)
            if self.fault is not None:
                return begin
        return size

    def _pass(self, step: int) -> None:
        self._left -= step
        if self._payload:
            self.unfinished += step
            if not self._left and not self.open:
                self.unfinished = 0

    def _read_head(self, data: bytes, position: int) -> int:
        begun = self._head or data[position : position + 2]
        missing = _head_size(begun) - len(self._head)
        self._head += data[position : position + missing]
        position += missing
        if len(self._head) >= 2 and not self._head[1] & 0x80:
            self.fault = BadRequest("a client's frames have to be masked")
        elif len(self._head) == _head_size(self._head):
            self._begin()
        return position

    def _begin(self) -> None:
        head, self._head = self._head, b""
        length = head[1] & 0x7F
        self._left = length if length < 126 else int.from_bytes(head[2:-4])
        self._payload = not head[0] & 0x08  # control frames may stand between the frames of one
        if not self._payload:
            return
        if self.unfinished + self._left > self._most:
            self.fault = TooLarge(f"the message exceeds the limit of {self._most} bytes")
        self.open = not head[0] & 0x80
        if not self._left and not self.open:
            self.unfinished = 0


def _head_size(head: bytes) -> int:
    """Bytes of a masked frame's head, as far as its own first bytes tell."""
    if len(head) < 2:
        return 2
    return 6 + {126: 2, 127: 8}.get(head[1] & 0x7F, 0)
