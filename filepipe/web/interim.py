"""Interim answers (status 104): the sender of a resumable upload is told where to go on, meanwhile.

Rule 1: only who asked for it in a version of ours gets one, and only over HTTP/1.1.
Rule 2: many proxies take any 1xx that they do not know for the answer itself, and the client then
        waits for ever, so in doubt there is none. Everything works without.
Rule 3: none is sent once the answer has begun, nor after the peer has left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final, Literal

from aiohttp import web

from filepipe.protocols import resumable
from filepipe.web.fields import tells_of_proxy

PACE: Final = 1.0
"""Seconds between two reports at least."""

STEP: Final = 1024 * 1024
"""Bytes between two reports at least."""

Wanted = Literal["auto", "always", "never"]
"""The setting `interim_answers`."""


class Interim:
    """The interim answers to one request; none, where they are not for this one."""

    def __init__(
        self, request: web.BaseRequest, interop: resumable.Interop, wanted: Wanted
    ) -> None:
        self.announced = False
        """Whether the client was told where to go on."""
        self._request = request
        self._interop = interop
        self._allowed = (
            interop.version is not None
            and request.version >= (1, 1)
            and (wanted == "always" or (wanted == "auto" and not tells_of_proxy(request.headers)))
        )

    async def announce(self, location: str, limits: resumable.Limits) -> None:
        """Say where to go on."""
        if self._allowed:
            self.announced = True
            await self._send(resumable.announcement(self._interop, location, limits))

    @contextlib.asynccontextmanager
    async def reporting(self, offset: Callable[[], int]) -> AsyncIterator[None]:
        """Say inside, now and then, how many bytes are safe; `offset` knows."""
        if not (self._allowed and self._interop.progress):
            yield
            return
        task = asyncio.create_task(self._report(offset))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _report(self, offset: Callable[[], int]) -> None:
        told = offset()
        while True:
            await asyncio.sleep(PACE)
            safe = offset()
            if safe - told >= STEP:
                told = safe
                await self._send(resumable.progress(self._interop, safe))

    async def _send(self, answer: bytes) -> None:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return
        with contextlib.suppress(ConnectionError):  # whoever reads the body sees it too
            await self._request.writer.write(answer)
        # what counts from here on is the answer's own output
        self._request.writer.output_size = 0
