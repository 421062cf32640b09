"""Content-Range in a request: which bytes of the whole a PUT carries (RFC 9110, 14.4 and 14.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from filepipe.errors import BadRequest

# 19 digits hold every offset of a 64-bit file.
_BYTES = re.compile(r"bytes[ \t]+([0-9]{1,19})-([0-9]{1,19}|\*)/([0-9]{1,19}|\*)", re.IGNORECASE)
_NOTHING = re.compile(r"bytes[ \t]+0--1/0", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes `[start, stop)` of `total`; `stop` and `total` are None where nobody knows them.

    Without a `stop` it reaches to the end.
    """

    start: int
    stop: int | None
    total: int | None

    @property
    def last(self) -> bool:
        """Whether the whole ends with it."""
        return self.stop == self.total


def parse_content_range(text: str, length: int | None) -> Piece:
    """The piece that a body of `length` bytes is (None: nobody knows how many).

    Beyond the RFC, `bytes N-*/*` is a piece that reaches to an end which the sender does not know,
    and `bytes 0--1/0`, as curl writes it, an empty whole. Raises `BadRequest`.
    """
    if _NOTHING.fullmatch(text):
        piece = Piece(0, 0, 0)
    elif found := _BYTES.fullmatch(text):
        stop = None if found[2] == "*" else int(found[2]) + 1
        piece = Piece(int(found[1]), stop, None if found[3] == "*" else int(found[3]))
    else:
        raise BadRequest("Content-Range is not like bytes 0-99/100, or bytes 0-*/*")
    _check(piece, length)
    return piece


def _check(piece: Piece, length: int | None) -> None:
    start, stop, total = piece.start, piece.stop, piece.total
    if stop is None:
        if total is not None:
            raise BadRequest("Content-Range has a length, but no last byte")
        return
    if stop < start or (total is not None and stop > total):
        raise BadRequest("Content-Range ends before its first byte, or behind its length")
    if length is not None and length != stop - start:
        raise BadRequest(f"Content-Range has {stop - start} bytes, and the body {length}")
