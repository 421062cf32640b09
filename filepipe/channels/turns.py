"""Whose turn it is at one upload: one at a time, and whoever comes ends whoever is there.

A sender whose connection has died unnoticed keeps nobody waiting, and of several that are left
over the newest wins.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from filepipe.errors import Broken, Busy, FilepipeError

TAKE_OVER = 10.0
"""Seconds that whoever is there gets to let go; what it has is made durable in them."""


class Turns:
    """The turns at one upload."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._life: asyncio.Timeout | None = None
        self._reason: FilepipeError | None = None

    @property
    def taken(self) -> bool:
        """Whether somebody is at it."""
        return self._lock.locked()

    async def take(self, reason: FilepipeError | None = None) -> None:
        """Be the one, with `reason` for whoever is there. Raises `Busy` if they do not let go."""
        self._waiting += 1
        self.end(reason or Broken("another request goes on with the upload"))
        try:
            async with asyncio.timeout(TAKE_OVER):
                await self._lock.acquire()
        except TimeoutError:
            raise Busy("somebody else is at this upload, try again later") from None
        finally:
            self._waiting -= 1

    def release(self) -> None:
        """Let go."""
        self._lock.release()

    def end(self, reason: FilepipeError) -> None:
        """End whoever is there, if what they do can be ended."""
        if self._life is not None and self._reason is None:
            self._reason = reason
            self._life.reschedule(0.0)

    @contextlib.asynccontextmanager
    async def endable(self) -> AsyncIterator[None]:
        """What happens inside ends when somebody else comes. Raises their reason then."""
        if self._waiting:
            raise Broken("another request goes on with the upload")
        self._reason = None
        try:
            async with asyncio.timeout(None) as self._life:
                yield
        except TimeoutError as error:
            if self._reason is None:
                raise
            raise self._reason from error
        finally:
            self._life = None
