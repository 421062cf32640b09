"""Events of a log that is silent, in this process, where 15 seconds need not take as long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from filepipe.app import make_app
from filepipe.config import Listen, Settings
from filepipe.credentials import Credentials

APPEND = "POST /log?append HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize("target", ["/log?follow", "/streams/log?offset=-1&live=sse"])
async def test_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    """Comments tell those between that somebody is there; then it goes on."""
    for module in ("events", "stream_events"):
        monkeypatch.setattr(f"filepipe.web.{module}.SILENCE", 0.01)
    settings = Settings(data_dir=str(tmp_path))
    async with make_app(settings, Credentials(b"k" * 32, b"s" * 32, b"w" * 32, {})) as app:
        server, factory = app.server(Listen.parse("127.0.0.1:0", "auto"), loopback_only=True)
        acceptor = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
        address = acceptor.sockets[0].getsockname()

        async def ask(text: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(text.encode())
            return reader, writer

        first = await ask(f"{APPEND}Content-Length: 3\r\n\r\none")
        await first[0].readuntil(b"3\n")
        events = await ask(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        )
        await events[0].readuntil(b"one\n")
        for _ in range(2):
            await events[0].readuntil(b"\n: still there\n\n")
        second = await ask(f"{APPEND}Content-Length: 3\r\n\r\ntwo")
        await events[0].readuntil(b"two\n")
        for _, writer in (first, second, events):
            writer.close()
            await writer.wait_closed()
        acceptor.close()
        await server.shutdown(1)
