"""Passages on a plane, as the tests of the event loop's side drive them."""

from __future__ import annotations

import asyncio
import socket

from filepipe.relay.passage import Passage, Sink
from filepipe.relay.plane import Plane
from tests.relay.running import Connect


class Crossing:
    """One passage: its sender, its receivers, and what the event loop was told."""

    def __init__(self, plane: Plane, connect: Connect, length: int, count: int) -> None:
        self.plane = plane
        self.connect = connect
        self.length = length
        self.moved: list[int] = []
        self.asked = 0
        self.sinks: list[Sink] = []
        self.readers: list[socket.socket] = []
        self.attached: list[asyncio.Task[int]] = []
        self.passing: asyncio.Task[None]
        self.passage: Passage
        self.count = count

    def open(self, *, idle: float = 20.0, stall: float = 20.0, **options: int) -> Crossing:
        """Make the passage of a new connection; nothing is attached or passed on yet."""
        self.sender, self.source = self.connect(**options)
        self.passage = self.plane.passage(
            self.source.fileno(), self.length, self.count, idle, stall
        )
        return self

    def attach(self, **options: int) -> socket.socket:
        """Attach a new connection; returns its reader."""
        reader, ours = self.connect(**options)
        self.sinks.append(Sink(ours.fileno(), self.passage))
        self.readers.append(reader)
        self.attached.append(asyncio.create_task(self.plane.attach(self.sinks[-1])))
        return reader

    def attach_all(self, **options: int) -> Crossing:
        """Attach as many as there are to be."""
        for _ in range(self.count):
            self.attach(**options)
        return self

    def pass_on(self) -> Crossing:
        """Let it begin."""
        self.passing = asyncio.create_task(
            self.plane.pass_on(self.passage, self.moved.append, self.before_last)
        )
        return self

    def before_last(self) -> None:
        self.asked += 1

    async def until_moved(self, size: int) -> None:
        """Wait until so many bytes were taken from the source."""
        while self.passage.source.moved < size:
            await asyncio.sleep(0.001)
