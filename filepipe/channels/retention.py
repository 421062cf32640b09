"""How long a finished channel is kept: plain arithmetic on moments, no timers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What a deadline depends on; moments are seconds of a monotonic clock, None if not yet."""

    ended: float | None
    first_read: float | None
    last_left: float | None
    readers: int


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds for which the bytes stay after the upload's end.

    `after_end` counts from the end of the upload. With `after_first_read` (protocol `file-pipe`)
    the clock of the first reader runs beside it and the earlier one wins, whoever still reads.
    Without it (protocol `auto`) `after_end` starts anew when the last reader leaves, and never
    runs out under a reader.
    """

    after_end: float
    after_first_read: float | None = None

    def deadline(self, usage: Usage) -> float | None:
        """The moment at which the key goes; None while it may not."""
        if usage.ended is None:
            return None
        if self.after_first_read is not None:
            deadline = usage.ended + self.after_end
            if usage.first_read is None:
                return deadline
            return min(deadline, max(usage.ended, usage.first_read) + self.after_first_read)
        if usage.readers:
            return None
        return max(usage.ended, usage.last_left or usage.ended) + self.after_end
