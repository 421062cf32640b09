"""With a client of WebSocket that others wrote, and what goes wrong on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus
from websockets.typing import Subprotocol

from tests.conftest import Daemon
from tests.scenarios.httpfstream.wire import ORIGINAL, Wire, ask
from tests.scenarios.peers import MIB, body_of

ACKS = [Subprotocol("filepipe.append")]

Start = Callable[..., Daemon]


def url(daemon: Daemon, path: str) -> str:
    """Where a WebSocket is opened."""
    return daemon.url(path).replace("http", "ws", 1)


async def test_append_and_follow(shared: Daemon, path: str) -> None:
    """Acknowledgements, text and binary, many followers, a clean end for all."""
    async with connect(url(shared, f"{path}?verb=APPEND"), subprotocols=ACKS) as appender:
        assert appender.subprotocol == "filepipe.append"
        followers = [await connect(url(shared, path)) for _ in range(20)]
        assert {await follower.recv() for follower in followers} == {""}
        messages = [f"message {number}" for number in range(200)]
        for message in messages:
            await appender.send(message)
        await appender.send(b"\x00\xff")
        size = len("".join(messages)) + 2
        while json.loads(await appender.recv())["offset"] < size:
            pass
        for follower in followers:
            assert [await follower.recv() for _ in range(201)] == [*messages, b"\x00\xff"]
        await appender.close()
        for follower in followers:
            with pytest.raises(ConnectionClosedOK):
                await follower.recv()
            await follower.wait_closed()


async def test_refusals(shared: Daemon, path: str) -> None:
    """A status before the upgrade; after it a code."""
    async with connect(url(shared, f"{path}?verb=APPEND")) as appender:
        with pytest.raises(InvalidStatus, match="403"):
            await connect(url(shared, f"{path}?verb=APPEND"))
        with contextlib.suppress(ConnectionClosed):
            await appender.send(bytes(2 * MIB))
        await appender.wait_closed()
        assert appender.close_code == 1009
    with pytest.raises(InvalidStatus, match="404"):
        await connect(url(shared, f"{path}-other"))
    async with connect(url(shared, f"{path}?verb=APPEND"), origin=None) as appender:
        await appender.send("after all")
    assert ask(shared, path, "X-Verb: FOLLOW").body == b"after all"


async def test_followers_of_one_that_is_killed(shared: Daemon, path: str) -> None:
    """A client whose program dies is lost; the others hear it."""
    appender = await connect(url(shared, f"{path}?verb=APPEND"), subprotocols=ACKS)
    async with connect(url(shared, path)) as follower:
        assert await follower.recv() == ""
        await appender.send("whole")
        assert await follower.recv() == "whole"
        appender.transport.abort()
        with pytest.raises(ConnectionClosed):
            await follower.recv()
        assert follower.close_code == 1011
    await asyncio.wait_for(appender.wait_closed(), 20)


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """1013 for whoever appends; what is acknowledged stays, and with room it goes on there."""
    (tmp_path / "data").symlink_to(small_disk)
    daemon = Daemon(["--max-disk", "unlimited"], tmp_path)
    body = body_of(MIB // 2)
    try:
        with Wire(daemon, "/log?verb=APPEND", "Sec-WebSocket-Protocol: filepipe.append") as wire:
            with contextlib.suppress(ConnectionError):
                for _ in range(60):
                    wire.say(body, 2)
            *acks, end = wire.to_close()
        assert end.code == 1013
        offset = json.loads(acks[-1].data)["offset"]
        assert offset > 0
        assert offset % len(body) == 0
        found = ask(daemon, "/log", ORIGINAL.format("FOLLOW")).body
        assert found[:offset] == (body * 60)[:offset]
        assert ask(daemon, "/health").status == 200
        daemon.assert_clean_log()
    finally:
        daemon.kill()
