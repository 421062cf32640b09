"""Announce, drain, cut: the phases of going down and what moves between them, without sockets.

1. `running`: everything is served.
2. `draining` (first signal): new writers and everybody who waits are refused; readers of live keys
   are still served. It ends when nothing is busy, at its deadline, or by the second signal.
3. `stopping`: what is left is cut, files and sockets are closed, the process exits with 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from enum import Enum

POLL = 0.05
"""Seconds between two looks at what is still busy."""


class Phase(Enum):
    """Where the daemon is in its life."""

    RUNNING = "running"
    DRAINING = "draining"
    STOPPING = "stopping"


class Shutdown:
    """Counts signals and says when to go on.

    `busy` returns how many transfers are worth waiting for; `drain_timeout` is in seconds.
    """

    def __init__(self, busy: Callable[[], int], drain_timeout: float) -> None:
        self.phase = Phase.RUNNING
        self.busy = busy
        self._drain_timeout = drain_timeout
        self._asked = asyncio.Event()
        self._insisted = asyncio.Event()

    def signal(self) -> None:
        """A SIGTERM or SIGINT arrived."""
        if self._asked.is_set():
            self._insisted.set()
        self._asked.set()

    async def asked(self) -> None:
        """Return at the first signal, in phase `draining`."""
        await self._asked.wait()
        self.phase = Phase.DRAINING

    async def asked_within(self, seconds: float) -> bool:
        """Whether a signal arrives within `seconds`; true at once after the first one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        return self._asked.is_set()

    async def drained(self) -> int:
        """Return in phase `stopping`, with the number of transfers that will be cut."""
        deadline = time.monotonic() + self._drain_timeout
        while self.busy() and time.monotonic() < deadline and not self._insisted.is_set():
            try:
                await asyncio.wait_for(self._insisted.wait(), POLL)
            except TimeoutError:
                continue
        self.phase = Phase.STOPPING
        return self.busy()
