"""Content-Range of a PUT: what it may say, and that the body has to agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import BadRequest
from filepipe.protocols.content_range import Piece, parse_content_range

READ = {
    "bytes 0-99/100": Piece(0, 100, 100),
    "Bytes  5-99/100": Piece(5, 100, 100),
    "bytes 5-9/*": Piece(5, 10, None),
    "bytes 0-*/*": Piece(0, None, None),
    "bytes 7-*/*": Piece(7, None, None),
    "bytes 0--1/0": Piece(0, 0, 0),
}

LAST = {"bytes 0-99/100", "Bytes  5-99/100", "bytes 0-*/*", "bytes 7-*/*", "bytes 0--1/0"}


@pytest.mark.parametrize("text", READ)
def test_what_is_read(text: str) -> None:
    """The forms of the RFC and of curl, and ours for an unknown end."""
    piece = parse_content_range(text, None)
    assert piece == READ[text]
    assert piece.last == (text in LAST)


@pytest.mark.parametrize(
    "text",
    [
        "", "bytes", "0-99/100", "bytes 0-99", "bytes=0-99/100", "bytes -5/100", "bytes 5-/100",
        "bytes 0-+9/100", "bytes 0-9/1_0", "items 0-9/10", "bytes 0-9/10, bytes 0-9/10",
        "bytes 0--2/-1", "bytes 0--1/1", "bytes \u0661-9/10", "bytes 0-99999999999999999999/*",
    ],
)  # fmt: skip
def test_what_cannot_be_read(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(BadRequest, match="is not like"):
        parse_content_range(text, None)


@pytest.mark.parametrize(
    ("text", "length", "sentence"),
    [
        ("bytes 5-3/10", None, "ends before"),
        ("bytes 0-10/10", None, "behind its length"),
        ("bytes 0-*/10", None, "no last byte"),
        ("bytes 0-9/10", 9, "has 10 bytes, and the body 9"),
        ("bytes 5-9/10", 10, "has 5 bytes, and the body 10"),
        ("bytes 0--1/0", 1, "has 0 bytes, and the body 1"),
    ],
)
def test_what_contradicts_itself(text: str, length: int | None, sentence: str) -> None:
    """Neither in the header nor with the body."""
    with pytest.raises(BadRequest, match=sentence):
        parse_content_range(text, length)


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.integers(0, 10**12))
def test_whatever_is_written(start: int, size: int, rest: int) -> None:
    """Every piece of every whole can be said."""
    total = start + size + rest
    piece = parse_content_range(f"bytes {start}-{start + size - 1}/{total}", size)
    assert piece == Piece(start, start + size, total)
    assert piece.last == (rest == 0)
