"""How far an upload in parts has come, and when a part that does not move counts as broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self

from filepipe.client.errors import Interrupted
from filepipe.client.progress import Progress

# A server takes a part at once or not at all; a line without a byte for so long is dead.
TAKE_SECONDS: Final = 30.0
# It answers when the part is on its disk, which may be a slow one, or elsewhere.
ANSWER_SECONDS: Final = 120.0


class Tally:
    """Adds up what is stored and what is on its way, for one `progress`, None if nobody looks."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done = 0
        self.sent = 0
        self._total = total
        self._moving = 0
        self._progress = progress
        self._noted = False

    def show(self) -> None:
        """Say where it stands: at the beginning, and when bytes were sent in vain."""
        if self._progress is not None:
            self._progress.begin(self._total, self.done + self._moving)

    def stored(self, count: int) -> None:
        """Hear that so many bytes are on the server for good, or, if negative, no more."""
        self.done += count
        self._noted = False

    def moved(self, count: int) -> None:
        """Hear that so many bytes more are on their way."""
        self._moving += count
        self.sent += count
        if self._progress is not None:
            self._progress.advance(count)

    def settled(self, count: int) -> None:
        """Hear that so many bytes are no more on their way: arrived, or lost."""
        self._moving -= count

    def note(self, text: str) -> None:
        """Tell who waits; one sentence until something moves again."""
        if self._progress is not None and not self._noted:
            self._progress.note(text)
            self._noted = True


class Meter:
    """The progress of one part, as a context manager; leaving it by an error takes it back."""

    def __init__(self, tally: Tally, size: int) -> None:
        self._tally = tally
        self._size = size
        self._count = 0
        self._limit: asyncio.Timeout | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The part is no more on its way."""
        self._tally.settled(self._count)
        if kind is not None and self._count:
            self._tally.show()

    @asynccontextmanager
    async def patience(self) -> AsyncIterator[None]:
        """Raise `Interrupted` when nothing moves for too long in this block."""
        try:
            async with asyncio.timeout(TAKE_SECONDS) as limit:
                self._limit = limit
                yield
        except TimeoutError:
            raise Interrupted("the server was silent for too long", self._count) from None
        finally:
            self._limit = None

    def begin(self, total: int | None, done: int) -> None:
        """Hear that the server wants the body."""

    def advance(self, count: int) -> None:
        """Hear that the line took so many bytes."""
        self._count += count
        self._tally.moved(count)
        if self._limit is not None:
            patience = ANSWER_SECONDS if self._count == self._size else TAKE_SECONDS
            self._limit.reschedule(asyncio.get_running_loop().time() + patience)

    def note(self, text: str) -> None:
        """Nobody has anything to say of one part."""
