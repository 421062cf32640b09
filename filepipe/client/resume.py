"""A download that goes on where the connection broke, and never mixes two objects.

Rule 1: the first answer fixes the ETag; each later request says `If-Range` with it, and an answer
        with another ETag ends the download with `Changed`.
Rule 2: without a strong ETag there is no second request.
Rule 3: a later request does not wait for a writer: who took the key since then writes something
        else, so 404 is final.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from yarl import URL

from filepipe.client.answers import GetResult, Metadata
from filepipe.client.backoff import Backoff
from filepipe.client.blocking import BlockingThread
from filepipe.client.download import Download
from filepipe.client.errors import (
    Changed,
    ClientError,
    Interrupted,
    NotThere,
    RangeRefused,
    Refused,
    Unreachable,
)
from filepipe.client.progress import Progress
from filepipe.client.sink import Sink, open_sink
from filepipe.client.watch import Sign, watched

# How many seconds without a byte a download may take to go on.
RETRY_WINDOW: Final = 60.0
# How many seconds a server may take to begin with the rest; a line that is cut silently takes all.
ANSWER: Final = 10.0
# A restarting server, or the proxy before it, may say these for a while.
TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Ask:
    """What to download: how to begin at an offset of an ETag (waiting or not), how to ask HEAD."""

    begin: Callable[[int, str | None, bool], AbstractAsyncContextManager[Download]]
    head: Callable[[], Awaitable[Metadata]]
    resume: bool
    progress: Progress | None


async def fetch(ask: Ask, target: Path | BinaryIO, url: URL, window: float) -> GetResult:
    """Download what `ask` says into a target; `url` tells a partial file of it from others."""
    with BlockingThread() as thread:
        sink = await open_sink(target, url, thread, keep=ask.resume)
        return await Fetch(ask, sink, Backoff(window)).run()


class Fetch:
    """One download into one sink; `run` it once."""

    def __init__(self, ask: Ask, sink: Sink, backoff: Backoff) -> None:
        self._ask = ask
        self._sink = sink
        self._backoff = backoff
        self._about: Download | None = None
        self._anew = False
        self._waits = False
        self._seen = 0
        self._resumed = 0

    async def run(self) -> GetResult:
        """Return when the object is whole; else raise, and leave what a later run can use."""
        try:
            await self._sink.prepare()
            while not await self._attempt():
                pass
            path = await self._sink.finish()
        except Interrupted as error:
            kept = await self._abandon()
            if kept is None:
                raise
            raise type(error)(f"{error}; {kept} has the beginning", error.received) from error
        except BaseException:
            await self._abandon()
            raise
        return self._result(path)

    async def _abandon(self) -> Path | None:
        # What ended the download is the news, not that its leavings could not be tidied.
        with contextlib.suppress(OSError):
            return await self._sink.abandon()
        return None

    async def _attempt(self) -> bool:
        """Ask once; True when the object is whole, False to ask again."""
        try:
            try:
                return await self._receive()
            except RangeRefused:
                return await self._is_all()
        except (Unreachable, Interrupted, Refused) as why:
            if self._about is None or isinstance(why, Changed):
                raise
            await self._pause(why)
            return False

    async def _receive(self) -> bool:
        asked = 0 if self._anew else self._sink.offset
        async with AsyncExitStack() as stack:
            download = await self._begin(asked, stack)
            self._check(download, asked)
            if not await self._sink.begin(download):
                return False
            self._about = download
            if self._ask.progress is not None:
                self._ask.progress.begin(download.length, download.offset)
            if self._ask.resume and self._sink.etag is not None:
                await stack.enter_async_context(watched(self._look))
            chunks = await stack.enter_async_context(aclosing(aiter(download)))
            self._waits = True
            async for chunk in chunks:
                self._waits = False
                await self._sink.write(chunk)
                self._moved(len(chunk))
                self._waits = True
        return True

    async def _look(self) -> Sign:
        """Whether the server has something for us that does not come."""
        have = self._sink.offset
        moved, self._seen = have - self._seen, have
        if moved or not self._waits:
            return Sign.MOVES
        about = await self._ask.head()
        if self._sink.offset != have:
            return Sign.MOVES
        if about.etag != self._sink.etag:
            return Sign.IDLE  # the key may be another's while we still read
        return Sign.IDLE if about.offset == have else Sign.STUCK

    async def _begin(self, asked: int, stack: AsyncExitStack) -> Download:
        first = self._about is None
        begin = self._ask.begin(asked, self._sink.etag, first)
        try:
            # The first answer may wait for a writer as long as the server likes.
            async with asyncio.timeout(None if first else ANSWER):
                return await stack.enter_async_context(begin)
        except TimeoutError:
            raise Interrupted("the server did not answer", self._sink.offset) from None

    def _moved(self, count: int) -> None:
        self._backoff.progress()
        if self._ask.progress is not None:
            self._ask.progress.advance(count)

    def _check(self, download: Download, asked: int) -> None:
        etag, have = self._sink.etag, self._sink.offset
        if download.offset not in {0, asked}:
            raise Changed(f"the server sent from byte {download.offset}, not {asked}", have)
        if self._about is None and download.offset == 0:
            return  # nothing, or only what an earlier run left, is dropped
        if etag is not None and download.etag != etag:
            raise Changed(f"the object changed after {have} bytes of the old one", have)
        if download.offset != asked:
            raise Changed(f"the server began again after {have} bytes", have)

    async def _is_all(self) -> bool:
        """After a 416: whether nothing is left, because the server still means our object."""
        sink = self._sink
        try:
            async with asyncio.timeout(ANSWER):
                about = await self._ask.head()
        except TimeoutError:
            raise Interrupted("the server did not answer", sink.offset) from None
        if sink.etag is not None and (about.etag, about.length) == (sink.etag, sink.offset):
            return True
        if self._about is not None:
            raise Changed(f"the object changed after {sink.offset} bytes of the old one", 0)
        self._anew = True
        return False

    async def _pause(self, why: ClientError) -> None:
        have = self._sink.offset
        if isinstance(why, NotThere):
            text = f"the upload broke off or expired after {have} bytes"
            raise Interrupted(text, have) from why
        if isinstance(why, Refused) and why.status not in TRANSIENT:
            raise Interrupted(f"{why} after {have} bytes", have) from why
        if not self._ask.resume:
            raise why
        if self._sink.etag is None:
            raise Interrupted(f"{why}; it cannot be resumed, only begun anew", have) from why
        pause = self._backoff.pause()
        if pause is None:
            raise Interrupted(f"gave up after {have} bytes: {why}", have) from why
        if self._ask.progress is not None:
            self._ask.progress.note(f"{why}: trying again")
        await asyncio.sleep(pause)
        self._resumed += 1

    def _result(self, path: Path | None) -> GetResult:
        about = self._about
        return GetResult(
            size=self._sink.offset,
            path=path,
            etag=self._sink.etag,
            filename=about.filename if about else None,
            content_type=about.content_type if about else None,
            resumed=self._resumed,
        )
