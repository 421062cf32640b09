"""The steps of the suite for shelves: whole objects brought and read."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import PurePosixPath

from filepipe.storage.interface import Draft, PartDraft, Shelf

MIB = 1024 * 1024

Make = Callable[[], Shelf]
"""Opens the shelf, the same one each time: once more is a restart."""


@asynccontextmanager
async def opened(make: Make) -> AsyncIterator[Shelf]:
    """Open the shelf, and close it at the end."""
    shelf = make()
    try:
        yield shelf
    finally:
        await shelf.aclose()


async def fill(draft: Draft, body: bytes, piece: int = 10_000) -> None:
    """Bring the body piece by piece in random order, many pieces at a time, durably."""
    if isinstance(draft, PartDraft):
        await store_parts(draft, body, max(piece, MIB * 5))
        return
    offsets = list(range(0, len(body), piece))
    random.shuffle(offsets)
    await asyncio.gather(*(draft.write(at, body[at : at + piece]) for at in offsets))
    await draft.sync()


async def store_parts(draft: PartDraft, body: bytes, size: int) -> None:
    """Bring the body as parts of `size` bytes in random order, a few at a time."""
    numbers = list(range(-(-len(body) // size)))
    random.shuffle(numbers)

    async def store_part(number: int) -> None:
        part = body[number * size : (number + 1) * size]
        await draft.store(number, len(part), streamed(part))

    await asyncio.gather(*map(store_part, numbers))


async def bring(draft: Draft, number: int, part: bytes) -> None:
    """Bring one of several parts of the same size, durably."""
    if isinstance(draft, PartDraft):
        await draft.store(number, len(part), streamed(part))
        return
    await draft.write(number * len(part), part)
    await draft.sync()


async def streamed(body: bytes, piece: int = 100_000) -> AsyncIterator[bytes]:
    """Give the body in pieces."""
    for at in range(0, len(body), piece):
        yield body[at : at + piece]


async def store(
    shelf: Shelf, upload_id: str, body: bytes, name: str, *, unique: bool = True
) -> str:
    """Bring an object on the shelf; the path that it got."""
    draft = await shelf.begin(upload_id, len(body))
    await fill(draft, body)
    path = await draft.publish(PurePosixPath(name), unique=unique, size=len(body))
    await draft.discard()
    return path


async def content(shelf: Shelf, path: str) -> bytes:
    """Read an object from its start to its end."""
    kept = await shelf.open(path)
    try:
        body = b""
        while part := await kept.read(len(body), 100_000):
            body += part
        assert kept.size == len(body)
    finally:
        await kept.close()
    return body
