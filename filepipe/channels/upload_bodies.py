"""The body of a part on its way: measured, gathered into larger pieces, hashed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator

from filepipe.errors import BadRequest

WRITE_SIZE = 128 * 1024
"""Bytes that are gathered before a thread writes and hashes them."""


async def digest_of(body: AsyncIterable[bytes], size: int) -> str:
    """The SHA-256 of a body that has to have `size` bytes. Raises `BadRequest` if it has not."""
    digest = hashlib.sha256()
    async for piece in gathered(measured(body, size)):
        await asyncio.to_thread(digest.update, piece)
    return digest.hexdigest()


async def measured(body: AsyncIterable[bytes], size: int) -> AsyncIterator[bytes]:
    """The chunks of `body`; raises `BadRequest` as soon as it cannot have `size` bytes."""
    got = 0
    async for chunk in body:
        got += len(chunk)
        if got > size:
            raise BadRequest(f"Part size mismatch: expected {size}, got more")
        yield chunk
    if got < size:
        raise BadRequest(f"Part size mismatch: expected {size}, got {got}")


class Hashed:
    """The pieces of a body; each is hashed while whoever takes them is at it."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._digest = hashlib.sha256()
        self._hashing: asyncio.Future[None] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            await self._settle()
            hashing = asyncio.to_thread(self._digest.update, piece)
            self._hashing = asyncio.ensure_future(hashing)
            yield piece

    async def hexdigest(self) -> str:
        """Of all pieces, also where whoever took them left with the last one in hand."""
        await self._settle()
        return self._digest.hexdigest()

    async def _settle(self) -> None:
        if self._hashing is not None:
            await asyncio.shield(self._hashing)


async def gathered(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of about `WRITE_SIZE`."""
    chunks: list[bytes] = []
    held = 0
    async for chunk in body:
        chunks.append(chunk)
        held += len(chunk)
        if held >= WRITE_SIZE:
            yield b"".join(chunks)
            chunks, held = [], 0
    if held:
        yield b"".join(chunks)
