"""An upload that goes on where its connection was cut, while its readers wait.

Rule 1: it says `Content-Range` from the first byte on; the server's `Upload-Offset` says where to
        go on. A server that knows neither is sent a plain upload.
Rule 2: nothing is ever appended to another's upload: the ETag, asked for when the body began, is in
        each later request. Without it there is no second request.
Rule 3: who gives up tells the server, so that the readers need not wait for nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

from yarl import URL

from filepipe.client.answers import Metadata
from filepipe.client.backoff import Backoff
from filepipe.client.errors import (
    Changed,
    ClientError,
    Interrupted,
    NotThere,
    Refused,
    Unreachable,
)
from filepipe.client.line import Line
from filepipe.client.progress import Progress
from filepipe.client.replay import Replay
from filepipe.client.resume import TRANSIENT
from filepipe.client.source import Body
from filepipe.client.upload import Upload
from filepipe.client.watch import LOOK, Sign, watched

# Smaller ones are there before a cut is noticed.
RESUME_ABOVE: Final = 64 * 1024
# Below this, asking first costs more than sending for nothing.
EXPECT_ABOVE: Final = 1024 * 1024
# More than the buffers of a way hold: what moves so much arrives.
BEYOND_BUFFERS: Final = 16 * 1024 * 1024
# What servers say that know no Content-Range in a request.
_UNKNOWN: Final = frozenset({400, 501})
# How often a server without Upload-Offset is asked before it is no more waited for.
_PATIENCE: Final = 3
_LAST_WORD_SECONDS: Final = 2.0
_FIRST_LOOK_SECONDS: Final = 1.0


class Sending:
    """One source on its way to one key; `run` it once."""

    def __init__(
        self,
        line: Line,
        url: URL,
        headers: Mapping[str, str],
        source: Replay,
        backoff: Backoff,
        progress: Progress | None,
    ) -> None:
        self._line = line
        self._url = url
        self._headers = headers
        self._source = source
        self._backoff = backoff
        self._progress = progress
        self._ranged = source.length is None or source.length > RESUME_ABOVE
        self._asked = asyncio.Event()
        self._etag: str | None = None
        self._upload: Upload | None = None
        self._offset = 0
        self._confirmed = self._looked_at = self._in_vain = 0

    @property
    def sent(self) -> int:
        """How many bytes of the source went out, each counted once."""
        return self._offset + (self._upload.sent if self._upload is not None else 0)

    async def run(self) -> str:
        """Return what the server answered in the end, "" if that was lost on the way."""
        try:
            return await self._run()
        except BaseException:
            await self._abandon()
            raise

    async def _run(self) -> str:
        while True:
            try:
                return await self._attempt()
            except (Refused, Interrupted, Unreachable) as why:
                if await self._is_over(why):
                    return ""

    async def _is_over(self, why: ClientError) -> bool:
        """Whether nothing is left to send after all; raises what `why` means if that is final."""
        status = why.status if isinstance(why, Refused) else 0
        if self._etag is None:
            if not self._ranged or status not in _UNKNOWN:
                raise why
            self._ranged = False
            return False
        if status == 412:
            raise Changed(f"another upload took the key after {self.sent} bytes", self.sent)
        if status not in {0, 409} | TRANSIENT:
            raise why
        return await self._recover(why)

    async def _attempt(self) -> str:
        length = self._source.length
        rest = None if length is None else length - self._offset
        body = Body(self._chunks() if self._ranged else self._source.read(self._offset), rest)
        upload = self._upload = Upload(body, _Onward(self._progress, length, self._offset))
        first = self._etag is None
        expect = not first or rest is None or rest > EXPECT_ABOVE
        headers = {**self._headers, **(self._range() if self._ranged else {})}
        sending = self._line.upload(
            "PUT", self._url, upload, headers=headers, good={200, 201, 204}, expect=expect
        )
        if not self._ranged:
            self._source.let_go()
            return await sending
        async with watched(self._look, self._source.waits):
            return await sending

    async def _chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._source.read(self._offset):
            yield chunk
            if self._etag is None and not self._asked.is_set():
                # What is sent before the ETag is known could not be gone on with.
                self._source.waits.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_FIRST_LOOK_SECONDS):
                        await self._asked.wait()
                self._asked.set()

    def _range(self) -> dict[str, str]:
        length = self._source.length
        last = "*" if length is None else str(length - 1)
        whole = "*" if length is None else str(length)
        said = {"Content-Range": f"bytes {self._offset}-{last}/{whole}"}
        # The first one must not go on with what somebody else began.
        return said | ({"If-None-Match": "*"} if self._etag is None else {"If-Match": self._etag})

    # -- beside the sending

    async def _look(self) -> Sign:
        """Ask what the server has, if that could tell anything."""
        assert self._upload is not None, "there is something to look after"
        if not self._upload.begun:
            return Sign.UNSURE
        if self._etag is None:
            return await self._learn()
        moved, self._looked_at = self.sent - self._looked_at, self.sent
        if moved >= BEYOND_BUFFERS and not self._source.crowded:
            return Sign.MOVES
        if self._confirmed == self.sent and not self._upload.whole:
            return Sign.MOVES
        return self._judged(await self._line.head(self._url))

    async def _learn(self) -> Sign:
        try:
            about = await self._told()
        except (Refused, Unreachable, Interrupted):
            about = None
        if about is not None and about.offset is not None and self._is_ours(about):
            self._etag = about.etag
            self._confirm(about.offset)
            self._asked.set()
            return Sign.MOVES
        self._in_vain += 1
        if self._in_vain >= _PATIENCE:
            self._asked.set()
        if self._in_vain >= _PATIENCE and self._source.crowded:
            self._source.let_go()
        return Sign.UNSURE

    def _is_ours(self, about: Metadata) -> bool:
        if about.etag is None or self._etag not in {None, about.etag}:
            return False
        if about.offset is None:
            return about.length == self.sent
        fits = self._source.lowest <= about.offset <= self.sent
        return fits and about.length == self._source.length

    def _judged(self, about: Metadata) -> Sign:
        if about.offset is None or not self._is_ours(about):
            return Sign.STUCK
        grew = about.offset > self._confirmed
        self._confirm(about.offset)
        return Sign.MOVES if grew else Sign.STUCK

    def _confirm(self, offset: int) -> None:
        if offset > self._confirmed:
            self._confirmed = offset
            self._backoff.progress()
        self._source.confirm(offset)

    # -- after a cut

    async def _recover(self, why: ClientError) -> bool:
        """Find out where to go on; True when nothing is left to send. Raises when it cannot be."""
        sent, about = self.sent, None
        while about is None:
            pause = self._backoff.pause()
            if pause is None:
                raise Interrupted(f"gave up after {sent} bytes: {why}", sent) from why
            if self._progress is not None:
                self._progress.note(f"{why}: trying again")
            await asyncio.sleep(pause)
            try:
                about = await self._told()
            except NotThere:
                text = f"the server gave the upload up after {sent} bytes"
                raise Interrupted(text, sent) from why
            except (Unreachable, Interrupted) as lost:
                why = lost
        if not self._is_ours(about):
            raise Changed(f"another upload took the key after {sent} bytes", sent) from why
        if about.offset is None:
            return True
        self._confirm(about.offset)
        self._offset, self._upload, self._looked_at = about.offset, None, about.offset
        return False

    async def _told(self) -> Metadata:
        """Ask what is there; raises `Interrupted` for what may be better next time."""
        try:
            async with asyncio.timeout(LOOK):
                return await self._line.head(self._url)
        except TimeoutError:
            raise Interrupted("the server did not answer", self.sent) from None
        except Refused as why:
            if why.status not in TRANSIENT:
                raise
            raise Interrupted(str(why), self.sent) from why

    async def _abandon(self) -> None:
        if self._etag is None:
            return
        with contextlib.suppress(ClientError, TimeoutError):
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await self._line.delete(self._url, headers={"If-Match": self._etag})


class _Onward:
    """The progress of a rest, as that of the whole."""

    def __init__(self, progress: Progress | None, total: int | None, offset: int) -> None:
        self._progress = progress
        self._total = total
        self._offset = offset

    def begin(self, total: int | None, done: int) -> None:
        """The rest begins."""
        if self._progress is not None:
            self._progress.begin(self._total, self._offset + done)

    def advance(self, count: int) -> None:
        """It moves."""
        if self._progress is not None:
            self._progress.advance(count)

    def note(self, text: str) -> None:
        """Nobody says anything of a rest."""
