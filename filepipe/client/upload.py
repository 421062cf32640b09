"""The body of one request while it is sent: counted, reported, and its failure remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from filepipe.client.progress import Progress
from filepipe.client.source import Body


class Upload:
    """Gives aiohttp the chunks of a body.

    `begun` is whether the server wanted any, `whole` whether all of them were given; `failure` is
    what the source raised, because aiohttp turns that into a broken connection.
    """

    def __init__(self, body: Body, progress: Progress | None) -> None:
        self.body = body
        self.sent = 0
        self.begun = False
        self.failure: Exception | None = None
        self._progress = progress
        self._ended = False

    @property
    def whole(self) -> bool:
        """Whether the server can have every byte."""
        return self._ended if self.body.length is None else self.sent == self.body.length

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body; a server that answers early is heard before the next chunk."""
        self.begun = True
        if self._progress is not None:
            self._progress.begin(self.body.length, 0)
        try:
            async for chunk in self.body.chunks:
                await _let_the_loop_read()
                self.sent += len(chunk)
                yield chunk
                if self._progress is not None:
                    self._progress.advance(len(chunk))
        except Exception as error:
            self.failure = error
            raise
        self._ended = True


async def _let_the_loop_read() -> None:
    # A write to a connection that the peer closed makes asyncio forget what it has not read yet,
    # the refusal. The first turn of the loop sees the bytes, the second hands them over.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
