"""Passages on a plane, as the tests of the event loop's side drive them."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from filepipe.errors import Broken
from filepipe.relay.passage import Passage, Sink
from filepipe.relay.plane import Plane
from tests.relay.running import Connect
from tests.relay.transfers import sock_read, sock_send

SMALL = 65_536
"""Bytes of a socket's buffer that is soon full."""


class Crossing:
    """One passage: its sender, its receivers, and what the event loop was told."""

    sender: socket.socket
    passage: Passage
    passing: asyncio.Task[None]

    def __init__(self, plane: Plane, connect: Connect, length: int, count: int) -> None:
        self.plane = plane
        self.connect = connect
        self.data = os.urandom(length)
        self.count = count
        self.moved: list[int] = []
        self.asked = 0
        self.sinks: list[Sink] = []
        self.readers: list[socket.socket] = []
        self.attached: list[asyncio.Task[int]] = []

    def open(self, idle: float = 20.0, stall: float = 20.0, **options: int) -> Crossing:
        """Make the passage of a new connection; nothing is attached or passed on yet."""
        self.sender, ours = self.connect(**options)
        length = len(self.data)
        self.passage = self.plane.passage(ours.fileno(), length, self.count, idle, stall)
        return self

    def attach(self, **options: int) -> socket.socket:
        """Attach a new connection; returns its reader."""
        reader, ours = self.connect(**options)
        sink = Sink(ours.fileno(), self.passage)
        self.sinks.append(sink)
        self.readers.append(reader)
        self.attached.append(asyncio.create_task(self.plane.attach(sink)))
        return reader

    def attach_all(self, **options: int) -> Crossing:
        """Attach as many as there are to be."""
        for _ in range(self.count):
            self.attach(**options)
        return self

    def pass_on(self) -> Crossing:
        """Let it begin."""
        passing = self.plane.pass_on(self.passage, self.moved.append, self.before_last)
        self.passing = asyncio.create_task(passing)
        return self

    def before_last(self) -> None:
        self.asked += 1

    def send(self) -> asyncio.Task[None]:
        """Begin to send everything."""
        return asyncio.create_task(sock_send(self.sender, self.data))

    def read(self, span: slice = slice(None)) -> list[asyncio.Task[bytes]]:
        """Begin to read everything, of these receivers."""
        size = len(self.data)
        return [asyncio.create_task(sock_read(reader, size)) for reader in self.readers[span]]

    async def until_stuck(self) -> None:
        """Wait until nothing moves any more because somebody does not read."""
        moved = -1
        while moved != (moved := sum(sink.moved for sink in self.sinks)) or not moved:
            await asyncio.sleep(0.05)

    async def all_broken(self, words: str = "the peer") -> None:
        """Everybody hears that it broke, the source in these words, and nobody of the end."""
        for task in self.attached:
            with pytest.raises(Broken, match="the transfer broke off"):
                await task
        with pytest.raises(Broken, match=words):
            await self.passing
        assert self.asked == 0

    async def others_finish(self, sending: asyncio.Task[None], *gone: int) -> None:
        """Each sink but these has everything, and the source does not mind."""
        await asyncio.gather(sending, self.passing)
        for index in set(range(self.count)) - set(gone):
            assert await self.attached[index] == len(self.data)
