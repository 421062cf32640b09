"""System calls on an open file that may wait: on threads, and never on a descriptor that is gone.

Rule 1: a system call that may wait runs on the backend's own threads, never on the event loop.
Rule 2: a call whose caller was cancelled may still be running. It is kept as an orphan: a write
        waits for it, and so does the close, since the number of a descriptor that is closed under
        a running call may already name another file.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from filepipe.errors import StorageFailed
from filepipe.storage.system_calls import translated

P = ParamSpec("P")
T = TypeVar("T")

NO_FILE = -1
"""The descriptor of calls that need none."""


class Calls:
    """The calls on one descriptor, `fd`, which is closed by `close` and by nobody else."""

    __slots__ = ("_orphans", "_pool", "_running", "closed", "fd")

    def __init__(self, fd: int, pool: Executor) -> None:
        self.fd = fd
        self.closed = False
        self._pool = pool
        self._running: set[Future[Any]] = set()
        self._orphans: list[Future[Any]] = []

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function on a thread; its OSError comes back `translated`."""
        return await self.run_on(self._pool, function, *args, **kwargs)

    async def run_on(
        self, pool: Executor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do as `run` does, on the threads of another pool."""
        if self.closed:
            raise StorageFailed("the storage failed: the file is closed")
        call = pool.submit(function, *args, **kwargs)
        self._running.add(call)
        try:
            return await asyncio.wrap_future(call)
        except asyncio.CancelledError:
            if not call.cancel():
                self._orphans = [orphan for orphan in self._orphans if not orphan.done()]
                self._orphans.append(call)
            raise
        except OSError as error:
            raise translated(error) from error
        finally:
            self._running.discard(call)

    def orphans(self) -> tuple[Future[Any], ...]:
        """The calls that may still be running though their callers are gone."""
        return tuple(self._orphans)

    async def settle(self) -> None:
        """Return when no orphan is running."""
        if self._orphans:
            await self.run(wait, self.orphans())

    async def close(self, first: Callable[[], None] | None = None) -> None:
        """Close the descriptor once no thread uses it any more, also when cancelled.

        `first` is called just before, and also when it is closed already; it raises nothing.
        """
        if not self.closed:
            self.closed = True
            call = self._pool.submit(_close, self.fd, (*self._running, *self._orphans), first)
        elif first is not None:
            call = self._pool.submit(first)
        else:
            return
        await asyncio.shield(asyncio.wrap_future(call))


async def made(
    pool: Executor, function: Callable[P, int], *args: P.args, **kwargs: P.kwargs
) -> int:
    """Run a function that opens a descriptor; closed again when nobody waits for it any more."""
    call = pool.submit(function, *args, **kwargs)
    try:
        return await asyncio.wrap_future(call)
    except asyncio.CancelledError:
        if not call.cancel():
            call.add_done_callback(_close_result)
        raise
    except OSError as error:
        raise translated(error) from error


def _close(fd: int, running: tuple[Future[Any], ...], first: Callable[[], None] | None) -> None:
    wait(running)
    if first is not None:
        first()
    if fd != NO_FILE:
        with suppress(OSError):
            os.close(fd)


def _close_result(call: Future[int]) -> None:
    if call.exception() is None:
        os.close(call.result())
