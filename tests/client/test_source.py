"""What is uploaded, and how many bytes it has."""

import io
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filepipe.client.errors import SourceChanged
from filepipe.client.source import CHUNK, Source, open_body

BIG = bytes(range(256)) * (CHUNK // 128)


async def _all(source: Source, length: int | None = None) -> tuple[int | None, bytes]:
    async with open_body(source, length) as body:
        return body.length, b"".join([chunk async for chunk in body.chunks])


async def _iterable(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("data", [b"", b"x", BIG])
async def test_bytes(data: bytes) -> None:
    """Bytes know their length."""
    assert await _all(data) == (len(data), data)


@pytest.mark.parametrize("data", [b"", b"x", BIG])
async def test_file(tmp_path: Path, data: bytes) -> None:
    """A regular file knows its length."""
    path = tmp_path / "f"
    path.write_bytes(data)
    assert await _all(path) == (len(data), data)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
async def test_file_that_claims_nothing() -> None:
    """A file of /proc has no size and still has bytes."""
    length, data = await _all(Path("/proc/self/status"))
    assert length is None
    assert data.startswith(b"Name:")


async def test_file_that_is_none(tmp_path: Path) -> None:
    """What cannot be opened raises what the system says."""
    with pytest.raises(FileNotFoundError):
        await _all(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        await _all(tmp_path)


async def test_file_is_closed(tmp_path: Path) -> None:
    """A file that we opened is closed, also when its upload stops midway."""
    path = tmp_path / "f"
    path.write_bytes(BIG)
    before = os.listdir("/dev/fd")
    async with open_body(path) as body:
        await anext(aiter(body.chunks))
    assert len(os.listdir("/dev/fd")) == len(before)


async def test_open_file_from_where_it_stands(tmp_path: Path) -> None:
    """The rest of an open file is its body, and the file stays open."""
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    with path.open("rb") as stream:
        stream.seek(7)
        assert await _all(stream) == (3, b"789")
        assert not stream.closed


async def test_memory_stream() -> None:
    """A BytesIO has no descriptor and still knows."""
    assert await _all(io.BytesIO(b"abc")) == (3, b"abc")


async def test_pipe_gives_what_it_has() -> None:
    """A live pipe is not read until a chunk is full."""
    out, into = os.pipe()
    with open(out, "rb") as stream:
        os.write(into, b"first")
        async with open_body(stream) as body:
            chunks = aiter(body.chunks)
            assert body.length is None
            assert await anext(chunks) == b"first"
            os.write(into, b"second")
            assert await anext(chunks) == b"second"
            os.close(into)
            assert await anext(chunks, b"end") == b"end"


async def test_file_that_grows(tmp_path: Path) -> None:
    """Of a file that grows meanwhile the bytes of the beginning are sent."""
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    async with open_body(path) as body:
        with path.open("ab") as stream:
            stream.write(b"more")
        assert b"".join([chunk async for chunk in body.chunks]) == b"abc"


async def test_file_that_shrinks(tmp_path: Path) -> None:
    """A file that lost bytes must not look whole."""
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    async with open_body(path) as body:
        os.truncate(path, 1)
        with pytest.raises(SourceChanged, match="1 of the 3 bytes"):
            [chunk async for chunk in body.chunks]


async def test_iterable() -> None:
    """An iterable has the length that its owner promises, or none."""
    assert await _all(_iterable(b"ab", b"c")) == (None, b"abc")
    assert await _all(_iterable(b"ab", b"c"), 3) == (3, b"abc")


@pytest.mark.parametrize(("length", "what"), [(4, "3 of the 4"), (2, "more than the 2")])
async def test_iterable_that_breaks_its_promise(length: int, what: str) -> None:
    """Neither fewer nor more bytes than promised are sent as if they were right."""
    with pytest.raises(SourceChanged, match=what):
        await _all(_iterable(b"ab", b"c"), length)


async def test_part_of_a_stream() -> None:
    """With a length, a stream gives that many bytes."""
    stream = io.BytesIO(b"abcdef")
    assert await _all(stream, 4) == (4, b"abcd")
    assert stream.read() == b"ef"
