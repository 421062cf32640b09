"""Bare answers: the headers that were given, a head that waits for bytes, an end that may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from filepipe.web.bare import BareAnswer, BareResponse

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Raw:
    """What a handler's answer is on the wire, read by read."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    async def reads(self, version: str = "1.1", missing: int = 0) -> list[bytes]:
        """Each read until the server closes; some bytes of the request's body are `missing`."""
        server = web.Server(self.handler, lingering_time=0.1)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            head = f"POST / HTTP/{version}\r\nHost: x\r\nConnection: close\r\n"
            writer.write(f"{head}Content-Length: {missing}\r\n\r\n".encode())
            reads = []
            async with asyncio.timeout(10):
                while data := await reader.read(65536):
                    reads.append(data)
            return reads
        finally:
            writer.close()
            await writer.wait_closed()
            listener.close()
            await server.shutdown()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_the_head_leaves_with_the_first_bytes(version: str) -> None:
    """In one write, though they come later."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = BareResponse(headers={"Server": "x"})
        response.content_length = 5
        await response.prepare(request)
        await asyncio.sleep(0.05)
        await response.write(b"hello")
        return response

    reads = await Raw(handler).reads(version)
    head, _, body = reads[0].partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/{version} 200 OK".encode())
    assert body == b"hello"


@pytest.mark.parametrize("named", [True, False])
async def test_a_type_is_not_made_up(named: bool) -> None:
    """It is there if somebody named it."""
    headers = {"Content-Type": "a/b"} if named else {}

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return BareAnswer(body=b"hello", headers=headers)

    (answer,) = await Raw(handler).reads()
    assert (b"\r\nContent-Type: a/b\r\n" in answer) is named
    assert answer.count(b"Content-Type") == named
    assert answer.endswith(b"\r\n\r\nhello")


async def test_a_cut_answer_has_no_end() -> None:
    """What was written arrives, although the request's body is not read."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = BareResponse()
        await response.prepare(request)
        await response.write(b"hello\n")
        response.cut(request)
        return response

    answer = b"".join(await Raw(handler).reads(missing=5))
    assert answer.endswith(b"\r\n\r\n6\r\nhello\n\r\n")


async def test_an_answer_that_is_not_cut_has_one() -> None:
    """The last chunk."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = BareResponse()
        await response.prepare(request)
        await response.write(b"hello\n")
        return response

    answer = b"".join(await Raw(handler).reads())
    assert answer.endswith(b"6\r\nhello\n\r\n0\r\n\r\n")
