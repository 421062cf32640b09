"""A clock that moves when a test says so, for timers that nobody wants to wait for."""

from __future__ import annotations

import asyncio

from filepipe.testing import turns


class Clock:
    """The time of one event loop and of the channels on it; it moves when a test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time()
        # timers of the loop and moments of the channels are of one clock in earnest as well
        loop.time = self.monotonic

    def monotonic(self) -> float:
        return self.now

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, and everything that is due happen."""
        await turns()
        self.now += seconds
        await turns()
