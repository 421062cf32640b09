"""Copies at the server, also of what is too large for one request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from filepipe_backends.s3_notes import Part

if TYPE_CHECKING:
    from filepipe_backends.s3_drafts import Draft

LARGEST = 5 * 1024**3
"""Bytes that one request copies at most."""

SPAN = 1024**3
"""Bytes of one part of a larger copy."""

AT_ONCE = 8


async def copy(draft: Draft, key: str, size: int, *, free: bool) -> None:
    """Copy the whole of a draft, to where nothing is if `free`; else raises `Taken`."""
    note, bucket = draft.note, draft.room.bucket
    if size <= LARGEST:
        await bucket.copy(note.key, key, note.mark, free=free)
        return
    if note.copying is not None:  # of an earlier try
        await bucket.abort(*note.copying)
    upload = await bucket.begin(key, note.mark)
    note.copying = (key, upload)
    await draft.keep()
    gate = asyncio.Semaphore(AT_ONCE)

    async def span(number: int) -> Part:
        ends = (number * SPAN, min(size, (number + 1) * SPAN))
        async with gate:
            return await bucket.copy_part(note.key, ends, key, upload, number + 1)

    parts = await asyncio.gather(*map(span, range(-(-size // SPAN))))
    await bucket.complete(key, upload, parts, free=free)
    note.copying = None
