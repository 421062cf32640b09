"""Transfers on a plane, as the tests of the event loop's side drive them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from filepipe.relay.moves import Gauge, Intake, Outflow
from filepipe.relay.plane import Plane
from tests.relay.running import Connect


async def sock_send(sock: socket.socket, data: bytes) -> None:
    """Send everything without blocking the loop."""
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def sock_read(sock: socket.socket, size: int) -> bytes:
    """Receive so many bytes without blocking the loop, fewer if the connection ends."""
    sock.setblocking(False)
    data = b""
    while len(data) < size:
        chunk = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
        if not chunk:
            break
        data += chunk
    return data


def ignore(gauge: Gauge) -> None:
    """What grows is nobody's concern."""


class Transfers:
    """Intakes and outflows of one file on a plane."""

    def __init__(self, plane: Plane, connect: Connect, file: int) -> None:
        self.plane = plane
        self.connect = connect
        self.gauge = plane.gauge(file, 0)

    def fill(
        self, length: int, on_growth: Callable[[Gauge], None] = ignore, stall: float = 60.0
    ) -> tuple[socket.socket, asyncio.Task[None]]:
        """Start an intake; returns its sender and the task that awaits it."""
        peer, ours = self.connect()
        self.intake = Intake(ours.fileno(), self.gauge, length, stall)
        return peer, asyncio.create_task(self.plane.fill(self.intake, on_growth))

    def empty(
        self, start: int, stop: int, stall: float = 60.0, **options: int
    ) -> tuple[socket.socket, asyncio.Task[None]]:
        """Start an outflow; returns its reader and the task that awaits it."""
        peer, ours = self.connect(**options)
        outflow = Outflow(ours.fileno(), self.gauge, start, stop, stall)
        return peer, asyncio.create_task(self.plane.empty(outflow))

    async def wait_until_parked(self, count: int = 1) -> None:
        while len(self.gauge.followers) < count:
            await asyncio.sleep(0.001)


class Transport(asyncio.BaseTransport):
    """What a connection tells of itself."""

    def __init__(self, **extra: object) -> None:
        super().__init__(extra)
