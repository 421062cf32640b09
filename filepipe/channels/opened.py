"""Something of a shelf that is open while somebody needs it, and is opened again when needed.

Rule 1: it is closed while nobody uses it, and opened for whoever comes next.
Rule 2: once it is retired it is not opened again.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, Protocol, TypeVar

MOST_IDLE = 64
"""Drafts of one engine that stay open though nobody uses them, where there are descriptors."""


def idle_drafts() -> int:
    """How many drafts may stay open though nobody uses them: few of all files that may be open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(MOST_IDLE, soft // 16))


class Closable(Protocol):
    """What a shelf opens."""

    async def close(self) -> None:
        """Let go of the descriptor. Raises nothing."""


T = TypeVar("T", bound=Closable)


class Retired(Exception):
    """It is not there any more; whoever reads looks where it is now."""


class Opened(Generic[T]):
    """A draft or an object; `opening` opens it, `thing` is it where it is open already."""

    def __init__(self, opening: Callable[[], Awaitable[T]], thing: T | None = None) -> None:
        self._opening = opening
        self._thing = thing
        self._retired = False
        self._users = 0
        self._door = asyncio.Lock()
        self._unused = asyncio.Event()
        self._unused.set()

    @contextlib.asynccontextmanager
    async def using(self) -> AsyncIterator[T]:
        """Have it open inside. Raises `Retired` and what opening raises."""
        async with self._door:
            if self._retired:
                raise Retired
            thing = self._thing
            if thing is None:
                thing = await self._open()
            self._users += 1
            self._unused.clear()
        try:
            yield thing
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def _open(self) -> T:
        opening = asyncio.ensure_future(self._opening())
        try:
            self._thing = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # who opened it is gone, and it may be open all the same
            await asyncio.wait({opening})
            if not opening.cancelled() and opening.exception() is None:
                self._thing = opening.result()
            raise
        return self._thing

    async def rest(self, needed: Callable[[], bool]) -> None:
        """Close it until somebody uses it again, unless it is `needed` by then."""
        async with self._door:
            await self._unused.wait()
            if self._thing is not None and not needed():
                thing, self._thing = self._thing, None
                await thing.close()

    async def retire(self) -> T | None:
        """What is open, once nobody uses it any more; the caller ends it, and nobody opens it."""
        async with self._door:
            self._retired = True
            await self._unused.wait()
            thing, self._thing = self._thing, None
            return thing
