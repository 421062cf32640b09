"""No client can fill the log: of each kind of warning at most so many in a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

# The field that names an event's kind, where its text varies; it is taken out of the line.
KIND: Final = "_kind"

_LIMITED = frozenset({"warn", "warning", "error", "exception", "critical"})
_MOST_KINDS = 256


@dataclass(slots=True)
class _Window:
    start: float
    count: int = 0
    suppressed: int = 0


class LogLimiter:
    """Lets `rate` events of a kind through in a second, and counts those left out.

    As a processor of structlog it concerns warnings and worse. Threads may share one: a race
    can miscount by one line and do no other harm.
    """

    def __init__(self, rate: int = 10, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._windows: dict[Hashable, _Window] = {}

    def admit(self, kind: Hashable) -> int | None:
        """None if an event of this kind is to be left out now, else how many were before it."""
        now = self._clock()
        window = self._windows.get(kind)
        if window is None:
            window = self._open(kind, now)
        elif now - window.start >= 1:
            window.start, window.count = now, 0
        if window.count >= self.rate:
            window.suppressed += 1
            return None
        window.count += 1
        suppressed, window.suppressed = window.suppressed, 0
        return suppressed

    def _open(self, kind: Hashable, now: float) -> _Window:
        while len(self._windows) >= _MOST_KINDS:
            self._windows.pop(next(iter(self._windows)), None)
        return self._windows.setdefault(kind, _Window(now))

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Drop the event, or say how many of its kind were dropped before it."""
        kind = event.pop(KIND, None) or event.get("event")
        if method in _LIMITED:
            suppressed = self.admit((logger.name, kind))
            if suppressed is None:
                raise structlog.DropEvent
            if suppressed:
                event["suppressed"] = suppressed
        return event
