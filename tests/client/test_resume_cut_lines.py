"""Downloads over a line that is cut, also without a word."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filepipe.client import Client
from tests.client.cut_proxy import CutProxy, How
from tests.conftest import Daemon
from tests.scenarios.peers import MIB, body_of, sha

BODY = body_of(9 * MIB)
FOR_A_WHILE = 0.4
"""Seconds that a line is cut."""


@pytest.mark.parametrize(
    ("how", "into"), [("fin", "stream"), ("rst", "file"), ("silent", "stream")]
)
async def test_cut_twice(far: Daemon, line: CutProxy, tmp_path: Path, how: How, into: str) -> None:
    """Each byte comes once, whatever it is written to."""
    line.plan("down", 2 * MIB, how, FOR_A_WHILE)
    line.plan("down", 6 * MIB, how, FOR_A_WHILE)
    stream = io.BytesIO()
    async with Client(far.url()) as sender, Client(line.url) as receiver:
        await sender.put(f"get-{how}-{into}", BODY)
        target = tmp_path / "f" if into == "file" else stream
        got = await receiver.download(f"get-{how}-{into}", target)
    assert line.cuts == 2
    assert got.resumed >= 2
    found = (tmp_path / "f").read_bytes() if into == "file" else stream.getvalue()
    assert sha(found) == sha(BODY)


async def test_silently_while_it_grows(far: Daemon, line: CutProxy) -> None:
    """What comes while the line is dead is not waited for in vain."""
    cut = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"one"
        await cut.wait()
        yield b"two"
        await asyncio.sleep(1.5)
        yield b"three"

    stream = io.BytesIO()
    async with Client(far.url()) as sender, Client(line.url) as receiver:
        sending = asyncio.create_task(sender.put("grows", slow()))
        reading = asyncio.create_task(receiver.download("grows", stream, wait=20))
        while stream.getvalue() != b"one":
            await asyncio.sleep(0.01)
        line.cut("silent", FOR_A_WHILE)
        cut.set()
        await sending
        await reading
    assert stream.getvalue() == b"onetwothree"


async def test_the_end_is_lost_silently(far: Daemon, line: CutProxy) -> None:
    """All bytes are here, and the server says that there are no more."""
    done = asyncio.Event()

    async def waits() -> AsyncIterator[bytes]:
        yield b"all"
        await done.wait()

    stream = io.BytesIO()
    async with Client(far.url()) as sender, Client(line.url) as receiver:
        sending = asyncio.create_task(sender.put("end", waits()))
        reading = asyncio.create_task(receiver.download("end", stream, wait=20))
        while stream.getvalue() != b"all":
            await asyncio.sleep(0.01)
        line.cut("silent", FOR_A_WHILE)
        done.set()
        await sending
        assert (await reading).size == 3


async def test_an_idle_line_is_left_alone(far: Daemon, line: CutProxy) -> None:
    """A receiver of a silent sender keeps its connection, and asks seldom."""

    async def idle() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(2.5)
        yield b"two"

    stream = io.BytesIO()
    async with Client(far.url()) as sender, Client(line.url) as receiver:
        sending = asyncio.create_task(sender.put("idle-get", idle()))
        got = await receiver.download("idle-get", stream, wait=20)
        await sending
    assert (stream.getvalue(), got.resumed) == (b"onetwo", 0)
    assert line.accepted < 6
