"""With a client of WebSocket that others wrote, and what goes wrong on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus
from websockets.typing import Subprotocol

from tests.conftest import Daemon, eventually, start_curl
from tests.scenarios.httpfstream.wire import ORIGINAL, Wire, ask
from tests.scenarios.logs.asking import begin, finish, say
from tests.scenarios.peers import MIB, body_of, readers, stored

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


async def test_text_that_is_none(shared: Daemon, path: str) -> None:
    """1007 to who was promised text, 1011 to who follows; what came before stays."""
    async with (
        connect(url(shared, f"{path}?verb=APPEND"), subprotocols=ACKS) as appender,
        connect(url(shared, path)) as follower,
    ):
        await appender.send("good")
        assert await appender.recv() == '{"offset":4}'
        await appender.send(b"\xff", text=True)
        for socket, code in ((appender, 1007), (follower, 1011)):
            await asyncio.wait_for(socket.wait_closed(), 20)
            assert socket.close_code == code
    assert ask(shared, path, "X-Verb: FOLLOW").body == b"good"


async def test_memory_that_is_full(start: Start) -> None:
    """1013 to the appender whose message does not fit, and to nobody else."""
    daemon = start("--max-memory", "1M", "--max-message-size", "8M")
    async with connect(url(daemon, "/a?verb=APPEND"), max_size=None) as appender:
        with contextlib.suppress(ConnectionClosed):
            await appender.send(bytes(8 * MIB))
        await asyncio.wait_for(appender.wait_closed(), 20)
        assert appender.close_code == 1013
    async with connect(url(daemon, "/a?verb=APPEND"), subprotocols=ACKS) as appender:
        await appender.send("small")
        assert await appender.recv() == '{"offset":5}'
    daemon.assert_clean_log()


async def test_a_drain(start: Start) -> None:
    """1001 and where to go on, to both sides, at once; a restart goes on there."""
    daemon = start()
    async with (
        connect(url(daemon, "/a?verb=APPEND"), subprotocols=ACKS) as appender,
        connect(url(daemon, "/a")) as follower,
    ):
        assert await follower.recv() == ""
        await appender.send("12345")
        assert await appender.recv() == '{"offset":5}'
        assert await follower.recv() == "12345"
        daemon.process.send_signal(signal.SIGTERM)
        for socket in (appender, follower):
            await asyncio.wait_for(socket.wait_closed(), 20)
            assert (socket.close_code, socket.close_reason) == (1001, '{"offset":5}')
    assert await asyncio.to_thread(daemon.process.wait, 20) == 0
    daemon.assert_clean_log()


async def test_curl_on_the_other_side(shared: Daemon, path: str) -> None:
    """What a WebSocket appends curl follows, and the other way round."""
    async with connect(url(shared, f"{path}?verb=APPEND")) as appender:
        following = start_curl("--no-buffer", shared.url(f"{path}?follow"))
        await asyncio.to_thread(eventually, lambda: readers(shared, path[1:]) == 1)
        await appender.send("by WebSocket")
    out, _ = await asyncio.to_thread(following.communicate, timeout=30)
    assert out == b"by WebSocket"
    session = begin(shared, path)
    say(session, b" and by curl")
    await asyncio.to_thread(eventually, lambda: stored(shared, path[1:]) == 24)
    async with connect(url(shared, f"{path}?offset=12")) as follower:
        assert (await follower.recv(), await follower.recv()) == (" and by curl", "")
        assert (await asyncio.to_thread(finish, session)).end == 24
        with pytest.raises(ConnectionClosedOK):
            await follower.recv()


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
