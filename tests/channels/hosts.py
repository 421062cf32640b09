"""Who keeps a rendezvous without a directory, and the two sides of it."""

from __future__ import annotations

import asyncio

from filepipe.accountant import Budget
from filepipe.channels.channel import Channel, Kind, Metadata, Writer
from filepipe.channels.rendezvous import Happening, Rendezvous, Seat
from filepipe.channels.window import Windows
from filepipe.keys import Key
from filepipe.storage.interface import Blob


class Host:
    """Who keeps the rendezvous: forgets it at its end, and discards its bytes."""

    def __init__(self) -> None:
        self.budget = Budget("memory", 1024 * 1024)
        self.windows = Windows(self.budget)
        self.over: list[Rendezvous] = []
        self.told: list[Happening] = []
        self.discards: list[asyncio.Task[None]] = []

    def changed(self, channel: Channel) -> None:
        if channel.ended is not None and not channel.forgotten:
            channel.forget()

    def waste(self, blob: Blob) -> None:
        self.discards.append(asyncio.ensure_future(blob.discard()))

    def meet(self, number: int) -> Rendezvous:
        rendezvous = Rendezvous(Key("key"), Kind.RENDEZVOUS, number, self, self.over.append)
        rendezvous.on_happening = self.told.append
        return rendezvous


async def send(host: Host, rendezvous: Rendezvous, *chunks: bytes, length: int | None = None):
    """The sender's side, from the gathering to the last byte."""
    await rendezvous.gathered()
    await rendezvous.start(host.windows, Metadata(length=length))
    async with Writer(rendezvous) as writer:
        for chunk in chunks:
            await writer.write([chunk])


async def receive(seat: Seat, most: int = 1 << 30) -> bytes:
    """The receiver's side; leaves with everything, or after `most` bytes."""
    with seat:
        reader = await seat.started()
        data = b""
        while chunk := await reader.read():
            data += chunk
            if len(data) >= most:
                return data
        seat.received()
    return data


def begin(work) -> asyncio.Task:
    """Let it run beside us."""
    return asyncio.ensure_future(work)
