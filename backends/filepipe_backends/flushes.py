"""To the disk, and only once: what makes written bytes and names survive a power cut.

A kernel that could not write a page may forget it and say so once only; asking again may then
succeed with the bytes lost. So after the first failure every flush of the same draft fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from filepipe.errors import StorageFailed
from filepipe.storage.system_calls import flush_data, flush_file, flush_folder


class Shared:
    """Flushes of one draft that callers wait for together."""

    def __init__(self, flush: Callable[[], Awaitable[None]]) -> None:
        self._flush = flush
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Flush the bytes that were written so far; who comes while one runs shares the next."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
            self._next.add_done_callback(_forgive)
        await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[None] | None) -> None:
        if running is not None:
            await asyncio.wait({running})
        self._running, self._next = self._next, None
        await self._flush()


class Flushes:
    """The flushes for one draft, on its threads, and raising OSError."""

    def __init__(self) -> None:
        self._failed = False

    def data(self, fd: int) -> None:
        """Make the bytes of a file durable, and as much about it as is needed to read them."""
        self._once(flush_data, fd)

    def file(self, fd: int) -> None:
        """Make a file durable."""
        self._once(flush_file, fd)

    def folder(self, fd: int) -> None:
        """Make the names in a folder durable, where its file system can."""
        self._once(flush_folder, fd)

    def _once(self, flush: Callable[[int], None], fd: int) -> None:
        if self._failed:
            raise StorageFailed("the storage failed: an earlier write did not reach the disk")
        try:
            flush(fd)
        except OSError:
            self._failed = True
            raise


def _forgive(task: asyncio.Task[None]) -> None:
    """Look at the failure, since everybody who asked may have been cancelled."""
    if not task.cancelled():
        task.exception()
