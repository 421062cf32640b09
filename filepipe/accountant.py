"""The one ledger of memory and disk: who wants to hold bytes takes them here first.

Rule 1: `take` before the bytes are held, `give` after they are let go, in a `finally`.
Rule 2: a budget knows no owners. Whoever takes remembers how much it has to give back.
Rule 3: one thread (the event loop's) uses the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

from filepipe.errors import OverBudget


class Budget:
    """A number of bytes that may be held at the same time.

    `limit` is in bytes; None means that nothing is refused.
    """

    __slots__ = ("limit", "name", "peak", "used")

    def __init__(self, name: str, limit: int | None) -> None:
        self.name = name
        self.limit = limit
        self.used = 0
        self.peak = 0

    def __repr__(self) -> str:
        return f"<Budget {self.name} {self.used}/{self.limit}>"

    def fits(self, size: int) -> bool:
        """Whether `size` more bytes would be granted now."""
        return self.limit is None or self.used + size <= self.limit

    def take(self, size: int) -> None:
        """Account for `size` bytes; raises `OverBudget`, and takes none, if they do not fit."""
        if not self.fits(size):
            raise OverBudget(f"{self.name} quota exceeded, try again later", self.name)
        self.used += size
        self.peak = max(self.peak, self.used)

    def adopt(self, size: int) -> None:
        """Account for `size` bytes that are held already, also where they do not fit."""
        self.used += size
        self.peak = max(self.peak, self.used)

    def give(self, size: int) -> None:
        """Hand `size` bytes back."""
        assert 0 <= size <= self.used, f"{self!r} is handed back {size}"
        self.used -= size


@dataclass(frozen=True, slots=True)
class Accountant:
    """The two budgets that every storage draws on."""

    memory: Budget
    disk: Budget

    @classmethod
    def of(cls, max_memory: int | None, max_disk: int | None) -> Accountant:
        """An accountant with these limits in bytes; None means unlimited."""
        return cls(Budget("memory", max_memory), Budget("disk", max_disk))
