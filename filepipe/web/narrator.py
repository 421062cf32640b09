"""Tells a sender, line by line in an answer that has begun, what becomes of his body."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from filepipe.errors import Stalled
from filepipe.web.stall import Watch


class Narrator:
    """The lines of one answer; `every` seconds without one `remind` makes another, 0 for never.

    `watch` makes what ends a wait for a peer who takes no line.
    """

    def __init__(
        self, every: float, remind: Callable[[float], str], watch: Callable[[], Watch]
    ) -> None:
        self._every = every
        self._remind = remind
        self._watch = watch
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._reminding = every > 0

    def say(self, line: str) -> None:
        """One more line."""
        self._lines.put_nowait(line)

    def stop_reminding(self) -> None:
        """The wait is over."""
        self._reminding = False

    @contextlib.asynccontextmanager
    async def telling(self, response: web.StreamResponse) -> AsyncIterator[None]:
        """Write what is said meanwhile; on leaving, all of it is written, if the peer takes it."""
        task = asyncio.create_task(self._tell(response))
        try:
            yield
        finally:
            self._lines.put_nowait(None)
            with contextlib.suppress(ConnectionError, Stalled):
                await task

    def collected(self) -> str:
        """What was said so far, for an answer in one piece."""
        lines = []
        while not self._lines.empty():
            lines.append(self._lines.get_nowait())
        return "".join(f"{line}\n" for line in lines if line is not None)

    async def _tell(self, response: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with self._watch() as watch:
            while True:
                try:
                    async with asyncio.timeout(self._every if self._reminding else None):
                        line = await self._lines.get()
                except TimeoutError:
                    line = self._remind(loop.time() - began) if self._reminding else ""
                if line is None:
                    return
                if line:
                    watch.begin()
                    await response.write(f"{line}\n".encode())
                    watch.end()
