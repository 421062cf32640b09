"""Who sends the parts of an upload now: one each, and no dead one for long."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, AsyncIterator

from filepipe.channels.upload_placing import Placed, Placing
from filepipe.errors import Broken, Busy, FilepipeError

SILENT = 15.0
"""Seconds after which a sender without a byte is ended by whoever wants to send the same part.

A line that is cut without a word is noticed by its sender only, who comes again on another.
"""


class _Sender:
    """One of them; `waits_since` is when it was asked for its next bytes, None while they rest."""

    def __init__(self) -> None:
        self.life = asyncio.timeout(None)
        self.replaced = False
        self.waits_since: float | None = time.monotonic()

    def came(self) -> None:
        """More of it is there, and the next is waited for."""
        self.waits_since = time.monotonic()

    def is_silent(self) -> bool:
        return self.waits_since is not None and time.monotonic() - self.waits_since >= SILENT


class _Heard:
    """What a sender sends, as it comes."""

    def __init__(self, sender: _Sender, body: AsyncIterable[bytes]) -> None:
        self._sender = sender
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            self._sender.waits_since = None
            yield chunk
            self._sender.came()
        self._sender.waits_since = None


class _HeardPlacing(_Heard):
    """The same of a body that the kernel can write to its place."""

    def __init__(self, sender: _Sender, body: Placing) -> None:
        super().__init__(sender, body)
        self._placing = body

    def can_place(self, size: int) -> bool:
        return self._placing.can_place(size)

    async def place(self, placed: Placed) -> bool:
        self._sender.came()
        placed.on_growth = self._sender.came
        try:
            return await self._placing.place(placed)
        finally:
            self._sender.waits_since = None


def _heard(sender: _Sender, body: AsyncIterable[bytes]) -> AsyncIterable[bytes]:
    return _HeardPlacing(sender, body) if isinstance(body, Placing) else _Heard(sender, body)


class PartSenders:
    """Those of one upload, by the numbers of their parts; true while there is one."""

    def __init__(self) -> None:
        self._senders: dict[int, _Sender] = {}
        self._failure: FilepipeError | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def __bool__(self) -> bool:
        return bool(self._senders)

    @contextlib.asynccontextmanager
    async def sending(
        self, number: int, body: AsyncIterable[bytes]
    ) -> AsyncIterator[AsyncIterable[bytes]]:
        """Be the only one who sends part `number`, and have what comes of its body.

        Raises `Busy`, also when a silent one was ended, who has to let go first; inside, why it was
        ended.
        """
        if self._failure is not None:
            raise self._failure
        if number in self._senders:
            self._replace(self._senders[number])
            raise Busy(f"part {number} is being sent already, try again later")
        sender = self._senders[number] = _Sender()
        self._idle.clear()
        try:
            async with sender.life:
                yield _heard(sender, body)
        except TimeoutError:
            if not sender.life.expired():
                raise
            if sender.replaced:
                raise Broken("another sender sends this part") from None
            raise self._failure or Broken("the upload was ended") from None
        finally:
            del self._senders[number]
            if not self._senders:
                self._idle.set()

    def end(self, failure: FilepipeError) -> None:
        """End everybody, and whoever comes; `wait` tells when they have let go."""
        self._failure = failure
        for sender in self._senders.values():
            sender.life.reschedule(0.0)

    async def wait(self) -> None:
        """Return when nobody sends."""
        await self._idle.wait()

    @staticmethod
    def _replace(sender: _Sender) -> None:
        if sender.is_silent() and not sender.replaced:
            sender.replaced = True
            sender.life.reschedule(0.0)
