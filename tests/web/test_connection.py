"""A connection: what breaks a body's framing reaches its handler, however early it comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from filepipe.web.connection import Census, Connection, ConnectionLimits

HEAD = b"PUT /key HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = b"5\nhello\n0\n\n"


@pytest.mark.parametrize("turns", [0, 1, 2, 5], ids="{} turns of the loop later".format)
async def test_a_broken_chunk(turns: int) -> None:
    """Before the handler has begun, as well as afterwards, it ends the body."""
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.begin_request(request)
        try:
            await request.content.readany()
        except web.RequestPayloadError as error:
            outcome.set_result(str(error))
        return web.Response()

    made: list[Connection] = []
    server = web.Server(handle)
    options: dict[str, Any] = {"loop": asyncio.get_running_loop(), "access_log": None}

    def accept() -> asyncio.Protocol:
        made.append(Connection(server, ConnectionLimits(10, 10, 10), Census(), **options))
        return made[0]

    listener = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    while not made:
        await asyncio.sleep(0)
    made[0].data_received(HEAD)
    for _ in range(turns):
        await asyncio.sleep(0)
    made[0].data_received(BROKEN)
    assert await asyncio.wait_for(outcome, 10) == "the framing is broken"
    writer.close()
    listener.close()
    await server.shutdown(1)
