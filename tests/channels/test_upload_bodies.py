"""The body of a part: measured, gathered, hashed, however it is cut."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filepipe.channels.upload_bodies import Hashed, digest_of, gathered, measured
from filepipe.errors import BadRequest


async def chunks(pieces: list[bytes]) -> AsyncIterator[bytes]:
    """A body in these pieces."""
    for piece in pieces:
        yield piece


@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(0, 40))
@settings(max_examples=50)
def test_a_body_has_its_size_or_is_refused(pieces: list[bytes], size: int) -> None:
    """However it is cut; of what fits every byte is hashed."""
    whole = b"".join(pieces)

    async def run() -> None:
        if len(whole) == size:
            assert await digest_of(chunks(pieces), size) == hashlib.sha256(whole).hexdigest()
            return
        with pytest.raises(BadRequest, match=f"expected {size}"):
            await digest_of(chunks(pieces), size)

    asyncio.run(run())


@pytest.mark.parametrize("piece", [1, 100_000, 262_144, 300_000])
async def test_pieces_are_gathered(piece: int) -> None:
    """Into fewer ones, with all their bytes in order."""
    body = bytes(range(256)) * 4000
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)] if piece > 1 else [body]
    got = [chunk async for chunk in gathered(measured(chunks(pieces), len(body)))]
    assert b"".join(got) == body
    assert len(got) <= len(pieces)


async def test_who_leaves_with_the_last_piece() -> None:
    """Every piece is in the hash all the same, as of a server that answers at the last byte."""
    pieces = [bytes([number]) * 300_000 for number in range(5)]
    hashed = Hashed(chunks(pieces))
    taking = aiter(hashed)
    for piece in pieces:
        assert await anext(taking) == piece
    assert await hashed.hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()
