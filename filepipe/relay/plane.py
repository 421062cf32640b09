"""The event loop's side of the relay: choose, hand over, wait, and get everything back."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable

from filepipe.errors import Broken, Unavailable
from filepipe.relay.moves import Gauge, Intake, Move, Outflow
from filepipe.relay.worker import Worker

MIN_SIZE = 256 * 1024
"""Bytes below which the hand-over costs more than it saves."""

WORKERS = 2
"""Threads: one that waits for a slow disk must not hold up every transfer."""

_SUPPORTED = sys.platform == "linux" and hasattr(os, "splice") and hasattr(os, "eventfd")


def suitable(transport: asyncio.BaseTransport) -> bool:
    """Whether the kernel can read and write this connection itself: Linux, a socket, no TLS."""
    if not _SUPPORTED or transport.get_extra_info("sslcontext") is not None:
        return False
    sock = transport.get_extra_info("socket")
    return sock is not None and sock.type == socket.SOCK_STREAM


class Plane:
    """Owns the workers; they start with the first relay. `enabled` False makes it refuse all."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and _SUPPORTED
        self._workers: list[Worker] = []
        self._growth: dict[Gauge, Callable[[Gauge], None]] = {}
        self._ends: dict[Move, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def active(self) -> int:
        """How many moves are under way."""
        return len(self._ends)

    def takes(self, transport: asyncio.BaseTransport | None, size: int | None) -> bool:
        """Whether a transfer of `size` bytes over `transport` should be handed over."""
        return (
            self._enabled
            and size is not None
            and size >= MIN_SIZE
            and transport is not None
            and suitable(transport)
        )

    def gauge(self, fd: int, size: int) -> Gauge:
        """A gauge for the file `fd`, of which `size` bytes can be read now.

        Raises `Unavailable` where no thread can be had for it, `Broken` after `aclose`.
        """
        if not self._enabled:
            raise Broken("the daemon stopped")
        return Gauge(fd, size, self._least_loaded())

    def abandon(self, gauge: Gauge) -> None:
        """Nothing more will fill the file; outflows that wait for growth get `Broken`."""
        gauge.home.abandon(gauge)

    async def fill(self, intake: Intake, on_growth: Callable[[Gauge], None]) -> None:
        """Run an intake to its end; `on_growth` is called on the loop as the file grows.

        Raises what `Intake.step` raises. When it returns or raises, the kernel is done with the
        socket and the file.
        """
        self._growth[intake.gauge] = on_growth
        try:
            await self._run(intake)
        finally:
            del self._growth[intake.gauge]

    async def empty(self, outflow: Outflow) -> None:
        """Run an outflow to its end. Raises what `Outflow.step` raises."""
        await self._run(outflow)

    async def _run(self, move: Move) -> None:
        if not self._enabled:
            move.close()
            raise Broken("the daemon stopped")
        loop = self._loop = asyncio.get_running_loop()
        worker = move.gauge.home
        ended = self._ends[move] = loop.create_future()
        worker.load += 1
        worker.submit(move)
        cancelled: asyncio.CancelledError | None = None
        try:
            while not ended.done():
                try:
                    await asyncio.shield(ended)
                except asyncio.CancelledError as error:
                    # the thread must let go of the descriptors before anybody closes them
                    cancelled = error
                    worker.cancel(move)
        finally:
            worker.load -= 1
            del self._ends[move]
        if cancelled is not None:
            raise cancelled
        if move.failure is not None:
            raise move.failure

    def cancel(self, move: Move) -> None:
        """End a move early; whoever awaits it gets `Broken`."""
        if move in self._ends:
            move.gauge.home.cancel(move)

    async def aclose(self) -> None:
        """Cut every move and end the threads; nothing more is taken."""
        self._enabled = False
        for worker in self._workers:
            await asyncio.to_thread(worker.stop)
            worker.close()
        self._workers.clear()

    def _least_loaded(self) -> Worker:
        idle = min(self._workers, key=lambda worker: worker.load, default=None)
        if idle is not None and (idle.load == 0 or len(self._workers) == WORKERS):
            return idle
        try:
            return self._hire()
        except Unavailable:
            if idle is None:
                raise
            return idle

    def _hire(self) -> Worker:
        name = f"relay-{len(self._workers)}"
        worker = Worker(name, self._grew_on_thread, self._ended_on_thread)
        try:
            worker.start()
        except RuntimeError as error:
            worker.close()
            raise Unavailable("no more threads, try again later") from error
        self._workers.append(worker)
        return worker

    # -- on the workers' threads

    def _grew_on_thread(self, gauge: Gauge) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._grew, gauge)

    def _ended_on_thread(self, move: Move) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._ended, move)

    # -- on the loop

    def _grew(self, gauge: Gauge) -> None:
        if (on_growth := self._growth.get(gauge)) is not None:
            on_growth(gauge)

    def _ended(self, move: Move) -> None:
        if (ended := self._ends.get(move)) is not None and not ended.done():
            ended.set_result(None)
