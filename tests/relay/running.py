"""A worker on its thread, as the tests of the relay drive it."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable

from filepipe.relay.moves import Gauge, Intake, Move, Outflow
from filepipe.relay.worker import Worker
from tests.conftest import eventually

Connect = Callable[..., tuple[socket.socket, socket.socket]]
"""Makes a connection: the peer's end, and ours."""


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes; the connection stays open, as it is not ours to close."""
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        assert chunk
        data += chunk
    return data


class Relay:
    """A worker whose reports are kept, and the moves that a test gives it."""

    def __init__(self, connect: Connect, file: int) -> None:
        self.ends: queue.Queue[Move] = queue.Queue()
        self.growth: queue.Queue[int] = queue.Queue()
        self.worker = Worker("relay-test", lambda gauge: self.growth.put(gauge.size), self.ends.put)
        self.worker.start()
        self.connect = connect
        self.gauge = Gauge(file, 0, self.worker)

    def intake(self, length: int, stall: float = 60.0) -> tuple[socket.socket, Move]:
        """Start an intake; returns its sender and it."""
        peer, ours = self.connect()
        return peer, self.submit(Intake(ours.fileno(), self.gauge, length, stall))

    def outflow(
        self, start: int, stop: int, stall: float = 60.0, **options: int
    ) -> tuple[socket.socket, Move]:
        """Start an outflow; returns its reader and it."""
        peer, ours = self.connect(**options)
        return peer, self.submit(Outflow(ours.fileno(), self.gauge, start, stop, stall))

    def submit(self, move: Move) -> Move:
        self.worker.submit(move)
        return move

    def stop(self) -> None:
        self.worker.stop()
        assert not self.worker.is_alive()
        self.worker.close()

    def wait_for_end(self) -> Move:
        """The next move that ended, which has given its descriptor back."""
        move = self.ends.get(timeout=10)
        assert move.sock == -1
        return move

    def wait_until_parked(self, *moves: Move) -> None:
        eventually(lambda: set(moves) <= set(self.gauge.followers))
