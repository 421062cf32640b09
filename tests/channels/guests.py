"""A sender and a receiver of a rendezvous who check what they get to see."""

from __future__ import annotations

import asyncio
from typing import Protocol

from filepipe.channels.channel import Kind, Metadata, Writer
from filepipe.channels.meetings import Meetings
from filepipe.channels.rendezvous import Seat
from filepipe.channels.window import Windows
from filepipe.errors import Broken, FilepipeError, Refused, Unavailable
from filepipe.keys import Key


class Hall(Protocol):
    """Where they meet."""

    meetings: Meetings
    windows: Windows


class Sender:
    """Offers a rendezvous, and does what it is told once all are there."""

    def __init__(self, hall: Hall, key: Key, number: int, wait: float) -> None:
        self.sent = b""
        self.outcome: str | None = None
        self.offered = hall.meetings.offer(key, number, Metadata())
        self._orders: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.task = asyncio.ensure_future(self._run(hall, wait))

    def order(self, chunk: bytes | None) -> None:
        """A chunk to send; None to finish."""
        self._orders.put_nowait(chunk)

    async def _run(self, hall: Hall, wait: float) -> None:
        offered = self.offered
        try:
            async with asyncio.timeout(wait):
                await offered.gathered()
            life = asyncio.current_task()
            assert life is not None
            offered.interrupt = lambda reason: life.cancel()
            await offered.start(hall.windows, Metadata())
            async with Writer(offered) as writer:
                while (chunk := await self._orders.get()) is not None:
                    self.sent += chunk
                    await writer.write([chunk])
            offered.interrupt = None
            await offered.settled()
            self.outcome = "delivered" if offered.received == offered.number else "short"
        except (FilepipeError, TimeoutError):
            self.outcome = "failed"
        finally:
            offered.interrupt = None
            if offered.open:
                offered.break_off(Broken("the sender left"))


class Receiver:
    """Takes what there is to take, and checks that it gets every byte or an error."""

    def __init__(
        self, hall: Hall, key: Key, wait: float, number: int | None, *, strict: bool
    ) -> None:
        self.key, self.number = key, number
        self.got = b""
        self.outcome: str | None = None
        self.left = False
        self.paused = asyncio.Event()
        self.paused.set()
        self.task = asyncio.ensure_future(self._run(hall, wait, strict=strict))

    @property
    def waits(self) -> bool:
        """Whether it has neither been served nor sent away."""
        return not self.task.done() and self.outcome is None

    async def _run(self, hall: Hall, wait: float, *, strict: bool) -> None:
        take = hall.meetings.take(self, self.key, wait, self.number, strict=strict)
        try:
            found = await take
            if not isinstance(found, Seat):
                assert found is None or found.kind is Kind.PIPE
                self.outcome = "pipe" if found else "nobody"
                return
            self.outcome = "seated"
            assert self.number in (None, found.rendezvous.number)
            with found:
                await self._read(found)
        except (Refused, Unavailable):
            self.outcome = "refused"
        except Broken:
            self.outcome = "cut"

    async def _read(self, seat: Seat) -> None:
        reader = await seat.started()
        while True:
            await self.paused.wait()
            block = await reader.read()
            if not block:
                break
            self.got += block
        self.outcome = "received"
        seat.received()
