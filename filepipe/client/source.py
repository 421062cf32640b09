"""What is uploaded: bytes, a file, an open stream or an iterable, as one body of known kind."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final

from filepipe.client.blocking import BlockingThread
from filepipe.client.errors import SourceChanged

Source = bytes | Path | BinaryIO | AsyncIterable[bytes]

# Large enough that the hop to the thread costs little beside the bytes (about 50 microseconds
# beside 200), small enough that progress moves on a slow line.
CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes to send and how many they are, None if only the end will tell.

    `again` reads them anew from an offset; None for what cannot be read twice.
    """

    chunks: AsyncIterable[bytes]
    length: int | None
    again: Callable[[int], AsyncIterator[bytes]] | None = None


@asynccontextmanager
async def open_body(source: Source, length: int | None = None) -> AsyncIterator[Body]:
    """Find out how many bytes there are (`length` beats what a stream says), and lend them out.

    Iterating raises `SourceChanged` when there are fewer; of a file that grows meanwhile, only
    the bytes of the beginning are sent.
    """
    if isinstance(source, bytes):
        known = len(source) if length is None else length

        def sliced(offset: int) -> AsyncIterator[bytes]:
            return _exactly(_slices(source, offset), known - offset)

        yield Body(sliced(0), known, sliced)
        return
    if isinstance(source, AsyncIterable):
        yield Body(source if length is None else _exactly(source, length), length)
        return
    with BlockingThread() as thread:
        if not isinstance(source, Path):
            yield await _stream_body(source, length, thread)
            return
        stream = await thread.call(_open, source)
        try:
            yield await _stream_body(stream, length, thread)
        finally:
            stream.close()


def _open(path: Path) -> IO[bytes]:
    return path.open("rb", buffering=0)


async def _stream_body(stream: IO[bytes], length: int | None, thread: BlockingThread) -> Body:
    known = await thread.call(_remaining, stream) if length is None else length
    chunks = _read(stream, known, thread)
    if known is None:
        return Body(chunks, None)
    if known > 0 or length == 0:
        return Body(_exactly(chunks, known), known, await _rewinder(stream, known, thread))
    # Files of /proc and the like claim 0 bytes and have some.
    chunks = _read(stream, None, thread)
    first = await anext(chunks, b"")
    return Body(_joined(first, chunks), None if first else 0)


async def _rewinder(
    stream: IO[bytes], known: int, thread: BlockingThread
) -> Callable[[int], AsyncIterator[bytes]] | None:
    if await thread.call(_remaining, stream) is None:
        return None
    start = await thread.call(stream.tell)

    async def again(offset: int) -> AsyncIterator[bytes]:
        await thread.call(stream.seek, start + offset)
        chunks = _read(stream, known - offset, thread)
        async for chunk in _exactly(chunks, known - offset):
            yield chunk

    return again


def _remaining(stream: IO[bytes]) -> int | None:
    if isinstance(stream, io.BytesIO):
        return max(0, stream.getbuffer().nbytes - stream.tell())
    try:
        facts = os.fstat(stream.fileno())
        return max(0, facts.st_size - stream.tell()) if stat.S_ISREG(facts.st_mode) else None
    except (OSError, AttributeError):
        return None


async def _slices(data: bytes, offset: int) -> AsyncIterator[bytes]:
    for start in range(offset, len(data), CHUNK):
        yield data[start : start + CHUNK]


async def _joined(first: bytes, rest: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for chunk in rest:
        yield chunk


async def _read(
    stream: IO[bytes], limit: int | None, thread: BlockingThread
) -> AsyncIterator[bytes]:
    # `read` of a buffered pipe would wait until the chunk is full; a live pipe must not.
    read = getattr(stream, "read1", stream.read)
    left = limit
    while chunk := await thread.call(read, CHUNK if left is None else min(CHUNK, left)):
        yield chunk
        if left is not None:
            left -= len(chunk)


async def _exactly(chunks: AsyncIterable[bytes], length: int) -> AsyncIterator[bytes]:
    count = 0
    async for chunk in chunks:
        count += len(chunk)
        if count > length:
            break
        yield chunk
    if count != length:
        what = "more than" if count > length else f"{count} of"
        raise SourceChanged(f"the source has {what} the {length} bytes that were announced")
