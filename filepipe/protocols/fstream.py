"""httpfstream: what a request wants, and bytes as messages. No sockets.

Rule 1: a message that is sent is one frame, so that even a client that loses what it does not read
        at once loses little.
Rule 2: text is UTF-8, and no character is divided; what is not is sent as binary.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from filepipe.errors import (
    BadRequest,
    Broken,
    Draining,
    FilepipeError,
    TooLarge,
    Unavailable,
    Unprocessable,
)
from filepipe.protocols.websocket import MOST_OF_A_REASON, Code, Op, frame, head

APPEND: Final = "APPEND"
ACKNOWLEDGED: Final = "filepipe.append"
"""The subprotocol of an appender that is told how far its bytes are safe."""
BINARY: Final = "filepipe.binary"
"""The subprotocol of a follower that takes every message as binary."""

METHOD_REFUSED: Final = "method not supported"
NOT_THERE: Final = "404 page not found"
SECOND_WRITER: Final = "addWriter: path already has an active writer"

SMALL: Final = 4096
"""Bytes of a message to a client that names no subprotocol: its library may lose longer ones."""
LARGE: Final = 16 * 1024
"""Bytes of a message to others."""

MOST_OF_A_CHARACTER: Final = 4

_MODERN: Final = ("Origin", "User-Agent", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions")


def wants_append(verb: str | None, arguments: Mapping[str, str]) -> bool:
    """Whether a request appends: by its header X-Verb, else by the query; all others follow."""
    return (verb or arguments.get("verb")) == APPEND


def is_original(headers: Mapping[str, str]) -> bool:
    """Whether a handshake is one of the library that httpfstream's own clients use.

    It sends X-Verb and nothing that other clients send. It knows no binary message, and an appender
    of it reads nothing.
    """
    return "X-Verb" in headers and not any(name in headers for name in _MODERN)


def wants_binary(arguments: Mapping[str, str]) -> bool:
    """Whether a follower takes every message as binary, by its query. Raises `BadRequest`."""
    if arguments.get("binary"):
        raise BadRequest("binary takes no value")
    return "binary" in arguments


def wants_body(arguments: Mapping[str, str]) -> bool:
    """Whether a follower is to be answered with a live body. Raises `BadRequest`."""
    if arguments.get("live"):
        raise BadRequest("live takes no value")
    return "live" in arguments


def acknowledgement(offset: int) -> str:
    """What an appender is told: everything before the offset is safe."""
    return json.dumps({"offset": offset}, separators=(",", ":"))


def farewell(failure: FilepipeError | None, offset: int) -> tuple[Code, str]:
    """Code and reason of the CLOSE; `offset` is how far the peer has come."""
    if failure is None:
        return Code.OK, ""
    if isinstance(failure, Draining) or isinstance(failure.__cause__, Draining):
        return Code.GOING_AWAY, acknowledgement(offset)
    codes: tuple[tuple[type[FilepipeError], Code], ...] = (
        (Unavailable, Code.TRY_AGAIN_LATER),
        (TooLarge, Code.TOO_LARGE),
        (Unprocessable, Code.BAD_TEXT),
        (BadRequest, Code.PROTOCOL_ERROR),
        (Broken, Code.FAILED),
    )
    found = (code for kind, code in codes if isinstance(failure, kind))
    return next(found, Code.FAILED), str(failure)[:MOST_OF_A_REASON]


class Messages:
    """Turns bytes into frames of at most `limit` bytes; `op` None is text where it is UTF-8."""

    def __init__(self, limit: int, op: Op | None) -> None:
        self._limit = limit
        self._op = op
        self._held = b""
        self.form = limit, op
        """What is equal where the same bytes become the same frames."""

    @property
    def holds(self) -> bool:
        """Whether the beginning of a character waits for its end."""
        return bool(self._held)

    def of_records(self, records: Sequence[bytes], *, whole: bool) -> tuple[bytes, int]:
        """The frames of messages, and how many bytes they have, whatever is held meanwhile.

        Unless `whole`, the last one is a part, and a character that is open at its end is left.
        """
        size = sum(map(len, records))
        if not whole and self._op is None and size > MOST_OF_A_CHARACTER:
            open_bytes = _open_character(records[-1])
            size -= open_bytes
            records = [*records[:-1], records[-1][: len(records[-1]) - open_bytes]]
        others = Messages(self._limit, self._op)
        return b"".join(others.joined(record, last=True) for record in records), size

    def joined(self, data: bytes, *, last: bool) -> bytes:
        """What `frames` gives, in a row."""
        op = self._op
        if op is None and not self._held and data.isascii():
            op = Op.TEXT
        if op is None or len(data) <= self._limit:
            return b"".join(self.frames(data, last=last))
        limit, size = self._limit, len(data)
        parts = [head(op, limit), b""] * (size // limit)  # of most, nothing differs but the bytes
        parts[1::2] = [data[start : start + limit] for start in range(0, size - limit + 1, limit)]
        if rest := size % limit:
            parts += head(op, rest), data[-rest:]
        return b"".join(parts)

    def frames(self, data: bytes, *, last: bool) -> Iterator[bytes]:
        """The frames of `data`; unless it is the `last` of a message, an open character waits."""
        data = self._held + data
        end = len(data) if last or self._op is not None else len(data) - _open_character(data)
        self._held = data[end:]
        position = 0
        while position < end:
            stop = min(position + self._limit, end)
            if stop < end and self._op is None:
                stop -= _open_character(data[position:stop])
            piece = data[position:stop]
            yield frame(self._op or _op_of(piece), piece)
            position = stop


def _op_of(data: bytes) -> Op:
    try:
        data.decode()
    except UnicodeDecodeError:
        return Op.BINARY
    return Op.TEXT


def _open_character(data: bytes) -> int:
    """How many bytes at the end begin a character that goes on behind them."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            needed = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if needed > back else 0
    return 0
