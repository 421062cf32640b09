"""Waiting for the other side in turns: no proxy shall take a silent connection for a dead one."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

# Below the minute after which most proxies give up.
TURN: Final = 30.0
# A server that waits shorter than we ask must not be asked in a tight loop.
SHORTEST: Final = 1.0


class Turns:
    """Asks until `wait` seconds are over; None: once, and the server waits as long as it likes.

    No turn is longer than `longest` seconds.
    """

    def __init__(
        self,
        wait: float | None,
        *,
        longest: float = TURN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._longest = longest
        self._end = None if wait is None else clock() + wait
        self._asked = 0.0

    def headers(self) -> dict[str, str]:
        """Begin a turn; the headers ask the server to wait as long as it and we can."""
        self._asked = self._clock()
        if self._end is None:
            return {}
        left = max(0.0, self._end - self._asked)
        # A preference is cut to what the server allows; a query beyond that would be refused.
        return {"Prefer": f"wait={math.ceil(min(left, self._longest))}"}

    async def another(self) -> bool:
        """Whether to ask once more, perhaps after a pause; ask when nobody came in a turn."""
        if self._end is None:
            return False
        now = self._clock()
        if now >= self._end:
            return False
        pause = self._asked + SHORTEST - now
        if pause > 0:
            await asyncio.sleep(min(pause, self._end - now))
        return True
