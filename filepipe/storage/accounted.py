"""A storage whose every byte is paid for: taken from a budget before it is held.

A blob remembers one number, what it has taken: the larger of its reservation and its size. All
of it goes back at `discard`.
"""

from __future__ import annotations

from collections.abc import Sequence

from filepipe.accountant import Budget
from filepipe.storage.interface import Blob, Descriptor, Storage


class AccountedBlob:
    """A blob whose bytes are taken from a budget."""

    __slots__ = ("_budget", "_inner", "_taken")

    def __init__(self, inner: Blob, budget: Budget, taken: int) -> None:
        self._inner = inner
        self._budget = budget
        self._taken = taken

    @property
    def size(self) -> int:
        """How many bytes can be read now."""
        return self._inner.size

    async def append(self, chunks: Sequence[bytes]) -> None:
        """Pay for the chunks, then add them; raises `OverBudget` or as the inner blob does."""
        taken = self._take(sum(map(len, chunks)))
        try:
            await self._inner.append(chunks)
        except Exception:
            # A cancelled append may still be writing: what it took stays until the next append
            # draws on it, or until discard.
            self._give(taken)
            raise

    async def read(self, offset: int, limit: int) -> bytes:
        """Read as the inner blob does."""
        return await self._inner.read(offset, limit)

    async def finish(self) -> None:
        """Finish the inner blob."""
        await self._inner.finish()

    async def discard(self) -> None:
        """Discard the inner blob, then give everything back."""
        try:
            await self._inner.discard()
        finally:
            self._give(self._taken)

    async def descriptor(self) -> int:
        """Name the file of the inner blob; -1 while it has none."""
        if isinstance(self._inner, Descriptor):
            return await self._inner.descriptor()
        return -1

    def grow(self, size: int) -> None:
        """Pay for bytes that are in the file already.

        Raises `OverBudget` where neither reservation nor budget covers them: they do not count,
        and the next write overwrites them.
        """
        assert isinstance(self._inner, Descriptor)
        self._take(size)
        self._inner.grow(size)

    def _take(self, size: int) -> int:
        """Take what `size` more bytes need beyond what is taken already."""
        missing = max(0, self._inner.size + size - self._taken)
        if missing:
            self._budget.take(missing)
            self._taken += missing
        return missing

    def _give(self, size: int) -> None:
        self._budget.give(size)
        self._taken -= size


class AccountedStorage:
    """Makes blobs that draw on `budget`; with `reserve`, their `expected` size is taken at once."""

    def __init__(self, inner: Storage, budget: Budget, *, reserve: bool = False) -> None:
        self._inner = inner
        self._budget = budget
        self._reserve = reserve

    async def create(self, expected: int | None = None) -> AccountedBlob:
        """Make an empty blob, paid for in advance if this storage reserves."""
        reserved = expected or 0 if self._reserve else 0
        self._budget.take(reserved)
        try:
            inner = await self._inner.create(expected)
        except BaseException:
            self._budget.give(reserved)
            raise
        return AccountedBlob(inner, self._budget, reserved)

    async def aclose(self) -> None:
        """Close the inner storage."""
        await self._inner.aclose()
