"""Logs: append records so that each is there once, and follow from any offset, over broken lines.

Rule 1: a record is sent again until it is acknowledged; its producer, a random name, and its number
        keep it from being there twice.
Rule 2: who follows asks again from the byte that he has.
Rule 3: a log may be idle for as long as it likes. So who hears nothing looks, over a connection of
        its own, whether the log has more than he has, or its end.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Final

from yarl import URL

from filepipe.client.answers import whole_number
from filepipe.client.backoff import Backoff
from filepipe.client.download import Download
from filepipe.client.errors import ClientError, Interrupted, NotThere, Refused, Unreachable
from filepipe.client.line import Line
from filepipe.client.resume import RETRY_WINDOW, TRANSIENT
from filepipe.client.watch import Sign, watched

RECORD: Final = 64 * 1024
"""Bytes of a record over a line of which nothing is known yet, or that is slow."""

LARGEST: Final = 1024 * 1024
"""Bytes of one record at most: what a server takes whole or not at all."""

# Seconds within which an acknowledgement comes over a line that takes larger records, too.
QUICK = 0.25

# Seconds that a record may take to be acknowledged, the first time and at most. A line that died
# without a word takes all of them; a slow one gets more with each try, and one too many is no harm.
PATIENCE = 4.0
MOST_PATIENCE: Final = 32.0
# Seconds after which a connection over which nothing came was a good one: proxies cut what is idle.
HELD = 10.0


class Appender:
    """Appends to one log; made by `Client.append`. One call at a time.

    `end` is where the log ended when the last record was acknowledged, None before the first.
    """

    def __init__(self, line: Line, url: URL, content_type: str | None, window: float) -> None:
        self._line = line
        self._url = url
        self._headers = {"Content-Type": content_type} if content_type else {}
        self._backoff = Backoff(window)
        self._patience = PATIENCE
        self._size = RECORD
        self._producer = secrets.token_hex(16)
        self._number = 0
        self.end: int | None = None

    async def write(self, data: bytes) -> int:
        """Append `data`, and return where the log ends then; much of it is several records.

        Each of them is there once and whole when this returns. A line that breaks is replaced until
        the window brought nothing. Raises `Busy` where somebody streams into the log or it is
        closed, `Refused`, `Unreachable`, `Interrupted`.
        """
        end = self.end
        start = 0
        while start < len(data):
            record = data[start : start + self._size]
            end = await self._send(asked(self._url, "append"), record)
            start += len(record)
        return end if end is not None else await self._send(asked(self._url, "append"), b"")

    async def close(self) -> int:
        """Close the log for ever, and return where it ends. Raises as `write`."""
        return await self._send(asked(self._url, "append", "close"), b"")

    async def _send(self, url: URL, record: bytes) -> int:
        began = time.monotonic()
        while (end := await self._try(url, record)) is None:
            pass
        self._size = min(2 * self._size, LARGEST) if time.monotonic() - began < QUICK else RECORD
        self._backoff.progress()
        self._number += 1
        self.end = end
        return end

    async def _try(self, url: URL, record: bytes) -> int | None:
        headers = {
            **self._headers,
            "Producer-Id": self._producer,
            "Producer-Epoch": "0",
            "Producer-Seq": str(self._number),
        }
        try:
            async with (
                asyncio.timeout(self._patience),
                self._line.request("POST", url, headers=headers, data=record) as response,
            ):
                end = whole_number(response.headers.get("Stream-Next-Offset"))
        except (Unreachable, Interrupted, Refused, TimeoutError) as why:
            if isinstance(why, Unreachable) and self.end is None:
                raise
            if isinstance(why, TimeoutError):
                self._patience = min(2 * self._patience, MOST_PATIENCE)
            await _pause(self._backoff, why, self.end or 0)
            return None
        if end is None:
            raise ClientError("the server keeps no logs")
        return end


async def follow(
    line: Line, url: URL, offset: int, wait: float | None, window: float = RETRY_WINDOW
) -> AsyncGenerator[bytes, None]:
    """The bytes of a log from `offset` on, to the clean end; see `Client.follow`."""
    following = _Following(line, url, offset, wait)
    backoff = Backoff(window)
    while True:
        try:
            async with aclosing(following.attempt()) as chunks:
                async for chunk in chunks:
                    backoff.progress()
                    yield chunk
        except (Unreachable, Interrupted, Refused) as why:
            if not following.begun:
                raise
            if following.held() > HELD:
                backoff.progress()
            await _pause(backoff, why, following.position)
        else:
            return


class _Following:
    """Follows one log; `position` is the next byte, `begun` whether the log was ever there."""

    def __init__(self, line: Line, url: URL, offset: int, wait: float | None) -> None:
        self.position = offset
        self.begun = False
        self._line = line
        self._url = url
        self._wait = wait
        self._since = math.inf

    def held(self) -> float:
        """Seconds since the last answer began, if there was one to the last attempt."""
        return time.monotonic() - self._since

    async def attempt(self) -> AsyncGenerator[bytes, None]:
        """Ask once; raises `Interrupted` also where the line has died without a word."""
        extra = [] if self._wait is None else [f"wait={self._wait:.12g}"]
        url = asked(self._url, "follow", f"offset={self.position}", *extra)
        async with AsyncExitStack() as stack:
            self._since = math.inf
            async with watched(self._look):
                response = await stack.enter_async_context(self._line.request("GET", url))
            self.begun, self._since = True, time.monotonic()
            chunks = await stack.enter_async_context(aclosing(aiter(Download(response))))
            while True:
                async with watched(self._look):  # only here: what follows is the caller's time
                    chunk = await anext(chunks, b"")
                if not chunk:
                    return
                self.position += len(chunk)
                yield chunk

    async def _look(self) -> Sign:
        """Whether the server has something for us that does not come."""
        try:
            async with self._line.request("HEAD", self._url) as response:
                end = whole_number(response.headers.get("Stream-Next-Offset"))
                over = "Stream-Closed" in response.headers
        except NotThere:
            return Sign.STUCK if self.begun else Sign.IDLE
        if not self.begun or over or (end is not None and end > self.position):
            self.begun = True
            return Sign.STUCK
        return Sign.IDLE


async def _pause(backoff: Backoff, why: Exception, position: int) -> None:
    """Wait before another attempt; raises `why` if there is to be none."""
    if isinstance(why, Refused) and why.status not in TRANSIENT:
        raise why
    pause = backoff.pause()
    if pause is None:
        if isinstance(why, ClientError):
            raise why
        raise Interrupted("the server did not answer", position) from why
    await asyncio.sleep(pause)


def asked(url: URL, *query: str) -> URL:
    """Add to the query what is not there already, as in a URL that was meant for curl."""
    there = url.raw_query_string.split("&") if url.raw_query_string else []
    wanted = there + [each for each in query if each not in there]
    return URL(f"{url.with_query(None).with_fragment(None)}?{'&'.join(wanted)}", encoded=True)
