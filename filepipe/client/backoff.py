"""How long to wait before asking again, and when to stop asking."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

FIRST_CEILING: Final = 0.25
# Longer pauses would make a server that is back wait for us; shorter ones would be a load on it.
LAST_CEILING: Final = 5.0


class Backoff:
    """Pauses that double, with full jitter, until `window` seconds brought no progress."""

    def __init__(
        self,
        window: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._window = window
        self._clock = clock
        self._spread = spread
        self._ceiling = FIRST_CEILING
        self._since: float | None = None

    def progress(self) -> None:
        """Something arrived: the window and the pauses begin anew at the next failure."""
        self._ceiling = FIRST_CEILING
        self._since = None

    def left(self) -> float:
        """Seconds that are left of the window."""
        if self._since is None:
            return self._window
        return max(0.0, self._since + self._window - self._clock())

    def pause(self) -> float | None:
        """Seconds to wait after a failure, None when the window is over."""
        if self._since is None:
            self._since = self._clock()
        left = self.left()
        if left <= 0:
            return None
        pause = self._spread(0.0, self._ceiling)
        self._ceiling = min(2 * self._ceiling, LAST_CEILING)
        return min(pause, left)
