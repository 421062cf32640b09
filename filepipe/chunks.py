"""Into which parts an upload is cut.

Balanced parts are all of one size but the last, so that a client which divides the total by the
number of parts finds that size too; fixed ones are as large as they may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from filepipe.errors import TooLarge

MOST_PARTS: Final = 10_000
"""Also the most that S3 takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`count` parts of `chunk_size` bytes, of which the last one may be smaller."""

    total_size: int
    chunk_size: int
    count: int

    def size_of(self, number: int) -> int:
        """Bytes of part `number`, counted from 0; raises `IndexError` where there is none."""
        if not 0 <= number < self.count:
            raise IndexError(number)
        return min(self.chunk_size, self.total_size - self.offset_of(number))

    def offset_of(self, number: int) -> int:
        """Where part `number` begins."""
        return number * self.chunk_size


def plan(total_size: int, largest: int, *, balanced: bool, smallest: int = 0) -> Plan:
    """Cut `total_size` bytes into parts of at most `largest`. Raises `TooLarge`.

    All but the last have at least `smallest`, which counts more than `largest`.
    """
    largest = max(largest, smallest)
    count = -(-total_size // largest)
    if count > MOST_PARTS:
        raise TooLarge(f"total_size exceeds {MOST_PARTS} parts of {largest} bytes")
    if count == 0 or not balanced:
        return Plan(total_size, largest, count)
    size = max(-(-total_size // count), smallest)
    return Plan(total_size, size, -(-total_size // size))
