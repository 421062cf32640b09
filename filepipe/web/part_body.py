"""The body of a request that stores a part: by the kernel where it can be, else in chunks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from aiohttp import web

from filepipe.channels.upload_placing import Placed
from filepipe.errors import Unavailable
from filepipe.relay.moves import Gauge, Intake
from filepipe.web.pumps import Pumps, give_back


class PartBody:
    """As it comes, from a sender who may not be silent for long."""

    def __init__(self, pumps: Pumps, request: web.BaseRequest) -> None:
        self._pumps = pumps
        self._request = request
        self._held: asyncio.Transport | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Inside, no more is read of a large body until somebody wants it.

        Many of them that wait for their turn would fill the memory.
        """
        transport = self._request.transport
        if transport is not None and self._by_kernel():
            transport.pause_reading()
            self._held = transport
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None and not held.is_closing():
            held.resume_reading()

    def _by_kernel(self) -> bool:
        request = self._request
        return self._pumps.plane.takes(request.transport, request.content_length)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The chunks. Raises as `Pumps.body`."""
        self._release()
        return self._pumps.body(self._request)

    def can_place(self, size: int) -> bool:
        """Whether the kernel can write it: as long as it says, and not small, not over TLS."""
        return self._request.content_length == size and self._by_kernel()

    async def place(self, placed: Placed) -> bool:
        """Have the kernel write it. Raises `Broken`, `Stalled`, `DiskFull`, `StorageFailed`."""
        request, transport, plane = self._request, self._request.transport, self._pumps.plane
        if transport is None:
            return False
        try:
            gauge = plane.gauge(placed.fd, placed.position)
        except Unavailable:  # the event loop needs no thread for it
            return False
        self._held = None  # it is given back below
        done = False
        try:
            await self._pumps.take_buffered(request, transport, placed.write)
            gauge.size = placed.position
            sock = transport.get_extra_info("socket").fileno()
            left = placed.end - placed.position
            intake = Intake(sock, gauge, left, self._pumps.limits.idle)
            try:
                await plane.fill(intake, lambda gauge: self._grew(gauge, placed))
            finally:
                self._grew(gauge, placed)
            done = True
        finally:
            if not done:
                plane.abandon(gauge)
            give_back(request, transport, done)
        return True

    def _grew(self, gauge: Gauge, placed: Placed) -> None:
        if size := gauge.size - placed.position:
            self._pumps.count_in(self._request, size)
            placed.reached(gauge.size)
