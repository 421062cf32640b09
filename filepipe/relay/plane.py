"""The event loop's side of the relay: choose, hand over, wait, and get everything back."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import sys
from collections.abc import Callable

from filepipe.errors import Broken, Unavailable
from filepipe.relay.moves import Gauge, Intake, Move, Outflow, Shared
from filepipe.relay.passage import Passage, Sink
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


class _Witness:
    """Tells a passage's owner, on the loop, what happens to it."""

    def __init__(
        self,
        passage: Passage,
        on_moved: Callable[[int], None],
        before_last: Callable[[], None],
    ) -> None:
        self._passage = passage
        self._on_moved = on_moved
        self._before_last = before_last
        self._told = 0

    def grew(self) -> None:
        if size := self._passage.source.moved - self._told:
            self._told += size
            self._on_moved(size)

    def agree(self) -> None:
        try:
            self._before_last()
        finally:
            self._passage.home.post(self._passage.agree)


class Plane:
    """Owns the workers; they start with the first relay. `enabled` False makes it refuse all."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled and _SUPPORTED
        self._workers: list[Worker] = []
        self._growth: dict[Shared, Callable[[], None]] = {}
        self._ends: dict[Move, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def active(self) -> int:
        """How many moves are under way."""
        return len(self._ends)

    @property
    def going_out(self) -> int:
        """How many bytes the moves under way have written to their sockets."""
        return sum(move.moved for move in self._ends if isinstance(move, Outflow | Sink))

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
        self._growth[intake.gauge] = functools.partial(on_growth, intake.gauge)
        try:
            await self._run(intake)
        finally:
            del self._growth[intake.gauge]

    async def empty(self, outflow: Outflow) -> None:
        """Run an outflow to its end. Raises what `Outflow.step` raises."""
        await self._run(outflow)

    # -- socket to sockets

    def passage(self, sock: int, length: int, count: int, idle: float, stall: float) -> Passage:
        """A way for `length` bytes from `sock` to `count` sinks; nothing moves before `pass_on`.

        Nor before each of the `count` was attached or declared absent. The source may be silent for
        `idle` seconds, a sink may take nothing for `stall` seconds. Whoever has one calls either
        `pass_on` or `abandon_passage`. Raises `Unavailable`, and `Broken` after `aclose`.
        """
        if not self._enabled:
            raise Broken("the daemon stopped")
        passage = Passage(sock, length, count, idle, stall, self._least_loaded())
        self._take(passage.source)
        return passage

    async def attach(self, sink: Sink) -> int:
        """Run a sink to its end; returns how many bytes were written to its socket.

        As many as `sink.moved` says, which also holds after a failure. Raises `Broken` when the
        receiver left, the source failed or the passage was given up, and `Stalled`.
        """
        await self._run(sink)
        return sink.moved

    def absent(self, passage: Passage) -> None:
        """One of the sinks will never be attached."""
        passage.home.post(passage.excuse)

    async def pass_on(
        self,
        passage: Passage,
        on_moved: Callable[[int], None],
        before_last: Callable[[], None],
    ) -> None:
        """Run a passage to its end; returns when each sink that is still there has every byte.

        On the loop, `on_moved` is told how many bytes more were taken from the source, and
        `before_last` is called before any sink gets its last bytes. Raises `Broken` when the source
        or the last sink left, and `Stalled` when the source was silent for too long.
        """
        loop = asyncio.get_running_loop()
        witness = _Witness(passage, on_moved, before_last)
        self._growth[passage] = witness.grew
        passage.home.post(lambda: passage.open(lambda: loop.call_soon_threadsafe(witness.agree)))
        try:
            await self._end_of(passage.source)
        finally:
            del self._growth[passage]
            witness.grew()

    def abandon_passage(self, passage: Passage) -> None:
        """Give up a passage that was not passed on; its sinks get `Broken`."""
        self._forget(passage.source)
        passage.home.cancel(passage.source)

    # -- what all have in common

    async def _run(self, move: Move) -> None:
        if not self._enabled:
            move.close()
            raise Broken("the daemon stopped")
        self._take(move)
        await self._end_of(move)

    def _take(self, move: Move) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._ends[move] = loop.create_future()
        move.home.load += 1
        move.home.submit(move)

    def _forget(self, move: Move) -> None:
        del self._ends[move]
        move.home.load -= 1

    async def _end_of(self, move: Move) -> None:
        ended = self._ends[move]
        cancelled: asyncio.CancelledError | None = None
        try:
            while not ended.done():
                try:
                    await asyncio.shield(ended)
                except asyncio.CancelledError as error:
                    # the thread must let go of the descriptors before anybody closes them
                    cancelled = error
                    move.home.cancel(move)
        finally:
            self._forget(move)
        if cancelled is not None:
            raise cancelled
        if move.failure is not None:
            raise move.failure

    def cancel(self, move: Move) -> None:
        """End a move early; whoever awaits it gets `Broken`."""
        if move in self._ends:
            move.home.cancel(move)

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

    def _grew_on_thread(self, what: Shared) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._grew, what)

    def _ended_on_thread(self, move: Move) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._ended, move)

    # -- on the loop

    def _grew(self, what: Shared) -> None:
        if (on_growth := self._growth.get(what)) is not None:
            on_growth()

    def _ended(self, move: Move) -> None:
        if (ended := self._ends.get(move)) is not None and not ended.done():
            ended.set_result(None)
