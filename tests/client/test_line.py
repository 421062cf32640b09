"""The line to a server: what of an answer is read, and when it counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from filepipe.client import Interrupted, Refused, Unreachable
from filepipe.client.line import Line
from filepipe.client.source import open_body
from filepipe.client.upload import Upload
from tests.client.raw_server import raw_server


@asynccontextmanager
async def _line_to(answer: bytes, *, hold: bool = False) -> AsyncIterator[tuple[Line, URL]]:
    """A line to a server that answers always the same, and may then wait for us to leave."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if hold:
            await reader.read()

    async with raw_server(serve) as url:
        line = Line(10, None)
        line.open()
        try:
            yield line, URL(url) / "a"
        finally:
            await line.close()


async def _upload(line: Line, url: URL) -> str:
    async with open_body(b"body") as body:
        return await line.upload("PUT", url, Upload(body, None), headers={}, expect=False)


async def test_upload_returns_the_whole_answer() -> None:
    """Also when it comes in several chunks."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    async with _line_to(chunked) as (line, url):
        assert await _upload(line, url) == "abc"


async def test_upload_keeps_the_beginning_of_a_long_answer() -> None:
    """A server cannot fill our memory with its answer."""
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    async with _line_to(long) as (line, url):
        assert len(await _upload(line, url)) == 8192


async def test_upload_with_a_status_that_is_not_meant() -> None:
    """201 is none of the answers to what was asked here."""
    async with _line_to(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n") as (line, url):
        with pytest.raises(Refused, match=r"^created \(201\)$"):
            await _upload(line, url)


async def test_refusal_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came of a sentence is shown when the rest is late."""
    monkeypatch.setattr("filepipe.client.line._SENTENCE_SECONDS", 0.05)
    late = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nnot you\n"
    async with _line_to(late, hold=True) as (line, url):
        with pytest.raises(Refused, match=r"^not you \(403\)$"):
            async with line.get(url):
                pass


async def test_broken_before_an_answer() -> None:
    """Who only asked hears that nobody answers; who gave a body, how far it went."""
    async with _line_to(b"") as (line, url):
        with pytest.raises(Unreachable, match="gave no answer"):
            await line.delete(url)
        with pytest.raises(Interrupted, match="the connection broke after 4 bytes"):
            await _upload(line, url)


async def test_close_waits_for_nobody() -> None:
    """What a peer does not take is dropped: nothing of the line stays open behind it."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        await stuck.wait()
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n")
        await writer.drain()
        await left.wait()

    stuck, left = asyncio.Event(), asyncio.Event()
    line = Line(10, None)
    line.open()
    async with raw_server(refuse) as url, open_body(bytes(64 * 2**20)) as body:
        upload = asyncio.create_task(
            line.upload("PUT", URL(url), Upload(body, None), headers={}, expect=False)
        )
        while not any(each.get_write_buffer_size() for each in line._transports):
            await asyncio.sleep(0.01)
        (transport,) = line._transports
        stuck.set()
        with pytest.raises(Refused, match="no!"):
            await upload
        await line.close()
        assert (transport.is_closing(), transport.get_write_buffer_size()) == (True, 0)
        left.set()


async def test_not_open() -> None:
    """A line that was closed, or never opened, is of no use."""
    line = Line(10, None)
    await line.close()
    with pytest.raises(RuntimeError, match="async context manager"):
        await line.head(URL("http://h/"))
